//! draft-dtv §6 and §7.1: framing, and what may travel on the connection.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use tests::packet::{Packet, kind, option};
use tests::requestor::{Key, bulk_query, draft_bulk_query};
use tests::stream::Framing;

use crate::dtv::site;
use crate::site::{client, kinds};

// proves [D-02]
// proves [D-04]
// proves [D-05]
// proves [D-06]
#[test]
fn four_octets_precede_each_message_and_only_two_of_them_say_something() -> Result<()> {
    let site = site()?;
    let client = client();
    client.obtain(&site.first_link()?)?;
    let mut connection = site.open(Framing::Four)?;
    let xid = connection.ask(&draft_bulk_query(&Key::Mac(client.mac)))?;
    for expected in [kind::LEASEACTIVE, kind::LEASEDONE] {
        let prefix = connection.octets(4)?;
        let [high, low, 0, 0] = prefix[..] else { anyhow::bail!("a prefix of {prefix:?}") };
        let octets = connection.octets(usize::from(u16::from_be_bytes([high, low])))?;
        let message = Packet::decode(&octets)?;
        ensure!((message.xid, message.kind()) == (xid, expected), "{message:?}");
        let end = 240 + message.options.iter().map(|(_, value)| 2 + value.len()).sum::<usize>();
        ensure!(octets[end] == 255 && octets[end + 1..].iter().all(|octet| *octet == 0));
    }
    Ok(())
}

// proves [D-06]
#[test]
fn the_unused_octets_are_ignored_whatever_they_hold() -> Result<()> {
    let site = site()?;
    let nobody = draft_bulk_query(&Key::Mac(client().mac));
    for unused in [[0, 0], [0xab, 0xcd], [0x01, 0x01], [0xff, 0xff], [0x01, 0x06]] {
        let mut connection = site.open(Framing::Four)?;
        for (xid, unused) in [(1, unused), (2, [0, 0]), (3, unused)] {
            let mut frame = Framing::Four.frame(&Packet { xid, ..nobody.clone() }.encode());
            frame[2..4].copy_from_slice(&unused);
            connection.send(&frame)?;
            let messages =
                connection.answers(&[xid]).with_context(|| format!("{xid}: {unused:?}"))?;
            ensure!(kinds(&messages) == [kind::LEASEUNKNOWN], "{unused:?}: {messages:?}");
        }
    }
    Ok(())
}

// proves [D-04]
#[test]
fn a_query_may_arrive_octet_by_octet_and_queries_in_one_piece() -> Result<()> {
    let site = site()?;
    let nobody = draft_bulk_query(&Key::Mac(client().mac));
    let mut connection = site.open(Framing::Four)?;
    let frame = |xid| Framing::Four.frame(&Packet { xid, ..nobody.clone() }.encode_unpadded());
    for octet in frame(71) {
        connection.send(&[octet])?;
    }
    connection.answers(&[71])?;
    connection.send(&[frame(72), frame(73)].concat())?;
    connection.answers(&[72, 73])?;
    Ok(())
}

// proves [D-08]
// proves [D-09]
#[test]
fn a_message_that_has_no_business_on_the_connection_closes_it() -> Result<()> {
    let site = site()?;
    let client = client();
    let bare = draft_bulk_query(&Key::Mac(client.mac)).without(option::MESSAGE_TYPE);
    let mut messages = vec![client.discover(), client.inform(site.server_id()), bare.clone()];
    for message_type in [
        kind::BULKLEASEQUERY,
        kind::ACTIVELEASEQUERY,
        kind::TLS,
        kind::LEASEACTIVE,
        kind::LEASEDATA,
        kind::LEASEDONE,
        255,
    ] {
        messages.push(bare.clone().with(option::MESSAGE_TYPE, [message_type]));
    }
    for message in messages {
        let mut connection = site.open(Framing::Four)?;
        connection.ask(&message)?;
        connection.expect_close().with_context(|| format!("type {}", message.kind()))?;
    }
    Ok(())
}

/// The dialect of a connection is that of its first octets, or of the requestor's entry.
#[test]
fn both_documents_are_told_apart_on_one_port_and_an_entry_overrules_the_octets() -> Result<()> {
    let site = site()?;
    let client = client();
    client.obtain(&site.first_link()?)?;
    let (rfc, draft) = (bulk_query(&Key::Mac(client.mac)), draft_bulk_query(&Key::Mac(client.mac)));
    let rfc_answer = [kind::LEASEACTIVE, kind::LEASEQUERYDONE];
    let draft_answer = [kind::LEASEACTIVE, kind::LEASEDONE];
    let (by_rfc, by_draft) = (Ipv4Addr::new(127, 0, 5, 1), Ipv4Addr::new(127, 0, 6, 1));
    for source in [Ipv4Addr::LOCALHOST, by_rfc] {
        let messages = site.open_from(source, Framing::Two)?.exchange(&rfc)?;
        ensure!(kinds(&messages) == rfc_answer, "{source}: {messages:?}");
    }
    for source in [Ipv4Addr::LOCALHOST, by_draft] {
        let messages = site.open_from(source, Framing::Four)?.exchange(&draft)?;
        ensure!(kinds(&messages) == draft_answer, "{source}: {messages:?}");
    }
    for (source, framing, query) in
        [(by_rfc, Framing::Four, &draft), (by_draft, Framing::Two, &rfc)]
    {
        let mut connection = site.open_from(source, framing)?;
        connection.ask(query)?;
        connection.expect_close().with_context(|| source.to_string())?;
    }
    Ok(())
}
