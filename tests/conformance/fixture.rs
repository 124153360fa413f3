//! The one server of the suite, and relay agents for its tests.
//!
//! `CONFORMANCE_AGAINST=ADDRESS:PORT` runs the suite against another server that serves the same
//! network, with relay agents of `CONFORMANCE_RELAYS` (a /24's first address, 198.51.100.0) instead
//! of 127.0.1.0: what fails there is a fault of that server or of the test, and both are worth
//! knowing.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, anyhow, ensure};
use tests::client::{Client, Relay};
use tests::cluster::Cluster;
use tests::packet::Packet;

/// The lease time that the network gives, seconds.
pub(crate) const LEASE_SECONDS: u32 = 3600;

/// Relay agents of the first link are 127.0.1.1 to .99, of the second 127.0.1.101 to .199.
const NETWORK: &str = r#"
[lease]
default = "1h"

[options]
domain-name-servers = ["192.0.2.53", "192.0.2.54"]

[[subnet]]
prefix = "10.16.0.0/16"
network = "first"
pools = ["10.16.1.0-10.16.255.250"]
relays = [FIRST]
options = { routers = ["10.16.0.1"] }

[[subnet.reservation]]
mac = "02:5a:00:00:00:07"
address = "10.16.0.7"

[[subnet.reservation]]
remote-id = "0x025b00000008"
address = "10.16.0.8"

[[subnet]]
prefix = "10.17.0.0/16"
network = "second"
pools = ["10.17.1.0-10.17.255.250"]
relays = [SECOND]
options = { routers = ["10.17.0.1"] }

[leasequery]
permitted = ["127.0.0.0/8"]
"#;

static SERVER: LazyLock<Result<Cluster>> = LazyLock::new(|| {
    let list = |hosts: std::ops::RangeInclusive<u8>| {
        let texts: Vec<String> = hosts.map(|host| format!("\"127.0.1.{host}\"")).collect();
        texts.join(", ")
    };
    let network = NETWORK.replace("FIRST", &list(1..=99)).replace("SECOND", &list(101..=199));
    Cluster::start_with(1, false, &network)
});

static NEXT_CLIENT: AtomicU32 = AtomicU32::new(1000);
static NEXT_FIRST: AtomicU32 = AtomicU32::new(1);
static NEXT_SECOND: AtomicU32 = AtomicU32::new(101);

/// Where the suite's server listens.
pub(crate) fn server() -> Result<SocketAddrV4> {
    if let Ok(other) = std::env::var("CONFORMANCE_AGAINST") {
        return other.parse().with_context(|| format!("CONFORMANCE_AGAINST={other}"));
    }
    let cluster = SERVER.as_ref().map_err(|error| anyhow!("no server: {error:#}"))?;
    Ok(cluster.members[0].places.dhcp)
}

/// The address the server gives as its identifier.
pub(crate) fn server_id() -> Result<Ipv4Addr> {
    Ok(*server()?.ip())
}

fn relay(next: &AtomicU32, last: u32) -> Result<Relay> {
    let server = server()?;
    let host = next.fetch_add(1, Ordering::Relaxed);
    ensure!(host <= last, "the suite has more tests than this link has relay agents");
    let relays = std::env::var("CONFORMANCE_RELAYS").unwrap_or_else(|_| "127.0.1.0".to_owned());
    let relays: Ipv4Addr = relays.parse().context("CONFORMANCE_RELAYS")?;
    let address = Ipv4Addr::from_bits(relays.to_bits() | host);
    Relay::bind(SocketAddrV4::new(address, server.port()), server)
}

/// A relay agent of the first link (10.16.0.0/16) that no other test uses.
pub(crate) fn first_link() -> Result<Relay> {
    relay(&NEXT_FIRST, 99)
}

/// A relay agent of the second link (10.17.0.0/16) that no other test uses.
pub(crate) fn second_link() -> Result<Relay> {
    relay(&NEXT_SECOND, 199)
}

/// A client that no other test uses.
pub(crate) fn client() -> Client {
    Client::new(NEXT_CLIENT.fetch_add(1, Ordering::Relaxed))
}

/// Ensures that a reply has this type.
pub(crate) fn is(reply: &Packet, kind: u8) -> Result<()> {
    ensure!(reply.kind() == kind, "type {}, not {kind}: {reply:?}", reply.kind());
    Ok(())
}

/// Whether an address is in the pool of the first link.
pub(crate) fn in_first_pool(address: Ipv4Addr) -> bool {
    (Ipv4Addr::new(10, 16, 1, 0)..=Ipv4Addr::new(10, 16, 255, 250)).contains(&address)
}
