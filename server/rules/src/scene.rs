//! What the tests of this crate share: a small cluster's ledger in memory, and clients that say what a test wants.
//!
//! Two servers. Member 1 (192.0.2.1) is the one under test; it owns the pools but for 10.0.0.16 to .19,
//! which member 2 (192.0.2.2) owns. All buckets are member 1's until a test says otherwise.

use crate::{
    Answer, Arrival, DropReason, Intent, MemberFacts, NetworkIndex, OfferLimits, Offers,
    PendingReply, Probe, Situation, answer, decide, encode_reply, leasequery,
};
use replication_ledger::{
    AddressRange, Batch, BucketMap, ClientKey, Command, HardwareAddress, LeaseTimes,
    LeasequerySettings, LedgerView, MapTable, MemberId, Mode, OptionValue, Outcome, Parcel, Prefix,
    Reservation, ReservationKey, Role, Session, Settings, Stamp, Subnet, Timestamp, Vpn,
    VpnAddress, VpnRange, apply,
};
use server_wire::{CodePoints, Header, Message, MessageType, MessageWriter, Op, OptionCode};
use std::net::Ipv4Addr;

pub(crate) const RELAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub(crate) const OUR_ID: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const OTHER_ID: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
pub(crate) const LEASE_SECONDS: u32 = 3600;
const START_SECONDS: u64 = 1_000_000;

pub(crate) fn ip(text: &str) -> Ipv4Addr {
    text.parse().expect("tests write addresses correctly")
}

/// The address in the global VPN.
pub(crate) fn at(ip: Ipv4Addr) -> VpnAddress {
    VpnAddress::global(ip)
}

/// A range of the global VPN.
pub(crate) fn global(first: &str, last: &str) -> VpnRange {
    VpnRange::global(range(first, last))
}

/// What a client or a requestor says.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) header: Header,
    pub(crate) message_type: Option<u8>,
    pub(crate) options: Vec<(u8, Vec<u8>)>,
    pub(crate) relay_agent_information: Vec<u8>,
}

impl Ask {
    /// A message of client `number` through the relay of the first link.
    pub(crate) fn new(message_type: MessageType, number: u8) -> Ask {
        let mut header = Header::new(Op::BootRequest);
        header.set_chaddr(1, &[2, 0, 0, 0, 0, number]);
        header.giaddr = RELAY;
        header.xid = 0x1234_5678;
        header.hops = 1;
        let options = Vec::new();
        let number = Some(CodePoints::default().number(message_type));
        Ask { header, message_type: number, options, relay_agent_information: Vec::new() }
    }

    pub(crate) fn discover(number: u8) -> Ask {
        Ask::new(MessageType::Discover, number)
    }

    pub(crate) fn selecting(number: u8, server: Ipv4Addr, address: Ipv4Addr) -> Ask {
        Ask::new(MessageType::Request, number).address(54, server).address(50, address)
    }

    pub(crate) fn init_reboot(number: u8, address: Ipv4Addr) -> Ask {
        Ask::new(MessageType::Request, number).address(50, address)
    }

    pub(crate) fn rebinding(number: u8, address: Ipv4Addr) -> Ask {
        Ask::new(MessageType::Request, number).ciaddr(address)
    }

    pub(crate) fn renewing(number: u8, address: Ipv4Addr) -> Ask {
        Ask::rebinding(number, address).giaddr(Ipv4Addr::UNSPECIFIED)
    }

    pub(crate) fn with(mut self, code: u8, value: &[u8]) -> Ask {
        self.options.push((code, value.to_vec()));
        self
    }

    pub(crate) fn address(self, code: u8, address: Ipv4Addr) -> Ask {
        self.with(code, &address.octets())
    }

    pub(crate) fn ciaddr(mut self, ciaddr: Ipv4Addr) -> Ask {
        self.header.ciaddr = ciaddr;
        self
    }

    pub(crate) fn giaddr(mut self, giaddr: Ipv4Addr) -> Ask {
        self.header.giaddr = giaddr;
        self
    }

    pub(crate) fn secs(mut self, secs: u16) -> Ask {
        self.header.secs = secs;
        self
    }

    pub(crate) fn relay(mut self, relay_agent_information: &[u8]) -> Ask {
        self.relay_agent_information = relay_agent_information.to_vec();
        self
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut buffer = Vec::new();
        let mut writer = MessageWriter::new(&mut buffer, 60_000);
        writer.header(&self.header);
        if !self.relay_agent_information.is_empty() {
            writer.relay_agent_information(&self.relay_agent_information).expect("room");
        }
        if let Some(message_type) = self.message_type {
            writer.option_u8(OptionCode::DHCP_MESSAGE_TYPE, message_type).expect("room");
        }
        for (code, value) in &self.options {
            writer.option(OptionCode(*code), value).expect("room");
        }
        writer.finish();
        buffer
    }
}

