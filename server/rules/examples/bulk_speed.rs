//! How fast a bulk query for everything is written, without disk and network: bindings per second of processor time, by
//! what the requestor wants of each.
//!
//! `cargo run --release -p server-rules --example bulk_speed`

use replication_ledger::view::contract;
use replication_ledger::{
    AddressRange, Binding, BindingKey, BindingState, ClientKey, HardwareAddress, LeaseTimes,
    LeasequerySettings, LedgerTable, MapTable, MemberId, OptionValue, PastLost, PastView, Prefix,
    Settings, Subnet, Timestamp,
};
use server_rules::leasequery::{Connected, LeasequerySource, Moment, Next, Session, SessionFacts};
use server_wire::{Framing, Header, MessageType, MessageWriter, Op, OptionCode};
use std::net::Ipv4Addr;
use std::time::Duration;

const BINDINGS: u32 = 1_000_000;
const FIRST: Ipv4Addr = Ipv4Addr::new(11, 0, 0, 0);
const REQUESTOR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// Octets per call, about what a connection's buffer takes.
const CHUNK_LEN: usize = 65_536;

/// A ledger that does not change, so that its past is never asked.
struct Still(MapTable);

struct Unasked;

impl LeasequerySource for Still {
    type View = MapTable;
    type Past = Unasked;

    fn with_view<R>(&self, look: impl FnOnce(&MapTable) -> R) -> R {
        look(&self.0)
    }

    fn past(&self) -> Result<Unasked, PastLost> {
        Ok(Unasked)
    }
}

impl PastView for Unasked {
    fn index(&self) -> u64 {
        u64::MAX
    }

    fn binding(&self, _: Ipv4Addr) -> Result<Option<Binding>, PastLost> {
        Ok(None)
    }

    fn addresses(
        &self,
        _: &BindingKey,
        _: Option<Ipv4Addr>,
        _: usize,
    ) -> Result<Vec<Ipv4Addr>, PastLost> {
        Ok(Vec::new())
    }

    fn knows(&self, _: &BindingKey) -> Result<bool, PastLost> {
        Ok(false)
    }
}

fn settings() -> Settings {
    let option = |code, data: &[u8]| OptionValue { code, data: data.into() };
    let subnet = Subnet {
        prefix: Prefix { address: FIRST, len: 8 },
        network: None,
        pools: vec![AddressRange { first: FIRST, last: address(BINDINGS - 1) }],
        relays: Vec::new(),
        options: vec![option(3, &[11, 0, 0, 1]), option(15, b"cable.example")],
        lease: LeaseTimes::default(),
        next_server: Ipv4Addr::UNSPECIFIED,
        reservations: Vec::new(),
    };
    Settings {
        subnets: vec![subnet],
        options: vec![option(6, &[192, 0, 2, 53])],
        leasequery: LeasequerySettings {
            permitted: vec![Prefix { address: REQUESTOR, len: 32 }],
            ..LeasequerySettings::default()
        },
        ..Settings::default()
    }
}

fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(FIRST) + number)
}

fn binding(number: u32) -> Binding {
    let octets = number.to_be_bytes();
    let hardware = [&[2, 0], &octets[..]].concat();
    let words = [b"\x01\x0beth 0/1/2:3\x02\x04", &octets[..], b"\x0c\x07relay-1"].concat();
    Binding {
        address: address(number),
        state: BindingState::Active,
        hardware: HardwareAddress::new(1, &hardware),
        client: ClientKey::from_identifier(&[&[1], &hardware[..]].concat()),
        until: Timestamp::from_seconds(1_040_000),
        cltt: Timestamp::from_seconds(999_000),
        relay_agent_information: words.into(),
        host_name: b"cpe"[..].into(),
        ..contract::sample()
    }
}

fn query(wanted: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    let written = Framing::TwoOctet.frame(&mut octets, |out| {
        let mut writer = MessageWriter::new(out, 1000);
        writer.header(&Header { xid: 7, ..Header::new(Op::BootRequest) });
        let number = MessageType::BulkLeaseQuery as u8 + 1;
        let _ = writer.option_u8(OptionCode::DHCP_MESSAGE_TYPE, number);
        if !wanted.is_empty() {
            let _ = writer.option(OptionCode::PARAMETER_REQUEST_LIST, wanted);
        }
        writer.finish();
    });
    written.expect("a query fits its frame");
    octets
}

/// Processor time of this thread, or none where the system does not tell.
fn processor_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: f64 = text.split(' ').next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}

/// Answers one query to its end; how many octets that were.
fn answer(ledger: &Still, octets: &[u8]) -> usize {
    let moment = Moment { now: Timestamp::from_seconds(1_000_000), uptime: Duration::ZERO };
    let me = SessionFacts { id: MemberId(1), server_identifier: REQUESTOR };
    let connected = Connected {
        requestor: REQUESTOR,
        secured: false,
        certificate_checked: false,
        tls_offered: false,
    };
    let mut session = Session::new(connected, me, moment);
    session.receive(octets, moment);
    let (mut out, mut len) = (Vec::new(), 0);
    loop {
        out.clear();
        let next = session.proceed(ledger, moment, &mut out, CHUNK_LEN);
        len += out.len();
        if next != Next::More {
            break;
        }
    }
    assert_eq!(session.tally().bindings, u64::from(BINDINGS));
    len
}

fn main() {
    let mut table = MapTable::default();
    table.globals_mut().settings = settings();
    (0..BINDINGS).for_each(|number| table.put(binding(number)));
    let ledger = Still(table);
    let wishes: [(&str, &[u8]); 4] = [
        ("the netmask", &[1]),
        ("what RFC 6926 section 7.2 recommends", &[152, 51, 153, 91]),
        ("that and option 82, state and source", &[152, 51, 153, 91, 82, 156, 157]),
        ("no list", &[]),
    ];
    for (name, wanted) in wishes {
        let octets = query(wanted);
        let began = processor_seconds();
        let len = answer(&ledger, &octets);
        let Some((began, ended)) = began.zip(processor_seconds()) else {
            println!("{name}: this system does not tell processor time");
            continue;
        };
        let rate = f64::from(BINDINGS) / (ended - began);
        println!("{name}: {rate:.0} bindings/s, {} octets each", len / BINDINGS as usize);
    }
}
