//! RFC 1534: Interoperation Between DHCP and BOOTP, with RFC 951 and RFC 1542.

use std::net::{Ipv4Addr, SocketAddrV4};

use anyhow::{Context, Result, ensure};
use tests::client::{Client, Relay, fresh_xid};
use tests::packet::{Packet, kind, option};
use tests::requestor::{Key, query};
use tests::wait::{self, PATIENCE};

use crate::fixture::client;
use crate::places::{Place, RESERVED_MAC, address, is_of, relay_at, relay_at_loopback};

/// A BOOTREQUEST: no message type.
fn bootrequest(client: &Client) -> Packet {
    Packet::new(kind::DISCOVER, client.mac).without(option::MESSAGE_TYPE)
}

// proves [H-56]
#[test]
fn bootp_clients_are_ignored_where_nobody_wants_them() -> Result<()> {
    relay_at(Place::Plain)?.stays_silent(&bootrequest(&client()))
}

// proves [H-57]
// proves [H-58]
// proves [H-23]
// proves [H-24]
#[test]
fn a_bootp_client_gets_an_address_for_ever_and_is_told_so_in_one_reply() -> Result<()> {
    let (relay, client) = (relay_at(Place::Bootp)?, client());
    let reply = relay.exchange(&bootrequest(&client), PATIENCE)?;
    ensure!(reply.op == 2 && reply.chaddr == bootrequest(&client).chaddr, "{reply:?}");
    ensure!(is_of(Place::Bootp, reply.yiaddr), "{}", reply.yiaddr);
    ensure!(reply.siaddr == Ipv4Addr::new(192, 0, 2, 99), "siaddr {}", reply.siaddr);
    ensure!(reply.sname.starts_with(b"boot.example\0"), "{:?}", reply.sname);
    ensure!(reply.file.starts_with(b"image.0\0"), "{:?}", reply.file);
    ensure!(reply.option(option::ROUTERS) == Some(vec![10, 42, 0, 1]), "{reply:?}");
    let a_leases = [option::MESSAGE_TYPE, option::LEASE_TIME, option::T1, option::T2];
    for code in a_leases.into_iter().chain([option::SERVER_ID, option::OVERLOAD]) {
        ensure!(reply.option(code).is_none(), "option {code} in a BOOTREPLY: {reply:?}");
    }
    let again = relay.exchange(&bootrequest(&client), PATIENCE)?;
    ensure!(again.yiaddr == reply.yiaddr, "{} became {}", reply.yiaddr, again.yiaddr);
    let known = relay.exchange(&query(&Key::Ip(reply.yiaddr)), PATIENCE)?;
    ensure!(known.kind() == kind::LEASEACTIVE, "{known:?}");
    ensure!(known.number(option::LEASE_TIME) == Some(u32::MAX), "{known:?}");
    Ok(())
}

// proves [H-58]
#[test]
fn a_bootreply_has_300_octets_and_what_the_relay_agent_takes_out_again() -> Result<()> {
    let (relay, words) = (relay_at(Place::Bootp)?, [1, 4, 0, 0, 0, 9]);
    for packet in [
        bootrequest(&client()),
        bootrequest(&client()).with(option::RELAY_AGENT, words),
        bootrequest(&client()).with(option::RELAY_AGENT, [7, 4, 1, 2, 3, 4].repeat(10)),
    ] {
        let packet = Packet { xid: fresh_xid(), giaddr: relay.giaddr(), ..packet };
        let reply = relay.exchange_octets(&packet.encode(), packet.xid)?;
        let words_len = packet.option(option::RELAY_AGENT).map_or(0, |words| 2 + words.len());
        let without = reply.len() - words_len;
        ensure!(reply.len() >= 300 && without <= 300, "{} octets", reply.len());
        let decoded = Packet::decode(&reply)?;
        let echoed = decoded.option(option::RELAY_AGENT);
        ensure!(echoed == packet.option(option::RELAY_AGENT), "{echoed:?}");
    }
    Ok(())
}

/// RFC 951 §3: the vendor area of who sent no cookie is not ours to write.
// proves [H-58]
#[test]
fn a_client_that_knows_of_no_options_gets_none() -> Result<()> {
    let relay = relay_at(Place::Bootp)?;
    let packet = Packet { xid: fresh_xid(), giaddr: relay.giaddr(), ..bootrequest(&client()) };
    let mut octets = packet.encode();
    octets[236..].fill(0);
    let reply = relay.exchange_octets(&octets, packet.xid)?;
    ensure!(reply.len() == 300 && reply[16..18] == [10, 42], "{reply:?}");
    ensure!(reply[236..].iter().all(|octet| *octet == 0), "{:?}", &reply[236..]);
    Ok(())
}

/// RFC 951 §7.3: a server by its name.
#[test]
fn a_bootp_client_that_wants_another_server_is_left_to_it() -> Result<()> {
    let relay = relay_at(Place::Bootp)?;
    let of = |name: &[u8]| Packet { sname: name.to_vec(), ..bootrequest(&client()) };
    relay.stays_silent(&of(b"other.example"))?;
    let reply = relay.exchange(&of(b"boot.example"), PATIENCE)?;
    ensure!(is_of(Place::Bootp, reply.yiaddr), "{}", reply.yiaddr);
    Ok(())
}

// proves [H-57]
#[test]
fn where_only_reserved_bootp_clients_are_served_others_are_not() -> Result<()> {
    let relay = relay_at(Place::BootpReserved)?;
    relay.stays_silent(&bootrequest(&client()))?;
    let known = Packet::new(kind::DISCOVER, RESERVED_MAC).without(option::MESSAGE_TYPE);
    let reply = relay.exchange(&known, PATIENCE)?;
    ensure!(reply.yiaddr == Ipv4Addr::new(10, 43, 0, 7), "{}", reply.yiaddr);
    ensure!(reply.file.starts_with(b"its.own\0"), "{:?}", reply.file);
    Ok(())
}

// proves [H-19]
#[test]
fn a_bootp_client_that_has_an_address_is_answered_there_though_a_relay_agent_asked() -> Result<()> {
    let (relay, server) = (relay_at_loopback()?, address()?);
    let own = SocketAddrV4::new(Ipv4Addr::new(127, 64, 0, 201), server.port() + 1);
    let itself = Relay::bind(own, server)?;
    let packet = Packet { ciaddr: *own.ip(), ..bootrequest(&client()) };
    let reply = wait::until("BOOTREPLY at ciaddr", PATIENCE, || {
        relay.send(&packet).ok()?;
        itself.receive(PATIENCE / 60).ok().flatten()
    })
    .context("a relay agent asked")?;
    ensure!(reply.ciaddr == *own.ip() && reply.yiaddr.is_unspecified(), "{reply:?}");
    Ok(())
}