/// A reply as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) message_type: MessageType,
    pub(crate) header: Header,
    pub(crate) options: Vec<(u8, Vec<u8>)>,
    pub(crate) relay_agent_information_is_last: bool,
}

impl Reply {
    pub(crate) fn decode(octets: &[u8]) -> Reply {
        let message = Message::decode(octets).expect("our replies decode");
        let end = octets.iter().rposition(|octet| *octet == 255).expect("every message ends");
        let relay = message.option(OptionCode::RELAY_AGENT_INFORMATION);
        Reply {
            message_type: message
                .message_type_with(&CodePoints::default())
                .expect("our replies have a type"),
            header: message.header,
            options: message.options().iter().map(|(c, v)| (c.0, v.to_vec())).collect(),
            relay_agent_information_is_last: relay.is_some_and(|raw| octets[..end].ends_with(raw)),
        }
    }

    pub(crate) fn option(&self, code: u8) -> Option<&[u8]> {
        self.options.iter().find(|(found, _)| *found == code).map(|(_, value)| &value[..])
    }

    pub(crate) fn number(&self, code: u8) -> Option<u32> {
        Some(u32::from_be_bytes(self.option(code)?.try_into().ok()?))
    }

    pub(crate) fn codes(&self) -> Vec<u8> {
        self.options.iter().map(|(code, _)| *code).collect()
    }
}

/// What came of a message, before any commit.
#[derive(Debug)]
pub(crate) enum Seen {
    Dropped(DropReason),
    Replied(Reply),
    RepliedBootp(Vec<u8>),
    Promised { command: Command, ack: Vec<u8>, pending: PendingReply },
    Recorded(Command),
    Probed(Probe),
    Told(Reply),
}

/// A ledger, a member, and a clock that the test moves.
pub(crate) struct Scene {
    pub(crate) table: MapTable,
    pub(crate) offers: Offers,
    pub(crate) guard: leasequery::ReplayGuard,
    pub(crate) me: MemberFacts,
    pub(crate) mode: Mode,
    pub(crate) now: Timestamp,
    pub(crate) serving: Vec<MemberId>,
    next_index: u64,
}

impl Scene {
    pub(crate) fn new() -> Scene {
        Scene::with_settings(settings())
    }

    pub(crate) fn with_settings(settings: Settings) -> Scene {
        let mut scene = Scene {
            table: MapTable::default(),
            offers: Offers::new(OfferLimits::default()),
            guard: leasequery::ReplayGuard::default(),
            me: MemberFacts { id: MemberId(1), server_identifier: OUR_ID, addresses: vec![] },
            mode: Mode::Quorum,
            now: Timestamp::from_seconds(START_SECONDS),
            serving: vec![MemberId(2)],
            next_index: 1,
        };
        scene.enroll(1, OUR_ID);
        scene.commit(1, Command::Configure { replaces_revision: 0, settings: Box::new(settings) });
        scene.enroll(2, OTHER_ID);
        let all_mine = BucketMap::default().shared_by(&[MemberId(1)]);
        scene.commit(1, Command::SetBuckets { buckets: all_mine });
        let range = global("10.0.0.16", "10.0.0.19");
        scene.commit(1, Command::Disown { range });
        scene.settle();
        scene.commit(1, Command::Grant { range, owner: Some(MemberId(2)) });
        scene
    }

    fn enroll(&mut self, id: u64, server_identifier: Ipv4Addr) {
        let member = MemberId(id);
        let (name, role) = (format!("m{id}"), Role::Server);
        let server_identifier = Some(server_identifier);
        self.commit(id, Command::Enroll { member, name, role, server_identifier });
        self.commit(id, Command::ContactRestored { member, session: Session(1) });
    }

    /// Applies a command that this member sends.
    pub(crate) fn commit(&mut self, member: u64, command: Command) -> Outcome {
        self.commit_all(member, vec![command]).pop().expect("one outcome")
    }

    /// Applies commands of one parcel.
    pub(crate) fn commit_all(&mut self, member: u64, commands: Vec<Command>) -> Vec<Outcome> {
        let parcel = Parcel {
            member: MemberId(member),
            session: Session(1),
            sequence: self.next_index,
            commands,
        };
        let batch = Batch { stamp: Stamp::of(self.now), parcels: vec![parcel] };
        let mut outcomes = apply(&mut self.table, self.next_index, batch);
        self.next_index += 1;
        outcomes.pop().expect("of one parcel")
    }

