//! What operators do to a running cluster under load: draining and bringing back, growing and shrinking, replacing a dead
//! member. No exchange is lost, no client is refused, every promise stays known.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::check::check;
use tests::cluster::{Cluster, NETWORK};
use tests::load::{Background, LoadOptions, Retransmit, read_acks};
use tests::member::Member;
use tests::wait;

use crate::formation::refused;
use crate::machine_alone;

/// How many ACKs must follow each step before the next one: proof that service goes on.
const ACKS_BETWEEN: u64 = 200;

/// New clients and renewals, through one relay agent that sends to every server.
pub(crate) struct Load {
    background: Background,
    acks: PathBuf,
}

impl Load {
    pub(crate) fn start(cluster: &Cluster) -> Result<Load> {
        let acks = cluster.folder().join("acks");
        let mut options = LoadOptions::new(cluster.servers(), cluster.relay_address(1));
        options.work = "dora=1,renew=1".parse().map_err(anyhow::Error::msg)?;
        options.rate = Some(300.0);
        options.outstanding = Some(5_000);
        options.duration = Duration::from_secs(3600);
        options.retransmit = Retransmit::Every(Duration::from_millis(100));
        options.linger = Duration::from_secs(10);
        options.acks = Some(acks.clone());
        let load = Load { background: Background::start(options, None), acks };
        load.goes_on("the start")?;
        Ok(load)
    }

    /// Waits until the ACK file has grown by so many lines (each is longer than 100 octets).
    pub(crate) fn goes_on(&self, after: &str) -> Result<()> {
        let length = || std::fs::metadata(&self.acks).map_or(0, |file| file.len());
        let start = length();
        wait::until(&format!("service after {after}"), wait::PATIENCE, || {
            (length() > start + ACKS_BETWEEN * 100).then_some(())
        })
    }

    /// Every exchange came to its end, no client was refused, and every member knows every promise.
    pub(crate) fn ends_well(self, cluster: &Cluster) -> Result<()> {
        let summary = self.background.stop()?;
        println!(
            "{} exchanges, {} packets sent again, longest wait {:.0} ms",
            summary.done, summary.retransmissions, summary.worst_wait_ms
        );
        cluster.wait_ready()?;
        cluster.wait_level()?;
        ensure!(summary.naks == 0, "{} clients were refused", summary.naks);
        ensure!(summary.unfinished == 0, "{} exchanges were lost", summary.unfinished);
        ensure!(summary.duplicates == 0, "{} addresses had two clients", summary.duplicates);
        nothing_is_lost(cluster, &self.acks)
    }
}

fn nothing_is_lost(cluster: &Cluster, acks: &Path) -> Result<()> {
    let acks = read_acks(acks)?;
    let listings =
        cluster.members.iter().map(|member| member.leases()).collect::<Result<Vec<_>>>()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let checked = check(&acks, &listings, now);
    let shown: Vec<String> = checked.violations.iter().take(20).map(|v| v.to_string()).collect();
    ensure!(checked.violations.is_empty(), "violations, the first:\n{}", shown.join("\n"));
    ensure!(checked.promises as u64 >= ACKS_BETWEEN, "{checked:?}");
    Ok(())
}

/// What a member says of the cluster.
pub(crate) fn status(at: &Member) -> Result<Value> {
    let (status, body) = at.get("/v1/cluster")?;
    ensure!(status == 200, "/v1/cluster: {status} {body}");
    Ok(serde_json::from_str(&body)?)
}

/// What a member says of another.
fn seen(at: &Member, id: u64) -> Result<Value> {
    let members = status(at)?["members"].as_array().cloned().unwrap_or_default();
    let found = members.into_iter().find(|member| member["id"] == id);
    found.with_context(|| format!("{} knows no member {id}", at.name))
}

