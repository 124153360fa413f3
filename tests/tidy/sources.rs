//! Every source file of ours: sizes, words, headings.

use std::path::{Path, PathBuf};

/// Lines of a file without its tests, at most.
const FILE_LEN_MAX: usize = 500;

/// Words that stand for unfinished work, in pieces so that this file does not find itself.
const BANNED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("#[ign", "ore"),
    concat!("in a real", " system"),
    concat!("for", " now,"),
];

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent").to_owned()
}

/// Every Rust file of ours with its path from the root, sorted.
pub(crate) fn rust_files() -> Vec<(String, String)> {
    let root = root();
    let mut files = Vec::new();
    for folder in ["server", "replication", "storage", "ops", "tests"] {
        collect(&root.join(folder), &root, &mut files);
    }
    files.sort();
    files
}

fn collect(folder: &Path, root: &Path, files: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).expect("a folder of ours").flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "target" && name != "corpus" {
            collect(&path, root, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source file is text");
            let relative = path.strip_prefix(root).expect("below the root").display().to_string();
            files.push((relative, text));
        }
    }
}

/// The part of a file before its tests.
fn without_tests(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod ").map_or(text, |position| &text[..position])
}

fn is_test(path: &str) -> bool {
    path.ends_with("_tests.rs") || path.ends_with("/tests.rs") || path.starts_with("tests/")
}

#[test]
fn files_are_one_subject_and_not_too_long() {
    for (path, text) in rust_files().iter().filter(|(path, _)| !is_test(path)) {
        let lines = without_tests(text).lines().count();
        assert!(lines <= FILE_LEN_MAX, "{path} has {lines} lines without tests");
    }
}

#[test]
fn unfinished_work_is_not_committed() {
    for (path, text) in rust_files() {
        for word in BANNED {
            let found = text.lines().position(|line| line.contains(word));
            assert_eq!(found, None, "{path}:{}: {word}", found.unwrap_or(0) + 1);
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for (path, text) in rust_files() {
        let tests_beside = path.ends_with("_tests.rs") || path.ends_with("/tests.rs");
        assert!(tests_beside || text.starts_with("//!") || text.starts_with("#!["), "{path}");
    }
}

#[test]
fn unsafe_code_stands_only_where_sockets_are() {
    for (path, text) in rust_files() {
        let allowed = path.starts_with("server/net/") || path.starts_with("tests/tidy/");
        let found = text.contains(concat!("allow(unsafe", "_code)"));
        assert!(allowed || !found, "{path} allows unsafe code");
    }
}
