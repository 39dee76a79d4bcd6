//! Software that was not written for Rollcall, where it is installed.

use std::path::Path;
use std::process::Command;

#[test]
fn openid_software_that_was_not_written_for_rollcall_signs_in_with_it() {
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("../clients");
    if !clients.join("node_modules/.installed").is_file() {
        eprintln!(
            "SKIPPED: openid-client, oidc-provider and Authlib are not installed; `.ci/run clients` installs them and signs in with them"
        );
        return;
    }
    let ran = Command::new(clients.join("run")).output().unwrap();
    let told = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{told}\n{}", String::from_utf8_lossy(&ran.stderr));
    println!("{told}");
}
