//! RFC 7724 §7.1, §8.2 and §8.3: what a query may not have, and what may not stand beside it.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use tests::packet::{Packet, kind, option};
use tests::requestor::{Key, active_query, bulk_query};
use tests::stream::Framing;

use crate::rfc7724::{MALFORMED_QUERY, active, site, until};
use crate::site::{client, status};

// proves
// proves
// proves
#[test]
fn a_query_with_an_end_or_a_key_is_malformed_and_ends_the_connection() -> Result<()> {
    let site = site()?;
    let later = (site.now()? + 60).to_be_bytes();
    let plain = active_query();
    for asked in [
        plain.clone().with(option::QUERY_END_TIME, later),
        plain.clone().with(option::CLIENT_ID, b"somebody".to_vec()),
        Packet { ciaddr: Ipv4Addr::new(10, 16, 1, 9), ..plain.clone() },
        Packet { htype: 1, hlen: 6, chaddr: [2; 16], ..plain },
    ] {
        let mut connection = site.open(Framing::Two)?;
        connection.ask(&asked)?;
        let reply = connection.expect_message()?;
        ensure!(reply.kind() == kind::LEASEQUERYSTATUS, "{asked:?}: {reply:?}");
        let (code, _) = status(&reply).context("a status")?;
        ensure!(code == MALFORMED_QUERY, "{asked:?}: {code}");
        connection.expect_close().with_context(|| format!("{asked:?}"))?;
    }
    Ok(())
}

// proves
// proves
#[test]
fn nothing_else_may_be_asked_on_the_connection() -> Result<()> {
    for second in [active_query(), bulk_query(&Key::Mac(client().mac))] {
        let mut connection = active()?;
        let xid = connection.ask(&second)?;
        // Changes of other tests' clients may be told before.
        let refusal = until(&mut connection, "refusal", |message| message.xid == xid)?;
        let ends = matches!(refusal.kind(), kind::LEASEQUERYSTATUS | kind::LEASEQUERYDONE);
        ensure!(ends && status(&refusal).is_some_and(|(code, _)| code != 0), "{refusal:?}");
    }
    Ok(())
}

// proves
#[test]
fn a_bulk_query_runs_beside_it_on_a_connection_of_its_own() -> Result<()> {
    let site = site()?;
    let _active = active()?;
    let client = client();
    client.obtain(&site.first_link()?)?;
    let messages = site.ask(Framing::Two, &bulk_query(&Key::Mac(client.mac)))?;
    ensure!(messages.len() == 2, "{messages:?}");
    Ok(())
}
