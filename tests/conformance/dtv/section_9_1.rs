//! draft-dtv §9.1: who is let in, and for how long.

use anyhow::{Context, Result};
use tests::packet::Packet;
use tests::requestor::{Key, draft_bulk_query};
use tests::stream::Framing;

use crate::dtv::{LIMITED, site};
use crate::site::{STRANGER, Site, client, of};

/// BULK_LQ_MAX_CONNS, draft-dtv §7.5.
const CONNECTIONS_MAX: usize = 10;

// proves [D-55]
// proves [D-56]
#[test]
fn who_is_not_permitted_is_closed_out_at_once() -> Result<()> {
    site()?.open_from(STRANGER, Framing::Four)?.expect_close()
}

// proves [D-54]
// proves [D-67]
#[test]
fn ten_connections_are_kept_and_the_eleventh_is_closed() -> Result<()> {
    let site = Site::start("")?;
    let nobody = draft_bulk_query(&Key::Mac(client().mac));
    let mut kept = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        let mut connection = site.open(Framing::Four)?;
        connection.exchange(&nobody)?;
        kept.push(connection);
    }
    site.open(Framing::Four)?.expect_close().context("the eleventh")?;
    for connection in &mut kept {
        connection.exchange(&nobody).context("one of the ten")?;
    }
    Ok(())
}

// proves [D-58]
// proves [D-63]
#[test]
fn a_connection_is_not_kept_for_nothing() -> Result<()> {
    let site = of(&LIMITED)?;
    let nobody = draft_bulk_query(&Key::Mac(client().mac));
    let mut connection = site.open(Framing::Four)?;
    connection.exchange(&nobody)?;
    connection.expect_close().context("idle for the time that is configured")?;
    let half = Framing::Four.frame(&Packet { xid: 9, ..nobody.clone() }.encode_unpadded());
    for octets in [&half[..0], &half[..3], &half[..4], &half[..100]] {
        let mut connection = site.open(Framing::Four)?;
        connection.send(octets)?;
        connection.expect_close().with_context(|| format!("first {} octets", octets.len()))?;
    }
    let mut connection = site.open(Framing::Four)?;
    connection.exchange(&nobody)?;
    connection.send(&half[..100])?;
    connection.expect_close().context("half of a second query")
}
