//! A backup is taken from a running pair, the pair is destroyed, and a new member goes on from the backup.

use std::fs;

use anyhow::{Context, Result, ensure};
use tests::client::Client;
use tests::cluster::{Cluster, NETWORK};
use tests::wait;

use crate::formation::refused;
use crate::machine_shared;

#[test]
fn a_cluster_that_is_gone_comes_back_from_a_backup_and_gives_nothing_away() -> Result<()> {
    let _machine = machine_shared();
    // The last two never were members of what is destroyed.
    let mut cluster = Cluster::unformed(4, false)?;
    for place in [0, 1] {
        cluster.members[place].start()?;
    }
    cluster.members[0].succeed(&["cluster", "init"])?;
    let token = cluster.join_token()?;
    cluster.join(&cluster.members[1], &token)?;
    cluster.apply(NETWORK)?;
    cluster.wait_ready()?;
    for client in 1..=20 {
        Client::new(client).obtain(&cluster.relay(1, 0)?)?;
    }
    let before = cluster.members[0].leases()?;
    wait::until("follower that knows all", wait::PATIENCE, || {
        (cluster.members[1].leases().ok()?.leases.len() == before.leases.len()).then_some(())
    })?;

    let file = cluster.folder().join("backup").display().to_string();
    let said = cluster.members[1].succeed(&["cluster", "backup", &file])?;
    ensure!(said.contains("by member 2"), "{said}");
    refused(&cluster.members[0].command(&["cluster", "backup", &file])?, &["there already"])?;
    let config = |place: usize| cluster.members[place].config_path().display().to_string();
    let (used, new) = (config(0), config(2));
    let anybody = &cluster.members[2];
    anybody.succeed(&["cluster", "restore", &file, "--check"])?;
    let damaged = format!("{file}.damaged");
    let mut octets = fs::read(&file)?;
    let middle = octets.len() / 2;
    octets[middle] ^= 1;
    fs::write(&damaged, octets)?;
    refused(&anybody.command(&["cluster", "restore", &damaged, "--check"])?, &["damaged"])?;
    for place in [0, 1] {
        cluster.members[place].kill()?;
    }

    let restore = |config: &str, more: &[&str]| {
        let arguments = ["cluster", "restore", &file, "--config", config];
        cluster.members[2].command(&[&arguments[..], more].concat())
    };
    refused(&restore(&used, &["--yes"])?, &["not empty"])?;
    refused(&restore(&new, &[])?, &["--yes", "LOST", "DO NOT RESTORE", "longest"])?;
    let done = restore(&new, &["--yes"])?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    ensure!(said.contains("epoch 1"), "{said}");
    refused(&restore(&new, &["--yes"])?, &["not empty"])?;

    cluster.members[2].start()?;
    cluster.wait_ready()?;
    let after = cluster.members[2].leases()?;
    ensure!(after.leases == before.leases, "{after:?} is not {before:?}");
    let (_, body) = cluster.members[2].get("/v1/cluster")?;
    let status: serde_json::Value = serde_json::from_str(&body)?;
    ensure!(status["free_addresses"] == 0, "what was the others' is waited for: {body}");
    let removed = status["removed"].as_array().context("removed members")?;
    ensure!(removed.len() == 2, "{body}");
    // And it is a cluster like any other.
    cluster.members[3].start()?;
    let token = cluster.members[2].succeed(&["cluster", "token"])?;
    let peer = cluster.members[2].places.peer.to_string();
    let join = ["cluster", "join", "--peer", &peer, "--token", token.trim()];
    cluster.members[3].succeed(&join)?;
    cluster.wait_ready()
}
