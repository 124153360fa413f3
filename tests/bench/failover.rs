//! How long clients go unserved when a server of a group dies, hangs or loses its cable, and what is
//! lost.
//!
//! Model.   New clients come at a fixed rate through a relay agent that sends to every server; each
//! asks again as RFC 2131 §4.1 says (after 4, 8, 16 s). One server is hit; the load goes on.
//! Hazards. A client whose message fell into the gap comes back 4 s later: the gap and the seconds
//! that were served short are the server's, the longest wait is the client's patience as well.
//! Absent.  No judgement: the goals stand in docs/PERFORMANCE.md.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::Value;
use tests::load::{Ack, AckKind, read_acks, service_gap};

use crate::case::{Case, Lab, Running};
use crate::measure::RELAY;

/// New clients a second.
const RATE: u64 = 200;
/// The load before the hit, and after it.
const BEFORE: Duration = Duration::from_secs(10);
const AFTER: Duration = Duration::from_secs(40);
/// A silence counts as the hit's if it begins this near to it.
const NEAR: Duration = Duration::from_millis(500);
/// A second is served in full, or at least by half, from these parts of the rate on.
const FULL: f64 = 0.95;
const HALF: f64 = 0.5;
/// Service is back where every second of this is full: later, other work of the machine may show.
const STEADY: Duration = Duration::from_secs(5);
/// Seconds are looked at in windows that begin this often.
const STEP: Duration = Duration::from_millis(50);

/// What happens to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hit {
    Kill,
    Stop,
    Cut,
}

pub(crate) const HITS: [Hit; 3] = [Hit::Kill, Hit::Stop, Hit::Cut];

impl Hit {
    fn name(self) -> &'static str {
        match self {
            Hit::Kill => "SIGKILL",
            Hit::Stop => "SIGSTOP",
            Hit::Cut => "cable out",
        }
    }
}

/// One hit's result.
#[derive(Serialize)]
pub(crate) struct Outcome {
    case: &'static str,
    hit: &'static str,
    victim: String,
    /// The longest time without any ACK that begins about the hit.
    gap_s: f64,
    /// From the hit until every second of [`STEADY`] is served in full.
    restored_s: Option<f64>,
    /// The seconds after the hit that were served by less than half, as a time.
    below_half_s: f64,
    /// The worst second after the hit, ACKs.
    worst_second: usize,
    /// From a client's first message to its ACK.
    wait_p99_ms: f64,
    wait_max_ms: f64,
    unserved: u64,
    /// Addresses that two clients were promised.
    duplicates: u64,
    /// Leases acknowledged before the hit, and how many of them no server that is left holds.
    acked_before: usize,
    lost: usize,
}

/// Lets one hit fall on a case that is started afresh.
pub(crate) fn strike(lab: &Lab, case: &Case, hit: Hit) -> Result<Outcome> {
    let running = lab.start(case)?;
    let acks_path = running.file("failover-acks");
    let mut command = lab.generator();
    command.args(["run", "--relay", RELAY, "--to", "all", "--retransmit", "rfc"]);
    command.args(["--rate", &RATE.to_string(), "--outstanding", "60000", "--linger", "30s"]);
    command
        .args(["--duration", &format!("{}s", (BEFORE + AFTER).as_secs())])
        .arg("--acks")
        .arg(&acks_path);
    for target in running.targets()? {
        command.args(["--server", &target]);
    }
    let load = command.stdout(Stdio::piped()).spawn().context("cannot run the generator")?;
    sleep(BEFORE);
    let victim = match lab.ask(case, &["leader"])?.trim() {
        // A witness serves no client: nobody would miss it.
        "" | "witness" => "server1".to_owned(),
        leader => leader.to_owned(),
    };
    let process = process_of(&running, &victim)?;
    let at_us = wall_us()?;
    fall(lab, hit, &victim, process)?;
    let output = load.wait_with_output().context("the generator")?;
    let summary: Value = serde_json::from_slice(&output.stdout).context("the summary")?;
    let survivor = if victim == "server1" { "server2" } else { "server1" };
    let held = lab.ask(case, &["leases", survivor]);
    lift(lab, hit, &victim, process)?;
    let acks: Vec<Ack> =
        read_acks(&acks_path)?.into_iter().filter(|ack| ack.kind == AckKind::Dora).collect();
    let before: Vec<&Ack> = acks.iter().filter(|ack| ack.wall_us < at_us).collect();
    let held = holders(&held?);
    let after: Vec<Duration> = acks
        .iter()
        .filter_map(|ack| ack.wall_us.checked_sub(at_us).map(Duration::from_micros))
        .collect();
    let seconds = seconds(&after);
    let short =
        |part: f64| move |(_, count): &&(Duration, usize)| (*count as f64) < part * RATE as f64;
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    Ok(Outcome {
        case: case.name,
        hit: hit.name(),
        gap_s: service_gap(&acks, at_us, NEAR).map_or(f64::NAN, |gap| gap.as_secs_f64()),
        restored_s: restored(&seconds).map(|from| from.as_secs_f64()),
        below_half_s: seconds.iter().filter(short(HALF)).count() as f64 * STEP.as_secs_f64(),
        worst_second: seconds.iter().map(|(_, count)| *count).min().unwrap_or(0),
        wait_p99_ms: number(&summary["dora"]["p99_ms"]),
        wait_max_ms: number(&summary["worst_wait_ms"]),
        unserved: summary["unfinished"].as_u64().unwrap_or(0),
        duplicates: summary["duplicates"].as_u64().unwrap_or(0),
        acked_before: before.len(),
        lost: before.iter().filter(|ack| held.get(&ack.address) != Some(&mac_text(ack))).count(),
        victim,
    })
}

