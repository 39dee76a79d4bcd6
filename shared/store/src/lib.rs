//! To be built.

pub mod budget;
