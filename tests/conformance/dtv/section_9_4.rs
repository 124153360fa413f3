//! draft-dtv §8.7 and §9.4: how connections end.

use anyhow::{Context, Result, ensure};
use tests::packet::{Packet, kind};
use tests::requestor::{Key, draft_bulk_query};
use tests::stream::Framing;

use crate::dtv::site;
use crate::site::{client, kinds, neighbour_of, relay_id};

// proves [D-53]
// proves [D-66]
#[test]
fn a_requestor_that_closes_its_end_after_its_queries_gets_the_answers_first() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let client = client();
    for _ in 0..20 {
        neighbour_of(&client).obtain(&relay)?;
    }
    let query = draft_bulk_query(&relay_id(&client));
    let frame = |xid| Framing::Four.frame(&Packet { xid, ..query.clone() }.encode_unpadded());
    let mut connection = site.open(Framing::Four)?;
    // Three of them in one piece, and the end right behind: nothing is answered before it.
    connection.send(&[frame(1), frame(2), frame(3)].concat())?;
    connection.half_close()?;
    let messages = connection.answers(&[1, 2, 3])?;
    for xid in 1..=3 {
        let own: Vec<Packet> = messages.iter().filter(|each| each.xid == xid).cloned().collect();
        ensure!(own.len() == 21, "{xid}: {:?}", kinds(&own));
        ensure!(own[20].kind() == kind::LEASEDONE, "{xid}: {:?}", kinds(&own));
    }
    connection.expect_close().context("after the answers")
}

// proves [D-52]
// proves [D-62]
#[test]
fn a_connection_serves_one_query_after_the_other() -> Result<()> {
    let site = site()?;
    let mut connection = site.open(Framing::Four)?;
    for _ in 0..50 {
        let messages = connection.exchange(&draft_bulk_query(&Key::Mac(client().mac)))?;
        ensure!(kinds(&messages) == [kind::LEASEUNKNOWN], "{messages:?}");
    }
    Ok(())
}
