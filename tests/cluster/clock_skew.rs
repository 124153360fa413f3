//! A member whose wall clock is wrong: up to a minute it serves, and no lease ends early anywhere;
//! past a minute it is silent and the others go on.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tests::client::Client;
use tests::cluster::{Cluster, NETWORK};
use tests::member::Member;
use tests::packet::{kind, option};
use tests::wait;

use crate::formation::refused;
use crate::machine_shared;

/// Shorter than the skew: a member that ended leases by its own clock would end them at once.
const LEASE: Duration = Duration::from_secs(5);

/// Makes a member's next starts see a wall clock that is off by so many seconds.
fn skew(member: &mut Member, folder: &Path, seconds: i64) -> Result<()> {
    let source = folder.join("skewed_clock.c");
    let library = folder.join(format!("skewed_clock{seconds}.so"));
    fs::write(&source, include_str!("skewed_clock.c"))?;
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O2"]).arg(format!("-DSKEW=({seconds})"));
    let output = compiler.arg("-o").arg(&library).arg(&source).output().context("no C compiler")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    member.set_environment("LD_PRELOAD", &library.display().to_string());
    Ok(())
}

/// The clock of the member with this id minus that of the member asked, in seconds.
fn skew_shown(member: &Member, of: u64) -> Option<f64> {
    let (_, body) = member.get("/v1/cluster").ok()?;
    let body: serde_json::Value = serde_json::from_str(&body).ok()?;
    let members = body.get("members")?.as_array()?;
    let shown = members.iter().find(|shown| shown["id"].as_u64() == Some(of))?;
    shown.get("clock_skew_seconds")?.as_f64()
}

// proves [AV-Q6]
#[test]
fn a_clock_that_is_almost_a_minute_off_ends_no_lease_early() -> Result<()> {
    let _machine = machine_shared();
    let mut cluster = Cluster::unformed(2, true)?;
    let folder = cluster.folder().to_owned();
    skew(&mut cluster.members[1], &folder, 55)?;
    for member in &mut cluster.members {
        member.start()?;
    }
    cluster.form()?;
    let lease = format!("default = \"{}s\"\nmin = \"1s\"", LEASE.as_secs());
    cluster.apply(&NETWORK.replace("default = \"2h\"", &lease))?;
    cluster.wait_ready()?;

    let shown = wait::until("skew to be measured", wait::PATIENCE, || {
        skew_shown(&cluster.members[0], 2).filter(|shown| *shown > 1.0)
    })?;
    ensure!((54.0..56.0).contains(&shown), "{shown} s");
    let table = cluster.members[0].succeed(&["cluster", "status"])?;
    let row = table.lines().find(|line| line.contains(" m2 ")).context("a row for m2")?;
    ensure!(row.contains("5500") || row.contains("5499"), "no skew in: {row}");
    for member in &cluster.members {
        wait::until("warning about the clock", wait::PATIENCE, || {
            member.log().contains("clock_skewed").then_some(())
        })
        .with_context(|| member.last_words())?;
    }

    let mut addresses = Vec::new();
    let before = Instant::now();
    for server in 0..2 {
        let client = Client::new(1 + server as u32);
        let ack = client.obtain(&cluster.relay(1, server)?)?;
        let told = ack.number(option::LEASE_TIME);
        ensure!(told == Some(LEASE.as_secs() as u32), "{told:?} s from server {server}");
        addresses.push(ack.yiaddr);
    }
    // Clients count from their request, so everything is theirs at least until here.
    let mut looks = 0;
    while before.elapsed() < LEASE {
        for member in &cluster.members {
            let listing = member.leases()?;
            // A look that ended too late proves nothing.
            let in_time = before.elapsed() < LEASE;
            for address in addresses.iter().filter(|_| in_time) {
                let lease = listing.leases.iter().find(|lease| lease.ip == *address);
                let active = lease.is_some_and(|lease| lease.state == "active");
                // What was just promised may not be applied everywhere: looks begin where it is.
                ensure!(active || lease.is_none() && looks < 3, "{}: {lease:?}", member.name);
            }
            looks += u32::from(in_time);
        }
    }
    ensure!(looks > 3, "too slow to prove anything: {looks} looks");
    for (server, address) in addresses.iter().enumerate() {
        let client = Client::new(1 + server as u32);
        let request = client.request_extension(*address);
        let ack = cluster.relay(1, 1 - server)?.exchange(&request, wait::PATIENCE)?;
        ensure!((ack.kind(), ack.yiaddr) == (kind::ACK, *address), "{ack:?}");
    }
    Ok(())
}

// proves [AV-Q6]
#[test]
fn a_member_with_a_clock_in_doubt_is_silent_until_it_is_mended() -> Result<()> {
    let _machine = machine_shared();
    let mut cluster = Cluster::start(2, true)?;
    let client = Client::new(1);
    let ack = client.obtain(&cluster.relay(1, 1)?)?;
    let folder = cluster.folder().to_owned();
    cluster.members[1].stop()?;
    skew(&mut cluster.members[1], &folder, 90)?;
    cluster.members[1].start()?;
    let in_doubt = |member: &Member| {
        let (_, body) = member.get("/v1/cluster").ok()?;
        body.contains("clock in doubt").then_some(())
    };
    wait::until("silence of m2", wait::PATIENCE, || in_doubt(&cluster.members[1]))
        .with_context(|| cluster.last_words())?;
    ensure!(!cluster.members[1].is_ready());
    ensure!(cluster.members[0].is_ready(), "{}", cluster.last_words());
    let renewed =
        cluster.relay(1, 0)?.exchange(&client.request_extension(ack.yiaddr), wait::PATIENCE)?;
    ensure!(renewed.yiaddr == ack.yiaddr, "{renewed:?}");

    cluster.members[1].stop()?;
    cluster.members[1].set_environment("LD_PRELOAD", "");
    cluster.members[1].start()?;
    cluster.wait_ready()?;
    Client::new(2).obtain(&cluster.relay(1, 1)?)?;
    Ok(())
}

// proves [AV-Q6]
#[test]
fn a_leader_whose_clock_is_in_doubt_lets_another_one_lead() -> Result<()> {
    let _machine = machine_shared();
    let mut cluster = Cluster::unformed(2, true)?;
    let folder = cluster.folder().to_owned();
    skew(&mut cluster.members[0], &folder, 3 * 3600)?;
    for member in &mut cluster.members {
        member.start()?;
    }
    // It founds the cluster, and nobody else says what time it is.
    cluster.form()?;
    wait::until("another leader", wait::PATIENCE, || (cluster.leader().ok()? != 0).then_some(()))
        .with_context(|| cluster.last_words())?;
    cluster.members[1].succeed(&["config", "apply", &network_file(&cluster)?])?;
    wait::until("service of m2", wait::PATIENCE, || cluster.members[1].is_ready().then_some(()))
        .with_context(|| cluster.last_words())?;
    Client::new(1).obtain(&cluster.relay(1, 1)?)?;
    ensure!(!cluster.members[0].is_ready(), "its clock is in doubt");
    ensure!(cluster.members[0].log().contains("clock in doubt"));
    let refuses = cluster.members[2].command(&["cluster", "transfer", "--to", "1"])?;
    refused(&refuses, &["clock", "member 1"])
}

fn network_file(cluster: &Cluster) -> Result<String> {
    let path = cluster.folder().join("network.toml");
    fs::write(&path, NETWORK)?;
    Ok(path.display().to_string())
}
