//! One of a pair is gone for good: an operator says so, the other goes on in full, and what the first had promised is not lost.

use anyhow::{Context, Result, ensure};
use tests::client::Client;
use tests::cluster::{Cluster, NETWORK};
use tests::member::Member;
use tests::packet::option;
use tests::wait;

use crate::formation::refused;
use crate::machine_alone;

/// Waits until a member says this of itself; `reason` only if it is silent.
fn is_in_mode(member: &Member, mode: &str, reason: Option<&str>) -> Result<()> {
    let told = || -> Option<serde_json::Value> {
        let (_, body) = member.get("/v1/cluster").ok()?;
        serde_json::from_str(&body).ok()
    };
    wait::until(&format!("mode {mode} of {}", member.name), wait::PATIENCE, || {
        let status = told()?;
        (status["mode"] == mode && status["reason"].as_str() == reason).then_some(())
    })
    .with_context(|| format!("{:?}", told()))
}

#[test]
fn a_survivor_goes_on_alone_and_the_other_hands_over_what_it_promised() -> Result<()> {
    let _machine = machine_alone();
    let mut cluster = Cluster::unformed(3, false)?;
    for place in [0, 1] {
        cluster.members[place].start()?;
    }
    cluster.members[0].succeed(&["cluster", "init"])?;
    cluster.join(&cluster.members[1], &cluster.join_token()?)?;
    cluster.apply(NETWORK)?;
    cluster.wait_ready()?;
    let known = Client::new(1).obtain(&cluster.relay(1, 0)?)?;
    let assert = ["cluster", "partner-down", "--yes"];
    refused(&cluster.members[0].command(&assert)?, &["member 2 still answers"])?;

    // The second promises something that the first never hears of, and then is destroyed.
    cluster.members[0].pause()?;
    is_in_mode(&cluster.members[1], "isolated", None)?;
    let unheard = Client::new(2).obtain(&cluster.relay(1, 1)?)?;
    let lease = unheard.number(option::LEASE_TIME).context("a lease time")?;
    ensure!(lease <= 3600, "a promise without a quorum is for {lease} s");
    cluster.members[1].kill()?;
    cluster.members[0].resume()?;
    is_in_mode(&cluster.members[0], "isolated", None)?;
    // It was heard a moment ago.
    let shown = wait::until("case of a partner-down", wait::PATIENCE, || {
        cluster.members[0].succeed(&["cluster", "partner-down", "--check"]).ok()
    })?;
    ensure!(!shown.contains("LOSSY"), "{shown}");
    let words = ["--yes", "SWITCHED OFF", "member 2", "epoch 1"];
    refused(&cluster.members[0].command(&assert[..2])?, &words)?;
    cluster.members[0].succeed(&assert)?;
    is_in_mode(&cluster.members[0], "sole", None)?;
    let said = cluster.members[0].succeed(&assert)?;
    ensure!(said.contains("nothing to do"), "{said}");
    let lease = Client::new(3).obtain(&cluster.relay(1, 0)?)?.number(option::LEASE_TIME);
    ensure!(lease == Some(7200), "it serves in full: {lease:?}");
    let listed = cluster.members[0].leases()?.leases;
    let lists = |leases: &str, address: std::net::Ipv4Addr| leases.contains(&address.to_string());
    ensure!(lists(&format!("{listed:?}"), known.yiaddr), "{listed:?}");

    cluster.members[1].start()?;
    is_in_mode(&cluster.members[1], "silent", Some("superseded by a newer epoch"))?;
    let token = cluster.members[0].succeed(&["cluster", "token"])?;
    let peer = cluster.members[0].places.peer.to_string();
    let join = ["cluster", "join", "--peer", &peer, "--token", token.trim()];
    let said = cluster.members[1].succeed(&join)?;
    ensure!(said.contains("handed over 1 promises, of which 0"), "{said}");
    let listed = format!("{:?}", cluster.members[0].leases()?.leases);
    ensure!(lists(&listed, unheard.yiaddr), "{listed}");
    ensure!(cluster.members[1].stop()?.success(), "it stops like any other");

    cluster.members[2].start()?;
    cluster.members[2].succeed(&join)?;
    cluster.members.remove(1);
    cluster.wait_ready()?;
    is_in_mode(&cluster.members[0], "quorum", None)
}
