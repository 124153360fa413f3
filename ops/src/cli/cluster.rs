//! `leasehold cluster`: who the members are, and changing that.

use super::backup::{self, BackupArguments, RestoreArguments};
use super::caller::{Caller, Member};
use super::drain::{self, DrainArguments, UndrainArguments};
use super::output::{Form, Listing, Output, Row};
use super::partner_down::{self, PartnerDownArguments};
use crate::api::dto;
use crate::config::value::display_duration;
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
    /// Empty a server, so that it can be stopped and no client notices
    Drain(DrainArguments),
    /// Go on with this member alone, because the others are gone for good
    PartnerDown(PartnerDownArguments),
    /// Bring a drained server back
    Undrain(UndrainArguments),
    /// Make another member the leader
    Transfer(TransferArguments),
    /// Take a member out of the cluster for good
    Remove(RemoveArguments),
    /// Write the whole ledger to a file
    Backup(BackupArguments),
    /// Make a cluster of one member from a backup, when no member is left
    Restore(RestoreArguments),
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
    /// Do not ask
    #[arg(long)]
    yes: bool,
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
            let joined: dto::Joined =
                Caller::new(&arguments.member)?.post("/v1/cluster/join", &body)?;
            let member = joined.cluster.member;
            match joined.handed_over {
                None => {
                    let name = joined.cluster.cluster.unwrap_or_default();
                    println!("member {member} has joined cluster {name}");
                }
                Some(handed) => println!(
                    "The cluster went on without member {member} in a newer epoch. It handed over \
                     {} promises, of which {} could not stand\n(`lease conflicts` shows them). Now stop \
                     it, empty its data directory, give it an id that was never used, start it\nand \
                     join again with the same token.",
                    handed.records, handed.conflicts
                ),
            }
        }
        Command::Status(arguments) => {
            let cluster: dto::Cluster = Caller::new(&arguments.member)?.get("/v1/cluster")?;
            show(&cluster, arguments.output.output)?;
        }
        Command::Transfer(arguments) => {
            let caller = Caller::new(&arguments.member)?;
            let heir = match arguments.to {
                Some(id) => format!("Member {id} orders"),
                None => "Another member, which the cluster chooses, orders".to_owned(),
            };
            explain(
                arguments.yes,
                &format!(
                    "{heir} the log from now on. Clients that ask in this moment are answered a \
                     little later; nothing is lost."
                ),
            )?;
            let body = dto::Whom { member: arguments.to };
            let answer: dto::Transferred = caller.post("/v1/cluster/transfer", &body)?;
            println!("member {} leads", answer.leader);
        }
        Command::Drain(arguments) => drain::drain(&arguments)?,
        Command::PartnerDown(arguments) => partner_down::run(&arguments)?,
        Command::Undrain(arguments) => drain::undrain(&arguments)?,
        Command::Remove(arguments) => remove(&arguments)?,
        Command::Backup(arguments) => backup::backup(&arguments)?,
        Command::Restore(arguments) => backup::restore(&arguments)?,
    }
    Ok(())
}

fn remove(arguments: &RemoveArguments) -> Result<()> {
    let caller = Caller::new(&arguments.member)?;
    let cluster: dto::Cluster = caller.get("/v1/cluster")?;
    let id = arguments.id;
    confirm(arguments.yes, &consequences_of_removing(&cluster, id))?;
    let body = dto::Whom { member: Some(id) };
    let _: dto::Cluster = caller.post("/v1/cluster/remove", &body)?;
    println!("member {id} is removed");
    Ok(())
}

/// What an operator should know before.
fn consequences_of_removing(cluster: &dto::Cluster, id: u64) -> String {
    let mut text = format!(
        "Member {id} leaves the cluster for good: its id is never used again, its data directory \
         is of no more use,\nand what it may still have promised is waited for before others get \
         it."
    );
    let Some(member) = cluster.members.iter().find(|member| member.id == id) else { return text };
    if member.free_addresses > 0 {
        let free = member.free_addresses;
        text.push_str(&format!("\n{free} free addresses are its own: nobody gets them meanwhile."));
    }
    if member.contact && member.mode.as_deref() == Some("quorum") && member.drain.is_none() {
        text.push_str(&format!(
            "\nIt serves clients now. `cluster drain {id}` first moves these and its addresses \
             to the others."
        ));
    }
    let others: Vec<_> =
        cluster.members.iter().filter(|other| other.voter && other.id != id).collect();
    let up = others.iter().filter(|other| other.contact).count();
    if member.voter && up * 2 <= others.len() {
        text.push_str("\nWITHOUT IT THERE IS NO QUORUM: start the other members first.");
    }
    text
}

