//! `leasehold names`: what DNS should say of addresses, and how far that is done.

use super::caller::{Caller, Member, escape};
use super::output::{Listing, Output, Row};
use crate::api::dto;
use anyhow::Result;
use clap::{Args, Subcommand};
use std::io;

/// Names asked for at once.
const PAGE_LEN: usize = 5000;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the names of addresses in DNS
    List(ListArguments),
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// Only where something is left to be done
    #[arg(long)]
    waiting: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    member: Member,
}

pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::List(arguments) => list(&arguments),
    }
}

fn list(arguments: &ListArguments) -> Result<()> {
    let caller = Caller::new(&arguments.member)?;
    let query = format!("limit={PAGE_LEN}&waiting={}", arguments.waiting);
    let out = io::BufWriter::new(io::stdout().lock());
    let mut listing = Listing::new(out, arguments.output.output);
    let mut after = String::new();
    loop {
        let page: dto::NamePage = caller.get(&format!("/v1/names?{query}{after}"))?;
        listing.page(&page.names)?;
        match page.next {
            Some(next) => after = format!("&after={}", escape(&next)),
            None => return Ok(listing.finish()?),
        }
    }
}

impl Row for dto::Name {
    const COLUMNS: &'static [&'static str] =
        &["ip", "vpn", "name", "records", "removing", "waiting", "result", "retry"];
    const RARE: &'static [&'static str] = &["vpn"];

    fn cells(&self) -> Vec<String> {
        let records = match (self.forward, self.reverse) {
            (true, true) => "A PTR",
            (true, false) => "A",
            (false, true) => "PTR",
            (false, false) => "",
        };
        vec![
            self.ip.to_string(),
            self.vpn.clone().unwrap_or_default(),
            self.name.clone().unwrap_or_default(),
            records.to_owned(),
            self.removing.join(" "),
            if self.waiting { "yes" } else { "no" }.to_owned(),
            self.result.clone().unwrap_or_default(),
            self.retry.map(|retry| retry.to_string()).unwrap_or_default(),
        ]
    }
}
