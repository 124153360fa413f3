//! `docs/CONFIG.md` names every key that the configuration reads, and no other.

use crate::sources::{root, rust_files};
use std::collections::BTreeSet;

/// Keys as the source asks for them: the first text in a call, alone or after the section it is asked of.
fn keys_in(source: &str) -> BTreeSet<String> {
    let code = source.find("#[cfg(test)]\nmod ").map_or(source, |position| &source[..position]);
    let mut keys = BTreeSet::new();
    for (quote, _) in code.match_indices('"') {
        let before = code[..quote].trim_end();
        let before = ["&mut section,", "section,", "tls, base,"]
            .iter()
            .find_map(|first| before.strip_suffix(first))
            .map_or(before, str::trim_end);
        let Some(callee) = before.strip_suffix('(') else { continue };
        let name_len = callee
            .bytes()
            .rev()
            .take_while(|octet| octet.is_ascii_alphanumeric() || *octet == b'_')
            .count();
        let callee = &callee[callee.len() - name_len..];
        let Some((key, _)) = code[quote + 1..].split_once('"') else { continue };
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
        let is_key = key.starts_with(|c: char| c.is_ascii_lowercase()) && key.chars().all(plain);
        if is_key && !["", "fail", "Err", "Ok", "Some", "strip_prefix"].contains(&callee) {
            keys.insert(key.to_owned());
        }
    }
    keys
}

/// The keys of the page: every word in the first column of its tables that is written as code.
fn keys_on(page: &str) -> BTreeSet<String> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let names = rows.flat_map(|(names, _)| names.split("`, `"));
    names.filter(|name| !name.starts_with('[')).map(str::to_owned).collect()
}

#[test]
fn every_key_stands_on_the_page_of_configuration() {
    let mut read = BTreeSet::new();
    for (path, source) in rust_files() {
        // Expressions are a language of their own, with a page of their own.
        let is_of_expressions = path.starts_with("ops/src/config/expression/");
        let reads_keys = path.starts_with("ops/src/config/") && !is_of_expressions;
        if reads_keys && !path.ends_with("tests.rs") {
            read.append(&mut keys_in(&source));
        }
    }
    let page = std::fs::read_to_string(root().join("docs/CONFIG.md")).expect("docs/CONFIG.md");
    let shown = keys_on(&page);
    // A section is shown by its heading.
    let is_shown = |key: &&String| {
        shown.contains(*key) || ["[", "[["].iter().any(|b| page.contains(&format!("`{b}{key}]")))
    };
    let missing: Vec<_> = read.iter().filter(|key| !is_shown(key)).collect();
    let gone: Vec<_> = shown.difference(&read).collect();
    assert!(missing.is_empty(), "docs/CONFIG.md does not say what these keys are: {missing:?}");
    assert!(gone.is_empty(), "docs/CONFIG.md explains keys that nothing reads: {gone:?}");
    assert!(read.len() > 90, "the source is read: {}", read.len());
}

#[test]
fn keys_are_found_in_every_form_of_asking() {
    let source = "a.take(\"mclt\"); need(\n    \"prefix\", \"write this\"); count(section, \"max\", 7); \
                  flag(&mut section, \"on\"); fail(\"no\", x); Err(\"bad\"); let x = \"y\";";
    let expected = ["max", "mclt", "on", "prefix"].map(str::to_owned);
    assert_eq!(keys_in(source), BTreeSet::from(expected));
    let page = "| `a` | x |\n| `b-c`, `d` | y |\n| `[e]` | z |\n| key | type |";
    assert_eq!(keys_on(page), BTreeSet::from(["a", "b-c", "d"].map(str::to_owned)));
}
