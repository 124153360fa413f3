//! Leasequery with many bindings: single queries over UDP, everything in bulk over loopback, one
//! relay agent's bindings to the last octet, and what bulk answers cost the DHCP clients.
//!
//! Hazards. New clients take addresses that were free, so that their number is fixed and the pool is
//! larger than the bindings loaded. Rates with and without a bulk query alternate within one run.

use std::fmt::Write;
use std::process::{Child, Stdio};
use std::time::Duration;

use ::tests::load::{DrainSummary, relay_id_of};
use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::bindings::fill;
use crate::case::{Case, Lab, Running};
use crate::measure::RELAY;
use crate::report::thousands;

/// Bindings of one relay agent.
const PER_RELAY: u32 = 10_000;
/// Queries by relay agent identifier.
const RELAY_QUERIES: u32 = 21;
/// New clients of one reading of their rate.
const NEW_CLIENTS: u32 = 8_000;
/// Their numbers: apart from those of the clients that were loaded.
const FIRST_NEW_CLIENT: u32 = 700_000_000;
/// Peers that sync each lease by itself take minutes for so many; fewer bindings flatter them.
const PEER_BINDINGS_MAX: u32 = 100_000;

/// What a case showed.
pub(crate) struct Queried {
    case: &'static str,
    bindings: u64,
    loaded_seconds: f64,
    /// Leasequeries by IP address over UDP, per second, of each round.
    udp: Vec<f64>,
    bulk: Option<Bulk>,
}

/// What bulk leasequery showed.
struct Bulk {
    /// The answers about everything.
    all: DrainSummary,
    /// The answers about one relay agent each.
    relay: DrainSummary,
    /// New clients per second: without, and during, a bulk query of everything.
    dora: [Vec<f64>; 2],
}

/// Loads a case and asks it.
pub(crate) fn query(
    lab: &Lab,
    case: &Case,
    bindings: u32,
    duration: Duration,
    rounds: u32,
) -> Result<Queried> {
    let running = lab.start(case)?;
    let keeps_all = case.is_ours() || !case.is_real();
    let bindings = if keeps_all { bindings } else { bindings.min(PEER_BINDINGS_MAX) };
    let acks = running.file("acks").display().to_string();
    let per_relay = PER_RELAY.to_string();
    let more = ["--clients-per-relay", &per_relay, "--acks", &acks];
    let loaded = fill(lab, case, &running, bindings, &more)?;
    let done = loaded["done"].as_u64().unwrap_or(0);
    eprintln!("{:24} {:20} {done:>9}", case.name, "bindings loaded");
    let mut udp = Vec::new();
    for _ in 0..rounds {
        let milliseconds = format!("{}ms", duration.as_millis());
        let arguments = ["--work", "query-ip", "--leases", &acks, "--duration", &milliseconds];
        udp.push(rate(lab, &running, &arguments)?);
    }
    eprintln!("{:24} {:20} {:>9.0} /s", case.name, "query-ip-64", median(&udp));
    let bulk = match case.is_ours() {
        true => Some(bulk(lab, case, &running, bindings, rounds)?),
        false => None,
    };
    let loaded_seconds = loaded["seconds"].as_f64().unwrap_or(f64::NAN);
    Ok(Queried { case: case.name, bindings: done, loaded_seconds, udp, bulk })
}

fn bulk(lab: &Lab, case: &Case, running: &Running<'_>, bindings: u32, rounds: u32) -> Result<Bulk> {
    let server = running.targets()?.first().cloned().context("no server")?;
    let all = drain(lab, &server, "all", rounds)?;
    ensure!(all.active >= u64::from(bindings) * u64::from(rounds), "bindings are missing: {all:?}");
    eprintln!("{:24} {:20} {:>9.0} /s", case.name, "bulk-all", per_second(&all));
    // A relay agent in the middle of those that are full.
    let relay = relay_id_of((bindings / PER_RELAY).saturating_sub(1) / 2);
    let key: String = relay.iter().map(|octet| format!("{octet:02x}")).collect();
    let relay = drain(lab, &server, &format!("relay-id:{key}"), RELAY_QUERIES)?;
    let expected = u64::from(PER_RELAY.min(bindings)) * u64::from(RELAY_QUERIES);
    ensure!(relay.active == expected, "{} of {expected} bindings", relay.active);
    eprintln!("{:24} {:20} {:>9.1} ms", case.name, "bulk-relay-id", median(&relay.answer_ms));
    let mut dora = [Vec::new(), Vec::new()];
    let mut first = FIRST_NEW_CLIENT;
    for turn in 0..2 * rounds.min(2) {
        let busy = turn % 2 == 1;
        let background = if busy { Some(Background::start(lab, &server)?) } else { None };
        let count = NEW_CLIENTS.to_string();
        let first_client = first.to_string();
        let arguments = ["--count", &count, "--first-client", &first_client, "--duration", "60s"];
        dora[usize::from(busy)].push(rate(lab, running, &arguments)?);
        if let Some(background) = background {
            background.stop()?;
        }
        first += NEW_CLIENTS;
    }
    eprintln!("{:24} {:20} {:>9.0} /s", case.name, "dora-64", median(&dora[0]));
    eprintln!("{:24} {:20} {:>9.0} /s", case.name, "dora-64 during bulk", median(&dora[1]));
    Ok(Bulk { all, relay, dora })
}

