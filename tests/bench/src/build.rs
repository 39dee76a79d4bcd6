//! The programs that are measured, as they are shipped.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The functions' packages are called after them: `rollcall-invites`.
pub(crate) const FUNCTIONS: [&str; 4] = ["oauth-callback", "invites", "admin-api", "scheduled-sync"];

/// Where everything is built.
pub(crate) fn target() -> PathBuf {
    // …/target/release/rollcall-bench
    let here = std::env::current_exe().unwrap();
    here.ancestors().nth(2).unwrap().to_owned()
}

/// A program that was built in the release profile.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = target().join("release").join(name);
    assert!(path.is_file(), "{} is missing: leave out --no-build", path.display());
    path
}

/// Builds packages in the release profile. Each by itself, so that it gets the features that it asks for, and no others.
pub(crate) fn build<'a>(packages: impl IntoIterator<Item = &'a str>) {
    for package in packages {
        println!("building {package} …");
        let status = Command::new(env!("CARGO"))
            .args(["build", "--release", "--locked", "--quiet", "--package", package])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .unwrap();
        assert!(status.success(), "{package} cannot be built");
    }
}

/// The size of a program as it is uploaded: deflated as well as it can be. `None` without gzip.
pub(crate) fn zipped(program: &Path) -> Option<u64> {
    let output = Command::new("gzip").args(["-9", "-c"]).arg(program).stderr(Stdio::null()).output().ok()?;
    u64::try_from(output.stdout.len()).ok().filter(|_| output.status.success())
}
