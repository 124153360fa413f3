//! RFC 7724 §7.4 and §8.4: how connections end.

use anyhow::{Context, Result, ensure};
use tests::packet::{kind, option};
use tests::requestor::active_query;
use tests::stream::Framing;

use crate::rfc7724::{CONNECTION_ACTIVE, QUERY_TERMINATED, active, until_status};
use crate::site::{Site, status};

// proves
#[test]
fn a_requestor_that_closes_its_end_is_closed_out() -> Result<()> {
    let mut connection = active()?;
    connection.half_close()?;
    while connection.message()?.is_some() {}
    Ok(())
}

// proves
// proves
#[test]
fn a_server_that_ends_says_so_with_its_time_and_closes() -> Result<()> {
    let mut site = Site::start(
        "\n[leasequery.active]\nenabled = true\ninsecure = true\nidle_timeout = \"1s\"\n",
    )?;
    let mut connection = site.open(Framing::Two)?;
    connection.ask(&active_query())?;
    until_status(&mut connection, CONNECTION_ACTIVE)?;
    let before = site.now()?;
    site.cluster.members[0].stop()?;
    let mut last = None;
    while let Some(message) = connection.message()? {
        last = Some(message);
    }
    let last = last.context("closed without a word")?;
    ensure!(last.kind() == kind::LEASEQUERYSTATUS, "{last:?}");
    ensure!(status(&last).is_some_and(|(code, _)| code == QUERY_TERMINATED), "{last:?}");
    let base = last.number(option::BASE_TIME).context("base-time")?;
    ensure!((before..=site.now()?).contains(&base), "{base} is not now");
    Ok(())
}
