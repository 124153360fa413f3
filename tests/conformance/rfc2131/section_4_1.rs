//! RFC 2131 §4.1: where replies go, and how options are read and written.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

use anyhow::{Context, Result, ensure};
use tests::client::fresh_xid;
use tests::packet::{Packet, kind, option};
use tests::wait::PATIENCE;

use crate::fixture::{client, is};
use crate::places::{Place, address, from_its_own_address, relay_at, relay_at_loopback, server_id};

/// What an IP and a UDP header take of a datagram.
const HEADERS_LEN: usize = 28;
const BROADCAST: u16 = 0x8000;

// proves [H-12]
#[test]
fn a_reply_goes_to_giaddr_wherever_the_message_came_from() -> Result<()> {
    let relay = relay_at(Place::Plain)?;
    let elsewhere = UdpSocket::bind((Ipv4Addr::new(127, 0, 200, 1), 0))?;
    let discover = client().discover();
    let packet = Packet { xid: fresh_xid(), giaddr: relay.giaddr(), flags: BROADCAST, ..discover };
    elsewhere.send_to(&packet.encode(), address()?)?;
    let reply = relay.receive(PATIENCE)?.context("nothing at giaddr")?;
    ensure!(reply.xid == packet.xid && reply.kind() == kind::OFFER, "{reply:?}");
    elsewhere.set_nonblocking(true)?;
    ensure!(elsewhere.recv(&mut [0; 2048]).is_err(), "the source was answered, too");
    Ok(())
}

// proves [H-12]
#[test]
fn behind_a_relay_agent_ciaddr_is_not_looked_at() -> Result<()> {
    let (relay, client) = (relay_at(Place::Plain)?, client());
    let held = client.obtain(&relay)?.yiaddr;
    for flags in [0, BROADCAST] {
        let rebind = Packet { flags, ..client.request_extension(held) };
        is(&relay.exchange(&rebind, PATIENCE)?, kind::ACK)?;
    }
    Ok(())
}

// proves [H-13]
// proves [H-49]
#[test]
fn a_renewal_is_answered_at_ciaddr_from_the_address_that_it_was_sent_to() -> Result<()> {
    let (relay, client) = (relay_at_loopback()?, client());
    let held = client.obtain(&relay)?.yiaddr;
    for flags in [0, BROADCAST] {
        let renewal = Packet { flags, ..client.request_extension(held) };
        let ack = from_its_own_address(held, &renewal)?;
        is(&ack, kind::ACK)?;
        ensure!(ack.yiaddr == held && ack.ciaddr == held && ack.flags == flags, "{ack:?}");
        ensure!(ack.address(option::SERVER_ID) == Some(server_id()?), "{ack:?}");
    }
    let server = address()?;
    let socket = UdpSocket::bind(SocketAddrV4::new(held, server.port() + 1))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let renewal = Packet { xid: fresh_xid(), ..client.request_extension(held) };
    socket.send_to(&renewal.encode(), server)?;
    let (_, from) = socket.recv_from(&mut [0; 2048])?;
    ensure!(from == server.into(), "from {from}");
    Ok(())
}

/// A DISCOVER whose `file` or `sname` hold options; option 52 says which.
fn overloaded(overload: u8, file: &[u8], sname: &[u8]) -> Packet {
    let discover = client().discover().without(option::PARAMETERS);
    let discover = discover.with(option::OVERLOAD, [overload]);
    Packet { file: file.to_vec(), sname: sname.to_vec(), ..discover }
}

// proves [H-05]
#[test]
fn options_are_read_from_file_and_sname_if_option_52_says_so() -> Result<()> {
    let relay = relay_at(Place::Plain)?;
    let wanted = Ipv4Addr::new(10, Place::Plain as u8, 201, 7);
    let mut asks = vec![option::REQUESTED_ADDRESS, 4];
    asks.extend(wanted.octets());
    asks.push(255);
    for (packet, is_read) in [
        (overloaded(1, &asks, &[]), true),
        (overloaded(2, &[], &asks), true),
        (overloaded(3, &[255], &asks), true),
        (overloaded(1, &[255], &asks), false),
    ] {
        let offer = relay.exchange(&packet, PATIENCE)?;
        is(&offer, kind::OFFER)?;
        ensure!((offer.yiaddr == wanted) == is_read, "{} for {packet:?}", offer.yiaddr);
        // Another client took the offer, or the next one would not be offered the same.
        let other = Packet::new(kind::REQUEST, packet.chaddr[..6].try_into()?);
        let id = packet.option(option::CLIENT_ID).unwrap_or_default();
        let other = other.with(option::CLIENT_ID, id).with(option::SERVER_ID, [203, 0, 113, 1]);
        relay.stays_silent(&other.with(option::REQUESTED_ADDRESS, wanted.octets()))?;
    }
    Ok(())
}

