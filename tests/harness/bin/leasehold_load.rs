//! `leasehold-load`: many simulated DHCP clients behind simulated relay agents; a responder that
//! keeps nothing, to know the generator's ceiling; and the checker that compares what clients were
//! promised with what the members hold.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use tests::check;
use tests::load::{self, LoadOptions, NullServerOptions};

#[derive(Parser)]
#[command(name = "leasehold-load", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Load servers and print a summary as JSON
    Run(Box<LoadOptions>),
    /// Answer every client at once and remember none: the ceiling of the generator
    Nullserver(NullServerOptions),
    /// Compare an ACK file with what members list; exit status 1 if a promise was lost
    Check(CheckOptions),
}

#[derive(Args)]
struct CheckOptions {
    /// The generator's ACK file; may be repeated, in the order of the runs
    #[arg(long, required = true, value_name = "FILE")]
    acks: Vec<PathBuf>,
    /// One member's `lease list --output json`; may be repeated
    #[arg(long, required = true, value_name = "FILE")]
    leases: Vec<PathBuf>,
    /// When the listings were taken, seconds since 1970; now if not given
    #[arg(long)]
    at: Option<u64>,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("leasehold-load: {error:#}");
            ExitCode::from(1)
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    static NEVER: AtomicBool = AtomicBool::new(false);
    match command {
        Command::Run(options) => {
            let summary = load::run(&options, &NEVER)?;
            println!("{}", serde_json::to_string(&summary)?);
        }
        Command::Nullserver(options) => load::serve_null(&options, &NEVER)?,
        Command::Check(options) => return check(&options),
    }
    Ok(ExitCode::SUCCESS)
}

fn check(options: &CheckOptions) -> Result<ExitCode> {
    let mut acks = Vec::new();
    for path in &options.acks {
        acks.extend(load::read_acks(path)?);
    }
    let listings = check::read_listings(&options.leases)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let checked = check::check(&acks, &listings, options.at.unwrap_or(now));
    for violation in &checked.violations {
        println!("{violation}");
    }
    let (count, members) = (checked.violations.len(), listings.len());
    println!(
        "{} ACKs, {} standing promises on {members} members: {count} violations",
        checked.acks, checked.promises
    );
    Ok(if count == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
