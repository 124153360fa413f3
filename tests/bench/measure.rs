//! One load on one running server: what the generator saw and what it cost.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::case::{Case, Lab, Running};

/// Kernel clock ticks a second, as /proc shows processor time (a constant of the Linux interface).
const TICKS: f64 = 100.0;

/// The giaddr that the generator plays.
pub(crate) const RELAY: &str = "10.16.0.2:67";

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// New clients at a fixed, low rate: the latency.
    Paced,
    /// New clients, 64 exchanges in flight.
    Dora64,
    /// New clients, 512 exchanges in flight.
    Dora512,
    /// Renewals, 64 in flight.
    Renew,
    /// Leasequeries by IP address, 64 in flight.
    QueryIp,
    /// Leasequeries by hardware address, 64 in flight.
    QueryMac,
}

/// In the order in which they are taken: renewals and queries use the leases of the first ones.
pub(crate) const ALL: [Measure; 6] = [
    Measure::Paced,
    Measure::Dora64,
    Measure::Renew,
    Measure::QueryIp,
    Measure::QueryMac,
    Measure::Dora512,
];

impl Measure {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Measure::Paced => "dora-1000-per-second",
            Measure::Dora64 => "dora-64",
            Measure::Dora512 => "dora-512",
            Measure::Renew => "renew-64",
            Measure::QueryIp => "query-ip-64",
            Measure::QueryMac => "query-mac-64",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Measure::Paced => "New clients at 1,000 a second (open loop): latency",
            Measure::Dora64 => "New clients, closed loop, 64 in flight",
            Measure::Dora512 => "New clients, closed loop, 512 in flight",
            Measure::Renew => "Renewals, closed loop, 64 in flight",
            Measure::QueryIp => "Leasequeries by IP address (UDP), closed loop, 64 in flight",
            Measure::QueryMac => {
                "Leasequeries by hardware address (UDP), closed loop, 64 in flight"
            }
        }
    }

    pub(crate) fn is_leasequery(self) -> bool {
        matches!(self, Measure::QueryIp | Measure::QueryMac)
    }

    /// Whether the rate is the result, so that ratios mean something.
    pub(crate) fn is_rate(self) -> bool {
        self != Measure::Paced
    }

    /// The summary's key of the latency that matters.
    fn latency(self) -> &'static str {
        match self {
            Measure::Paced | Measure::Dora64 | Measure::Dora512 => "dora",
            Measure::Renew => "renew",
            Measure::QueryIp | Measure::QueryMac => "query",
        }
    }

    fn arguments(self, leases: &Path) -> Vec<String> {
        let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let leases = leases.display().to_string();
        match self {
            // Numbers apart: each run's clients are new to the server.
            Measure::Paced => text(&["--rate", "1000", "--first-client", "900000000"]),
            Measure::Dora64 => text(&["--outstanding", "64", "--acks", &leases]),
            Measure::Dora512 => text(&["--outstanding", "512", "--first-client", "500000000"]),
            Measure::Renew => text(&["--work", "renew", "--leases", &leases]),
            Measure::QueryIp => text(&["--work", "query-ip", "--leases", &leases]),
            Measure::QueryMac => text(&["--work", "query-mac", "--leases", &leases]),
        }
    }
}

/// One load's result.
pub(crate) struct Sample {
    pub(crate) case: &'static str,
    pub(crate) measure: Measure,
    /// Exchanges completed a second.
    pub(crate) rate: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) drop_percent: f64,
    /// Processor time of all servers of the case, an exchange.
    pub(crate) server_us: f64,
    /// Processor time of everything else on the machine but the generator, per cent of a core.
    pub(crate) other_percent: f64,
    /// Addresses that two clients were promised.
    pub(crate) duplicates: u64,
}

/// Loads a running case and returns what was seen.
pub(crate) fn take(
    lab: &Lab,
    case: &Case,
    running: &Running<'_>,
    measure: Measure,
    duration: Duration,
) -> Result<Sample> {
    let mut command = lab.generator();
    command.args(["run", "--relay", RELAY, "--to", case.to()]);
    command.args(["--duration", &format!("{}ms", duration.as_millis())]);
    for target in running.targets()? {
        command.args(["--server", &target]);
    }
    command.args(measure.arguments(&running.file("acks")));

    let (busy, served, start) = (machine_seconds()?, servers_seconds(running)?, Instant::now());
    let output = command.output().context("cannot run the generator")?;
    let span = start.elapsed().as_secs_f64();
    let (busy, served) = (machine_seconds()? - busy, servers_seconds(running)? - served);
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the generator failed: {errors}");
    let summary: Value = serde_json::from_slice(&output.stdout).context("the summary")?;

    let number = |key: &str| summary[key].as_f64().unwrap_or(0.0);
    let latency = |key: &str| summary[measure.latency()][key].as_f64().unwrap_or(f64::NAN);
    let done = number("done").max(1.0);
    Ok(Sample {
        case: case.name,
        measure,
        rate: number("rate"),
        p50_ms: latency("p50_ms"),
        p99_ms: latency("p99_ms"),
        drop_percent: number("drop_percent"),
        server_us: served * 1e6 / done,
        other_percent: 100.0 * (busy - served - number("cpu_seconds")).max(0.0) / span,
        duplicates: summary["duplicates"].as_u64().unwrap_or(0),
    })
}

/// Processor seconds of all servers of the case so far.
fn servers_seconds(running: &Running<'_>) -> Result<f64> {
    running.processes()?.iter().map(|(_, id)| process_seconds(*id)).sum()
}

fn process_seconds(id: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).context("a server is gone")?;
    // The name in parentheses may contain spaces: fields count from behind it.
    let fields = text.rsplit(')').next().unwrap_or_default();
    let ticks = |at: usize| -> f64 {
        fields.split_whitespace().nth(at).and_then(|field| field.parse().ok()).unwrap_or(0.0)
    };
    Ok((ticks(11) + ticks(12)) / TICKS)
}

/// Processor seconds that the whole machine has been busy so far.
fn machine_seconds() -> Result<f64> {
    let text = fs::read_to_string("/proc/stat").context("/proc/stat")?;
    let line = text.lines().next().unwrap_or_default();
    let fields: Vec<f64> =
        line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    // user nice system idle iowait irq softirq: all but the two that wait.
    let busy: f64 = [0, 1, 2, 5, 6].iter().filter_map(|at| fields.get(*at)).sum();
    Ok(busy / TICKS)
}
