//! RFC 7724: Active DHCPv4 Lease Query.

mod section_7_4;
mod section_8_1;
mod section_8_2;
mod section_8_4;
mod tls;

use std::net::Ipv4Addr;
use std::sync::LazyLock;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use tests::packet::{Packet, kind, option};
use tests::requestor::active_query;
use tests::stream::{Connection, Framing};
use tests::wait::PATIENCE;

use crate::site::{Shared, Site, status};

/// Status codes of RFC 6926 §6.2.2 and RFC 7724 §5.2.2.
const QUERY_TERMINATED: u8 = 2;
const MALFORMED_QUERY: u8 = 3;
const DATA_MISSING: u8 = 5;
const CONNECTION_ACTIVE: u8 = 6;
const CATCH_UP_COMPLETE: u8 = 7;
const TLS_CONNECTION_REFUSED: u8 = 8;

/// Insecure mode, with a keep-alive as often as can be and a history of a minute.
static SITE: Shared = LazyLock::new(|| {
    Site::start(
        r#"max_connections = 500
max_connections_per_requestor = 500

[leasequery.active]
enabled = true
insecure = true
idle_timeout = "1s"
history = "1m"
"#,
    )
});

fn site() -> Result<&'static Site> {
    crate::site::of(&SITE)
}

/// The next message for which `wanted` holds; others are about other tests' clients.
fn until<S: std::io::Read + std::io::Write>(
    connection: &mut Connection<S>,
    what: &str,
    wanted: impl Fn(&Packet) -> bool,
) -> Result<Packet> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        let message = connection.expect_message()?;
        if wanted(&message) {
            return Ok(message);
        }
    }
    bail!("after {PATIENCE:?}: still no {what}")
}

/// Waits for a status with this code.
fn until_status<S: std::io::Read + std::io::Write>(
    connection: &mut Connection<S>,
    code: u8,
) -> Result<Packet> {
    until(connection, &format!("status {code}"), |message| {
        message.kind() == kind::LEASEQUERYSTATUS
            && status(message).is_some_and(|(it, _)| it == code)
    })
}

/// Waits for a message of this type about this address.
fn until_told<S: std::io::Read + std::io::Write>(
    connection: &mut Connection<S>,
    message_type: u8,
    address: Ipv4Addr,
) -> Result<Packet> {
    until(connection, &format!("type {message_type} about {address}"), |message| {
        message.kind() == message_type && message.ciaddr == address
    })
}

/// A connection whose active query is known to run: it was kept alive once.
fn active() -> Result<Connection> {
    let mut connection = site()?.open(Framing::Two)?;
    connection.ask(&active_query())?;
    until_status(&mut connection, CONNECTION_ACTIVE)?;
    Ok(connection)
}

/// A query for what changed since then.
fn since(start: u32) -> Packet {
    active_query().with(option::QUERY_START_TIME, start.to_be_bytes())
}

/// Ensures that a query was refused: no binding is told, and the server closes.
fn ends_without_data<S: std::io::Read + std::io::Write>(
    connection: &mut Connection<S>,
) -> Result<()> {
    while let Some(message) = connection.message()? {
        ensure!(message.kind() == kind::LEASEQUERYSTATUS, "{message:?}");
        ensure!(status(&message).is_some_and(|(code, _)| code != 0), "{message:?}");
    }
    Ok(())
}
