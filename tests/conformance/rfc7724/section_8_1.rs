//! RFC 7724 §8.1 in insecure mode: explicit steps, and no TLS.

use std::sync::LazyLock;

use anyhow::{Context, Result, ensure};
use tests::packet::{Packet, kind, option};
use tests::requestor::{Key, active_query, bulk_query, tls_request};
use tests::stream::Framing;

use crate::rfc7724::{TLS_CONNECTION_REFUSED, ends_without_data, site};
use crate::site::{Shared, Site, client, of, status};

/// Active leasequery with nothing said about insecure mode, and without certificates.
static HALF_CONFIGURED: Shared =
    LazyLock::new(|| Site::start("\n[leasequery.active]\nenabled = true\n"));

/// Nothing about active leasequery.
static NOT_CONFIGURED: Shared = LazyLock::new(|| Site::start(""));

// proves
// proves
#[test]
fn it_takes_a_step_to_enable_it_and_another_one_to_do_so_without_tls() -> Result<()> {
    for shared in [&NOT_CONFIGURED, &HALF_CONFIGURED] {
        let site = of(shared)?;
        client().obtain(&site.first_link()?)?;
        for asked in [active_query(), active_query().with(option::QUERY_START_TIME, [0, 0, 0, 1])] {
            let mut connection = site.open(Framing::Two)?;
            connection.ask(&asked)?;
            ends_without_data(&mut connection)?;
        }
        // Bulk leasequery is another matter.
        let messages = site.ask(Framing::Two, &bulk_query(&Key::Mac(client().mac)))?;
        ensure!(messages.len() == 1, "{messages:?}");
    }
    Ok(())
}

// proves
// proves
// proves
#[test]
fn without_tls_a_request_for_it_is_refused_whatever_options_it_has() -> Result<()> {
    let site = site()?;
    for asked in [tls_request(), tls_request().with(option::CLIENT_ID, b"x".to_vec())] {
        let mut connection = site.open(Framing::Two)?;
        let xid = connection.ask(&asked)?;
        let reply: Packet = connection.expect_message()?;
        ensure!((reply.xid, reply.kind()) == (xid, kind::TLS), "{reply:?}");
        let (code, _) = status(&reply).context("a status")?;
        ensure!(code == TLS_CONNECTION_REFUSED, "{code}");
    }
    Ok(())
}

// proves
#[test]
fn a_message_that_has_no_business_on_the_connection_closes_it() -> Result<()> {
    let site = site()?;
    for message in [client().discover(), tests::requestor::query(&Key::Mac([2; 6]))] {
        let mut connection = site.open(Framing::Two)?;
        connection.ask(&message)?;
        connection.expect_close()?;
    }
    Ok(())
}
