//! A large `network.toml`: how long it takes to check and to put in force, and what it costs the clients.
//!
//! Model.   A server of ours with the lab's few lines, and one with thousands of subnets, reservations and classes around
//! them, are started in turn; new clients of the same subnet are counted on both. None of them has a reservation or is
//! in a class that says anything: they pay for what is there for others.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tests::process::resident_octets;

use crate::case::{Case, Lab};
use crate::leasequery::median;
use crate::measure::{self, Measure, Sample};
use crate::report::thousands;

/// Reservations in each subnet.
const RESERVATIONS_EACH: u32 = 40;
/// Classes by expression.
const CLASSES: u32 = 50;
/// So often the file is checked; the median counts.
const CHECKS: usize = 5;

/// What a large configuration showed.
pub(crate) struct Scaled {
    subnets: u32,
    file_octets: usize,
    /// `leasehold config check`, as a whole process, in seconds.
    check: Vec<f64>,
    /// `leasehold config apply`: checked, replicated and in force, in seconds.
    apply: Vec<f64>,
    /// Resident octets of the server with the large file.
    resident: u64,
    /// New clients with few lines, and with many.
    dora: [Vec<Sample>; 2],
}

/// The lab's configuration with so many subnets more.
fn network(lab: &str, subnets: u32) -> String {
    let mut text = lab.to_owned();
    // Writing to a String does not fail.
    for class in 0..CLASSES {
        let _ = writeln!(
            text,
            "[[class]]\nname = \"class-{class}\"\nmatch = '''option.vendor-class-identifier starts-with \"model-{class}-\" \
             and (chaddr[0..3] in [00:16:3e, 00:1b:{class:02}] or relay.circuit-id ends-with \"/{class}\")'''\n\
             options = {{ tftp-server-name = \"{class}.example.net\" }}\n"
        );
    }
    for subnet in 0..subnets {
        let (high, low) = (subnet / 256, subnet % 256);
        let _ = writeln!(
            text,
            "[[subnet]]\nprefix = \"100.{high}.{low}.0/24\"\npools = [\"100.{high}.{low}.100-100.{high}.{low}.250\"]\n\
             options = {{ routers = [\"100.{high}.{low}.1\"] }}\n"
        );
        for each in 0..RESERVATIONS_EACH {
            let _ = writeln!(
                text,
                "[[subnet.reservation]]\nmac = \"02:ff:{high:02x}:{low:02x}:00:{each:02x}\"\n\
                 address = \"100.{high}.{low}.{}\"",
                10 + each
            );
        }
    }
    text
}

/// Measures it, so many rounds.
pub(crate) fn measure(
    lab: &Lab,
    case: &Case,
    subnets: u32,
    duration: Duration,
    rounds: u32,
) -> Result<Scaled> {
    let mut scaled = Scaled {
        subnets,
        file_octets: 0,
        check: Vec::new(),
        apply: Vec::new(),
        resident: 0,
        dora: [Vec::new(), Vec::new()],
    };
    for turn in 0..2 * rounds {
        let large = turn % 2 == 1;
        let running = lab.start(case)?;
        if large {
            let small = fs::read_to_string(running.file("network.toml")).context("network.toml")?;
            let text = network(&small, subnets);
            scaled.file_octets = text.len();
            let file: PathBuf = running.file("large.toml");
            fs::write(&file, text).context("large.toml")?;
            if scaled.check.is_empty() {
                scaled.check = (0..CHECKS).map(|_| check(lab, &file)).collect::<Result<_>>()?;
            }
            let path = file.display().to_string();
            let start = Instant::now();
            lab.drive(case, &["admin", "server1", "config", "apply", &path])?;
            scaled.apply.push(start.elapsed().as_secs_f64());
        }
        let sample = measure::take(lab, case, &running, Measure::Dora64, duration)?;
        scaled.dora[usize::from(large)].push(sample);
        if let (true, Some((_, id))) = (large, running.processes()?.first()) {
            scaled.resident = resident_octets(*id)?;
        }
    }
    eprintln!("{:24} {:20} {:>9.2} s", case.name, "config check", median(&scaled.check));
    eprintln!("{:24} {:20} {:>9.2} s", case.name, "config apply", median(&scaled.apply));
    for (what, samples) in ["dora-64, few lines", "dora-64, many lines"].iter().zip(&scaled.dora) {
        let (rate, cost) = (of(samples, |s| s.rate), of(samples, |s| s.server_us));
        eprintln!("{:24} {what:20} {rate:>9.0} /s, {cost:.1} us each", case.name);
    }
    Ok(scaled)
}

fn of(samples: &[Sample], value: impl Fn(&Sample) -> f64) -> f64 {
    median(&samples.iter().map(value).collect::<Vec<_>>())
}

fn check(lab: &Lab, file: &Path) -> Result<f64> {
    let mut command = Command::new(lab.leasehold());
    command.args(["config", "check"]).arg(file).stdout(Stdio::null());
    let start = Instant::now();
    let status = command.status().context("cannot run leasehold")?;
    let took: Duration = start.elapsed();
    ensure!(status.success(), "the file is refused");
    Ok(took.as_secs_f64())
}

/// The part's table as Markdown.
pub(crate) fn table(out: &mut String, scaled: Option<&Scaled>) {
    let Some(scaled) = scaled else { return };
    let [few, many] = scaled.dora.each_ref();
    let rates = [few, many].map(|samples| of(samples, |sample| sample.rate));
    let costs = [few, many].map(|samples| of(samples, |sample| sample.server_us));
    let reservations = f64::from(scaled.subnets * RESERVATIONS_EACH);
    // Writing to a String does not fail.
    let _ = writeln!(
        out,
        "### A large network.toml\n\n| {} subnets, {} reservations, {CLASSES} classes ({:.1} MB) | |\n|---|---:|",
        thousands(scaled.subnets.into()),
        thousands(reservations),
        scaled.file_octets as f64 / 1e6
    );
    for (what, value) in [
        ("checked (`config check`, the whole process), s", format!("{:.2}", median(&scaled.check))),
        ("in force (`config apply`, checked twice and replicated), s", {
            format!("{:.2}", median(&scaled.apply))
        }),
        ("resident, MB", format!("{:.0}", scaled.resident as f64 / 1e6)),
        ("new clients per second, 64 in flight, without it", thousands(rates[0])),
        ("new clients per second with it", thousands(rates[1])),
        ("ratio of these", format!("{:.2}", rates[1] / rates[0])),
        ("processor time of a new client without it, us", format!("{:.1}", costs[0])),
        ("processor time of a new client with it, us", format!("{:.1}", costs[1])),
    ] {
        let _ = writeln!(out, "| {what} | {value} |");
    }
    let _ = writeln!(out);
}