    /// Everybody knows everything that is committed.
    pub(crate) fn settle(&mut self) {
        let index = self.next_index;
        let indexes = vec![(MemberId(1), index), (MemberId(2), index)];
        self.commit(1, Command::Settle { indexes });
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        self.now = Timestamp(self.now.0 + seconds * 1000);
    }

    pub(crate) fn give_buckets_to(&mut self, member: u64) {
        let buckets = BucketMap::default().shared_by(&[MemberId(member)]);
        self.commit(1, Command::SetBuckets { buckets });
    }

    /// Decides about a message; encodes what there is to encode.
    pub(crate) fn see(&mut self, ask: &Ask) -> Seen {
        self.see_octets(&ask.encode())
    }

    /// Decides about a datagram that came by unicast.
    pub(crate) fn see_octets(&mut self, octets: &[u8]) -> Seen {
        self.see_from(octets, None)
    }

    /// Decides about a datagram that came by this link.
    pub(crate) fn see_from(&mut self, octets: &[u8], link: Option<Ipv4Addr>) -> Seen {
        let message = Message::decode(octets).expect("tests write messages correctly");
        let header = &message.header;
        let relayed = !header.giaddr.is_unspecified();
        let source = if relayed { header.giaddr } else { header.ciaddr };
        let arrival = Arrival { source, source_port: 67, local: OUR_ID, link };
        let index = NetworkIndex::new(&self.table.globals().settings);
        let situation = Situation {
            view: &self.table,
            index: &index,
            me: &self.me,
            mode: self.mode,
            now: self.now,
            serving: &self.serving,
        };
        let mut buffer = Vec::new();
        match decide(&message, arrival, &situation, &mut self.offers) {
            Intent::Drop(reason) => Seen::Dropped(reason),
            Intent::Record(command) => Seen::Recorded(command),
            Intent::Probe(probe) => Seen::Probed(probe),
            Intent::Reply(plan) if plan.message_type.is_none() => {
                encode_reply(&plan, &mut buffer);
                Seen::RepliedBootp(buffer)
            }
            Intent::Reply(plan) => {
                encode_reply(&plan, &mut buffer);
                Seen::Replied(Reply::decode(&buffer))
            }
            Intent::Promise { command, ack, pending } => {
                encode_reply(&ack, &mut buffer);
                Seen::Promised { command, ack: buffer, pending }
            }
            Intent::Leasequery(mut plan) => {
                if plan.needs_authentication()
                    && let Err(reason) = leasequery::authenticate(&mut plan, &mut self.guard)
                {
                    return Seen::Dropped(reason);
                }
                leasequery::encode(&plan, &mut buffer);
                Seen::Told(Reply::decode(&buffer))
            }
        }
    }

    /// Decides, commits what is proposed, and answers.
    pub(crate) fn serve(&mut self, ask: &Ask) -> Result<Reply, DropReason> {
        match self.see(ask) {
            Seen::Dropped(reason) => Err(reason),
            Seen::Replied(reply) | Seen::Told(reply) => Ok(reply),
            Seen::Recorded(command) => panic!("no reply to {command:?}"),
            Seen::Probed(probe) => panic!("no reply before {probe:?}"),
            Seen::RepliedBootp(octets) => panic!("no message type in {octets:?}"),
            Seen::Promised { command, ack, pending } => {
                let outcome = self.commit(1, command);
                let mut nak = Vec::new();
                self.offers.settle(pending.address);
                match answer(&pending, &outcome, &ack, &mut nak) {
                    Answer::Ack => Ok(Reply::decode(&ack)),
                    Answer::Nak => Ok(Reply::decode(&nak)),
                    Answer::Drop(reason) => Err(reason),
                }
            }
        }
    }

    /// DISCOVER, OFFER, REQUEST, ACK: the address.
    pub(crate) fn obtain(&mut self, number: u8) -> Ipv4Addr {
        let offer = self.serve(&Ask::discover(number)).expect("an offer");
        let address = offer.header.yiaddr;
        let ack = self.serve(&Ask::selecting(number, OUR_ID, address)).expect("an answer");
        assert_eq!((ack.message_type, ack.header.yiaddr), (MessageType::Ack, address));
        address
    }
}

pub(crate) fn client(number: u8) -> ClientKey {
    ClientKey::from_hardware(&hardware(number))
}

