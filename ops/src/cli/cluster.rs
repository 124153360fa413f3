//! `leasehold cluster`: who the members are, and changing that.

use super::caller::{Caller, Member};
use super::output::{Form, Listing, Output, Row};
use crate::api::dto;
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use std::io::{self, IsTerminal, Write};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a new cluster of the member that is asked
    Init(Member),
    /// Print a token with which one member may join, once
    Token(Member),
    /// Let the member that is asked join a cluster
    Join(JoinArguments),
    /// Show the members
    Status(StatusArguments),
    /// Make another member the leader
    Transfer(TransferArguments),
    /// Take a member out of the cluster for good
    Remove(RemoveArguments),
}

#[derive(Debug, Args)]
pub(crate) struct JoinArguments {
    /// Peer address of a member of the cluster
    #[arg(long, value_name = "HOST:PORT")]
    peer: String,
    /// What `leasehold cluster token` printed there
    #[arg(long)]
    token: String,
    #[command(flatten)]
    member: Member,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArguments {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    member: Member,
}

#[derive(Debug, Args)]
pub(crate) struct TransferArguments {
    /// Who shall lead; the cluster chooses if it is not given
    #[arg(long, value_name = "ID")]
    to: Option<u64>,
    #[command(flatten)]
    member: Member,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveArguments {
    /// Which member
    #[arg(value_name = "ID")]
    id: u64,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    member: Member,
}

pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::Init(member) => {
            let cluster: dto::Cluster =
                Caller::new(&member)?.post("/v1/cluster/init", &serde_json::json!({}))?;
            let name = cluster.cluster.unwrap_or_default();
            println!("member {} is now cluster {name}", cluster.member);
            println!("next: `leasehold cluster token` here, `leasehold cluster join` elsewhere");
        }
        Command::Token(member) => {
            let answer: dto::JoinToken =
                Caller::new(&member)?.post("/v1/cluster/token", &serde_json::json!({}))?;
            println!("{}", answer.token);
        }
        Command::Join(arguments) => {
            let body = dto::Join { peer: arguments.peer, token: arguments.token };
            let cluster: dto::Cluster =
                Caller::new(&arguments.member)?.post("/v1/cluster/join", &body)?;
            let name = cluster.cluster.unwrap_or_default();
            println!("member {} has joined cluster {name}", cluster.member);
        }
        Command::Status(arguments) => {
            let cluster: dto::Cluster = Caller::new(&arguments.member)?.get("/v1/cluster")?;
            show(&cluster, arguments.output.output)?;
        }
        Command::Transfer(arguments) => {
            let body = dto::Whom { member: arguments.to };
            let answer: dto::Transferred =
                Caller::new(&arguments.member)?.post("/v1/cluster/transfer", &body)?;
            println!("member {} leads", answer.leader);
        }
        Command::Remove(arguments) => remove(&arguments)?,
    }
    Ok(())
}

fn remove(arguments: &RemoveArguments) -> Result<()> {
    let caller = Caller::new(&arguments.member)?;
    let id = arguments.id;
    confirm(
        arguments.yes,
        &format!(
            "Member {id} leaves the cluster for good: its id is never used again, its data \
             directory is of no more use,\nand what it may still have promised is waited for \
             before others get it."
        ),
    )?;
    let body = dto::Whom { member: Some(id) };
    let _: dto::Cluster = caller.post("/v1/cluster/remove", &body)?;
    println!("member {id} is removed");
    Ok(())
}

/// Says what will happen and asks, unless `yes`.
pub(crate) fn confirm(yes: bool, consequences: &str) -> Result<()> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        bail!("nobody is there to confirm; say --yes if this is what you want:\n{consequences}");
    }
    print!("{consequences}\nGo on? [y/N] ");
    io::stdout().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => bail!("nothing was changed"),
    }
}

fn show(cluster: &dto::Cluster, form: Form) -> Result<()> {
    let stdout = io::stdout().lock();
    if form == Form::Json {
        serde_json::to_writer_pretty(stdout, cluster)?;
        println!();
        return Ok(());
    }
    if form == Form::Table {
        let name = cluster.cluster.as_deref().unwrap_or("none; `cluster init` or `cluster join`");
        let reason = cluster.reason.as_ref().map(|reason| format!(" ({reason})"));
        let leader = cluster.leader.map_or("none".to_owned(), |id| id.to_string());
        println!("cluster    {name}");
        println!("member     {}", cluster.member);
        println!("mode       {}{}", cluster.mode, reason.unwrap_or_default());
        println!("leader     {leader}, term {}", cluster.term);
        println!(
            "log        last {}, committed {}, applied {}, settled {}",
            cluster.last_log_index,
            cluster.committed_index,
            cluster.applied_index,
            cluster.settled_index
        );
        println!("config     revision {}", cluster.config_revision);
        println!("free       {}\n", cluster.free_addresses);
    }
    let mut listing = Listing::new(stdout, form);
    listing.page(&cluster.members)?;
    Ok(listing.finish()?)
}

impl Row for dto::Member {
    const COLUMNS: &'static [&'static str] = &[
        "id", "name", "role", "leader", "voter", "contact", "settled", "lag", "skew", "rtt",
        "free", "address",
    ];

    fn cells(&self) -> Vec<String> {
        let yes = |holds: bool| if holds { "yes" } else { "no" }.to_owned();
        // Adding zero turns a rounded -0.0 into 0.0.
        let rounded = |seconds: f64| (seconds * 1e4).round() / 10.0 + 0.0;
        let milliseconds =
            |value: Option<f64>| value.map(|v| format!("{:.1}ms", rounded(v))).unwrap_or_default();
        vec![
            self.id.to_string(),
            self.name.clone(),
            self.role.clone(),
            yes(self.leader),
            yes(self.voter),
            yes(self.contact),
            self.settled_index.to_string(),
            self.lag_entries.map(|entries| entries.to_string()).unwrap_or_default(),
            milliseconds(self.clock_skew_seconds),
            milliseconds(self.round_trip_seconds),
            self.free_addresses.to_string(),
            self.address.clone(),
        ]
    }
}
