//! RFC 6925: The DHCPv4 Relay Agent Identifier Sub-Option, and RFC 3993: Subscriber-ID.

use anyhow::{Result, ensure};
use tests::client::{Client, Relay};
use tests::packet::{Packet, kind, option};
use tests::requestor::{Key, RELAY_ID, bulk_query, query, sub_option};
use tests::stream::{Connection, Framing};
use tests::wait::PATIENCE;

use crate::fixture::{client, is};
use crate::places::{from_its_own_address, relay_at_loopback, server};

/// Sub-option 6, RFC 3993 §2.
const SUBSCRIBER_ID: u8 = 6;

fn behind(relay: &Relay) -> Client {
    let identifier = format!("relay {}", relay.giaddr());
    // A subscriber is not text: no octet is special, nor a last NUL.
    let subscriber = sub_option(SUBSCRIBER_ID, b"\0\xffsub\0");
    let words = [sub_option(RELAY_ID, identifier.as_bytes()), subscriber].concat();
    Client { relay_agent: Some(words), ..client() }
}

fn of_relay(relay: &Relay) -> Result<Vec<Packet>> {
    let tcp = server()?.members[0].places.leasequery;
    let key = Key::RelayId(format!("relay {}", relay.giaddr()).into_bytes());
    Connection::open(tcp, Framing::Two)?.exchange(&bulk_query(&key))
}

// proves [O-18]
// proves [O-19]
// proves [O-20]
#[test]
fn what_the_relay_agent_said_is_kept_for_renewals_that_do_not_pass_it() -> Result<()> {
    let relay = relay_at_loopback()?;
    let client = behind(&relay);
    let ack = client.obtain(&relay)?;
    ensure!(ack.option(option::RELAY_AGENT) == client.relay_agent, "{ack:?}");
    let bare = Client { relay_agent: None, ..client.clone() };
    let renewed = from_its_own_address(ack.yiaddr, &bare.request_extension(ack.yiaddr))?;
    is(&renewed, kind::ACK)?;
    ensure!(renewed.option(option::RELAY_AGENT).is_none(), "{renewed:?}");
    let told = of_relay(&relay)?;
    ensure!(told.iter().any(|lease| lease.ciaddr == ack.yiaddr), "{told:?}");
    let known = relay.exchange(&query(&Key::Ip(ack.yiaddr)), PATIENCE)?;
    ensure!(known.option(option::RELAY_AGENT) == client.relay_agent, "{known:?}");
    Ok(())
}
