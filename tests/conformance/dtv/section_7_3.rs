//! draft-dtv §5 and §7.3: the query types and what each finds.

use anyhow::{Result, ensure};
use tests::client::Client;
use tests::packet::{Packet, kind, option};
use tests::requestor::{Key, RELAY_ID, REMOTE_ID, draft_bulk_query, sub_option};
use tests::stream::Framing;
use tests::wait::PATIENCE;

use crate::dtv::{answer, site};
use crate::site::{addresses, client, client_id, kinds, relay_id, remote_id};

// proves [D-10]
// proves [D-11]
// proves [D-18]
#[test]
fn every_key_finds_the_active_leases() -> Result<()> {
    let site = site()?;
    let client = client();
    let one = client.obtain(&site.first_link()?)?.yiaddr;
    let two = client.obtain(&site.second_link()?)?.yiaddr;
    let found = |key: Key| -> Result<Vec<std::net::Ipv4Addr>> {
        let messages = answer(&key)?;
        ensure!(messages[0].kind() == kind::LEASEACTIVE, "{key:?}: {messages:?}");
        Ok(addresses(&messages))
    };
    ensure!(found(Key::Ip(one))? == [one], "by address");
    for key in [Key::Mac(client.mac), client_id(&client), relay_id(&client), remote_id(&client)] {
        ensure!(found(key.clone())? == [one, two], "{key:?}");
    }
    Ok(())
}

// proves [D-10]
// proves [D-20]
// proves [D-21]
#[test]
fn what_nobody_ever_heard_of_is_unknown() -> Result<()> {
    let nobody = client();
    for key in [
        Key::Ip("203.0.113.9".parse()?),
        Key::Mac(nobody.mac),
        client_id(&nobody),
        relay_id(&nobody),
        remote_id(&nobody),
    ] {
        let messages = answer(&key)?;
        ensure!(kinds(&messages) == [kind::LEASEUNKNOWN], "{key:?}: {messages:?}");
    }
    Ok(())
}

// proves [D-16]
// proves [D-19]
// proves [D-21]
#[test]
fn an_identifier_whose_leases_have_ended_is_unassigned_and_stays_known() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let client = client();
    let address = client.obtain(&relay)?.yiaddr;
    site.release(&relay, &client, address)?;
    for key in [Key::Ip(address), relay_id(&client), remote_id(&client)] {
        let messages = answer(&key)?;
        ensure!(kinds(&messages) == [kind::LEASEUNASSIGNED], "{key:?}: {messages:?}");
    }
    // RFC 4388 §5 for these two: UNKNOWN, whether they were known once or not.
    for key in [Key::Mac(client.mac), client_id(&client)] {
        let messages = answer(&key)?;
        ensure!(kinds(&messages) == [kind::LEASEUNKNOWN], "{key:?}: {messages:?}");
    }
    Ok(())
}

// proves [D-17]
#[test]
fn the_most_recent_identifiers_count() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let before = client();
    let address = before.obtain(&relay)?.yiaddr;
    let moved = Client { relay_agent: client().relay_agent, ..before.clone() };
    let ack = relay.exchange(&moved.request_extension(address), PATIENCE)?;
    ensure!(ack.kind() == kind::ACK, "{ack:?}");
    for key in [relay_id(&moved), remote_id(&moved)] {
        ensure!(addresses(&answer(&key)?) == [address], "{key:?}");
    }
    for key in [relay_id(&before), remote_id(&before)] {
        let messages = answer(&key)?;
        ensure!(kinds(&messages) == [kind::LEASEUNASSIGNED], "{key:?}: {messages:?}");
    }
    Ok(())
}

/// A query by an identifier of the relay agent holds nothing else.
// proves [D-12]
// proves [D-13]
// proves [D-22]
#[test]
fn a_query_with_several_keys_or_none_is_malformed() -> Result<()> {
    let site = site()?;
    let client = client();
    let address = client.obtain(&site.first_link()?)?.yiaddr;
    let relay_82 = sub_option(RELAY_ID, b"a");
    let both_82 = [relay_82.clone(), sub_option(REMOTE_ID, b"b")].concat();
    let by_relay = draft_bulk_query(&Key::RelayId(b"a".to_vec()));
    let mac = draft_bulk_query(&Key::Mac(client.mac));
    for query in [
        draft_bulk_query(&Key::All),
        draft_bulk_query(&Key::All).with(option::RELAY_AGENT, both_82),
        Packet { ciaddr: address, ..by_relay.clone() },
        by_relay.with(option::CLIENT_ID, b"id".to_vec()),
        mac.with(option::RELAY_AGENT, relay_82),
    ] {
        let messages = site.ask(Framing::Four, &query)?;
        ensure!(kinds(&messages) == [kind::LEASEQUERYFAIL], "{query:?}: {messages:?}");
        let status = messages[0].option(option::DRAFT_STATUS_CODE).unwrap_or_default();
        ensure!(status.starts_with(&[0, 3]), "MalformedQuery is 3: {query:?}: {status:?}");
    }
    Ok(())
}
