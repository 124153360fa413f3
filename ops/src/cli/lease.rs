//! `leasehold lease`: what is promised to whom.

use super::caller::{Caller, Member, escape};
use super::cluster::confirm;
use super::output::{Listing, Output, Row};
use crate::api::dto;
use crate::config::value::{self, display_duration};
use anyhow::Result;
use clap::{Args, Subcommand};
use std::io;
use std::net::Ipv4Addr;

/// Leases asked for at once.
const PAGE_LEN: usize = 5000;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List leases; what is given must all hold
    List(Box<ListArguments>),
    /// Show one lease
    Show(OneArguments),
    /// List addresses that were found promised to two clients, newest first
    Conflicts(ConflictsArguments),
    /// End a lease; its address goes to nobody else until every member knows
    Release(ReleaseArguments),
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// In this VPN, "" for the global one; without it in all
    #[arg(long, value_name = "NAME")]
    vpn: Option<String>,
    /// This address
    #[arg(long)]
    ip: Option<Ipv4Addr>,
    /// This hardware address
    #[arg(long)]
    mac: Option<String>,
    /// This client identifier
    #[arg(long, value_name = "HEX")]
    client_id: Option<String>,
    /// Behind this circuit
    #[arg(long, value_name = "TEXT|0xHEX")]
    circuit_id: Option<String>,
    /// Behind this remote end
    #[arg(long, value_name = "TEXT|0xHEX")]
    remote_id: Option<String>,
    /// Of this subscriber
    #[arg(long, value_name = "TEXT|0xHEX")]
    subscriber_id: Option<String>,
    /// Behind this relay
    #[arg(long, value_name = "TEXT|0xHEX")]
    relay_id: Option<String>,
    /// In this prefix
    #[arg(long)]
    subnet: Option<String>,
    /// In this state: active, expired, released, declined, reset or free
    #[arg(long)]
    state: Option<String>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    member: Member,
}

#[derive(Debug, Args)]
pub(crate) struct OneArguments {
    /// The address
    ip: Ipv4Addr,
    /// Its VPN; without it the global one
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    vpn: String,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    member: Member,
}

#[derive(Debug, Args)]
pub(crate) struct ConflictsArguments {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    member: Member,
}

#[derive(Debug, Args)]
pub(crate) struct ReleaseArguments {
    /// The address
    ip: Ipv4Addr,
    /// Its VPN; without it the global one
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    vpn: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    member: Member,
}

pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::List(arguments) => list(&arguments),
        Command::Show(arguments) => {
            let caller = Caller::new(&arguments.member)?;
            let lease: dto::Lease = caller.get(&path_of(arguments.ip, &arguments.vpn))?;
            let mut listing = Listing::new(io::stdout().lock(), arguments.output.output);
            listing.page(&[lease])?;
            Ok(listing.finish()?)
        }
        Command::Conflicts(arguments) => {
            let caller = Caller::new(&arguments.member)?;
            let found: dto::Conflicts = caller.get("/v1/conflicts")?;
            let mut listing = Listing::new(io::stdout().lock(), arguments.output.output);
            listing.page(&found.conflicts)?;
            Ok(listing.finish()?)
        }
        Command::Release(arguments) => {
            let caller = Caller::new(&arguments.member)?;
            let of = match arguments.vpn.is_empty() {
                true => arguments.ip.to_string(),
                false => format!("{} in VPN {}", arguments.ip, arguments.vpn),
            };
            confirm(
                arguments.yes,
                &format!("The client of {of} is not told: it goes on using it until it renews."),
            )?;
            caller.delete(&path_of(arguments.ip, &arguments.vpn))?;
            println!("{of} is released");
            Ok(())
        }
    }
}

fn path_of(ip: Ipv4Addr, vpn: &str) -> String {
    format!("/v1/leases/{ip}?vpn={}", escape(vpn))
}

