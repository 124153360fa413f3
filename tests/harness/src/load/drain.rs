//! A bulk leasequery requestor that only counts: what a server can send must not be limited by
//! what its requestor does with it (RFC 6926).

use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::client::fresh_xid;
use crate::packet::{Packet, kind};
use crate::requestor::{Key, bulk_query};

/// Octets read at once.
const READ: usize = 1 << 20;
const OPTIONS_AT: usize = 240;
/// A server that says nothing for so long has failed.
const SILENCE: Duration = Duration::from_secs(60);

/// What is asked: `all`, or `relay-id:HEX`, or `remote-id:HEX`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainKey(pub Key);

impl FromStr for DrainKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let octets = |hex: &str| -> Result<Vec<u8>, String> {
            let bad = || format!("{hex:?} is not an even number of hexadecimal digits");
            if hex.is_empty() || !hex.len().is_multiple_of(2) || !hex.is_ascii() {
                return Err(bad());
            }
            let pairs = (0..hex.len()).step_by(2).map(|at| &hex[at..at + 2]);
            pairs.map(|pair| u8::from_str_radix(pair, 16).map_err(|_| bad())).collect()
        };
        match text.split_once(':') {
            None if text == "all" => Ok(DrainKey(Key::All)),
            Some(("relay-id", hex)) => Ok(DrainKey(Key::RelayId(octets(hex)?))),
            Some(("remote-id", hex)) => Ok(DrainKey(Key::RemoteId(octets(hex)?))),
            _ => Err(format!("{text:?}: neither all nor relay-id:HEX nor remote-id:HEX")),
        }
    }
}

/// What a drain is told.
#[derive(Args, Clone, Debug)]
pub struct DrainOptions {
    /// The server, ADDRESS:PORT
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub server: SocketAddrV4,
    /// What to ask: all, relay-id:HEX or remote-id:HEX
    #[arg(long, default_value = "all")]
    pub key: DrainKey,
    /// How often to ask, one query after the other on one connection
    #[arg(long, default_value_t = 1)]
    pub repeat: u32,
}

/// What a drain saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DrainSummary {
    /// DHCPLEASEACTIVE messages of all answers.
    pub active: u64,
    /// DHCPLEASEUNASSIGNED messages of all answers.
    pub unassigned: u64,
    /// Octets received, size prefixes included.
    pub octets: u64,
    /// For each query, milliseconds from sending it to the last octet of its answer.
    pub answer_ms: Vec<f64>,
    /// For each query, milliseconds to the first octets of its answer.
    pub first_ms: Vec<f64>,
}

/// Asks, reads, counts.
///
/// # Errors
/// The server does not accept, closes before an answer's end, is silent for a minute, refuses a
/// query, or sends what does not belong into an answer.
pub fn drain(options: &DrainOptions) -> Result<DrainSummary> {
    let mut stream = TcpStream::connect(options.server)
        .with_context(|| format!("cannot connect to {}", options.server))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE))?;
    let (mut summary, mut buffer) = (DrainSummary::default(), vec![0; READ]);
    for _ in 0..options.repeat {
        let xid = fresh_xid();
        let query = Packet { xid, ..bulk_query(&options.key.0) }.encode_unpadded();
        let size = (query.len() as u16).to_be_bytes();
        let start = Instant::now();
        stream.write_all(&[&size[..], &query].concat()).context("cannot send")?;
        answer(&mut stream, xid, start, &mut buffer, &mut summary)?;
        summary.answer_ms.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(summary)
}