fn fall(lab: &Lab, hit: Hit, victim: &str, process: u32) -> Result<()> {
    match hit {
        Hit::Kill => signal("KILL", process),
        Hit::Stop => signal("STOP", process),
        Hit::Cut => lab.cable(victim, false),
    }
}

fn lift(lab: &Lab, hit: Hit, victim: &str, process: u32) -> Result<()> {
    match hit {
        Hit::Kill => Ok(()),
        Hit::Stop => signal("CONT", process),
        Hit::Cut => lab.cable(victim, true),
    }
}

fn signal(name: &str, process: u32) -> Result<()> {
    let status = Command::new("kill").args(["-s", name, &process.to_string()]).status()?;
    ensure!(status.success(), "cannot send SIG{name}");
    Ok(())
}

fn process_of(running: &Running<'_>, victim: &str) -> Result<u32> {
    let processes = running.processes()?;
    let found = processes.into_iter().find(|(name, _)| name == victim);
    Ok(found.with_context(|| format!("no process of {victim}"))?.1)
}

fn wall_us() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as u64)
}

/// Every second after the hit, a new one each [`STEP`]: when it begins and how many ACKs it has. The
/// seconds that the end of the load cuts short are left out.
fn seconds(after: &[Duration]) -> Vec<(Duration, usize)> {
    let second = Duration::from_secs(1);
    let count = (AFTER.saturating_sub(2 * second).as_millis() / STEP.as_millis()) as u32;
    (0..count)
        .map(|number| {
            let from = number * STEP;
            let within = |moment: &Duration| (from..from + second).contains(moment);
            (from, after.iter().filter(|moment| within(moment)).count())
        })
        .collect()
}

/// When the first [`STEADY`] begins in which every second is served in full.
fn restored(seconds: &[(Duration, usize)]) -> Option<Duration> {
    let steady = (STEADY.as_millis() / STEP.as_millis()) as usize;
    let full = |window: &[(Duration, usize)]| {
        window.iter().all(|(_, count)| *count as f64 >= FULL * RATE as f64)
    };
    seconds.windows(steady).find(|window| full(window)).map(|window| window[0].0)
}

/// "ADDRESS MAC" lines.
fn holders(text: &str) -> BTreeMap<Ipv4Addr, String> {
    let pair = |line: &str| {
        let (address, mac) = line.split_once(' ')?;
        Some((address.parse().ok()?, mac.trim().to_ascii_lowercase()))
    };
    text.lines().filter_map(pair).collect()
}

fn mac_text(ack: &Ack) -> String {
    ack.mac.map(|octet| format!("{octet:02x}")).join(":")
}

/// Appends the table, if there is anything in it.
pub(crate) fn table(text: &mut String, outcomes: &[Outcome]) {
    if outcomes.is_empty() {
        return;
    }
    let _ = write!(
        text,
        "\n## When a server is lost\n\n{RATE} new clients a second, relayed to every server, asking again \
         after 4, 8, 16 s as RFC 2131 says.\n\n\
         | server | hit | no ACK for s | all seconds full after s | below half s | worst second | \
         longest wait s | unserved | two holders | acknowledged before | lost |\n\
         |---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n"
    );
    for each in outcomes {
        let restored = each.restored_s.map_or("never".to_owned(), |s| format!("{s:.2}"));
        let _ = writeln!(
            text,
            "| {} | {} | {:.2} | {restored} | {:.2} | {} | {:.1} | {} | {} | {} | {} |",
            each.case,
            each.hit,
            each.gap_s,
            each.below_half_s,
            each.worst_second,
            each.wait_max_ms / 1000.0,
            each.unserved,
            each.duplicates,
            each.acked_before,
            each.lost
        );
    }
}
