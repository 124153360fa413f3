//! RFC 8357: Generalized UDP Source Port for DHCP Relay.

use std::net::{Ipv4Addr, UdpSocket};

use anyhow::{Context, Result, ensure};
use tests::client::{Client, fresh_xid};
use tests::packet::{Packet, kind, option};
use tests::requestor::{Key, query, sub_option};
use tests::wait::PATIENCE;

use crate::fixture::client;
use crate::places::{Place, address, relay_at};

/// Sub-option 19, §3.
const SOURCE_PORT: u8 = 19;

/// What comes back to the port that the packet was sent from.
fn at_source(giaddr: Ipv4Addr, packet: Packet) -> Result<Packet> {
    let socket = UdpSocket::bind((giaddr, 0))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let packet = Packet { xid: fresh_xid(), giaddr, ..packet };
    socket.send_to(&packet.encode(), address()?)?;
    let mut buffer = [0; 2048];
    let len = socket.recv(&mut buffer).context("nothing at the source port")?;
    let reply = Packet::decode(&buffer[..len])?;
    ensure!(reply.xid == packet.xid, "{reply:?}");
    Ok(reply)
}

// proves [O-21]
#[test]
fn a_relay_agent_that_says_so_is_answered_at_the_port_it_sent_from() -> Result<()> {
    let relay = relay_at(Place::Plain)?;
    let words = sub_option(SOURCE_PORT, b"");
    let client = Client { relay_agent: Some(words.clone()), ..client() };
    let offer = at_source(relay.giaddr(), client.discover())?;
    let ack = at_source(relay.giaddr(), client.request_offered(&offer))?;
    ensure!(offer.kind() == kind::OFFER && ack.kind() == kind::ACK, "{offer:?} {ack:?}");
    ensure!(ack.option(option::RELAY_AGENT) == Some(words.clone()), "{ack:?}");
    let nak = client.request_reboot(Ipv4Addr::new(203, 0, 113, 7));
    ensure!(at_source(relay.giaddr(), nak)?.kind() == kind::NAK);
    let asks = query(&Key::Ip(ack.yiaddr)).with(option::RELAY_AGENT, words);
    ensure!(at_source(relay.giaddr(), asks)?.kind() == kind::LEASEACTIVE);
    Ok(())
}
