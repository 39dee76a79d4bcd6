//! Prints the description of the admin API: `cargo run -p rollcall-admin-api --example openapi`.

use std::io::Write as _;

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let text = rollcall_admin_api::description().to_pretty_json()?;
    writeln!(std::io::stdout(), "{text}")?;
    Ok(())
}
