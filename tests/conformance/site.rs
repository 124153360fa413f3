//! Servers of the leasequery suites, one for each document: their settings differ, and what one
//! document limits must not get in another one's way.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, anyhow, ensure};
use tests::client::{Client, Relay};
use tests::cluster::Cluster;
use tests::packet::{Packet, kind, option};
use tests::requestor::{Key, RELAY_ID, REMOTE_ID, query, sub_option};
use tests::stream::{Connection, Framing};
use tests::wait::{self, PATIENCE};

/// Addresses that the pool of the first link has: 10.16.1.0 to 10.16.2.255.
const FIRST_POOL: std::ops::RangeInclusive<u32> = 0x0a10_0100..=0x0a10_02ff;
/// Addresses that the pool of the second link has: 10.17.1.0 to 10.17.255.250. So many that an
/// answer about all of them does not fit into what the kernel buffers.
const SECOND_POOL: std::ops::RangeInclusive<u32> = 0x0a11_0100..=0x0a11_fffa;
/// The reserved address, outside of the pools.
pub(crate) const RESERVED: Ipv4Addr = Ipv4Addr::new(10, 16, 0, 7);
/// For whom it is.
pub(crate) const RESERVED_FOR: [u8; 6] = [2, 0x5a, 0, 0, 0, 7];
/// Requestors that no site permits.
pub(crate) const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 9, 9, 9);

/// Relay agents of the first link are 127.0.1.1 to .99, of the second 127.0.1.101 to .199.
/// 127.0.0.0/16 may ask; the tests themselves connect from 127.0.0.1.
const NETWORK: &str = r#"
[lease]
default = "1h"

[options]
domain-name-servers = ["192.0.2.53", "192.0.2.54"]

[[subnet]]
prefix = "10.16.0.0/16"
network = "first"
pools = ["10.16.1.0-10.16.2.255"]
relays = [FIRST]
options = { routers = ["10.16.0.1"] }

[[subnet.reservation]]
mac = "02:5a:00:00:00:07"
address = "10.16.0.7"
hostname = "head-end"

[[subnet]]
prefix = "10.17.0.0/16"
network = "second"
pools = ["10.17.1.0-10.17.255.250"]
relays = [SECOND]
options = { routers = ["10.17.0.1"] }

# The same addresses and the same relay agents as the first link.
[[subnet]]
prefix = "10.16.0.0/16"
vpn = "customer"
pools = ["10.16.1.0-10.16.1.255"]
relays = [FIRST]

[leasequery]
permitted = ["127.0.0.0/16"]
"#;

/// The numbers of clients of these suites: far from those of `fixture`.
static NEXT_CLIENT: AtomicU32 = AtomicU32::new(0x0100_0000);

/// One server with its relay agents.
pub(crate) struct Site {
    pub(crate) cluster: Cluster,
    next_first: AtomicU32,
    next_second: AtomicU32,
}

/// A suite's server, started when the first test asks for it.
pub(crate) type Shared = LazyLock<Result<Site>>;

