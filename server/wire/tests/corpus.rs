//! Replays the checked-in corpus of the fuzz targets.

use std::path::Path;

#[path = "../../../tests/fuzz/wire_checks.rs"]
mod wire_checks;

/// Runs a check over every file of a target's corpus.
fn check(target: &str, seeds_min: usize, check: fn(&[u8])) {
    let directory =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(target);
    let files: Vec<_> = std::fs::read_dir(&directory)
        .expect("the corpus is checked in")
        .map(|entry| entry.expect("a readable directory").path())
        .collect();
    assert!(files.len() >= seeds_min, "{} files in {}", files.len(), directory.display());
    for file in files {
        let octets = std::fs::read(&file).expect("a readable file");
        let outcome = std::panic::catch_unwind(|| check(&octets));
        assert!(outcome.is_ok(), "{}", file.display());
    }
}

#[test]
fn decode_holds_for_the_corpus() {
    check("decode", 20, wire_checks::decode);
}

#[test]
fn option82_holds_for_the_corpus() {
    check("option82", 10, wire_checks::option82);
}

#[test]
fn framing_holds_for_the_corpus() {
    check("framing", 8, wire_checks::framing);
}

#[test]
fn seeds_named_hostile_are_refused_unless_only_large_and_the_others_are_decoded() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/decode");
    for entry in std::fs::read_dir(directory).expect("the corpus is checked in") {
        let path = entry.expect("a readable directory").path();
        let name = path.file_name().unwrap_or_default().display().to_string();
        // Names that a fuzzer gives are hashes and say nothing.
        if name.bytes().all(|octet| octet.is_ascii_hexdigit()) {
            continue;
        }
        let octets = std::fs::read(&path).expect("a readable file");
        let refused = name.starts_with("hostile_") && !name.starts_with("hostile_many_");
        assert_eq!(server_wire::Message::decode(&octets).is_err(), refused, "{name}");
    }
}
