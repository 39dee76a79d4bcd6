//! The binaries under test.
//!
//! Cargo builds a package's binaries before its own tests only, so they are built here, once for each run: in the profile of the
//! tests, and for the whole workspace, so that what the tests have compiled already is used again. With `ROLLCALL_BINARIES` set to
//! a folder, the binaries there are tested instead: those that are going to be deployed.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The functions' binaries, the local stack's and the command line's.
const BINARIES: [&str; 6] =
    ["oauth-callback", "invites", "admin-api", "scheduled-sync", "rollcall-local", "rollcall"];
/// What is deployed nowhere.
const OURS: [&str; 2] = ["rollcall-local", "rollcall"];

/// Where a binary is.
pub fn binary(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    assert!(BINARIES.contains(&name), "there is no binary {name}");
    let given = std::env::var_os("ROLLCALL_BINARIES").map(PathBuf::from);
    let folder = FOLDER.get_or_init(build);
    let deployed = given.map(|folder| folder.join(name)).filter(|_| !OURS.contains(&name));
    let path = deployed.unwrap_or_else(|| folder.join(name));
    assert!(path.is_file(), "{} is missing", path.display());
    path
}

fn build() -> PathBuf {
    // …/target/debug/deps/it-0123456789abcdef
    let test = std::env::current_exe().expect("tests know where they are");
    let folder = test.ancestors().nth(2).expect("tests lie two folders below").to_owned();
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--locked", "--workspace", "--quiet"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    for name in BINARIES {
        command.args(["--bin", name]);
    }
    if folder.ends_with("release") {
        command.arg("--release");
    }
    let status = command.status().expect("cargo is there: it has started the tests");
    assert!(status.success(), "the binaries cannot be built");
    folder
}
