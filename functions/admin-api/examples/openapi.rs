//! Writes the description of the admin API anew: `cargo run -p rollcall-admin-api --example openapi`.

use serde::Serialize as _;
use serde_json::Serializer;
use serde_json::ser::PrettyFormatter;

fn main() -> Result<(), Box<dyn core::error::Error>> {
    // A line for each value, so that changes can be seen, and no indentation, which would be half of the file.
    let mut text = Vec::new();
    let formatter = PrettyFormatter::with_indent(b"");
    rollcall_admin_api::description().serialize(&mut Serializer::with_formatter(&mut text, formatter))?;
    text.push(b'\n');
    std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json"), text)?;
    Ok(())
}
