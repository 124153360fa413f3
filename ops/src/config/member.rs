//! member.toml: what belongs to one member.

use super::problem::{InvalidFile, Report};
use super::section::{Item, Section, parse};
use super::value;
use replication_ledger::{MemberId, Role};
use server_net::Rates;
use server_wire::BOOTP_PORT_CLIENT;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};

/// Octets of the longest name of an interface (IFNAMSIZ, with the NUL that ends it).
const INTERFACE_NAME_LEN_MAX: usize = 15;

/// One member, as its file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberConfig {
    /// Unique in the cluster, never used again.
    pub id: MemberId,
    /// Its name in listings.
    pub name: String,
    /// Where it keeps its state.
    pub data_dir: PathBuf,
    /// Server or witness.
    pub role: Role,
    /// DHCP; none for a witness.
    pub dhcp: Option<DhcpConfig>,
    /// Leasequery over TCP.
    pub leasequery: LeasequeryConfig,
    /// Towards the other members.
    pub peer: PeerConfig,
    /// Towards the operator.
    pub admin: AdminConfig,
    /// What it writes about itself.
    pub log: LogConfig,
}

/// Where DHCP is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DhcpConfig {
    /// Relayed and unicast messages.
    pub listen: Vec<SocketAddrV4>,
    /// Links with direct clients.
    pub interfaces: Vec<String>,
    /// Option 54.
    pub server_id: Ipv4Addr,
    /// What one sender may send.
    pub rates: Rates,
}

/// Where bulk and active leasequery is served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeasequeryConfig {
    /// TCP addresses.
    pub listen_tcp: Vec<SocketAddrV4>,
    /// Certificates, if it speaks TLS.
    pub tls: Option<TlsFiles>,
}

/// How the other members are reached and reach this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerConfig {
    /// Where this member listens for the others.
    pub listen: SocketAddr,
    /// The address that the others use.
    pub advertise: SocketAddr,
    /// Mutual TLS; none only on loopback or if `insecure` says so.
    pub tls: Option<TlsFiles>,
}

/// Where the operator talks to this member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminConfig {
    /// API, metrics and dashboard.
    pub listen: SocketAddr,
    /// Who may do what; none only on loopback.
    pub token_file: Option<PathBuf>,
    /// TLS; none only on loopback. Its authority is not used.
    pub tls: Option<TlsFiles>,
}

/// PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain of this member.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authority whose certificates the other side must show.
    pub authority: Option<PathBuf>,
}

/// The text log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// JSON objects or text for people.
    pub format: LogFormat,
    /// Filter as tracing-subscriber's `EnvFilter` reads it, such as "info".
    pub level: String,
}

/// The form of one line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig { format: LogFormat::Text, level: "info".to_owned() }
    }
}

/// Reads member.toml. `file` is its name in messages; relative paths in it count from its directory.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn member(file: &str, text: &str) -> Result<MemberConfig, InvalidFile> {
    let base = Path::new(file).parent().unwrap_or(Path::new("")).to_owned();
    let report = Report::new(text);
    let table = parse(text, &report);
    let config = table.as_ref().and_then(|table| read(Section::root(table, &report), &base));
    drop(table);
    report.conclude(file, config)
}

fn read(mut root: Section<'_>, base: &Path) -> Option<MemberConfig> {
    let identity = match root.section("member") {
        Some(section) => read_identity(section, base),
        None => {
            root.fail("member", "missing section; write [member] with id, name and data_dir");
            None
        }
    };
    // What a role needs is said only if the role is known.
    let role = identity.as_ref().map(|identity| identity.role);
    let dhcp = match (root.take("dhcp"), role) {
        (Some(item), Some(Role::Witness)) => {
            item.fail("a witness serves no DHCP; remove the section or write role = \"server\"");
            None
        }
        (Some(item), _) => item.section().and_then(read_dhcp),
        (None, Some(Role::Server)) => {
            root.fail("dhcp", "missing section; a server needs [dhcp] with listen and server_id");
            None
        }
        (None, _) => None,
    };
    let leasequery = match (root.take("leasequery"), role) {
        (Some(item), Some(Role::Witness)) => {
            item.fail("a witness serves no leasequery; remove the section");
            None
        }
        (Some(item), _) => item.section().map(|section| read_leasequery(section, base)),
        (None, _) => None,
    };
    let peer = match root.section("peer") {
        Some(section) => read_peer(section, base),
        None => {
            root.fail("peer", "missing section; write [peer] with listen");
            None
        }
    };
    let admin = match root.section("admin") {
        Some(section) => read_admin(section, base),
        None => Some(AdminConfig { listen: default_admin(), token_file: None, tls: None }),
    };
    let log = root.section("log").map(read_log).unwrap_or_default();
    root.finish();
    let identity = identity?;
    if identity.role == Role::Server && dhcp.is_none() {
        return None;
    }
    Some(MemberConfig {
        id: identity.id,
        name: identity.name,
        data_dir: identity.data_dir,
        role: identity.role,
        dhcp,
        leasequery: leasequery.unwrap_or_default(),
        peer: peer?,
        admin: admin?,
        log,
    })
}

