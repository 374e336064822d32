//! The table of the README names tests that exist.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

/// Where the tests of the table are.
const PLACES: [&str; 4] = ["world/src", "tests/it", "tests/template", "shared/pushwoosh/src"];

fn sources(directory: &Path, all: &mut String) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_test_that_the_table_names_exists() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut all = String::new();
    for place in PLACES {
        sources(&root.join(place), &mut all);
    }
    let readme = include_str!("../README.md");
    let rows =
        readme.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| service"));
    let mut named = 0;
    for row in rows {
        let tests = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for test in tests.split(", ").map(|test| test.trim_matches('`')) {
            assert!(all.contains(&format!("fn {test}(")), "{test} does not exist: {row}");
            named += 1;
        }
    }
    assert!(named > 50, "{named}");
}