fn list(arguments: &ListArguments) -> Result<()> {
    let caller = Caller::new(&arguments.member)?;
    let ip = arguments.ip.map(|ip| ip.to_string());
    let mut query = format!("limit={PAGE_LEN}");
    for (key, text) in [
        ("vpn", &arguments.vpn),
        ("ip", &ip),
        ("mac", &arguments.mac),
        ("client_id", &arguments.client_id),
        ("circuit_id", &arguments.circuit_id),
        ("remote_id", &arguments.remote_id),
        ("subscriber_id", &arguments.subscriber_id),
        ("relay_id", &arguments.relay_id),
        ("subnet", &arguments.subnet),
        ("state", &arguments.state),
    ] {
        if let Some(text) = text {
            query.push_str(&format!("&{key}={}", escape(text)));
        }
    }
    let out = io::BufWriter::new(io::stdout().lock());
    let mut listing = Listing::new(out, arguments.output.output);
    let mut after = String::new();
    loop {
        let page: dto::LeasePage = caller.get(&format!("/v1/leases?{query}{after}"))?;
        listing.page(&page.leases)?;
        match page.next {
            Some(next) => after = format!("&after={}", escape(&next)),
            None => return Ok(listing.finish()?),
        }
    }
}

/// An identifier in the form that `--circuit-id` and `--remote-id` take: text if it is plain, else hexadecimal after "0x".
fn readable(hex: &str) -> String {
    let octets = value::hex(hex).unwrap_or_default();
    let plain = octets.iter().all(u8::is_ascii_graphic) && !octets.starts_with(b"0x");
    match std::str::from_utf8(&octets) {
        Ok(text) if plain && !text.is_empty() => text.to_owned(),
        _ => format!("0x{hex}"),
    }
}

impl Row for dto::Lease {
    const COLUMNS: &'static [&'static str] = &[
        "ip",
        "vpn",
        "state",
        "mac",
        "client_id",
        "remaining",
        "hostname",
        "circuit_id",
        "remote_id",
        "giaddr",
        "member",
    ];
    const RARE: &'static [&'static str] = &["vpn"];

    fn cells(&self) -> Vec<String> {
        let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
        vec![
            self.ip.to_string(),
            or_empty(&self.vpn),
            self.state.clone(),
            self.mac.clone(),
            or_empty(&self.client_id),
            self.remaining.map_or("forever".to_owned(), display_duration),
            or_empty(&self.hostname),
            self.circuit_id.as_deref().map(readable).unwrap_or_default(),
            self.remote_id.as_deref().map(readable).unwrap_or_default(),
            self.giaddr.map(|giaddr| giaddr.to_string()).unwrap_or_default(),
            self.member.to_string(),
        ]
    }
}

impl Row for dto::Conflict {
    const COLUMNS: &'static [&'static str] = &[
        "ip",
        "vpn",
        "found",
        "member",
        "session",
        "mac",
        "client_id",
        "expires",
        "stands_for_mac",
        "stands_for_client_id",
        "standing_state",
        "standing_expires",
        "standing_member",
    ];
    const RARE: &'static [&'static str] = &["vpn"];

    fn cells(&self) -> Vec<String> {
        let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
        let end = |end: Option<u64>| end.map_or("never".to_owned(), |end| end.to_string());
        let standing = self.standing.as_ref();
        vec![
            self.ip.to_string(),
            or_empty(&self.vpn),
            self.found.to_string(),
            self.member.to_string(),
            self.session.to_string(),
            self.mac.clone(),
            or_empty(&self.client_id),
            end(self.expires),
            standing.map(|s| s.mac.clone()).unwrap_or_default(),
            standing.map(|s| or_empty(&s.client_id)).unwrap_or_default(),
            standing.map(|s| s.state.clone()).unwrap_or_default(),
            standing.map(|s| end(s.expires)).unwrap_or_default(),
            standing.map(|s| s.member.to_string()).unwrap_or_default(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_shown_as_they_can_be_asked_for() {
        let check = |hex: &str, expected: &str| {
            assert_eq!(readable(hex), expected);
            assert_eq!(value::identifier(expected), value::hex(hex), "{expected}");
        };
        check("6d6f64656d2d31", "modem-1");
        check("0006001e", "0x0006001e");
        check("3078", "0x3078");
        check("6120", "0x6120");
    }
}
