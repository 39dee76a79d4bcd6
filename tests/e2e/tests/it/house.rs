//! What may depend on what.

use std::collections::BTreeMap;
use std::process::Command;

/// The crates that are deployed.
const SHIPPED: [&str; 4] =
    ["rollcall-oauth-callback", "rollcall-invites", "rollcall-admin-api", "rollcall-scheduled-sync"];

/// All that the rules may stand on. Nothing here does I/O, waits, reads a clock or draws random numbers.
const RULES_MAY_USE: [&str; 26] = [
    "block-buffer",
    "cfg-if",
    "cpufeatures",
    "crypto-common",
    "digest",
    "hybrid-array",
    "itoa",
    "libc",
    "memchr",
    "proc-macro2",
    "quote",
    "rollcall-domain",
    "ryu",
    "serde",
    "serde_core",
    "serde_derive",
    "serde_json",
    "sha2",
    "syn",
    "thiserror",
    "thiserror-impl",
    "typenum",
    "unicode-ident",
    "uuid",
    "zeroize",
    "zmij",
];

/// Everything that ends up in a program of a package: no dev- and no build-dependencies, and only the features that it asks for
/// itself. Name, then the rest of the line: version, place, features.
fn contents(package: &str) -> BTreeMap<String, String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--offline",
            "--package",
            package,
            "--edges",
            "normal",
            "--prefix",
            "none",
        ])
        .args(["--target", "x86_64-unknown-linux-gnu", "--format", "{p} {f}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let named = lines.lines().filter_map(|line| line.split_once(' '));
    named.map(|(name, rest)| (name.to_owned(), rest.to_owned())).collect()
}

#[test]
fn the_rules_depend_on_no_io_no_clock_no_randomness_and_no_aws() {
    let contents = contents("rollcall-domain");
    let beyond: Vec<_> = contents.keys().filter(|name| !RULES_MAY_USE.contains(&name.as_str())).collect();
    assert!(beyond.is_empty(), "shared/domain now depends on {beyond:?}");
    let features = contents["uuid"].rsplit(' ').next().unwrap();
    let random =
        features.split(',').find(|feature| feature.contains("rng") || ["v1", "v4", "v7"].contains(feature));
    assert_eq!(random, None, "uuid would draw random numbers or read the clock by itself");
}

#[test]
fn nothing_that_is_deployed_contains_a_stand_in_or_the_local_stack() {
    for shipped in SHIPPED {
        let contents = contents(shipped);
        assert!(contents.contains_key("rollcall-domain"), "{shipped} has nothing to do with Rollcall");
        for (name, _) in contents {
            let for_tests =
                name.starts_with("standin-") || name == "rollcall-local" || name == "rollcall-e2e";
            assert!(!for_tests && name != "dynoxide-rs", "{shipped} contains {name}");
        }
    }
}

#[test]
fn dependencies_point_inwards() {
    let of_the_house = |package: &str| {
        let names =
            contents(package).into_keys().filter(|name| name.starts_with("rollcall") && name != package);
        names.collect::<Vec<_>>()
    };
    assert_eq!(of_the_house("rollcall-domain"), Vec::<String>::new());
    for inner in
        ["rollcall-bitbucket", "rollcall-identity", "rollcall-store", "rollcall-service", "rollcall-admin"]
    {
        let functions: Vec<_> =
            of_the_house(inner).into_iter().filter(|name| SHIPPED.contains(&name.as_str())).collect();
        assert!(functions.is_empty(), "{inner} depends on {functions:?}");
    }
    for package in ["rollcall-domain", "rollcall-bitbucket"] {
        let sdk: Vec<_> = contents(package).into_keys().filter(|name| name.starts_with("aws-sdk")).collect();
        assert!(sdk.is_empty(), "{package} is not to know AWS, and contains {sdk:?}");
    }
}
