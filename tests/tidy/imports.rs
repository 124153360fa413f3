//! The import list: which of our crates may use which, and which foreign crate stands behind which wall.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Of ours: crate, what it may use.
const OURS: &[(&str, &[&str])] = &[
    ("server-wire", &[]),
    ("replication-ledger", &[]),
    ("server-rules", &["server-wire", "replication-ledger"]),
    ("storage", &["replication-ledger"]),
    ("replication-raft", &["replication-ledger", "storage"]),
    ("server-dns", &["replication-ledger", "replication-raft"]),
    ("server-net", &["server-wire", "server-rules", "replication-ledger", "replication-raft"]),
    (
        "ops",
        &[
            "server-net",
            "server-dns",
            "server-wire",
            "server-rules",
            "replication-raft",
            "replication-ledger",
            "storage",
        ],
    ),
    ("tests", &[]),
];

/// Foreign crates that only these may use.
const FOREIGN: &[(&str, &[&str])] = &[
    ("openraft", &["replication-raft"]),
    ("openraft-rt-sim", &["replication-raft"]),
    ("rocksdb", &["storage"]),
    ("bincode", &["storage"]),
    ("axum", &["ops"]),
    ("clap", &["ops", "tests"]),
    ("toml", &["ops"]),
    ("metrics-exporter-prometheus", &["ops"]),
    ("dhcproto", &["server-wire", "tests"]),
    ("socket2", &["server-net", "replication-raft"]),
    ("rustix", &["server-net"]),
    ("rustls", &["server-net", "replication-raft", "ops", "tests"]),
    ("tokio-rustls", &["server-net", "replication-raft", "ops"]),
    ("anyhow", &["ops", "tests"]),
    ("domain", &["server-dns"]),
    ("hmac", &["server-rules"]),
    ("md-5", &["server-rules"]),
];

/// The pure crates, and everything foreign that they may use when they run.
const PURE: &[(&str, &[&str])] = &[
    ("server-wire", &["thiserror"]),
    ("replication-ledger", &["serde", "thiserror"]),
    ("server-rules", &["hmac", "md-5", "thiserror"]),
];

/// Normal dependencies, and all kinds together, by crate.
fn dependencies() -> BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata runs");
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("packages are a list");
    let mut all = BTreeMap::new();
    for package in packages {
        let (mut normal, mut every) = (BTreeSet::new(), BTreeSet::new());
        for dependency in package["dependencies"].as_array().expect("dependencies are a list") {
            let name = dependency["name"].as_str().expect("a name").to_owned();
            if dependency["kind"].is_null() {
                normal.insert(name.clone());
            }
            every.insert(name);
        }
        all.insert(package["name"].as_str().expect("a name").to_owned(), (normal, every));
    }
    all
}

#[test]
fn every_crate_uses_only_what_stands_in_the_list() {
    let all = dependencies();
    let listed: BTreeSet<&str> = OURS.iter().map(|(name, _)| *name).collect();
    let present: BTreeSet<&str> = all.keys().map(String::as_str).collect();
    assert_eq!(present, listed, "a crate was added or removed without the list");
    for (name, allowed) in OURS {
        // `tests` uses everything by design; nothing may use `tests`.
        let used = &all[*name].1;
        assert!(!used.contains("tests"), "{name} uses tests");
        if *name == "tests" {
            continue;
        }
        let ours = used.iter().filter(|used| listed.contains(used.as_str()));
        let forbidden: Vec<_> = ours.filter(|used| !allowed.contains(&used.as_str())).collect();
        assert!(forbidden.is_empty(), "{name} must not use {forbidden:?}");
    }
}

#[test]
fn foreign_crates_stay_behind_their_walls() {
    for (name, (_, every)) in dependencies() {
        for (foreign, allowed) in FOREIGN {
            let inside = !every.contains(*foreign) || allowed.contains(&name.as_str());
            assert!(inside, "{name} must not use {foreign}");
        }
    }
}

#[test]
fn pure_crates_use_nothing_that_could_reach_a_clock_or_a_socket() {
    let all = dependencies();
    for (name, allowed) in PURE {
        let ours: BTreeSet<&str> = OURS.iter().map(|(name, _)| *name).collect();
        let foreign = all[*name].0.iter().filter(|used| !ours.contains(used.as_str()));
        let forbidden: Vec<_> = foreign.filter(|used| !allowed.contains(&used.as_str())).collect();
        assert!(forbidden.is_empty(), "{name} is pure and must not use {forbidden:?}");
    }
}