/// Reads one answer to its end.
fn answer(
    stream: &mut TcpStream,
    xid: u32,
    start: Instant,
    buffer: &mut [u8],
    summary: &mut DrainSummary,
) -> Result<()> {
    let (mut filled, mut first) = (0, true);
    loop {
        let read = stream.read(&mut buffer[filled..]).context("the server is silent")?;
        ensure!(read > 0, "the server closed within an answer");
        if first {
            summary.first_ms.push(start.elapsed().as_secs_f64() * 1e3);
            first = false;
        }
        summary.octets += read as u64;
        filled += read;
        let mut at = 0;
        while let Some(message) = frame(&buffer[at..filled]) {
            at += 2 + message.len();
            ensure!(message.get(4..8) == Some(&xid.to_be_bytes()[..]), "a foreign xid");
            match message_type(message) {
                Some(kind::LEASEACTIVE) => summary.active += 1,
                Some(kind::LEASEUNASSIGNED) => summary.unassigned += 1,
                Some(kind::LEASEQUERYDONE) => {
                    let done = Packet::decode(message)?;
                    let status = done.option(crate::packet::option::STATUS_CODE);
                    ensure!(status.is_none(), "the answer ended with status {status:?}");
                    ensure!(at == filled, "octets behind the answer's end");
                    return Ok(());
                }
                other => bail!("a message of type {other:?} within an answer"),
            }
        }
        buffer.copy_within(at..filled, 0);
        filled -= at;
    }
}

/// The message of the first frame, if it is there whole.
fn frame(octets: &[u8]) -> Option<&[u8]> {
    let (size, rest) = octets.split_at_checked(2)?;
    rest.get(..usize::from(u16::from_be_bytes([size[0], size[1]])))
}

/// Option 53, wherever it stands.
fn message_type(message: &[u8]) -> Option<u8> {
    let mut rest = message.get(OPTIONS_AT..)?;
    loop {
        rest = match rest {
            [53, 1, value, ..] => return Some(*value),
            [0, tail @ ..] => tail,
            [code, length, tail @ ..] if *code != 255 => tail.get(usize::from(*length)..)?,
            _ => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn keys_are_read_from_text() {
        let check = |text: &str, expected| {
            assert_eq!(text.parse::<DrainKey>().ok().map(|key| key.0), expected, "{text}");
        };
        check("all", Some(Key::All));
        check("relay-id:00ff", Some(Key::RelayId(vec![0, 255])));
        check("remote-id:0a", Some(Key::RemoteId(vec![10])));
        for bad in ["", "relay-id", "relay-id:", "relay-id:0", "relay-id:0x", "mac:02", "all:00"] {
            check(bad, None);
        }
    }

    /// A server that sends these message types, cut into pieces of `piece` octets.
    fn against(kinds: &'static [u8], piece: usize) -> Result<DrainSummary> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let server = std::thread::spawn(move || -> Result<()> {
            let (mut stream, _) = listener.accept()?;
            let mut query = vec![0; 1024];
            let length = stream.read(&mut query)?;
            let xid = Packet::decode(&query[2..length])?.xid;
            let mut octets = Vec::new();
            for each in kinds {
                let message = Packet { xid, ..Packet::new(*each, [0; 6]) }.encode();
                octets.extend((message.len() as u16).to_be_bytes());
                octets.extend(message);
            }
            stream.set_nodelay(true)?;
            octets.chunks(piece).try_for_each(|piece| stream.write_all(piece))?;
            Ok(())
        });
        let server_address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let options = DrainOptions { server: server_address, key: DrainKey(Key::All), repeat: 1 };
        let summary = drain(&options);
        server.join().expect("no panic").expect("served");
        summary
    }

    #[test]
    fn messages_are_counted_however_they_are_cut() {
        for piece in [1, 7, 301, 1 << 16] {
            let summary = against(&[13, 11, 13, 15], piece).expect("a whole answer");
            assert_eq!((summary.active, summary.unassigned), (2, 1), "{piece}");
            assert_eq!((summary.octets, summary.answer_ms.len()), (4 * 302, 1), "{piece}");
        }
    }

    #[test]
    fn an_answer_without_its_end_or_with_a_foreign_message_is_a_failure() {
        assert!(against(&[13, 13], 100).is_err());
        assert!(against(&[13, 12], 100).is_err());
    }
}
