//! RFC 6926 §8.5: how connections end.

use anyhow::{Context, Result, ensure};
use tests::packet::kind;
use tests::requestor::{Key, bulk_query};
use tests::stream::Framing;

use crate::rfc6926::site;
use crate::site::{Site, client, status};

/// QueryTerminated, RFC 6926 §6.2.2.
const QUERY_TERMINATED: u8 = 2;

// proves [B-61]
#[test]
fn a_requestor_that_closes_its_end_is_closed_out() -> Result<()> {
    let site = site()?;
    let mut connection = site.open(Framing::Two)?;
    connection.exchange(&bulk_query(&Key::Mac(client().mac)))?;
    connection.half_close()?;
    connection.expect_close().context("after an answer")?;
    let mut connection = site.open(Framing::Two)?;
    connection.half_close()?;
    connection.expect_close().context("without any query")
}

// proves [B-59]
// proves [B-50]
#[test]
fn a_connection_serves_one_query_after_the_other() -> Result<()> {
    let site = site()?;
    let mut connection = site.open(Framing::Two)?;
    for _ in 0..50 {
        let messages = connection.exchange(&bulk_query(&Key::Mac(client().mac)))?;
        ensure!(messages.len() == 1, "{messages:?}");
    }
    Ok(())
}

// proves [B-60]
#[test]
fn a_server_that_ends_says_that_the_query_is_terminated() -> Result<()> {
    let mut site = Site::start("")?;
    let mut connection = site.open(Framing::Two)?;
    // So much that it cannot all be under way: the query is in process when the server ends.
    connection.ask(&bulk_query(&Key::All))?;
    let first = connection.expect_message()?;
    let member = &mut site.cluster.members[0];
    let stopping = std::thread::scope(|scope| -> Result<_> {
        let stopped = scope.spawn(|| member.stop());
        let mut last = first;
        while let Some(message) = connection.message()? {
            last = message;
        }
        stopped.join().expect("no panic")?;
        Ok(last)
    })?;
    ensure!(stopping.kind() == kind::LEASEQUERYDONE, "{stopping:?}");
    let (code, text) = status(&stopping).context("a status")?;
    ensure!(code == QUERY_TERMINATED && !text.is_empty(), "{code} {text:?}");
    Ok(())
}
