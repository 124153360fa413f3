//! One server with a link for each thing that an operator may decide, and relay agents for each link.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::{Result, anyhow, ensure};
use tests::client::{Client, Relay, fresh_xid};
use tests::cluster::Cluster;
use tests::packet::Packet;
use tests::wait::{self, PATIENCE};

/// Where a client is: link `n` is 10.n.0.0/16 with relay agents 127.0.n.1 to .60 and addresses from 10.n.1.0 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// As it comes, but for lease times: one hour, at least ten minutes, at most two hours.
    Plain = 40,
    /// `rapid_commit`.
    RapidCommit = 41,
    /// `bootp = "automatic"`, with boot fields.
    Bootp = 42,
    /// `bootp = "reserved"`; 10.43.0.7 is for [`RESERVED_MAC`].
    BootpReserved = 43,
    /// `authoritative = "no"`.
    AmongOthers = 44,
    /// `authoritative = "clients"`.
    Alone = 45,
    /// `known_only`; 10.46.0.7 is for [`RESERVED_MAC`]; no addresses of one's own making.
    KnownOnly = 46,
    /// `addresses_per_remote_id = 2`.
    TwoEach = 47,
    /// A quarantine of one second.
    Forgiving = 48,
    /// Option 108 and `rapid_commit`.
    WithoutIpv4 = 49,
    /// Many options.
    Parameters = 50,
    /// In the VPN "customer".
    Vpn = 51,
    /// In the VPN "tenant", with the addresses and the relay agents of [`Place::Plain`].
    Tenant = 55,
    /// `name_suffix`, and 10.52.0.7 with a name for [`RESERVED_MAC`].
    Names = 52,
    /// One link with [`Place::Upstairs`].
    Downstairs = 53,
    /// One link with [`Place::Downstairs`].
    Upstairs = 54,
}

/// Who has a reservation where a place has one.
pub(crate) const RESERVED_MAC: [u8; 6] = [2, 0x5a, 0, 0, 0, 7];

/// The link of clients that the server reaches without a relay agent: all of 127.0.0.0/8 is this machine's.
const LOOPBACK_LINK: &str = r#"
[[subnet]]
prefix = "127.64.0.0/16"
pools = ["127.64.1.0-127.64.255.250"]
clients = { bootp = "automatic" }
options = { routers = ["127.64.0.1"] }
"#;

/// What each place has beside its addresses.
const LINES: &[(Place, &str)] = &[
    (Place::Plain, "lease = { default = \"1h\", min = \"10m\", max = \"2h\" }"),
    (Place::RapidCommit, "clients = { rapid_commit = true }"),
    (
        Place::Bootp,
        r#"clients = { bootp = "automatic" }
boot = { next_server = "192.0.2.99", server_name = "boot.example", file = "image.0" }
options = { routers = ["10.42.0.1"], domain-name = "bootp.example" }"#,
    ),
    (
        Place::BootpReserved,
        r#"clients = { bootp = "reserved" }
reservation = [{ mac = "02:5a:00:00:00:07", address = "10.43.0.7", boot = { file = "its.own" } }]"#,
    ),
    (Place::AmongOthers, "clients = { authoritative = \"no\" }"),
    (Place::Alone, "clients = { authoritative = \"clients\" }"),
    (
        Place::KnownOnly,
        r#"clients = { known_only = true, auto_configure = false }
reservation = [{ mac = "02:5a:00:00:00:07", address = "10.46.0.7" }]"#,
    ),
    (Place::TwoEach, "clients = { addresses_per_remote_id = 2 }"),
    (Place::Forgiving, "lease = { default = \"1h\", quarantine = \"1s\" }"),
    (
        Place::WithoutIpv4,
        "clients = { rapid_commit = true }\noptions = { ipv6-only-preferred = 1800 }",
    ),
    (
        Place::Parameters,
        r#"boot = { file = "start.efi" }
[subnet.options]
routers = ["10.50.0.1"]
static-routes = ["192.0.2.7 10.50.0.9"]
classless-static-routes = ["198.51.100.0/24 10.50.0.2", "0.0.0.0/0 10.50.0.1"]
captive-portal = "https://portal.example/api"
domain-search = ["a.example", "b.example"]
sip-servers = ["sip.example"]
pcp-servers = ["192.0.2.1 192.0.2.2"]
encrypted-dns = ["1 resolver.example 192.0.2.53 alpn=dot,h2 port=8530 dohpath=/dns-query{?dns}"]
ipv6-rapid-deployment = "8 2001:db8::/32 192.0.2.1"
geoconf-civic = ["client DE", "3 Munich"]
lost-server = "lost.example"
rdnss-selection = "high 192.0.2.1 0.0.0.0 corp.example"
vi-vendor-specific = { 4491 = { 1 = "0x0102" } }
[subnet.options.vendor-specific-information]
1 = "LONG"
2 = "LONG""#,
    ),
    (Place::Vpn, "vpn = \"customer\""),
    (Place::Tenant, "vpn = \"tenant\""),
    (
        Place::Names,
        r#"clients = { name_suffix = "site.example" }
reservation = [{ mac = "02:5a:00:00:00:07", address = "10.52.0.7", hostname = "head-end" }]"#,
    ),
    (Place::Downstairs, "network = \"house\""),
    (Place::Upstairs, "network = \"house\""),
];