// proves [H-06]
#[test]
fn a_parameter_request_list_in_two_parts_is_one_list() -> Result<()> {
    let relay = relay_at(Place::Parameters)?;
    let discover = client().discover().without(option::PARAMETERS);
    let discover = discover.with(option::PARAMETERS, [114]).with(option::PARAMETERS, [137]);
    let offer = relay.exchange(&discover, PATIENCE)?;
    let order: Vec<u8> = offer.options.iter().map(|(code, _)| *code).collect();
    let place = |code| order.iter().position(|each| *each == code);
    ensure!(place(114).is_some() && place(114) < place(137), "{order:?}");
    Ok(())
}

/// Octets of the offer to a client that asks for everything, and what it is.
fn offer_len(relay: &tests::client::Relay, largest: Option<u16>) -> Result<(usize, Packet)> {
    let all: Vec<u8> = (1..=254).collect();
    let mut discover = client().discover().without(option::PARAMETERS);
    if let Some(largest) = largest {
        discover = discover.with(57, largest.to_be_bytes());
    }
    // The last 100 codes would be too many for a client of today; the first 150 are in use.
    let discover = discover.with(option::PARAMETERS, &all[..212]);
    let packet = Packet { xid: fresh_xid(), giaddr: relay.giaddr(), ..discover };
    let octets = relay.exchange_octets(&packet.encode(), packet.xid)?;
    Ok((octets.len(), Packet::decode(&octets)?))
}

// proves [H-07]
#[test]
fn a_reply_is_as_long_as_the_client_takes_and_no_longer() -> Result<()> {
    let relay = relay_at(Place::Parameters)?;
    let (usual, _) = offer_len(&relay, None)?;
    ensure!(usual <= 576 - HEADERS_LEN, "{usual} octets without option 57");
    let (least, _) = offer_len(&relay, Some(576))?;
    ensure!(least <= 576 - HEADERS_LEN, "{least} octets for 576");
    // RFC 2132 §9.10: the legal minimum is 576, whatever the client says.
    let (small, offer) = offer_len(&relay, Some(300))?;
    ensure!(small > 300 && small <= 576 - HEADERS_LEN, "{small} octets for 300");
    ensure!(offer.option(option::LEASE_TIME).is_some(), "{offer:?}");
    let (large, offer) = offer_len(&relay, Some(1500))?;
    ensure!(large > 576 && large <= 1500 - HEADERS_LEN, "{large} octets for 1500");
    ensure!(offer.option(43).is_some_and(|value| value.len() > 255), "{offer:?}");
    Ok(())
}

/// Ensures that the fields that option 52 names begin with options, end with End and are filled with Pad.
fn ends_whole(overload: u8, offer: &Packet) -> Result<()> {
    ensure!((1..=3).contains(&overload), "option 52 is {overload}");
    for (bit, field) in [(1, &offer.file), (2, &offer.sname)] {
        let mut rest = &field[..];
        if overload & bit == 0 {
            continue;
        }
        while let [code, length, tail @ ..] = rest {
            if *code == 255 {
                break;
            }
            ensure!(tail.len() >= usize::from(*length), "option {code} leaves its field");
            rest = &tail[usize::from(*length)..];
        }
        ensure!(rest.first() == Some(&255), "no End: {field:?}");
        ensure!(rest[1..].iter().all(|octet| *octet == 0), "no Pad after End: {field:?}");
    }
    Ok(())
}

// proves [H-03]
// proves [H-04]
#[test]
fn what_does_not_fit_goes_into_sname_and_file_whole() -> Result<()> {
    let relay = relay_at(Place::Parameters)?;
    let (_, roomy) = offer_len(&relay, Some(1500))?;
    ensure!(roomy.option(option::OVERLOAD).is_none(), "{roomy:?}");
    let mut spilled = 0;
    for largest in (640..1000).step_by(20) {
        let (len, offer) = offer_len(&relay, Some(largest))?;
        ensure!(len <= usize::from(largest) - HEADERS_LEN, "{len} octets for {largest}");
        if let Some(overload) = offer.option(option::OVERLOAD) {
            ends_whole(overload[0], &offer)?;
            // The decoder looks into the fields that option 52 names and no others.
            ensure!(offer.option(43) == roomy.option(43), "{largest}: {offer:?}");
            spilled += 1;
        }
    }
    ensure!(spilled > 0, "nothing ever spills over");
    Ok(())
}

// proves [H-10]
#[test]
fn replies_are_as_long_as_bootp_wants_and_requests_may_be_shorter() -> Result<()> {
    let relay = relay_at(Place::Plain)?;
    let packet = Packet { xid: fresh_xid(), giaddr: relay.giaddr(), ..client().discover() };
    let short = packet.encode_unpadded();
    ensure!(short.len() < 300, "the request is not short");
    let reply = relay.exchange_octets(&short, packet.xid)?;
    ensure!(reply.len() >= 300, "{} octets", reply.len());
    Ok(())
}
