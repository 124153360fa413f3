//! draft-dtv §8.6 and §9.3: several queries on one connection.

use anyhow::{Context, Result, ensure};
use tests::requestor::{Key, draft_bulk_query};
use tests::stream::Framing;

use crate::dtv::site;
use crate::site::{addresses, client, neighbour_of, relay_id};

// proves [D-50]
// proves [D-59]
// proves [D-60]
// proves [D-61]
#[test]
fn queries_sent_at_once_are_all_answered_and_told_apart_by_xid() -> Result<()> {
    let site = site()?;
    let relay = site.first_link()?;
    let mut connection = site.open(Framing::Four)?;
    let mut asked = Vec::new();
    for _ in 0..12 {
        let client = client();
        let mut expected = vec![client.obtain(&relay)?.yiaddr];
        expected.push(neighbour_of(&client).obtain(&relay)?.yiaddr);
        expected.sort_unstable();
        asked.push((relay_id(&client), expected));
    }
    let mut xids = Vec::new();
    for (key, _) in &asked {
        xids.push(connection.ask(&draft_bulk_query(key))?);
    }
    let unheard_of = connection.ask(&draft_bulk_query(&Key::RelayId(b"nobody".to_vec())))?;
    let messages = connection.answers(&[&xids[..], &[unheard_of]].concat())?;
    for (xid, (key, expected)) in xids.iter().zip(asked) {
        let own: Vec<_> = messages.iter().filter(|each| each.xid == *xid).cloned().collect();
        ensure!(addresses(&own) == expected, "{key:?}: {own:?}");
    }
    let own = messages.iter().find(|each| each.xid == unheard_of);
    own.context("no answer to the last one")?;
    Ok(())
}