/// The server of a suite.
pub(crate) fn of(shared: &'static Shared) -> Result<&'static Site> {
    shared.as_ref().map_err(|error| anyhow!("no server: {error:#}"))
}

impl Site {
    /// A server whose `[leasequery]` has these lines besides `permitted`.
    pub(crate) fn start(leasequery: &str) -> Result<Self> {
        Site::start_configured(leasequery, "")
    }

    /// As [`Site::start`], with these lines at the end of member.toml, in `[leasequery]`.
    pub(crate) fn start_configured(leasequery: &str, member: &str) -> Result<Self> {
        let list = |hosts: std::ops::RangeInclusive<u8>| {
            let texts: Vec<String> = hosts.map(|host| format!("\"127.0.1.{host}\"")).collect();
            texts.join(", ")
        };
        let network = NETWORK.replace("FIRST", &list(1..=99)).replace("SECOND", &list(101..=199));
        Ok(Site {
            cluster: Cluster::start_configured(1, false, &(network + leasequery), member)?,
            next_first: AtomicU32::new(1),
            next_second: AtomicU32::new(101),
        })
    }

    fn relay(&self, next: &AtomicU32, last: u32) -> Result<Relay> {
        let host = next.fetch_add(1, Ordering::Relaxed);
        ensure!(host <= last, "the suite has more tests than this link has relay agents");
        let server = self.cluster.members[0].places.dhcp;
        let address = Ipv4Addr::from_bits(Ipv4Addr::new(127, 0, 1, 0).to_bits() | host);
        Relay::bind(SocketAddrV4::new(address, server.port()), server)
    }

    /// A relay agent of the first link that no other test uses.
    pub(crate) fn first_link(&self) -> Result<Relay> {
        self.relay(&self.next_first, 99)
    }

    /// A relay agent of the second link that no other test uses.
    pub(crate) fn second_link(&self) -> Result<Relay> {
        self.relay(&self.next_second, 199)
    }

    /// A relay agent at this address of 127.0.0.0/8, of no link: a requestor only.
    pub(crate) fn requestor(&self, address: Ipv4Addr) -> Result<Relay> {
        let server = self.cluster.members[0].places.dhcp;
        Relay::bind(SocketAddrV4::new(address, server.port()), server)
    }

    /// Where it listens for leasequery over TCP.
    pub(crate) fn tcp(&self) -> SocketAddrV4 {
        self.cluster.members[0].places.leasequery
    }

    /// A connection from 127.0.0.1.
    pub(crate) fn open(&self, framing: Framing) -> Result<Connection> {
        Connection::open(self.tcp(), framing)
    }

    /// A connection from this address of ours.
    pub(crate) fn open_from(&self, source: Ipv4Addr, framing: Framing) -> Result<Connection> {
        Connection::open_from(source, self.tcp(), framing)
    }

    /// The whole answer to one query on a connection of its own.
    pub(crate) fn ask(&self, framing: Framing, packet: &Packet) -> Result<Vec<Packet>> {
        self.open(framing)?.exchange(packet)
    }

    /// What the server gives as its identifier.
    pub(crate) fn server_id(&self) -> Ipv4Addr {
        *self.cluster.members[0].places.dhcp.ip()
    }

    /// Releases a lease and waits until the server knows.
    pub(crate) fn release(&self, relay: &Relay, client: &Client, address: Ipv4Addr) -> Result<()> {
        relay.send(&client.release(address, self.server_id()))?;
        self.until_told(relay, address, kind::LEASEUNASSIGNED)
    }

    /// Declines a lease and waits until the server knows.
    pub(crate) fn decline(&self, relay: &Relay, client: &Client, address: Ipv4Addr) -> Result<()> {
        relay.send(&client.decline(address, self.server_id()))?;
        self.until_told(relay, address, kind::LEASEUNASSIGNED)
    }

    fn until_told(&self, relay: &Relay, address: Ipv4Addr, message_type: u8) -> Result<()> {
        wait::until("end of a lease", PATIENCE, || {
            let reply = relay.exchange(&query(&Key::Ip(address)), PATIENCE).ok()?;
            (reply.kind() == message_type).then_some(())
        })
    }

    /// Waits until so many seconds have passed since the client's last transaction.
    pub(crate) fn until_seconds_ago(&self, relay: &Relay, at: Ipv4Addr, ago: u32) -> Result<()> {
        wait::until("seconds since a transaction", PATIENCE, || {
            let reply = relay.exchange(&query(&Key::Ip(at)), PATIENCE).ok()?;
            reply.number(option::LAST_TRANSACTION).filter(|told| *told >= ago).map(drop)
        })
    }

    /// Seconds since 1970 by the clock that server and tests share.
    pub(crate) fn now(&self) -> Result<u32> {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        u32::try_from(since.as_secs()).context("a clock after 2106")
    }
}

/// A client that no other test uses, with identifiers of its own in option 82: circuit, remote and
/// relay identifier.
pub(crate) fn client() -> Client {
    let number = NEXT_CLIENT.fetch_add(1, Ordering::Relaxed);
    let client = Client::new(number);
    let relay_id = sub_option(RELAY_ID, format!("relay {number}").as_bytes());
    let relay_agent = client.relay_agent.as_ref().map(|octets| [octets.clone(), relay_id].concat());
    Client { relay_agent, ..client }
}

/// A new client behind the same device and the same relay agent.
pub(crate) fn neighbour_of(other: &Client) -> Client {
    Client { relay_agent: other.relay_agent.clone(), ..client() }
}

/// A sub-option of what the client's relay agent adds.
pub(crate) fn sub_option_of(client: &Client, code: u8) -> Vec<u8> {
    let mut rest = client.relay_agent.as_deref().unwrap_or_default();
    while let [each, length, tail @ ..] = rest {
        let (value, next) = tail.split_at(usize::from(*length));
        if *each == code {
            return value.to_vec();
        }
        rest = next;
    }
    Vec::new()
}

/// The key of the client's device.
pub(crate) fn remote_id(client: &Client) -> Key {
    Key::RemoteId(sub_option_of(client, REMOTE_ID))
}

/// The key of the client's relay agent.
pub(crate) fn relay_id(client: &Client) -> Key {
    Key::RelayId(sub_option_of(client, RELAY_ID))
}

/// The key of the client's identifier.
pub(crate) fn client_id(client: &Client) -> Key {
    Key::ClientId(client.client_id.clone().unwrap_or_default())
}

/// The message types, in order.
pub(crate) fn kinds(messages: &[Packet]) -> Vec<u8> {
    messages.iter().map(Packet::kind).collect()
}

/// The addresses of all messages that are about one, sorted.
pub(crate) fn addresses(messages: &[Packet]) -> Vec<Ipv4Addr> {
    let told = messages.iter().map(|message| message.ciaddr);
    let mut addresses: Vec<Ipv4Addr> = told.filter(|address| !address.is_unspecified()).collect();
    addresses.sort_unstable();
    addresses
}

/// Code and text of RFC 6926's status-code option.
pub(crate) fn status(message: &Packet) -> Option<(u8, Vec<u8>)> {
    let value = message.option(option::STATUS_CODE)?;
    let (code, text) = value.split_first()?;
    Some((*code, text.to_vec()))
}

/// Every address that is configured, sorted.
pub(crate) fn configured() -> Vec<Ipv4Addr> {
    let mut all = vec![RESERVED];
    all.extend(FIRST_POOL.chain(SECOND_POOL).map(Ipv4Addr::from_bits));
    all.sort_unstable();
    all
}