/// Says what will happen, and asks if there is somebody to ask, unless `yes`: for what does no harm.
pub(crate) fn explain(yes: bool, consequences: &str) -> Result<()> {
    if !yes && io::stdin().is_terminal() {
        return confirm(yes, consequences);
    }
    eprintln!("{consequences}");
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
        println!("free       {}", cluster.free_addresses);
        println!("version    {}{}", cluster.version, waits_for(cluster));
        if cluster.conflicts > 0 {
            println!("conflicts  {}; `leasehold lease conflicts` lists them", cluster.conflicts);
        }
        for removed in &cluster.removed {
            let left = removed.waits_until.saturating_sub(removed.removed);
            let left = display_duration(left);
            let (id, name) = (removed.id, &removed.name);
            println!("removed    {id} ({name}); its addresses are free {left} after its removal");
        }
        println!();
    }
    let mut listing = Listing::new(stdout, form);
    listing.page(&cluster.members)?;
    Ok(listing.finish()?)
}

impl Row for dto::Member {
    const COLUMNS: &'static [&'static str] = &[
        "id", "name", "role", "mode", "leader", "voter", "contact", "settled", "lag", "skew",
        "rtt", "free", "buckets", "address", "drain",
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
            mode_of(self),
            yes(self.leader),
            yes(self.voter),
            yes(self.contact),
            self.settled_index.to_string(),
            self.lag_entries.map(|entries| entries.to_string()).unwrap_or_default(),
            milliseconds(self.clock_skew_seconds),
            milliseconds(self.round_trip_seconds),
            self.free_addresses.to_string(),
            self.buckets.to_string(),
            self.address.clone(),
            self.drain.as_ref().map(drain::text).unwrap_or_default(),
        ]
    }
}

/// Whom a higher version waits for, while members of two releases run together.
fn waits_for(cluster: &dto::Cluster) -> String {
    let reads = |member: &dto::Member| member.reads_version.unwrap_or(0);
    let Some(newest) = cluster.members.iter().map(reads).max() else { return String::new() };
    let older = cluster.members.iter().filter(|member| reads(member) < newest);
    let names: Vec<&str> = older.map(|member| member.name.as_str()).collect();
    match newest > cluster.version && !names.is_empty() {
        true => format!("; {newest} when {} can read it too", names.join(" and ")),
        false => String::new(),
    }
}

fn mode_of(member: &dto::Member) -> String {
    let mode = member.mode.clone().unwrap_or_default();
    match &member.reason {
        Some(reason) => format!("{mode} ({reason})"),
        None => mode,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: u64, contact: bool) -> dto::Member {
        dto::Member {
            id,
            name: format!("m{id}"),
            role: "server".to_owned(),
            address: String::new(),
            leader: id == 1,
            voter: true,
            contact,
            settled_index: 0,
            lag_entries: None,
            clock_skew_seconds: None,
            round_trip_seconds: None,
            free_addresses: 7,
            mode: contact.then(|| "quorum".to_owned()),
            reason: None,
            buckets: 128,
            reads_version: contact.then_some(4),
            drain: None,
        }
    }

    #[test]
    fn a_version_says_whom_it_waits_for() {
        let check = |reads: [Option<u8>; 2], expected: &str| {
            let member = |(id, reads_version)| dto::Member { reads_version, ..member(id, true) };
            let members = (1..).zip(reads).map(member).collect();
            let cluster = dto::Cluster { members, version: 4, ..dto::Cluster::default() };
            assert_eq!(waits_for(&cluster), expected);
        };
        check([Some(4), Some(4)], "");
        check([Some(5), Some(4)], "; 5 when m2 can read it too");
        check([Some(5), None], "; 5 when m2 can read it too");
        check([Some(5), Some(5)], "");
    }

    #[test]
    fn a_removal_says_what_it_costs() {
        let check = |contacts: [bool; 3], id: u64, words: &[&str], not: &[&str]| {
            let members = (1..).zip(contacts).map(|(id, contact)| member(id, contact)).collect();
            let cluster = dto::Cluster { members, ..dto::Cluster::default() };
            let text = consequences_of_removing(&cluster, id);
            for word in words {
                assert!(text.contains(word), "{word:?} is not in {text}");
            }
            for word in not {
                assert!(!text.contains(word), "{word:?} is in {text}");
            }
        };
        check([true, true, true], 2, &["for good", "7 free", "drain 2"], &["QUORUM"]);
        check([true, true, false], 3, &["for good"], &["drain 3", "QUORUM"]);
        check([true, false, false], 2, &["WITHOUT IT THERE IS NO QUORUM"], &[]);
        check([true, true, true], 9, &["for good"], &["free addresses", "QUORUM"]);
    }
}
