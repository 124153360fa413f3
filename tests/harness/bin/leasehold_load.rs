//! `leasehold-load`: many simulated DHCP clients behind simulated relay agents; a responder that
//! keeps nothing, to know the generator's ceiling; a bulk leasequery requestor that only counts; and
//! the checker that compares what clients were
//! promised with what the members hold.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use tests::check;
use tests::client::Relay;
use tests::load::{self, DrainOptions, LoadOptions, NullServerOptions};
use tests::requestor::{Key, draft_query, query};

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
    /// Ask one server about one lease over UDP (RFC 4388, RFC 6148, or the draft before them) and
    /// print the reply's options
    Ask(AskOptions),
    /// Ask one server in bulk (RFC 6926 over TCP), read as fast as it sends, and print a summary as
    /// JSON
    Bulk(DrainOptions),
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

#[derive(Args)]
struct AskOptions {
    /// The server, ADDRESS:PORT
    #[arg(long, value_name = "ADDRESS:PORT")]
    server: SocketAddrV4,
    /// The requestor's own address, which is giaddr
    #[arg(long, value_name = "ADDRESS:PORT")]
    relay: SocketAddrV4,
    /// The address asked about
    #[arg(long, required_unless_present = "remote_id")]
    ip: Option<Ipv4Addr>,
    /// The simulated client whose access device is asked about, by its Remote-ID
    #[arg(long, value_name = "CLIENT", conflicts_with = "ip")]
    remote_id: Option<u32>,
    /// In the words of draft-ietf-dhc-leasequery-01, with its default numbers
    #[arg(long)]
    draft: bool,
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
        Command::Ask(options) => ask(&options)?,
        Command::Bulk(options) => {
            println!("{}", serde_json::to_string(&load::drain(&options)?)?);
        }
        Command::Check(options) => return check(&options),
    }
    Ok(ExitCode::SUCCESS)
}

fn ask(options: &AskOptions) -> Result<()> {
    let relay = Relay::bind(options.relay, options.server)?;
    let key = match (options.ip, options.remote_id) {
        (Some(address), _) => Key::Ip(address),
        (None, client) => Key::RemoteId(load::remote_id_of(client.unwrap_or_default()).to_vec()),
    };
    let asked = if options.draft { draft_query(&key) } else { query(&key) };
    let reply = relay.exchange(&asked, Duration::from_secs(5))?;
    println!("type {} ciaddr {}", reply.kind(), reply.ciaddr);
    for (code, value) in &reply.options {
        let octets: String = value.iter().map(|octet| format!("{octet:02x}")).collect();
        println!("option {code} {octets}");
    }
    Ok(())
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
