//! RFC 6926 §7.7 and §8.4: several queries on one connection.

use anyhow::{Context, Result, ensure};
use tests::packet::{Packet, kind};
use tests::requestor::{Key, bulk_query};
use tests::stream::Framing;

use crate::rfc6926::site;
use crate::site::{addresses, client, configured};

/// The transaction ids of the messages that end an answer, in order.
fn order_of_ends(messages: &[Packet]) -> Vec<u32> {
    let ends = messages.iter().filter(|message| message.kind() == kind::LEASEQUERYDONE);
    ends.map(|message| message.xid).collect()
}

// proves [B-55]
// proves [B-57]
#[test]
fn a_short_answer_does_not_wait_for_the_end_of_a_long_one() -> Result<()> {
    let site = site()?;
    let client = client();
    let address = client.obtain(&site.first_link()?)?.yiaddr;
    let mut connection = site.open(Framing::Two)?;
    let long = connection.ask(&bulk_query(&Key::All))?;
    let short = connection.ask(&bulk_query(&Key::Mac(client.mac)))?;
    let messages = connection.answers(&[long, short])?;
    ensure!(order_of_ends(&messages) == [short, long], "the short one came second");
    let (short, long): (Vec<Packet>, Vec<Packet>) =
        messages.into_iter().partition(|message| message.xid == short);
    ensure!(addresses(&short) == [address], "{short:?}");
    ensure!(addresses(&long) == configured(), "{} addresses", long.len());
    Ok(())
}

// proves [B-55]
// proves [B-56]
#[test]
fn more_queries_than_are_answered_at_once_are_answered_all_the_same() -> Result<()> {
    let site = site()?;
    let clients: Vec<_> = (0..20).map(|_| client()).collect();
    let relay = site.first_link()?;
    let mut connection = site.open(Framing::Two)?;
    let mut asked = Vec::new();
    for client in &clients {
        let address = client.obtain(&relay)?.yiaddr;
        asked.push((connection.ask(&bulk_query(&Key::Mac(client.mac)))?, address));
    }
    let xids: Vec<u32> = asked.iter().map(|(xid, _)| *xid).collect();
    let messages = connection.answers(&xids)?;
    for (xid, address) in asked {
        let about = messages.iter().find(|message| message.xid == xid).context("no answer")?;
        ensure!(about.ciaddr == address, "{xid:#x}: {about:?}");
    }
    Ok(())
}
