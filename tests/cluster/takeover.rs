//! The leader is killed under load, again and again: no promise is lost, and clients barely notice.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use tests::check::check;
use tests::cluster::Cluster;
use tests::load::{Ack, Background, LoadOptions, Retransmit, read_acks, service_gap};
use tests::wait;

use crate::machine_alone;

const KILLS: usize = 20;
/// How many ACKs must follow a kill before the next one: proof that service went on.
const ACKS_BETWEEN: u64 = 200;
/// How long before or after the moment noted for a kill the last ACK of the victim may be read.
const KILL_SEEN: Duration = Duration::from_millis(300);
/// The bound on what clients that retransmit every 100 ms see of a killed leader, at the median.
const MEDIAN_GAP_MAX: Duration = Duration::from_secs(1);

fn wall_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

/// Waits until the ACK file has grown by so many lines (each is longer than 100 octets).
fn wait_for_acks(path: &Path, more: u64) -> Result<()> {
    let length = || std::fs::metadata(path).map_or(0, |file| file.len());
    let start = length();
    wait::until("service after the kill", wait::PATIENCE, || {
        (length() > start + more * 100).then_some(())
    })
}

// proves [AV-Q1]
#[test]
fn no_acked_binding_is_lost_when_the_leader_is_killed_twenty_times() -> Result<()> {
    let _machine = machine_alone();
    let mut cluster = Cluster::start(2, true)?;
    let acks_path = cluster.folder().join("acks");
    let mut options = LoadOptions::new(cluster.servers(), cluster.relay_address(1));
    options.rate = Some(500.0);
    options.outstanding = Some(5_000);
    options.duration = Duration::from_secs(3600);
    options.retransmit = Retransmit::Every(Duration::from_millis(100));
    options.linger = Duration::from_secs(10);
    options.acks = Some(acks_path.clone());
    let load = Background::start(options, None);
    wait_for_acks(&acks_path, ACKS_BETWEEN)?;

    let mut kills = Vec::new();
    for _ in 0..KILLS {
        let leader = cluster.leader()?;
        let at = wall_us();
        cluster.members[leader].kill()?;
        kills.push(at);
        wait_for_acks(&acks_path, ACKS_BETWEEN)
            .with_context(|| format!("after the kill of m{}", leader + 1))
            .with_context(|| cluster.last_words())?;
        cluster.members[leader].start()?;
        cluster.wait_ready()?;
    }

    let summary = load.stop()?;
    cluster.wait_ready()?;
    cluster.wait_level()?;
    let acks = read_acks(&acks_path)?;
    assert_nothing_lost(&cluster, &acks)?;
    assert_service_went_on(&acks, &kills)?;
    ensure!(summary.duplicates == 0, "{} addresses had two clients", summary.duplicates);
    ensure!(summary.unfinished == 0, "{} clients were never served", summary.unfinished);
    Ok(())
}

fn assert_nothing_lost(cluster: &Cluster, acks: &[Ack]) -> Result<()> {
    let listings =
        cluster.members.iter().map(|member| member.leases()).collect::<Result<Vec<_>>>()?;
    let checked = check(acks, &listings, wall_us() / 1_000_000);
    let shown: Vec<String> = checked.violations.iter().take(20).map(|v| v.to_string()).collect();
    ensure!(
        checked.violations.is_empty(),
        "{} violations, the first of them:\n{}",
        checked.violations.len(),
        shown.join("\n")
    );
    ensure!(checked.promises as u64 >= KILLS as u64 * ACKS_BETWEEN / 2, "{checked:?}");
    Ok(())
}

fn assert_service_went_on(acks: &[Ack], kills: &[u64]) -> Result<()> {
    let mut gaps: Vec<Duration> = kills
        .iter()
        .map(|at| service_gap(acks, *at, KILL_SEEN).context("no ACK near a kill"))
        .collect::<Result<_>>()?;
    gaps.sort_unstable();
    let median = gaps[gaps.len() / 2];
    println!("service gaps of {KILLS} kills: median {median:?}, all {gaps:?}");
    ensure!(median < MEDIAN_GAP_MAX, "the median service gap is {median:?}: {gaps:?}");
    Ok(())
}