/// Where the admin API listens if the file does not say.
fn default_admin() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 6780))
}

struct Identity {
    id: MemberId,
    name: String,
    data_dir: PathBuf,
    role: Role,
}

fn read_identity(mut section: Section<'_>, base: &Path) -> Option<Identity> {
    let id = section
        .need("id", "write a number that no member of the cluster has or had")
        .and_then(|item| item.integer(1..=u64::from(u32::MAX)));
    let name = section.take("name").and_then(|item| {
        let name = item.text()?;
        if name.is_empty() || name.len() > 63 {
            item.fail("must have 1 to 63 characters");
        }
        Some(name.to_owned())
    });
    let data_dir = section
        .need("data_dir", "write for example data_dir = \"/var/lib/leasehold\"")
        .and_then(|item| path(&item, base));
    let role = match section.take("role") {
        Some(item) => item.parse(|text| match text {
            "server" => Ok(Role::Server),
            "witness" => Ok(Role::Witness),
            _ => Err(format!("`{text}` is not a role; write \"server\" or \"witness\"")),
        }),
        None => Some(Role::Server),
    };
    section.finish();
    let id = id?;
    let name = name.unwrap_or_else(|| format!("member-{id}"));
    Some(Identity { id: MemberId(id), name, data_dir: data_dir?, role: role? })
}

fn read_dhcp(mut section: Section<'_>) -> Option<DhcpConfig> {
    let listen = section
        .need("listen", "write for example listen = [\"192.0.2.1:67\"]")
        .map(|item| item.parse_each(dhcp_socket));
    let interfaces = section.take("interfaces").map(|item| {
        let names = item.parse_each(interface_name);
        let twice = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name));
        if let Some((_, name)) = twice {
            item.fail(format!("names {name} twice"));
        }
        names
    });
    let server_id = section
        .need("server_id", "write the address that clients use for option 54")
        .and_then(|item| {
            let address = item.parse(value::address)?;
            if address.is_unspecified() || address.is_multicast() || address.is_broadcast() {
                item.fail(format!("{address} is not an address of one server"));
            }
            Some(address)
        });
    let rates = section.section("rates").map(read_rates).unwrap_or_default();
    section.finish();
    Some(DhcpConfig {
        listen: listen?,
        interfaces: interfaces.unwrap_or_default(),
        server_id: server_id?,
        rates,
    })
}

/// A name as the kernel permits it: no slash, no colon (which begins the label of an address), no white space.
fn interface_name(text: &str) -> Result<String, String> {
    let is_foreign = |c: char| c == '/' || c == ':' || c.is_whitespace();
    match text.is_empty() || text.len() > INTERFACE_NAME_LEN_MAX || text.contains(is_foreign) {
        true => {
            Err(format!("`{text}` is not the name of an interface; write for example \"eth1\""))
        }
        false => Ok(text.to_owned()),
    }
}

/// Messages a second; 0 is no limit.
fn read_rates(mut section: Section<'_>) -> Rates {
    let usual = Rates::default();
    let mut rate = |key, usual| {
        let given = section.take(key).and_then(|item| item.integer(0..=1_000_000));
        // The bounds are those of 32 bits.
        given.map_or(usual, |rate| rate as u32)
    };
    let [client, circuit, relay] =
        [rate("client", usual.client), rate("circuit", usual.circuit), rate("relay", usual.relay)];
    section.finish();
    Rates { client, circuit, relay }
}

// [H-11] Messages to the port of clients are none of a server's.
fn dhcp_socket(text: &str) -> Result<SocketAddrV4, String> {
    let socket = value::socket_v4(text)?;
    match socket.port() {
        BOOTP_PORT_CLIENT => Err(format!("`{text}` is the port of clients; a server has port 67")),
        _ => Ok(socket),
    }
}