/// Waits until a member votes and has clients and addresses of its own.
pub(crate) fn has_its_share(at: &Member, id: u64) -> Result<()> {
    wait::until("share of a member", wait::PATIENCE, || {
        let member = seen(at, id).ok()?;
        let has = |key: &str| member[key].as_u64().is_some_and(|count| count > 0);
        (member["voter"] == true && has("buckets") && has("free_addresses")).then_some(())
    })
    .with_context(|| format!("{:?}", status(at)))
}

fn voters(at: &Member) -> Result<Vec<u64>> {
    let members = status(at)?["members"].as_array().cloned().unwrap_or_default();
    let voters = members.iter().filter(|member| member["voter"] == true);
    Ok(voters.filter_map(|member| member["id"].as_u64()).collect())
}

/// Drains a member, stops it, starts it and brings it back, all under the load.
pub(crate) fn away_and_back(cluster: &mut Cluster, load: &Load, leaves: usize) -> Result<()> {
    let id = cluster.members[leaves].id.to_string();
    let stays = (0..cluster.members.len()).find(|place| *place != leaves).context("another")?;
    cluster.members[stays].succeed(&["cluster", "drain", &id])?;
    load.goes_on("the drain")?;
    // Asked again, at the member itself, it is as good.
    cluster.members[leaves].succeed(&["cluster", "drain"])?;
    for at in &cluster.members {
        let drained = seen(at, cluster.members[leaves].id)?;
        ensure!(drained["drain"]["done"] == true, "{} says {drained}", at.name);
    }
    ensure!(cluster.members[leaves].is_ready(), "it serves who reaches it until it is stopped");
    ensure!(cluster.leader()? != leaves, "it leads");
    let stopped = cluster.members[leaves].stop()?;
    ensure!(stopped.success(), "{stopped}");
    load.goes_on("the stop")?;
    cluster.members[leaves].start()?;
    cluster.wait_ready()?;
    cluster.members[leaves].succeed(&["cluster", "undrain"])?;
    cluster.members[stays].succeed(&["cluster", "undrain", &id])?;
    has_its_share(&cluster.members[stays], cluster.members[leaves].id)?;
    load.goes_on("the return")
}

/// A leader and then a follower among the servers are taken away and brought back.
fn every_server_in_turn(servers: u64, witness: bool) -> Result<()> {
    let _machine = machine_alone();
    let mut cluster = Cluster::start(servers, witness)?;
    for id in 1..=servers {
        has_its_share(&cluster.members[0], id)?;
    }
    let load = Load::start(&cluster)?;
    for (leads, leaves) in [(0, 0), (0, 1)] {
        let id = cluster.members[leads].id.to_string();
        cluster.members[1].succeed(&["cluster", "transfer", "--to", &id])?;
        away_and_back(&mut cluster, &load, leaves)
            .with_context(|| format!("m{} left while m{} led", leaves + 1, leads + 1))
            .with_context(|| cluster.last_words())?;
    }
    load.ends_well(&cluster).with_context(|| cluster.last_words())
}

#[test]
fn a_pair_is_maintained_member_by_member_without_a_client_noticing() -> Result<()> {
    every_server_in_turn(2, false)
}

#[test]
fn a_pair_with_a_witness_is_maintained_member_by_member_without_a_client_noticing() -> Result<()> {
    every_server_in_turn(2, true)
}

#[test]
fn three_servers_are_maintained_member_by_member_without_a_client_noticing() -> Result<()> {
    every_server_in_turn(3, false)
}

