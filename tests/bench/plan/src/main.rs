//! A plan for a large workspace.

fn main() {}
