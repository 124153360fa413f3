//! The arguments of `leasehold leasequery`, and the plan that they make.

use crate::cli::output::Output;
use crate::config::value;
use crate::requestor::{
    Authenticator, Dialect, Exchange, Form, Hardware, Key, Moment, Plan, Query, Secret,
    TlsSettings, TlsStart, Vpn, client_config, time_of_day,
};
use anyhow::{Context, Result, bail};
use clap::{ArgGroup, Args, ValueEnum};
use rustls::pki_types::ServerName;
use server_wire::{BOOTP_PORT_SERVER, CodePoints, OptionCode};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("asked_for").multiple(true).required(true).args(
    ["ip", "mac", "client_id", "remote_id", "relay_id", "all", "active"])))]
pub(crate) struct Arguments {
    /// Ask this server; several may be given
    #[arg(long, value_name = "A[:PORT]", required = true, value_parser = server)]
    server: Vec<SocketAddrV4>,
    /// By address
    #[arg(long)]
    ip: Option<Ipv4Addr>,
    /// By hardware address
    #[arg(long)]
    mac: Option<String>,
    /// By client identifier
    #[arg(long, value_name = "HEX")]
    client_id: Option<String>,
    /// By the remote end that the relay names
    #[arg(long, value_name = "TEXT|0xHEX")]
    remote_id: Option<String>,
    /// By relay
    #[arg(long, value_name = "TEXT|0xHEX")]
    relay_id: Option<String>,
    /// Every configured address
    #[arg(long)]
    all: bool,
    /// Changes as they happen (RFC 7724); with --all everything there is comes first
    #[arg(long, alias = "follow")]
    active: bool,
    /// Over UDP; the default for --ip, --mac, --client-id and --remote-id
    #[arg(long, conflicts_with = "tcp")]
    udp: bool,
    /// Over TCP; the default for the others
    #[arg(long)]
    tcp: bool,
    /// The family of documents that the servers speak
    #[arg(long, value_enum, default_value_t)]
    dialect: DialectName,
    /// Numbers that the drafts left open, such as lease-data=230,status-code=234
    #[arg(long, value_name = "NAME=N,...", value_parser = numbers)]
    numbers: Option<CodePoints>,
    /// UDP: our address, which answers come to; 0.0.0.0 asks for an answer to the source of the query
    #[arg(long, value_name = "ADDRESS")]
    giaddr: Option<Ipv4Addr>,
    /// UDP: our port if it is not 67, for servers that answer to it (RFC 8357); 0 is any
    #[arg(long, value_name = "PORT")]
    source_port: Option<u16>,
    /// UDP: file with a secret of RFC 3118, text or hexadecimal after "0x"; a configuration token without --secret-id
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// UDP: its number, for delayed authentication
    #[arg(long, value_name = "N", requires = "secret_file")]
    secret_id: Option<u32>,
    /// UDP, draft: answers may come from reservations
    #[arg(long)]
    reservations: bool,
    /// TCP: only what changed since; RFC 3339, seconds since 1970, or how long ago such as 1h
    #[arg(long, value_name = "TIME", value_parser = time)]
    start_time: Option<Moment>,
    /// TCP: only what changed until then
    #[arg(long, value_name = "TIME", value_parser = time)]
    end_time: Option<Moment>,
    /// In this VPN; over TCP also in "all"
    #[arg(long, value_name = "NAME|0xVPN-ID|all", value_parser = vpn)]
    vpn: Option<Vpn>,
    /// Ask for these options too, by name or number
    #[arg(long, value_name = "OPTION,...", value_delimiter = ',', value_parser = option)]
    request: Vec<OptionCode>,
    /// Give a server up after this time; 60s over UDP, over TCP the documents' timeouts
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
    /// TCP: attempts for one server, with growing pauses
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    attempts: u32,
    /// TCP: secure the connection, after DHCPTLS or from the start
    #[arg(long, value_enum, value_name = "WHEN", num_args = 0..=1, default_missing_value = "upgrade", requires = "ca")]
    tls: Option<TlsWhen>,
    /// PEM file of the authority that signed the servers' certificates
    #[arg(long, value_name = "FILE", requires = "tls")]
    ca: Option<PathBuf>,
    /// PEM file of our certificate
    #[arg(long, value_name = "FILE", requires_all = ["tls", "private_key"])]
    certificate: Option<PathBuf>,
    /// PEM file of its key
    #[arg(long = "key", value_name = "FILE", requires = "certificate")]
    private_key: Option<PathBuf>,
    /// The name in the servers' certificates, if it is not their address
    #[arg(long, value_name = "NAME", requires = "tls")]
    tls_name: Option<String>,
    /// Show the answers that lost too
    #[arg(long)]
    pub(super) show_all: bool,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum DialectName {
    /// RFC 4388, 6148, 6926, 7724
    #[default]
    Rfc,
    /// The drafts of 2001 (UDP) and 2008 (TCP)
    Draft,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TlsWhen {
    /// After DHCPTLS (RFC 7724)
    Upgrade,
    /// At once
    Immediate,
}

fn server(text: &str) -> Result<SocketAddrV4, String> {
    match text.parse::<Ipv4Addr>() {
        Ok(address) => Ok(SocketAddrV4::new(address, BOOTP_PORT_SERVER)),
        Err(_) => value::socket_v4(text),
    }
}

fn time(text: &str) -> Result<Moment, String> {
    Moment::parse(text, time_of_day())
}

fn duration(text: &str) -> Result<Duration, String> {
    value::duration(text).map(|seconds| Duration::from_secs(seconds.into()))
}

fn option(text: &str) -> Result<OptionCode, String> {
    let by_number = text.parse::<u8>().ok().map(OptionCode);
    by_number.or_else(|| OptionCode::by_name(text)).ok_or_else(|| {
        format!("`{text}` is no option; write a number, or a name such as \"domain-name\"")
    })
}

fn numbers(text: &str) -> Result<CodePoints, String> {
    let mut numbers = CodePoints::default();
    for pair in text.split(',') {
        let wrong = || format!("`{pair}` is not a name and a number such as lease-data=230");
        let (name, number) = pair.split_once('=').ok_or_else(wrong)?;
        if name == "flag-reservation" {
            let digits = number.strip_prefix("0x").ok_or_else(wrong)?;
            numbers.flag_reservation = u16::from_str_radix(digits, 16).map_err(|_| wrong())?;
            continue;
        }
        let number: u8 = number.parse().map_err(|_| wrong())?;
        match name {
            "lease-data" => numbers.lease_data = number,
            "lease-done" => numbers.lease_done = number,
            "lease-query-fail" => numbers.lease_query_fail = number,
            "lease-query" => numbers.lease_query = number,
            "known" => numbers.known = number,
            "unknown" => numbers.unknown = number,
            "client-last-transaction-time" => {
                numbers.client_last_transaction_time = OptionCode(number);
            }
            "associated-ip" => numbers.associated_ip = OptionCode(number),
            "client-requested-host-name" => {
                numbers.client_requested_host_name = OptionCode(number);
            }
            "status-code" => numbers.status_code = OptionCode(number),
            _ => return Err(format!("`{name}` is none of the drafts' numbers")),
        }
    }
    match numbers.clash() {
        Some(message_type) => Err(format!("the number of {message_type} is taken already")),
        None => Ok(numbers),
    }
}

fn vpn(text: &str) -> Result<Vpn, String> {
    match text.strip_prefix("0x") {
        Some(digits) => {
            let octets = value::hex(digits)?;
            let id = octets[..].try_into().map(Vpn::Id);
            id.map_err(|_| format!("`{text}` is not a VPN-ID; it has seven octets"))
        }
        None if text == "all" => Ok(Vpn::All),
        None => Ok(Vpn::Name(text.as_bytes().to_vec())),
    }
}

pub(super) fn plan(arguments: &Arguments) -> Result<Plan> {
    let key = key(arguments)?;
    let by_identity = !matches!(key, Key::RelayId(_) | Key::Everything);
    let exchange = match (arguments.active, arguments.udp, arguments.tcp) {
        (true, true, _) => bail!("--active goes over TCP; leave --udp out"),
        (true, false, _) => Exchange::Active,
        (false, true, _) => Exchange::Udp,
        (false, false, true) => Exchange::Bulk,
        (false, false, false) if by_identity => Exchange::Udp,
        (false, false, false) => Exchange::Bulk,
    };
    let query = Query {
        start_time: arguments.start_time.map(Moment::unix),
        end_time: arguments.end_time.map(Moment::unix),
        vpn: arguments.vpn.clone().unwrap_or_default(),
        reservations: arguments.reservations,
        more_options: arguments.request.clone(),
        ..Query::from(key)
    };
    let mut plan = Plan::new(exchange, &arguments.server, vec![query]);
    plan.form = Form {
        dialect: match arguments.dialect {
            DialectName::Rfc => Dialect::Rfc,
            DialectName::Draft => Dialect::Draft,
        },
        numbers: arguments.numbers.unwrap_or_default(),
        ..Form::default()
    };
    plan.keep_losers = arguments.show_all;
    plan.everything_first = arguments.active && arguments.all;
    plan.udp.giaddr = arguments.giaddr;
    plan.udp.port = arguments.source_port;
    plan.udp.authenticator = authenticator(arguments)?;
    plan.udp.deadline = arguments.timeout.unwrap_or(plan.udp.deadline);
    plan.deadline = arguments.timeout;
    plan.tcp.attempts = arguments.attempts;
    plan.tcp.tls = tls(arguments)?;
    if plan.tcp.tls.is_some() && exchange == Exchange::Udp {
        bail!("--tls secures connections; ask with --tcp");
    }
    Ok(plan)
}

fn key(arguments: &Arguments) -> Result<Key> {
    let wrong = |flag: &'static str| move |reason: String| anyhow::anyhow!("{flag}: {reason}");
    let hardware = |text: &String| -> Result<Hardware> {
        let mac = value::mac(text).map_err(wrong("--mac"))?;
        Ok(Hardware { htype: mac.htype(), octets: mac.octets().to_vec() })
    };
    let mut hardware = arguments.mac.as_ref().map(hardware).transpose()?;
    let mut keys = Vec::new();
    keys.extend(arguments.ip.map(Key::Address));
    if let Some(text) = &arguments.client_id {
        let identifier = value::hex(text).map_err(wrong("--client-id"))?.to_vec();
        keys.push(Key::ClientIdentifier { identifier, hardware: hardware.take() });
    }
    keys.extend(hardware.map(Key::Hardware));
    if let Some(text) = &arguments.remote_id {
        let id = value::identifier(text).map_err(wrong("--remote-id"))?;
        keys.push(Key::RemoteId(id.to_vec()));
    }
    if let Some(text) = &arguments.relay_id {
        let id = value::identifier(text).map_err(wrong("--relay-id"))?;
        keys.push(Key::RelayId(id.to_vec()));
    }
    if arguments.all || (arguments.active && keys.is_empty()) {
        keys.push(Key::Everything);
    }
    match (keys.pop(), keys.is_empty()) {
        (Some(key), true) => Ok(key),
        _ => bail!(
            "ask by one key at a time: --ip, --mac, --client-id, --remote-id, --relay-id or --all"
        ),
    }
}

fn authenticator(arguments: &Arguments) -> Result<Option<Authenticator>> {
    let Some(path) = &arguments.secret_file else { return Ok(None) };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("--secret-file: cannot read {}", path.display()))?;
    let octets = value::identifier(text.trim_end_matches(['\r', '\n']))
        .map_err(|reason| anyhow::anyhow!("--secret-file: {}: {reason}", path.display()))?;
    let secret = match arguments.secret_id {
        Some(id) => Secret::Delayed { id, key: octets.to_vec() },
        None => Secret::Token(octets.to_vec()),
    };
    // Higher than in every run before, as long as the clock goes on.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let authenticator = Authenticator::new(secret, since.as_nanos() as u64);
    authenticator.map(Some).context("--secret-file: a token has at most 244 octets")
}

fn tls(arguments: &Arguments) -> Result<Option<TlsSettings>> {
    let (Some(when), Some(ca)) = (arguments.tls, &arguments.ca) else { return Ok(None) };
    let identity = arguments.certificate.as_deref().zip(arguments.private_key.as_deref());
    let name = arguments.tls_name.clone().map(ServerName::try_from).transpose();
    Ok(Some(TlsSettings {
        config: client_config(ca, identity)?,
        start: match when {
            TlsWhen::Upgrade => TlsStart::Upgrade,
            TlsWhen::Immediate => TlsStart::Immediate,
        },
        server_name: name.context("--tls-name: write a host name")?,
    }))
}

#[cfg(test)]
#[path = "arguments_tests.rs"]
mod tests;
