//! RFC 6926 §8.1 and §9: who is let in, and for how long.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use tests::packet::{Packet, kind};
use tests::requestor::{Key, bulk_query};
use tests::stream::Framing;
use tests::wait::{self, PATIENCE};

use crate::rfc6926::{LIMITED, site};
use crate::site::{STRANGER, Site, client, client_id, kinds, of, status};

/// BULK_LQ_MAX_CONNS, RFC 6926 §6.3.
const CONNECTIONS_MAX: usize = 10;

// proves [B-53]
#[test]
fn who_is_not_permitted_is_closed_out_at_once() -> Result<()> {
    let mut connection = site()?.open_from(STRANGER, Framing::Two)?;
    connection.expect_close()
}

// proves [B-14]
#[test]
fn a_kind_of_query_that_is_not_permitted_is_not_allowed() -> Result<()> {
    let site = site()?;
    let client = client();
    client.obtain(&site.first_link()?)?;
    let source = Ipv4Addr::new(127, 0, 4, 1);
    let mut connection = site.open_from(source, Framing::Two)?;
    let messages = connection.exchange(&bulk_query(&Key::Mac(client.mac)))?;
    ensure!(kinds(&messages) == [kind::LEASEACTIVE, kind::LEASEQUERYDONE], "{messages:?}");
    for key in [client_id(&client), Key::RelayId(vec![1]), Key::All] {
        let mut connection = site.open_from(source, Framing::Two)?;
        let messages = connection.exchange(&bulk_query(&key))?;
        ensure!(kinds(&messages) == [kind::LEASEQUERYDONE], "{key:?}: {messages:?}");
        let (code, _) = status(&messages[0]).context("a status")?;
        ensure!(code == 4, "{key:?}: NotAllowed is 4, not {code}");
    }
    Ok(())
}

/// Waits until the server counts this many connections.
fn until_open(site: &Site, count: usize) -> Result<()> {
    wait::until("number of connections", PATIENCE, || {
        let member = &site.cluster.members[0];
        let open = member.metric("leasehold_leasequery_connections", &[]).ok()?.unwrap_or(0.0);
        (open == count as f64).then_some(())
    })
}

/// Source address number `host` of requestors that are different ones to the server.
fn source(host: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 2, host as u8)
}

// proves [B-52]
#[test]
fn ten_connections_with_something_to_answer_are_kept_and_the_eleventh_is_closed() -> Result<()> {
    let site = Site::start("")?;
    let nobody = bulk_query(&Key::Mac(client().mac));
    let mut kept = Vec::new();
    for host in 1..=CONNECTIONS_MAX {
        let mut connection = site.open_from(source(host), Framing::Two)?;
        // Longer than what the kernel takes without the requestor's reading: it goes on and on.
        connection.ask(&bulk_query(&Key::All))?;
        connection.expect_message()?;
        kept.push(connection);
    }
    site.open_from(source(11), Framing::Two)?.expect_close().context("the eleventh")?;
    drop(kept.pop());
    until_open(&site, CONNECTIONS_MAX - 1)?;
    let mut connection = site.open_from(source(11), Framing::Two)?;
    connection.exchange(&nobody).context("in the place that became free")?;
    Ok(())
}

// proves [B-52]
#[test]
fn an_idle_connection_makes_room_for_a_new_one() -> Result<()> {
    let site = Site::start("")?;
    let nobody = bulk_query(&Key::Mac(client().mac));
    let mut kept = Vec::new();
    for host in 1..=CONNECTIONS_MAX {
        let mut connection = site.open_from(source(host), Framing::Two)?;
        connection.exchange(&nobody)?;
        kept.push(connection);
    }
    wait::until("place for the eleventh", PATIENCE, || {
        site.open_from(source(11), Framing::Two).ok()?.exchange(&nobody).ok()
    })?;
    // One of them had to go. The others, and none but them, are served.
    let served = kept.iter_mut().filter_map(|each| each.exchange(&nobody).ok()).count();
    ensure!(served + 1 == CONNECTIONS_MAX, "{served} of {CONNECTIONS_MAX} are still served");
    Ok(())
}

// proves [B-54]
// proves [B-58]
#[test]
fn a_connection_is_not_kept_for_nothing() -> Result<()> {
    let site = of(&LIMITED)?;
    let nobody = bulk_query(&Key::Mac(client().mac));
    let mut connection = site.open(Framing::Two)?;
    connection.exchange(&nobody)?;
    connection.expect_close().context("idle for the time that is configured")?;
    let half = Framing::Two.frame(&Packet { xid: 9, ..nobody.clone() }.encode_unpadded());
    for octets in [&half[..0], &half[..1], &half[..2], &half[..100]] {
        let mut connection = site.open(Framing::Two)?;
        connection.send(octets)?;
        connection.expect_close().with_context(|| format!("first {} octets", octets.len()))?;
    }
    let mut connection = site.open(Framing::Two)?;
    connection.exchange(&nobody)?;
    connection.send(&half[..100])?;
    connection.expect_close().context("half of a second query")
}

// proves [B-54]
#[test]
fn a_requestor_that_does_not_read_its_answer_is_dropped() -> Result<()> {
    let site = Site::start("rfc_data_timeout = \"1s\"\n")?;
    let mut connection = site.open(Framing::Two)?;
    connection.exchange(&bulk_query(&Key::Mac(client().mac)))?;
    until_open(&site, 1)?;
    connection.ask(&bulk_query(&Key::All))?;
    until_open(&site, 0)?;
    // The answer was cut: what can still be read has no end.
    let cut = loop {
        match connection.message() {
            Ok(Some(message)) if message.kind() == kind::LEASEQUERYDONE => break false,
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => break true,
        }
    };
    ensure!(cut, "the answer was complete, so nothing was blocked");
    Ok(())
}