#[test]
fn what_must_not_be_drained_is_refused_with_the_reason() -> Result<()> {
    let _machine = machine_alone();
    let mut cluster = Cluster::start(2, true)?;
    has_its_share(&cluster.members[0], 2)?;
    let first = &cluster.members[0];
    refused(&first.command(&["cluster", "drain", "9"])?, &["no member 9"])?;
    refused(&first.command(&["cluster", "drain", "3"])?, &["witness", "nothing to drain"])?;
    refused(&first.command(&["cluster", "undrain", "9"])?, &["no member 9"])?;
    cluster.members[2].succeed(&["cluster", "drain", "2"])?;
    refused(&first.command(&["cluster", "drain"])?, &["last server that serves"])?;
    refused(&first.command(&["cluster", "transfer", "--to", "2"])?, &["drained", "undrain"])?;
    cluster.members[2].succeed(&["cluster", "undrain", "2"])?;
    cluster.members[1].kill()?;
    cluster.members[2].kill()?;
    refused(&cluster.members[0].command(&["cluster", "drain"])?, &["no quorum"])
}

#[test]
fn a_pair_grows_to_three_servers_and_shrinks_again_under_load() -> Result<()> {
    let _machine = machine_alone();
    let mut cluster = Cluster::unformed(3, true)?;
    for place in [0, 1] {
        cluster.members[place].start()?;
    }
    cluster.members[0].succeed(&["cluster", "init"])?;
    join(&cluster, 1)?;
    cluster.apply(NETWORK)?;
    has_its_share(&cluster.members[0], 2)?;
    let load = Load::start(&cluster)?;

    cluster.members[3].start()?;
    join(&cluster, 3)?;
    wait::until("voting witness", wait::PATIENCE, || {
        (voters(&cluster.members[0]).ok()? == [1, 2, 4]).then_some(())
    })?;
    load.goes_on("a witness joined")?;

    cluster.members[2].start()?;
    join(&cluster, 2)?;
    has_its_share(&cluster.members[0], 3)?;
    load.goes_on("a third server joined")?;

    // Twice: asked again it is as good.
    for _ in 0..2 {
        cluster.members[1].succeed(&["cluster", "remove", "4", "--yes"])?;
    }
    ensure!(voters(&cluster.members[0])? == [1, 2, 3]);
    cluster.members[3].stop()?;
    cluster.members.remove(3);
    load.goes_on("the witness left")?;

    cluster.members[0].succeed(&["cluster", "drain", "3"])?;
    cluster.members[0].succeed(&["cluster", "remove", "3", "--yes"])?;
    ensure!(voters(&cluster.members[0])? == [1, 2]);
    cluster.members[2].stop()?;
    cluster.members.remove(2);
    load.goes_on("the third server left")?;
    load.ends_well(&cluster).with_context(|| cluster.last_words())
}

#[test]
fn a_dead_member_is_replaced_by_an_empty_one_under_load() -> Result<()> {
    let _machine = machine_alone();
    let mut cluster = Cluster::unformed(3, true)?;
    for place in [0, 1, 3] {
        cluster.members[place].start()?;
    }
    cluster.members[0].succeed(&["cluster", "init"])?;
    for place in [1, 3] {
        join(&cluster, place)?;
    }
    cluster.apply(NETWORK)?;
    has_its_share(&cluster.members[0], 2)?;
    let load = Load::start(&cluster)?;

    cluster.members[1].kill()?;
    load.goes_on("the death")?;
    let asks = cluster.members[0].command(&["cluster", "remove", "2"])?;
    refused(&asks, &["--yes", "for good", "never used again"])?;
    cluster.members[3].succeed(&["cluster", "remove", "2", "--yes"])?;
    let removed = status(&cluster.members[0])?["removed"][0].clone();
    ensure!(removed["id"] == 2, "what it may have promised is waited for: {removed}");
    cluster.members.remove(1);

    cluster.members[1].start()?;
    join(&cluster, 1)?;
    has_its_share(&cluster.members[0], 3)?;
    ensure!(voters(&cluster.members[0])? == [1, 3, 4]);
    load.goes_on("the replacement")?;
    load.ends_well(&cluster).with_context(|| cluster.last_words())
}

pub(crate) fn join(cluster: &Cluster, place: usize) -> Result<()> {
    let token = cluster.join_token()?;
    cluster.join(&cluster.members[place], &token)
}
