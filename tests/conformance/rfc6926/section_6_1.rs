//! RFC 6926 §5 and §6.1: how messages stand in the stream.

use anyhow::{Context, Result, ensure};
use tests::client::fresh_xid;
use tests::packet::{Packet, kind, option};
use tests::requestor::{Key, bulk_query, query};
use tests::stream::Framing;

use crate::rfc6926::site;
use crate::site::client;

// proves [B-02]
#[test]
fn a_query_may_arrive_octet_by_octet_and_queries_in_one_piece() -> Result<()> {
    let site = site()?;
    let nobody = bulk_query(&Key::Mac(client().mac));
    let mut connection = site.open(Framing::Two)?;
    let frame = |xid| Framing::Two.frame(&Packet { xid, ..nobody.clone() }.encode_unpadded());
    for octet in frame(71) {
        connection.send(&[octet])?;
    }
    connection.answers(&[71])?;
    connection.send(&[frame(72), frame(73)].concat())?;
    connection.answers(&[72, 73])?;
    Ok(())
}

// proves [B-01]
// proves [B-02]
#[test]
fn two_octets_say_the_size_of_the_message_without_themselves() -> Result<()> {
    let site = site()?;
    let client = client();
    let address = client.obtain(&site.first_link()?)?.yiaddr;
    let mut connection = site.open(Framing::Two)?;
    let xid = connection.ask(&bulk_query(&Key::Mac(client.mac)))?;
    for expected in [kind::LEASEACTIVE, kind::LEASEQUERYDONE] {
        let prefix = connection.octets(2)?;
        let size = u16::from_be_bytes(prefix.try_into().ok().context("a prefix")?);
        let octets = connection.octets(usize::from(size))?;
        let message = Packet::decode(&octets)?;
        ensure!((message.op, message.xid, message.kind()) == (2, xid, expected), "{message:?}");
        // Nothing of the next frame: what stands behind the End option can only be padding.
        let end = 240 + message.options.iter().map(|(_, value)| 2 + value.len()).sum::<usize>();
        ensure!(octets[end] == 255 && octets[end + 1..].iter().all(|octet| *octet == 0));
        if expected == kind::LEASEACTIVE {
            ensure!(message.ciaddr == address, "{message:?}");
        }
    }
    Ok(())
}

// proves [B-03]
#[test]
fn the_bare_form_is_no_form_over_tcp_nor_the_framed_one_over_udp() -> Result<()> {
    let site = site()?;
    let mut connection = site.open(Framing::Two)?;
    connection.send(&bulk_query(&Key::Mac(client().mac)).encode())?;
    connection.expect_close()?;

    let relay = site.first_link()?;
    let address = client().obtain(&relay)?.yiaddr;
    let (xid, giaddr) = (fresh_xid(), relay.giaddr());
    let datagram = Packet { xid, giaddr, ..query(&Key::Ip(address)) }.encode();
    let framed = Framing::Two.frame(&datagram);
    ensure!(relay.answer_if_any_to_octets(&framed, xid)?.is_none(), "framed, over UDP");
    ensure!(relay.answer_if_any_to_octets(&datagram, xid)?.is_some(), "bare, over UDP");
    let bulk = Packet { xid: xid + 1, giaddr, ..bulk_query(&Key::Mac([0; 6])) }.encode();
    ensure!(relay.answer_if_any_to_octets(&bulk, xid + 1)?.is_none(), "a bulk query over UDP");
    Ok(())
}

// proves [B-04]
// proves [B-05]
#[test]
fn a_message_that_has_no_business_on_the_connection_closes_it() -> Result<()> {
    let site = site()?;
    let client = client();
    let server = site.server_id();
    let mut messages = vec![
        client.discover(),
        client.request_reboot(server),
        client.inform(server),
        client.release(server, server),
        query(&Key::Mac(client.mac)),
        bulk_query(&Key::All).without(option::MESSAGE_TYPE),
    ];
    for unheard_of in [0, 9, kind::LEASEACTIVE, kind::LEASEQUERYDONE, 19, 255] {
        let bare = bulk_query(&Key::All).without(option::MESSAGE_TYPE);
        messages.push(bare.with(option::MESSAGE_TYPE, [unheard_of]));
    }
    for message in messages {
        let mut connection = site.open(Framing::Two)?;
        connection.ask(&message)?;
        connection.expect_close().with_context(|| format!("type {}", message.kind()))?;
    }
    Ok(())
}

#[test]
fn a_size_that_no_message_has_closes_the_connection() -> Result<()> {
    let site = site()?;
    for size in [0, 1, 239] {
        let mut connection = site.open(Framing::Two)?;
        // What every query begins with, so that the dialect is known at once.
        let mut octets = [Framing::Two.prefix(size), vec![1, 1, 6]].concat();
        octets.resize(2 + usize::from(size).max(8), 0);
        connection.send(&octets)?;
        connection.expect_close().with_context(|| format!("size {size}"))?;
    }
    Ok(())
}
