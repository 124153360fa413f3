//! A record as people and scripts see it. Pure.

use super::answer::Record;
use super::moment::Moment;
use super::reconcile::{Known, Loser};
use serde::Serialize;
use server_wire::{OptionCode, Vss};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

/// One address, or one record about it that lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The address.
    pub ip: Ipv4Addr,
    /// Its state, lower case.
    pub state: &'static str,
    /// Hardware address, with its type before a slash if that is not Ethernet.
    pub mac: Option<String>,
    /// Hexadecimal.
    pub client_id: Option<String>,
    /// When the lease or the state ends, or "never".
    pub expires: Option<Moment>,
    /// The client's last transaction.
    pub last_transaction: Option<Moment>,
    /// Since when it is in this state.
    pub state_since: Option<Moment>,
    /// Option 12.
    pub hostname: Option<String>,
    /// Text, or hexadecimal after "0x".
    pub circuit_id: Option<String>,
    /// Text, or hexadecimal after "0x".
    pub remote_id: Option<String>,
    /// Text, or hexadecimal after "0x".
    pub relay_id: Option<String>,
    /// The VPN, if it is not the default one.
    pub vpn: Option<String>,
    /// Whether the server saw it happen or learned it: "local" or "remote".
    pub source: &'static str,
    /// From a reservation, not from a lease.
    pub reservation: bool,
    /// Who says so.
    pub server: SocketAddrV4,
    /// Who the server says it is.
    pub server_id: Option<Ipv4Addr>,
    /// What came of reconciling.
    pub verdict: String,
    /// Everything else that the server told: name or number of the option, hexadecimal.
    pub options: BTreeMap<String, String>,
}

/// Options that have a column.
const SHOWN: [OptionCode; 4] = [
    OptionCode::CLIENT_IDENTIFIER,
    OptionCode::HOST_NAME,
    OptionCode::RELAY_AGENT_INFORMATION,
    OptionCode::VSS,
];

impl Line {
    /// Names of the columns of [`Line::cells`].
    pub const COLUMNS: &'static [&'static str] = &[
        "ip",
        "state",
        "mac",
        "client_id",
        "expires",
        "last_transaction",
        "state_since",
        "hostname",
        "circuit_id",
        "remote_id",
        "relay_id",
        "source",
        "server",
        "verdict",
    ];

    /// The record that won.
    pub fn of(known: &Known, servers: &[SocketAddrV4]) -> Line {
        let agreeing = known.agreeing_len();
        let verdict = match known.reason {
            Some(reason) => format!("newest: {}", reason.as_str()),
            None if agreeing > 1 => format!("agreed by {agreeing}"),
            None => "only answer".to_owned(),
        };
        Line::new(&known.best, servers, verdict)
    }

    /// A record that lost.
    pub fn of_loser(loser: &Loser, servers: &[SocketAddrV4]) -> Line {
        let verdict = loser
            .reason
            .map_or("agrees".to_owned(), |reason| format!("older: other has {}", reason.as_str()));
        Line::new(&loser.record, servers, verdict)
    }

    /// A record on its own.
    pub fn new(record: &Record, servers: &[SocketAddrV4], verdict: String) -> Line {
        let relay = record.relay_agent_information();
        let host_name = record.option(OptionCode::HOST_NAME);
        let mac = record.hardware().map(|hardware| {
            let pairs: Vec<String> =
                hardware.octets.iter().map(|octet| format!("{octet:02x}")).collect();
            match hardware.htype {
                HTYPE_ETHERNET => pairs.join(":"),
                htype => format!("{htype}/{}", pairs.join(":")),
            }
        });
        let server = servers.get(usize::from(record.server.0)).copied();
        Line {
            ip: record.address,
            state: record.state.as_str(),
            mac,
            client_id: record.client_identifier().map(hex),
            expires: record.expires,
            last_transaction: record.last_transaction,
            state_since: record.start_of_state,
            hostname: host_name.map(readable),
            circuit_id: relay.and_then(|relay| relay.circuit_id()).map(readable),
            remote_id: relay.and_then(|relay| relay.remote_id()).map(readable),
            relay_id: relay.and_then(|relay| relay.relay_id()).map(readable),
            vpn: record.option(OptionCode::VSS).map(vpn),
            source: if record.remote { "remote" } else { "local" },
            reservation: record.reservation,
            server: server.unwrap_or(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)),
            server_id: record.server_identifier,
            verdict,
            options: record
                .options()
                .filter(|(code, _)| !SHOWN.contains(code))
                .map(|(code, value)| (code.to_string(), hex(value)))
                .collect(),
        }
    }

    /// One text per column; empty if there is nothing.
    pub fn cells(&self) -> Vec<String> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let moment = |moment: Option<Moment>| moment.map(|m| m.to_string()).unwrap_or_default();
        let state = match self.reservation {
            true => format!("{} (reserved)", self.state),
            false => self.state.to_owned(),
        };
        vec![
            self.ip.to_string(),
            state,
            text(&self.mac),
            text(&self.client_id),
            moment(self.expires),
            moment(self.last_transaction),
            moment(self.state_since),
            text(&self.hostname),
            text(&self.circuit_id),
            text(&self.remote_id),
            text(&self.relay_id),
            self.source.to_owned(),
            self.server.to_string(),
            self.verdict.clone(),
        ]
    }
}

const HTYPE_ETHERNET: u8 = 1;

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Text if all of it can be seen, else hexadecimal: what a client or a relay wrote goes to a terminal.
fn readable(octets: &[u8]) -> String {
    let plain = octets.iter().all(u8::is_ascii_graphic) && !octets.starts_with(b"0x");
    match std::str::from_utf8(octets) {
        Ok(text) if plain && !text.is_empty() => text.to_owned(),
        _ => format!("0x{}", hex(octets)),
    }
}

fn vpn(value: &[u8]) -> String {
    match Vss::decode(value) {
        Ok(Vss::Name(name)) => readable(name),
        Ok(Vss::VpnId(id)) => format!("0x{}", hex(id)),
        _ => format!("0x{}", hex(value)),
    }
}

#[cfg(test)]
#[path = "print_tests.rs"]
mod tests;
