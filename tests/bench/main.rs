//! `leasehold-bench`: our server and its peers on the same work, in the same run, on one machine.
//!
//! Problem. A figure without its neighbours says nothing: machines differ, and this one may be busy.
//! Model.   Every server runs in the same network namespaces (`tests/namespaces`), gets the same
//! load from the same generator, and is started afresh for each round. Rounds are interleaved, so
//! that a drift of the machine's speed falls on all alike; medians and ratios are of one run.
//! Hazards. All servers and the generator share the machine's cores: a pair's figures are not those
//! of two hosts. What other processes used is measured and shown beside each figure.
//! Absent.  No judgement: bars are checked by whoever reads the table.

mod bindings;
mod case;
mod failover;
mod leasequery;
mod measure;
mod report;
mod scale;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use tests::load::parse_duration;

use case::{Case, Lab};
use measure::{Measure, Sample};

#[derive(Parser)]
#[command(name = "leasehold-bench", version, about = "Measures our server beside its peers")]
#[command(args_override_self = true)]
struct Options {
    /// Rounds; the tables show medians
    #[arg(long, default_value_t = 3)]
    rounds: u32,

    /// How long each load lasts
    #[arg(long, default_value = "5s", value_parser = parse_duration)]
    duration: Duration,

    /// Run only the cases whose name contains one of these; may be repeated
    #[arg(long)]
    only: Vec<String>,

    /// Run only the measures whose name contains one of these; may be repeated
    #[arg(long)]
    measure: Vec<String>,

    /// How many bindings to load for memory and restart time; 0 leaves this part out
    #[arg(long, default_value_t = 1_000_000)]
    bindings: u32,

    /// Cases for the bindings part
    #[arg(
        long,
        default_value = "leasehold-pair,leasehold-single,kea-single",
        value_delimiter = ','
    )]
    bindings_of: Vec<String>,

    /// How many bindings to load for the leasequery part; 0 leaves this part out
    #[arg(long, default_value_t = 1_000_000)]
    leasequery: u32,

    /// Cases for the leasequery part
    #[arg(long, default_value = "leasehold-single,null-server,isc-single", value_delimiter = ',')]
    leasequery_of: Vec<String>,

    /// How often to hit a server of each group under load, in each of three ways (a minute each); 0
    /// leaves this part out
    #[arg(long, default_value_t = 0)]
    failover: u32,

    /// Cases for the failover part
    #[arg(
        long,
        default_value = "leasehold-pair,leasehold-pair-witness,kea-hot-standby,isc-failover",
        value_delimiter = ','
    )]
    failover_of: Vec<String>,

    /// How many subnets, with 40 reservations each, for the part about a large configuration; 0
    /// leaves this part out
    #[arg(long, default_value_t = 5_000)]
    subnets: u32,

    /// Where the servers keep their state: a folder on the disk to measure
    #[arg(long, default_value = "/var/tmp/leasehold-bench")]
    state: PathBuf,

    /// Write the tables to this file as well
    #[arg(long)]
    output: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("leasehold-bench: {error:#}");
            ExitCode::from(1)
        }
    }
}

fn run(options: &Options) -> Result<()> {
    ensure!(nix::unistd::geteuid().is_root(), "network namespaces need root");
    let wanted = |name: &str, filter: &[String]| {
        filter.is_empty() || filter.iter().any(|part| name.contains(part.as_str()))
    };
    let lab = Lab::up(&options.state)?;
    let cases = case::all(&lab)?;
    let chosen: Vec<&Case> = cases.iter().filter(|case| wanted(case.name, &options.only)).collect();
    let measures: Vec<Measure> = measure::ALL
        .into_iter()
        .filter(|measure| wanted(measure.name(), &options.measure))
        .collect();
    let mut samples = Vec::new();
    let rounds = if measures.is_empty() { 0 } else { options.rounds };
    for round in 0..rounds {
        // Rotated: no server always runs first, or after the same other one.
        for turn in 0..chosen.len() {
            let case = chosen[(turn + round as usize) % chosen.len()];
            let done = case_round(&lab, case, &measures, options.duration, &mut samples);
            if let Err(error) = done {
                eprintln!("leasehold-bench: {}: {error:#}", case.name);
            }
        }
    }
    let mut loaded = Vec::new();
    if options.bindings > 0 {
        for case in cases.iter().filter(|case| options.bindings_of.iter().any(|n| n == case.name)) {
            match bindings::load(&lab, case, options.bindings) {
                Ok(result) => loaded.push(result),
                Err(error) => eprintln!("leasehold-bench: {}: {error:#}", case.name),
            }
        }
    }
    let mut queried = Vec::new();
    if options.leasequery > 0 {
        for case in cases.iter().filter(|case| options.leasequery_of.iter().any(|n| n == case.name))
        {
            let rounds = options.rounds;
            match leasequery::query(&lab, case, options.leasequery, options.duration, rounds) {
                Ok(result) => queried.push(result),
                Err(error) => eprintln!("leasehold-bench: {}: {error:#}", case.name),
            }
        }
    }
    let struck = failovers(options, &lab, &cases);
    let single = cases.iter().find(|case| case.is_ours() && options.subnets > 0);
    let measure =
        |case| scale::measure(&lab, case, options.subnets, options.duration, options.rounds);
    let scaled = single.map(measure);
    let scaled = scaled.and_then(|measured| {
        measured.inspect_err(|error| eprintln!("leasehold-bench: scale: {error:#}")).ok()
    });
    drop(lab);
    let mut text = report::markdown(&cases, &measures, &samples, &loaded, options.rounds);
    leasequery::table(&mut text, &queried);
    failover::table(&mut text, &struck);
    scale::table(&mut text, scaled.as_ref());
    println!("{text}");
    if let Some(path) = &options.output {
        std::fs::write(path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let measured =
        !samples.is_empty() || !loaded.is_empty() || !queried.is_empty() || !struck.is_empty();
    let measured = measured || scaled.is_some();
    ensure!(measured, "nothing was measured");
    Ok(())
}

/// Every group hit in every way, so many times; each outcome is printed as a line of JSON as well.
fn failovers(options: &Options, lab: &Lab, cases: &[Case]) -> Vec<failover::Outcome> {
    let mut struck = Vec::new();
    for case in cases.iter().filter(|case| options.failover_of.iter().any(|n| n == case.name)) {
        for hit in failover::HITS {
            for _ in 0..options.failover {
                match failover::strike(lab, case, hit) {
                    Ok(outcome) => {
                        eprintln!("{}", serde_json::to_string(&outcome).unwrap_or_default());
                        struck.push(outcome);
                    }
                    Err(error) => eprintln!("leasehold-bench: {}: {error:#}", case.name),
                }
            }
        }
    }
    struck
}

/// One server, started afresh, through every measure that it knows. One that fails is told and
/// left out: the others count all the same.
fn case_round(
    lab: &Lab,
    case: &Case,
    measures: &[Measure],
    duration: Duration,
    samples: &mut Vec<Sample>,
) -> Result<()> {
    let running = lab.start(case)?;
    for measure in measures.iter().filter(|measure| case.knows(**measure)) {
        match measure::take(lab, case, &running, *measure, duration) {
            Ok(sample) => {
                eprintln!("{:24} {:20} {:>9.0} /s", case.name, measure.name(), sample.rate);
                samples.push(sample);
            }
            Err(error) => {
                eprintln!("leasehold-bench: {}: {}: {error:#}", case.name, measure.name());
            }
        }
    }
    Ok(())
}