/// Runs the generator and returns its rate; nothing may be left without an answer.
fn rate(lab: &Lab, running: &Running<'_>, arguments: &[&str]) -> Result<f64> {
    let target = running.targets()?.first().cloned().context("no server")?;
    let mut command = lab.generator();
    command.args(["run", "--relay", RELAY, "--server", &target, "--retransmit", "1s"]);
    let output = command.args(arguments).output().context("cannot run the generator")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the generator failed: {errors}");
    let summary: Value = serde_json::from_slice(&output.stdout).context("the summary")?;
    ensure!(summary["done"].as_u64().is_some_and(|done| done > 0), "nothing was answered");
    summary["rate"].as_f64().context("no rate")
}

fn drain(lab: &Lab, server: &str, key: &str, repeat: u32) -> Result<DrainSummary> {
    let mut command = lab.beside_server();
    command.args(["bulk", "--server", server, "--key", key, "--repeat", &repeat.to_string()]);
    let output = command.output().context("cannot run the requestor")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the requestor failed: {errors}");
    serde_json::from_slice(&output.stdout).context("the requestor's summary")
}

/// A requestor that asks for everything again and again.
struct Background(Child);

impl Background {
    fn start(lab: &Lab, server: &str) -> Result<Self> {
        let mut command = lab.beside_server();
        command.args(["bulk", "--server", server, "--repeat", &u32::MAX.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Ok(Background(command.spawn().context("cannot run the requestor")?))
    }

    /// Ends it; it must have asked until now.
    fn stop(mut self) -> Result<()> {
        let ended = self.0.try_wait().context("the requestor")?;
        ensure!(ended.is_none(), "the requestor stopped asking");
        self.0.kill().context("cannot kill the requestor")?;
        self.0.wait().context("the requestor")?;
        Ok(())
    }
}

/// Addresses told per second.
fn per_second(summary: &DrainSummary) -> f64 {
    let milliseconds: f64 = summary.answer_ms.iter().sum();
    (summary.active + summary.unassigned) as f64 * 1e3 / milliseconds
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The part's tables as Markdown.
pub(crate) fn table(out: &mut String, queried: &[Queried]) {
    if queried.is_empty() {
        return;
    }
    // Writing to a String does not fail.
    let _ = writeln!(out, "### Leasequery with many bindings\n");
    let heads: Vec<&str> = queried.iter().map(|each| each.case).collect();
    let _ = writeln!(
        out,
        "| server | bindings | loaded in s | by address (UDP), per second | over {} |",
        heads.join(" | over ")
    );
    let _ = writeln!(out, "|---|---:|---:|---:|{}", "---:|".repeat(queried.len()));
    for each in queried {
        let ratios: Vec<String> = queried
            .iter()
            .map(|other| format!("{:.2}", median(&each.udp) / median(&other.udp)))
            .collect();
        let _ = writeln!(
            out,
            "| {} | {} | {:.0} | {} | {} |",
            each.case,
            thousands(each.bindings as f64),
            each.loaded_seconds,
            thousands(median(&each.udp)),
            ratios.join(" | "),
        );
    }
    let _ = writeln!(out);
    for each in queried {
        if let Some(bulk) = &each.bulk {
            bulk_table(out, each.case, bulk);
        }
    }
}

fn bulk_table(out: &mut String, case: &str, bulk: &Bulk) {
    let Bulk { all, relay, dora: [without, during] } = bulk;
    let slowest = relay.answer_ms.iter().copied().fold(f64::NAN, f64::max);
    let _ = writeln!(out, "| {case}, bulk leasequery (RFC 6926) | |\n|---|---:|");
    for (what, value) in [
        ("every configured address, addresses per second", thousands(per_second(all))),
        ("every configured address, s", format!("{:.2}", median(&all.answer_ms) / 1e3)),
        ("octets an address", {
            let messages = (all.active + all.unassigned).max(1);
            format!("{:.0}", all.octets as f64 / messages as f64)
        }),
        ("10,000 bindings by relay-id, ms to the last octet", {
            format!("{:.1} (slowest {slowest:.1})", median(&relay.answer_ms))
        }),
        ("10,000 bindings by relay-id, ms to the first octets", {
            format!("{:.1}", median(&relay.first_ms))
        }),
        ("new clients per second, 64 in flight", thousands(median(without))),
        ("new clients per second during a bulk query of everything", thousands(median(during))),
        ("ratio of these", format!("{:.2}", median(during) / median(without))),
    ] {
        let _ = writeln!(out, "| {what} | {value} |");
    }
    let _ = writeln!(out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_of_a_drain_is_that_of_all_its_answers() {
        let summary = DrainSummary {
            active: 900,
            unassigned: 100,
            answer_ms: vec![250.0, 250.0],
            ..DrainSummary::default()
        };
        assert_eq!(per_second(&summary), 2000.0);
    }
}
