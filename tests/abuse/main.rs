//! Abuse: requestors that send junk, stop halfway, never read, come by thousands or never pause.
//!
//! Problem. A leasequery port is open to boxes that crash, to scanners, and to worse; behind the
//! same process DHCP clients wait.
//!
//! Model.   One server for all tests, one test at a time: each abuses it, and while it does and
//! after it has, another requestor and new clients must be served and the process must not have
//! grown. Nothing here depends on how fast that goes.
//!
//! Hazards. A process grows a little whatever it does (allocator, storage): every abuse is done once
//! at a small scale before the measuring begins, and [`GROWTH_MAX`] is far below what one lost
//! buffer per connection or per query would come to.

mod clients;
mod tcp;
mod udp;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, anyhow, ensure};
use tests::client::{Client, Relay};
use tests::cluster::{Cluster, NETWORK};
use tests::packet::{Packet, kind};
use tests::requestor::{Key, bulk_query, query};
use tests::stream::{Connection, Framing};
use tests::wait::{self, PATIENCE};

/// How much larger the process may be after the abuse, octets.
const GROWTH_MAX: u64 = 48 << 20;
/// The requestor that behaves.
const GOOD: Ipv4Addr = Ipv4Addr::new(127, 0, 3, 1);
/// Addresses that are configured: 10.16.1.0 to 10.31.255.0.
const CONFIGURED: usize = (0x0a1f_ff00 - 0x0a10_0100) + 1;

/// A server, its only relay agent, and the number of the next client.
struct Victim {
    cluster: Cluster,
    relay: Relay,
    next_client: u32,
}

static VICTIM: LazyLock<Result<Mutex<Victim>>> = LazyLock::new(|| {
    // A circuit is a subscriber's line here.
    let cluster = Cluster::start_configured(1, false, NETWORK, "\n[dhcp.rates]\ncircuit = 100\n")?;
    let relay = cluster.relay(1, 0)?;
    Ok(Mutex::new(Victim { cluster, relay, next_client: 0 }))
});

/// The server, for this test alone.
fn victim() -> Result<MutexGuard<'static, Victim>> {
    let victim = VICTIM.as_ref().map_err(|error| anyhow!("no server: {error:#}"))?;
    Ok(victim.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Victim {
    fn dhcp(&self) -> SocketAddrV4 {
        self.cluster.members[0].places.dhcp
    }

    fn tcp(&self) -> SocketAddrV4 {
        self.cluster.members[0].places.leasequery
    }

    /// A connection of requestor number `number` of those that do not behave.
    fn open(&self, number: usize, framing: Framing) -> Result<Connection> {
        let source = Ipv4Addr::new(127, 0, 4, (number % 200) as u8 + 1);
        Connection::open_from(source, self.tcp(), framing)
    }

    /// Ensures that a new client is served and that the requestor that behaves learns of it, over
    /// UDP and over TCP in both dialects.
    fn others_are_served(&mut self) -> Result<()> {
        self.next_client += 1;
        let client = Client::new(self.next_client);
        let address = client.obtain(&self.relay).context("a client")?.yiaddr;
        let reply = self.relay.exchange(&query(&Key::Ip(address)), PATIENCE)?;
        ensure!(reply.kind() == kind::LEASEACTIVE, "over UDP: {reply:?}");
        for framing in [Framing::Two, Framing::Four] {
            // It may take a moment until an idle connection has left for this one.
            let messages = wait::until("place for a requestor", PATIENCE, || {
                let mut connection = Connection::open_from(GOOD, self.tcp(), framing).ok()?;
                connection.exchange(&asks_for(framing, &client)).ok()
            })?;
            ensure!(messages.len() == 2, "{framing:?}: {messages:?}");
            ensure!(messages[0].ciaddr == address, "{framing:?}: {messages:?}");
        }
        Ok(())
    }

    /// Abuses the server a little, then measures it, abuses it at full scale, and measures again.
    fn withstands(&mut self, abuse: impl Fn(&mut Self, Scale) -> Result<()>) -> Result<()> {
        abuse(self, Scale::Small)?;
        self.others_are_served()?;
        let before = self.cluster.members[0].resident_octets()?;
        abuse(self, Scale::Full)?;
        self.others_are_served().context("after the abuse")?;
        let after = self.cluster.members[0].resident_octets()?;
        let growth = after.saturating_sub(before);
        ensure!(growth <= GROWTH_MAX, "grown by {} MiB to {}", growth >> 20, after >> 20);
        println!("grown by {} KiB", growth >> 10);
        Ok(())
    }
}

/// How much of an abuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    /// As much as brings the process to its size.
    Small,
    /// All of it.
    Full,
}

impl Scale {
    /// `full`, or a twentieth of it.
    fn of(self, full: usize) -> usize {
        if self == Scale::Full { full } else { full.div_ceil(20) }
    }
}

/// A query for one client in the dialect of this framing.
fn asks_for(framing: Framing, client: &Client) -> Packet {
    match framing {
        Framing::Two => bulk_query(&Key::Mac(client.mac)),
        Framing::Four => tests::requestor::draft_bulk_query(&Key::Mac(client.mac)),
    }
}