/// Octets of each of two vendor sub-options: together more than one option holds.
pub(crate) const LONG_LEN: usize = 200;

fn network() -> String {
    let mut network = String::from(
        r#"
[lease]
default = "1h"

[options]
domain-name-servers = ["192.0.2.53"]

[[vendor_class]]
identifier = "PXEClient:exactly"
options = { tftp-server-name = "tftp.example", domain-name-servers = ["192.0.2.54"] }

[clients]
vpn_option = ["customer"]

[leasequery]
permitted = ["127.0.0.0/8"]
"#,
    );
    network += LOOPBACK_LINK;
    for (place, lines) in LINES {
        let number = match place {
            Place::Tenant => Place::Plain as u8,
            place => *place as u8,
        };
        let relays: Vec<String> =
            (1..=60).map(|host| format!("\"127.0.{number}.{host}\"")).collect();
        network += &format!(
            "\n[[subnet]]\nprefix = \"10.{number}.0.0/16\"\n\
             pools = [\"10.{number}.1.0-10.{number}.255.250\"]\nrelays = [{}]\n{lines}\n",
            relays.join(", ")
        );
    }
    network.replace("LONG", &"x".repeat(LONG_LEN))
}

static SERVER: LazyLock<Result<Cluster>> =
    LazyLock::new(|| Cluster::start_with(1, false, &network()));

/// For each place, how many relay agents tests have taken.
static TAKEN: [AtomicU8; 256] = [const { AtomicU8::new(0) }; 256];
/// Clients of the loopback link are identified by their number.
static NEXT_LOOPBACK: AtomicU8 = AtomicU8::new(1);

/// The server of all places.
pub(crate) fn server() -> Result<&'static Cluster> {
    SERVER.as_ref().map_err(|error| anyhow!("no server: {error:#}"))
}

/// Where it listens.
pub(crate) fn address() -> Result<SocketAddrV4> {
    Ok(server()?.members[0].places.dhcp)
}

/// Its identifier.
pub(crate) fn server_id() -> Result<Ipv4Addr> {
    Ok(*address()?.ip())
}

/// A relay agent of this place that no other test uses.
pub(crate) fn relay_at(place: Place) -> Result<Relay> {
    let number = place as u8;
    let host = TAKEN[usize::from(number)].fetch_add(1, Ordering::Relaxed) + 1;
    ensure!(host <= 60, "{place:?} has no more relay agents");
    let server = address()?;
    Relay::bind(SocketAddrV4::new(Ipv4Addr::new(127, 0, number, host), server.port()), server)
}

/// A relay agent inside the loopback link.
pub(crate) fn relay_at_loopback() -> Result<Relay> {
    let host = NEXT_LOOPBACK.fetch_add(1, Ordering::Relaxed);
    let server = address()?;
    Relay::bind(SocketAddrV4::new(Ipv4Addr::new(127, 64, 0, host), server.port()), server)
}

/// Whether an address is in the pool of this place.
pub(crate) fn is_of(place: Place, address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    a == 10 && b == place as u8 && c > 0
}

/// The client that has a reservation, without an identifier and without option 82.
pub(crate) fn reserved() -> Client {
    Client { mac: RESERVED_MAC, client_id: None, relay_agent: None }
}

/// The reply to a message that a client sends from its own address, by unicast and without a relay agent.
pub(crate) fn from_its_own_address(address: Ipv4Addr, packet: &Packet) -> Result<Packet> {
    let server = self::address()?;
    // An unprivileged server takes the port after its own for that of clients.
    let own = SocketAddrV4::new(address, server.port() + 1);
    let socket = Relay::bind(own, server)?;
    let packet = Packet { xid: fresh_xid(), giaddr: Ipv4Addr::UNSPECIFIED, ..packet.clone() };
    wait::until("reply at the client's address", PATIENCE, || {
        socket.send_octets(&packet.encode()).ok()?;
        let reply = socket.receive(PATIENCE / 60).ok().flatten()?;
        (reply.xid == packet.xid).then_some(reply)
    })
}
