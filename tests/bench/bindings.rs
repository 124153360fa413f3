//! A large number of bindings: how long they take, what they cost in memory, and how long a server
//! takes to serve again after SIGKILL.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::process::resident_octets;

use crate::case::{Case, Lab, Running};
use crate::measure::RELAY;

/// A server that would take longer than this for all bindings is measured with what it has.
const LOAD_LIMIT: &str = "15m";

/// What a load of bindings showed.
pub(crate) struct Loaded {
    pub(crate) case: &'static str,
    pub(crate) bindings: u64,
    pub(crate) seconds: f64,
    /// Name and resident octets of each process.
    pub(crate) resident: Vec<(String, u64)>,
    /// From the start of the killed server's process until the driver sees all of them serve.
    pub(crate) restart: Duration,
    /// Resident octets of the restarted server.
    pub(crate) resident_after: u64,
}

/// Gives so many clients an address on a running case; returns the generator's summary. `more` are
/// further arguments of the generator.
pub(crate) fn fill(
    lab: &Lab,
    case: &Case,
    running: &Running<'_>,
    bindings: u32,
    more: &[&str],
) -> Result<Value> {
    let mut command = lab.generator();
    command.args(["run", "--relay", RELAY, "--to", case.to()]);
    command.args(["--outstanding", "512", "--retransmit", "1s", "--duration", LOAD_LIMIT]);
    command.args(["--count", &bindings.to_string(), "--clients", &bindings.to_string()]);
    command.args(more);
    for target in running.targets()? {
        command.args(["--server", &target]);
    }
    let output = command.output().context("cannot run the generator")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the generator failed: {errors}");
    serde_json::from_slice(&output.stdout).context("the summary")
}

/// Loads so many bindings and kills the first server with SIGKILL.
pub(crate) fn load(lab: &Lab, case: &Case, bindings: u32) -> Result<Loaded> {
    let running = lab.start(case)?;
    let summary = fill(lab, case, &running, bindings, &[])?;
    let resident = resident(&running)?;
    let (victim, _) = resident.first().cloned().context("no process")?;

    lab.drive(case, &["kill", &victim])?;
    let start = Instant::now();
    lab.drive(case, &["again", &victim])?;
    lab.drive(case, &["ready"])?;
    let restart = start.elapsed();
    let resident_after = self::resident(&running)?
        .into_iter()
        .find(|(name, _)| *name == victim)
        .map_or(0, |(_, octets)| octets);
    Ok(Loaded {
        case: case.name,
        bindings: summary["done"].as_u64().unwrap_or(0),
        seconds: summary["seconds"].as_f64().unwrap_or(0.0),
        resident,
        restart,
        resident_after,
    })
}

fn resident(running: &Running<'_>) -> Result<Vec<(String, u64)>> {
    let processes = running.processes()?;
    processes.into_iter().map(|(name, id)| Ok((name, resident_octets(id)?))).collect()
}