pub(crate) fn hardware(number: u8) -> HardwareAddress {
    HardwareAddress::new(1, &[2, 0, 0, 0, 0, number])
}

fn range(first: &str, last: &str) -> AddressRange {
    AddressRange { first: ip(first), last: ip(last) }
}

pub(crate) fn option(code: u8, data: &[u8]) -> OptionValue {
    OptionValue { code, data: data.into() }
}

fn subnet(network: &str, address: &str, pool: AddressRange) -> Subnet {
    Subnet {
        network: Some(network.into()),
        pools: vec![pool],
        lease: LeaseTimes { default_seconds: LEASE_SECONDS, ..LeaseTimes::default() },
        ..Subnet::new(Prefix { address: ip(address), len: 24 })
    }
}

fn reserved(key: ReservationKey, address: &str) -> Reservation {
    Reservation::new(key, ip(address))
}

/// Three subnets; 10.0.0.0/24 and 10.0.1.0/24 share the link "cable", 10.9.0.0/24 is another's.
pub(crate) fn settings() -> Settings {
    let mut first = subnet("cable", "10.0.0.0", range("10.0.0.10", "10.0.0.19"));
    first.options = vec![option(3, &[10, 0, 0, 1]), option(15, b"cable.example")];
    first.boot.next_server = ip("192.0.2.99");
    let mut by_hardware = reserved(ReservationKey::Hardware(hardware(200)), "10.0.0.200");
    by_hardware.host_name = Some("head-end".into());
    by_hardware.options = vec![option(15, b"head.example"), option(66, b"tftp")];
    first.reservations = vec![
        by_hardware,
        reserved(ReservationKey::ClientIdentifier(b"\0known"[..].into()), "10.0.0.201"),
        reserved(ReservationKey::CircuitId(b"port-7"[..].into()), "10.0.0.202"),
        reserved(ReservationKey::RemoteId(b"modem-7"[..].into()), "10.0.0.203"),
        reserved(ReservationKey::SubscriberId(b"smith"[..].into()), "10.0.0.204"),
    ];
    let mut second = subnet("cable", "10.0.1.0", range("10.0.1.10", "10.0.1.11"));
    second.relays = vec![ip("172.16.0.1")];
    let third = subnet("fibre", "10.9.0.0", range("10.9.0.10", "10.9.0.19"));
    Settings {
        revision: 1,
        options: vec![option(6, &[192, 0, 2, 53]), option(15, b"all.example")],
        subnets: vec![first, second, third],
        leasequery: LeasequerySettings {
            permitted: vec![Prefix { address: ip("10.0.0.0"), len: 24 }],
            ..LeasequerySettings::default()
        },
        ..Settings::default()
    }
}

pub(crate) const RED: &[u8] = b"\0red";
pub(crate) const BLUE: &[u8] = b"\0blue";

pub(crate) fn vpn(identifier: &[u8]) -> Vpn {
    if identifier.is_empty() { Vpn::GLOBAL } else { Vpn::named(identifier.into()) }
}

/// As [`settings`], and in the VPNs "red" and "blue" each: 10.0.0.0/24 with a pool as the global one has, and 10.7.0.0/24, which the
/// global one has not. Both are on one link, and one relay has one address in both.
pub(crate) fn overlapping() -> Settings {
    let mut settings = settings();
    for identifier in [RED, BLUE] {
        let network = String::from_utf8_lossy(&identifier[1..]).into_owned();
        let mut alike = subnet(&network, "10.0.0.0", range("10.0.0.10", "10.0.0.19"));
        alike.relays = vec![ip("172.16.0.9")];
        let apart = subnet(&network, "10.7.0.0", range("10.7.0.10", "10.7.0.19"));
        settings.subnets.extend([alike, apart].map(|s| Subnet { vpn: vpn(identifier), ..s }));
    }
    settings.subnets.sort_by_key(|subnet| (subnet.vpn.number(), subnet.prefix));
    settings.reception.vss = true;
    settings.reception.vpn_option = [RED, BLUE].map(|id| vpn(id).number()).to_vec();
    settings.reception.vpn_option.sort_unstable();
    settings
}

/// The same in this VPN, as its relay says; empty is the global one.
pub(crate) fn in_vpn(ask: Ask, identifier: &[u8]) -> Ask {
    let named = [&[151, identifier.len() as u8], identifier].concat();
    let words =
        [&ask.relay_agent_information[..], if identifier.is_empty() { &[] } else { &named }];
    let words = words.concat();
    ask.relay(&words)
}
