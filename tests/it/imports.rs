//! No two files of a crate import each other, directly or by way of others: each can be read after those that it
//! imports. What both need has a file of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::sandbox::root;

/// The directories of the crates' sources.
fn sources() -> Vec<PathBuf> {
    let mut crates: Vec<PathBuf> = ["bench", "cli", "operator", "sandbox", "simulation", "world"]
        .map(|name| root().join(name))
        .into();
    for rooms in ["shared", "functions"] {
        let entries = std::fs::read_dir(root().join(rooms)).unwrap();
        crates.extend(entries.map(|entry| entry.unwrap().path()));
    }
    crates.into_iter().map(|path| path.join("src")).filter(|path| path.is_dir()).collect()
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The paths below the crate that a file's own code imports; tests come last in a file.
fn imports(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let mut paths = Vec::new();
    for statement in code.split("use crate::").skip(1) {
        let statement = statement.split(';').next().unwrap().trim_matches(['{', '}']);
        let parts = statement.split(',').map(|part| part.split("::{").next().unwrap().trim());
        // What is left of the lists in it are types.
        paths.extend(parts.filter(|part| part.starts_with(char::is_lowercase)).map(str::to_owned));
    }
    paths
}

/// Which modules each module imports. Those above and below it are one room with it.
fn graph(source: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut found = Vec::new();
    files(source, &mut found);
    let module = |file: &Path| {
        let path = file.strip_prefix(source).unwrap().with_extension("");
        let parts = path.iter().map(|part| part.to_str().unwrap().to_owned());
        parts.collect::<Vec<_>>().join("::")
    };
    let modules: BTreeSet<String> = found.iter().map(|file| module(file)).collect();
    let within = |one: &str, other: &str| format!("{one}::").starts_with(&format!("{other}::"));
    let imported = |own: &str, file: &Path| -> BTreeSet<String> {
        let paths = imports(&std::fs::read_to_string(file).unwrap());
        let targets = paths.iter().filter_map(|path| {
            modules.iter().filter(|module| within(path, module)).max_by_key(|module| module.len())
        });
        targets.filter(|target| !within(own, target) && !within(target, own)).cloned().collect()
    };
    found.iter().map(|file| (module(file), imported(&module(file), file))).collect()
}

#[test]
fn no_files_import_each_other() {
    for source in sources() {
        let mut left = graph(&source);
        // What imports nothing that is left, or is imported by nothing that is left, is in no circle.
        loop {
            let names: BTreeSet<String> = left.keys().cloned().collect();
            for imports in left.values_mut() {
                imports.retain(|import| names.contains(import));
            }
            let imported: BTreeSet<String> = left.values().flatten().cloned().collect();
            left.retain(|name, imports| !imports.is_empty() && imported.contains(name));
            if left.len() == names.len() {
                break;
            }
        }
        assert!(left.is_empty(), "{}: these import each other: {left:#?}", source.display());
    }
}

#[test]
fn imports_are_found_in_lists_and_tests_do_not_count() {
    let text = "use crate::a::B;\npub use crate::c::{D, E};\nuse crate::{f, g::H};\n#[cfg(test)]\nmod tests {\n    use crate::i;\n}\n";
    assert_eq!(imports(text), ["a::B", "c", "f", "g::H"]);
}