fn read_leasequery(mut section: Section<'_>, base: &Path) -> LeasequeryConfig {
    let listen_tcp = section.take("listen_tcp").map(|item| item.parse_each(value::socket_v4));
    let tls = section.section("tls").and_then(|tls| read_tls(tls, base, "client_ca", true));
    section.finish();
    LeasequeryConfig { listen_tcp: listen_tcp.unwrap_or_default(), tls }
}

fn read_peer(mut section: Section<'_>, base: &Path) -> Option<PeerConfig> {
    let listen = section
        .need("listen", "write for example listen = \"198.51.100.1:6747\"")
        .and_then(|item| item.parse(value::socket));
    let advertise = section.take("advertise").map(|item| (item.parse(value::socket), item));
    let insecure = section.take("insecure").and_then(|item| item.boolean()).unwrap_or(false);
    let tls = section.section("tls").and_then(|tls| read_tls(tls, base, "ca", true));
    let listen = listen.inspect(|listen| {
        if !listen.ip().is_loopback() && tls.is_none() && !insecure {
            section.fail(
                "tls",
                format!(
                    "{listen} is not loopback, so certificate, key and ca are required; write \
                     insecure = true under [peer] only on a network that nobody else can reach"
                ),
            );
        }
    });
    let advertise = match advertise {
        Some((address, item)) => {
            if address.is_some_and(|a: SocketAddr| a.ip().is_unspecified() || a.port() == 0) {
                item.fail("is not an address that other members can connect to");
            }
            address
        }
        None => {
            if listen.is_some_and(|listen| listen.ip().is_unspecified()) {
                section.fail("advertise", "missing; write the address that other members use");
            }
            listen
        }
    };
    section.finish();
    Some(PeerConfig { listen: listen?, advertise: advertise?, tls })
}

fn read_admin(mut section: Section<'_>, base: &Path) -> Option<AdminConfig> {
    let listen = match section.take("listen") {
        Some(item) => item.parse(value::socket),
        None => Some(default_admin()),
    };
    let token_file = section.take("token_file").and_then(|item| path(&item, base));
    let tls = section.section("tls").and_then(|tls| read_tls(tls, base, "", false));
    if let Some(listen) = listen.filter(|listen| !listen.ip().is_loopback()) {
        let missing = |what| format!("{listen} is not loopback, so {what} required");
        if token_file.is_none() {
            section.fail("token_file", missing("a token file is"));
        }
        if tls.is_none() {
            section.fail("tls", missing("certificate and key are"));
        }
    }
    section.finish();
    Some(AdminConfig { listen: listen?, token_file, tls })
}

/// Reads certificate files. An empty table is as good as none. `authority` is the key's name, empty if there is none.
fn read_tls(
    mut section: Section<'_>,
    base: &Path,
    authority: &'static str,
    authority_needed: bool,
) -> Option<TlsFiles> {
    if section.entries().is_empty() {
        return None;
    }
    let mut file = |key, what| section.need(key, what).and_then(|item| path(&item, base));
    let certificate = file("certificate", "write the PEM file of the certificate chain");
    let key = file("key", "write the PEM file of the private key");
    let authority = match authority_needed {
        true => Some(file(authority, "write the PEM file of the authority")?),
        false => None,
    };
    section.finish();
    Some(TlsFiles { certificate: certificate?, key: key?, authority })
}

fn read_log(mut section: Section<'_>) -> LogConfig {
    let usual = LogConfig::default();
    let format = section.take("format").and_then(|item| {
        item.parse(|text| match text {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err(format!("`{text}` is not a form; write \"text\" or \"json\"")),
        })
    });
    let level = section.take("level").and_then(|item| {
        item.parse(|text| {
            let filter: Result<tracing_subscriber::EnvFilter, _> = text.parse();
            filter.map(|_| text.to_owned()).map_err(|_| {
                format!("`{text}` is not a level; write error, warn, info, debug or trace")
            })
        })
    });
    section.finish();
    LogConfig { format: format.unwrap_or(usual.format), level: level.unwrap_or(usual.level) }
}

fn path(item: &Item<'_>, base: &Path) -> Option<PathBuf> {
    let text = item.text()?;
    if text.is_empty() {
        item.fail("must name a file or directory");
        return None;
    }
    Some(base.join(text))
}
