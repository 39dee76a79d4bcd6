//! The table of requirements and their tests, held against what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What has to be in the table: letter, and how many there are.
const FAMILIES: [(&str, u32); 5] = [("O", 10), ("J", 8), ("W", 6), ("I", 8), ("F", 16)];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The rows of the table: what must hold, and the tests as `path::name`.
fn rows() -> BTreeMap<String, (String, Vec<String>)> {
    let table = fs::read_to_string(root().join("tests/REQUIREMENTS.md")).unwrap();
    let mut rows = BTreeMap::new();
    for line in table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| |")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 3, "{line}");
        let tests = cells[2].split("<br>").map(|test| {
            let inner = test.strip_prefix('`').and_then(|test| test.strip_suffix('`'));
            inner.unwrap_or_else(|| panic!("{test} is not in backquotes")).to_owned()
        });
        let known = rows.insert(cells[0].to_owned(), (cells[1].to_owned(), tests.collect()));
        assert!(known.is_none(), "{} has two rows", cells[0]);
    }
    rows
}

/// Whether a source has a test of this name, and does not leave it out.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    lines.iter().enumerate().any(|(at, line)| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        let named = line.strip_prefix("fn ").and_then(|rest| rest.strip_prefix(name));
        if !named.is_some_and(|rest| rest.starts_with('(')) {
            return false;
        }
        let attributes: Vec<&&str> =
            lines[..at].iter().rev().take_while(|line| line.starts_with("#[")).collect();
        let is_test =
            |attribute: &&&str| attribute.starts_with("#[test]") || attribute.starts_with("#[tokio::test");
        attributes.iter().any(is_test)
            && !attributes.iter().any(|attribute| attribute.starts_with("#[ignore"))
    })
}

#[test]
fn every_requirement_has_tests_and_every_test_that_is_named_is_there() {
    let rows = rows();
    let expected: BTreeSet<String> = FAMILIES
        .iter()
        .flat_map(|(family, count)| (1..=*count).map(move |n| format!("{family}{n}")))
        .collect();
    assert_eq!(rows.keys().cloned().collect::<BTreeSet<_>>(), expected);
    let mut missing = Vec::new();
    for (id, (what, tests)) in &rows {
        assert!(what.len() > 20 && !tests.is_empty(), "{id}");
        for test in tests {
            let (path, name) = test.split_once("::").unwrap_or_else(|| panic!("{id}: {test} names no test"));
            let source = fs::read_to_string(root().join(path)).unwrap_or_default();
            if !has_test(&source, name) {
                missing.push(format!("{id}: {test}"));
            }
        }
    }
    assert!(missing.is_empty(), "these are named in tests/REQUIREMENTS.md and are not there: {missing:#?}");
}

#[test]
fn a_test_is_found_by_its_attribute_and_whole_name() {
    let source =
        "#[tokio::test]\nasync fn one() {}\n#[test]\n#[ignore]\nfn two() {}\nfn three() {}\n// fn four()\n";
    let found: Vec<&str> =
        ["one", "on", "two", "three", "four"].into_iter().filter(|name| has_test(source, name)).collect();
    assert_eq!(found, ["one"]);
}

fn sources(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            found.push((path, source));
        }
    }
}

/// A secondary index is always behind its table, and so is a read that does not ask for consistency.
#[test]
fn nothing_is_read_from_an_index_or_without_strong_consistency() {
    let mut found = Vec::new();
    sources(&root().join("shared/store/src"), &mut found);
    let (mut reads, mut consistent) = (0, 0);
    for (path, source) in &found {
        assert!(!source.contains("index_name") && !source.contains("secondary_index"), "{}", path.display());
        let scans = source.matches(".scan()").count();
        assert_eq!(scans, 0, "{}", path.display());
        reads += [".get_item()", ".query()", "KeysAndAttributes::builder()"]
            .iter()
            .map(|call| source.matches(call).count())
            .sum::<usize>();
        consistent += source.matches(".consistent_read(true)").count();
        assert!(!source.contains("consistent_read(false)"), "{}", path.display());
    }
    assert!(reads >= 3);
    assert_eq!(reads, consistent, "every read asks for consistency");
    let template = fs::read_to_string(root().join("infra/template.yaml")).unwrap();
    assert!(template.contains("AWS::DynamoDB::Table") && !template.contains("SecondaryIndexes"));
}
