//! RFC 3118: Authentication for DHCP Messages, on leasequery as RFC 4388 §7 says.

mod section_3;
mod section_4;
mod section_5;

use std::fmt::Write;
use std::sync::LazyLock;

use anyhow::{Result, ensure};
use tests::client::{Relay, fresh_xid};
use tests::packet::{Packet, option};

use crate::site::{Shared, Site};

/// Secrets of delayed authentication: a test has one of its own, for the counter that guards it.
const DELAYED: std::ops::RangeInclusive<u32> = 1..=20;
/// The one configuration token.
const TOKEN: &[u8] = b"a token";

fn secrets() -> String {
    let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    let mut text = String::new();
    let mut add = |id, protocol, secret: &[u8]| {
        // Writing to a String does not fail.
        let _ = write!(
            text,
            "\n[[leasequery.secret]]\nid = {id}\nprotocol = \"{protocol}\"\nsecret = \"0x{}\"\n",
            hex(secret)
        );
    };
    for id in DELAYED {
        add(id, "delayed", &key(id));
    }
    add(100, "token", TOKEN);
    text
}

/// The key of a secret.
fn key(secret_id: u32) -> Vec<u8> {
    format!("secret number {secret_id}").into_bytes()
}

/// Authentication is answered in kind, and nobody has to use it.
static OPTIONAL: Shared = LazyLock::new(|| Site::start(&secrets()));

/// Nobody is answered without; 127.0.1.101, of the second link, only with secret 2.
static REQUIRED: Shared = LazyLock::new(|| {
    let one_secret = "\n[[leasequery.requestor]]\nprefix = \"127.0.1.101/32\"\nsecret_ids = [2]\n";
    Site::start(&format!("authentication_required = true\n{}{one_secret}", secrets()))
});

/// A query as a datagram from this relay agent, with option 90 as it is given, and its xid.
fn datagram(relay: &Relay, query: &Packet, authentication: Vec<u8>) -> (Vec<u8>, u32) {
    let xid = fresh_xid();
    let packet = Packet { xid, giaddr: relay.giaddr(), ..query.clone() };
    (packet.with(option::AUTHENTICATION, authentication).encode(), xid)
}

/// A query with a MAC that is right.
fn signed(relay: &Relay, query: &Packet, replay: u64, secret_id: u32) -> (Vec<u8>, u32) {
    let value = tests::authentication::unsigned(replay, secret_id);
    let (mut octets, xid) = datagram(relay, query, value);
    tests::authentication::sign(&mut octets, &key(secret_id));
    (octets, xid)
}

/// Ensures that nothing is said to these octets.
fn silent(relay: &Relay, (octets, xid): (Vec<u8>, u32), what: &str) -> Result<()> {
    let answer = relay.answer_if_any_to_octets(&octets, xid)?;
    ensure!(answer.is_none(), "{what}: {answer:?}");
    Ok(())
}

/// Replay detection and secret ID of a reply with delayed authentication whose MAC is right.
fn authenticated(reply: &[u8]) -> Result<(u64, u32)> {
    let packet = Packet::decode(reply)?;
    let value = packet.option(option::AUTHENTICATION).unwrap_or_default();
    ensure!(value.len() == 31 && value[..3] == [1, 1, 0], "option 90 is {value:?}");
    let replay = value[3..11].iter().fold(0, |sum, octet| sum << 8 | u64::from(*octet));
    let secret_id = value[11..15].iter().fold(0, |sum, octet| sum << 8 | u32::from(*octet));
    ensure!(tests::authentication::verifies(reply, &key(secret_id)), "a wrong MAC: {packet:?}");
    Ok((replay, secret_id))
}
