//! Real sockets on loopback, a relay that the test plays, and a cluster of one that commits when the test says so.

use super::*;
use crate::limits::REQUEST_LEN_MAX;
use crate::promiser::OnOutcomes;
use crate::service::OfferTable;
use parking_lot::{Mutex, RwLock};
use replication_ledger::{
    AddressRange, AuthenticationProtocol, Batch, Command, LeasequerySecret, LeasequerySettings,
    LedgerView, MapTable, MemberId, Mode, Outcome, Parcel, Prefix, Role, Session, Settings, Stamp,
    Subnet, Timestamp, VpnAddress, apply,
};
use server_rules::{MemberFacts, OfferLimits};
use server_wire::{Header, Message, MessageType, MessageWriter, Op, OptionCode};
use std::net::Ipv4Addr;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

/// How long a reply may take on the slowest machine; never waited out by a test that passes.
const PATIENCE: Duration = Duration::from_secs(20);

type Kept = (Vec<Command>, OnOutcomes<&'static str>);

/// A cluster of one member over the plain table.
struct Cluster {
    table: RwLock<MapTable>,
    next_index: AtomicUsize,
    calls: AtomicUsize,
    /// Set while proposals are kept back.
    kept: Mutex<Option<Vec<Kept>>>,
    unreachable: AtomicBool,
    panics_left: AtomicUsize,
}

impl Cluster {
    fn new(relay: Ipv4Addr) -> Arc<Cluster> {
        let cluster = Cluster {
            table: RwLock::default(),
            next_index: AtomicUsize::new(1),
            calls: AtomicUsize::new(0),
            kept: Mutex::new(None),
            unreachable: AtomicBool::new(false),
            panics_left: AtomicUsize::new(0),
        };
        let member = MemberId(1);
        let (name, role, server_identifier) = ("m1".into(), Role::Server, None);
        let settings = Box::new(settings(relay));
        cluster.commit(vec![
            Command::Enroll { member, name, role, server_identifier },
            Command::ContactRestored { member, session: Session(1) },
            Command::Configure { replaces_revision: 0, settings },
        ]);
        Arc::new(cluster)
    }

    fn commit(&self, commands: Vec<Command>) -> Vec<Outcome> {
        let index = self.next_index.fetch_add(1, Ordering::Relaxed) as u64;
        let (member, session) = (MemberId(1), Session(1));
        let parcel = Parcel { member, session, sequence: index, commands };
        let batch = Batch { stamp: Stamp::of(now()), parcels: vec![parcel] };
        apply(&mut *self.table.write(), index, batch).remove(0)
    }

    fn keep_back(&self) {
        *self.kept.lock() = Some(Vec::new());
    }

    fn let_go(&self) {
        for (commands, done) in self.kept.lock().take().unwrap_or_default() {
            done(self.commit(commands).into_iter().map(Ok).collect());
        }
    }
}

impl Promiser for Cluster {
    type View<'v> = MapTable;
    type Error = &'static str;

    fn propose_many(&self, commands: Vec<Command>, done: OnOutcomes<&'static str>) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if self.unreachable.load(Ordering::Relaxed) {
            return done(commands.iter().map(|_| Err("no quorum")).collect());
        }
        if let Some(kept) = &mut *self.kept.lock() {
            return kept.push((commands, done));
        }
        done(self.commit(commands).into_iter().map(Ok).collect());
    }

    fn with_view<R>(&self, look: impl FnOnce(&MapTable) -> R) -> R {
        let once = |left: usize| left.checked_sub(1);
        if self.panics_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, once).is_ok() {
            panic!("a test wants this");
        }
        look(&self.table.read())
    }

    fn mode(&self) -> Mode {
        Mode::Quorum
    }

    fn serving(&self) -> Vec<MemberId> {
        Vec::new()
    }

    fn now(&self) -> Timestamp {
        now()
    }
}

/// Time stands still.
fn now() -> Timestamp {
    Timestamp::from_seconds(1_000_000)
}

fn settings(relay: Ipv4Addr) -> Settings {
    let range = |first, last| AddressRange { first, last };
    let subnet = Subnet {
        pools: vec![range(Ipv4Addr::new(10, 0, 0, 10), Ipv4Addr::new(10, 0, 0, 250))],
        relays: vec![relay],
        ..Subnet::new(Prefix { address: Ipv4Addr::new(10, 0, 0, 0), len: 24 })
    };
    let permitted = vec![Prefix { address: Ipv4Addr::new(127, 0, 0, 0), len: 8 }];
    Settings {
        revision: 1,
        subnets: vec![subnet],
        leasequery: LeasequerySettings { permitted, ..Default::default() },
        ..Settings::default()
    }
}

/// A member that serves, and a relay before it.
struct Scene {
    cluster: Arc<Cluster>,
    offers: Arc<OfferTable>,
    service: Arc<Service<Arc<Cluster>>>,
    running: Option<Running>,
    server: SocketAddrV4,
    relay: UdpSocket,
}

impl Scene {
    fn new() -> Scene {
        let relay = UdpSocket::bind("127.0.0.1:0").expect("a socket on loopback");
        relay.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let relay_address = relay.local_addr().expect("bound");
        let listen = vec!["127.0.0.1:0".parse().expect("an address")];
        let config =
            NetConfig { listen, relay_port: Some(relay_address.port()), ..NetConfig::default() };
        let listeners = Listeners::bind(&config).expect("a free port");
        let server = listeners.addresses()[0];
        let cluster = Cluster::new(Ipv4Addr::LOCALHOST);
        let offers = Arc::new(OfferTable::new(OfferLimits::default()));
        let me =
            MemberFacts { id: MemberId(1), server_identifier: *server.ip(), addresses: Vec::new() };
        let service = Arc::new(Service::new(Arc::clone(&cluster), me, Arc::clone(&offers)));
        let running = Some(run(listeners, Arc::clone(&service)).expect("threads"));
        Scene { cluster, offers, service, running, server, relay }
    }

    fn send(&self, octets: &[u8]) {
        self.relay.send_to(octets, self.server).expect("loopback takes it");
    }

    /// The next reply: type, client number, yiaddr.
    fn receive(&self) -> (MessageType, u8, Ipv4Addr) {
        let mut buffer = [0; 1500];
        let (len, from) = self.relay.recv_from(&mut buffer).expect("a reply");
        assert_eq!(from, self.server.into(), "replies leave from where the request came to");
        let reply = Message::decode(&buffer[..len]).expect("a message");
        let message_type = reply.message_type().expect("a type");
        (message_type, reply.header.chaddr_field[5], reply.header.yiaddr)
    }

    /// Changes the configuration of leasequery.
    fn configure(&self, change: impl FnOnce(&mut LeasequerySettings)) {
        self.configure_all(|settings| change(&mut settings.leasequery));
    }

    fn configure_all(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.cluster.table.read().globals().settings.clone();
        let replaces_revision = settings.revision;
        settings.revision += 1;
        change(&mut settings);
        let settings = Box::new(settings);
        let outcomes =
            self.cluster.commit(vec![Command::Configure { replaces_revision, settings }]);
        assert!(matches!(outcomes[0], Outcome::Done { .. }), "{outcomes:?}");
    }

    fn offer(&self, number: u8) -> Ipv4Addr {
        self.send(&message(1, number, &[]));
        let (message_type, to, address) = self.receive();
        assert_eq!((message_type, to), (MessageType::Offer, number));
        address
    }

    fn select(&self, number: u8, address: Ipv4Addr) {
        self.send(&message(3, number, &[(50, address), (54, *self.server.ip())]));
    }
}

fn message(message_type: u8, number: u8, addresses: &[(u8, Ipv4Addr)]) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut header = Header::new(Op::BootRequest);
    header.giaddr = Ipv4Addr::LOCALHOST;
    header.set_chaddr(1, &[2, 0, 0, 0, 0, number]);
    let mut writer = MessageWriter::new(&mut octets, 1400);
    writer.header(&header);
    writer.option_u8(OptionCode::DHCP_MESSAGE_TYPE, message_type).expect("room");
    for (code, address) in addresses {
        writer.option_address(OptionCode(*code), *address).expect("room");
    }
    writer.finish();
    octets
}

#[test]
fn a_client_is_served_through_its_relay() {
    let scene = Scene::new();
    let address = scene.offer(1);
    assert!(scene.offers.is_held(VpnAddress::global(address), now()), "on offer");
    scene.select(1, address);
    assert_eq!(scene.receive(), (MessageType::Ack, 1, address));
    assert!(!scene.offers.is_held(VpnAddress::global(address), now()), "promised");
    let table = scene.cluster.table.read();
    let binding = table.binding(VpnAddress::global(address));
    assert_eq!(binding.map(|binding| binding.giaddr), Some(Ipv4Addr::LOCALHOST));
}

// proves [AV-Q1]
#[test]
fn an_ack_waits_for_its_outcome_and_nothing_else_does() {
    let scene = Scene::new();
    let address = scene.offer(1);
    scene.cluster.keep_back();
    scene.select(1, address);
    // What comes next is the answer to what was sent last: the DHCPACK has not left.
    let other = scene.offer(2);
    assert_ne!(other, address, "an address that is being promised is not on offer");
    scene.send(&message(10, 1, &[]));
    assert_eq!(scene.receive().0, MessageType::LeaseUnknown);
    scene.cluster.let_go();
    assert_eq!(scene.receive(), (MessageType::Ack, 1, address));
}

/// A leasequery for an address that is not ours, with this message type, giaddr and option 90.
fn leasequery(message_type: u8, giaddr: Ipv4Addr, authentication: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut header = Header::new(Op::BootRequest);
    (header.giaddr, header.ciaddr) = (giaddr, Ipv4Addr::new(203, 0, 113, 1));
    let mut writer = MessageWriter::new(&mut octets, 1400);
    writer.header(&header);
    writer.option_u8(OptionCode::DHCP_MESSAGE_TYPE, message_type).expect("room");
    if !authentication.is_empty() {
        writer.option(OptionCode::AUTHENTICATION, authentication).expect("room");
    }
    writer.finish();
    octets
}

// proves
#[test]
fn a_leasequery_without_giaddr_is_answered_at_its_source_if_that_is_configured() {
    let scene = Scene::new();
    let requestor = UdpSocket::bind("127.0.0.2:0").expect("a socket on loopback");
    requestor.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let query = leasequery(10, Ipv4Addr::UNSPECIFIED, &[]);
    requestor.send_to(&query, scene.server).expect("loopback takes it");
    scene.offer(1);
    scene.configure(|leasequery| leasequery.without_giaddr = true);
    requestor.send_to(&query, scene.server).expect("loopback takes it");
    let mut buffer = [0; 1500];
    let len = requestor.recv(&mut buffer).expect("an answer");
    let answer = Message::decode(&buffer[..len]).expect("a message");
    assert_eq!(answer.message_type(), Some(MessageType::LeaseUnknown));
    // With giaddr it goes there, wherever it came from.
    let query = leasequery(10, Ipv4Addr::LOCALHOST, &[]);
    requestor.send_to(&query, scene.server).expect("loopback takes it");
    assert_eq!(scene.receive().0, MessageType::LeaseUnknown);
}

// proves [L-19]
#[test]
fn the_draft_has_its_own_numbers() {
    let scene = Scene::new();
    scene.send(&leasequery(233, Ipv4Addr::LOCALHOST, &[]));
    let mut buffer = [0; 1500];
    let len = scene.relay.recv(&mut buffer).expect("an answer");
    let answer = Message::decode(&buffer[..len]).expect("a message");
    assert_eq!(answer.message_type_number(), Some(235));
}

// proves [Q-42] [O-42]
#[test]
fn a_leasequery_must_be_authentic_and_new_if_that_is_configured() {
    let scene = Scene::new();
    scene.configure(|leasequery| {
        leasequery.authentication_required = true;
        leasequery.secrets = vec![LeasequerySecret {
            id: 1,
            protocol: AuthenticationProtocol::ConfigurationToken,
            secret: b"please"[..].into(),
        }];
    });
    let query = |counter: u8, token: &[u8]| {
        let value = [&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, counter][..], token].concat();
        leasequery(10, Ipv4Addr::LOCALHOST, &value)
    };
    let dropped = |octets: &[u8], number| {
        scene.send(octets);
        // What comes next is the answer to what was sent last.
        scene.offer(number);
    };
    dropped(&leasequery(10, Ipv4Addr::LOCALHOST, &[]), 1);
    dropped(&query(1, b"guessed"), 2);
    scene.send(&query(1, b"please"));
    assert_eq!(scene.receive().0, MessageType::LeaseUnknown);
    dropped(&query(1, b"please"), 3);
    scene.send(&query(2, b"please"));
    assert_eq!(scene.receive().0, MessageType::LeaseUnknown);
}

#[test]
fn a_refused_promise_becomes_a_nak() {
    let scene = Scene::new();
    let address = scene.offer(1);
    scene.select(1, address);
    assert_eq!(scene.receive().0, MessageType::Ack);
    scene.select(2, address);
    assert_eq!(scene.receive(), (MessageType::Nak, 2, Ipv4Addr::UNSPECIFIED));
}

#[test]
fn an_unknown_outcome_is_not_answered() {
    let scene = Scene::new();
    let address = scene.offer(1);
    scene.cluster.unreachable.store(true, Ordering::Relaxed);
    scene.select(1, address);
    assert_eq!(scene.offer(2), Ipv4Addr::from(u32::from(address) + 1), "no DHCPACK came before");
    scene.cluster.unreachable.store(false, Ordering::Relaxed);
    scene.select(1, address);
    assert_eq!(scene.receive(), (MessageType::Ack, 1, address));
}

#[test]
fn what_comes_together_is_proposed_together() {
    let scene = Scene::new();
    let addresses: Vec<_> = (1..=20).map(|number| scene.offer(number)).collect();
    let before = scene.cluster.calls.load(Ordering::Relaxed);
    // While the ledger can not be looked at, the first batch waits and all the others become one.
    let applying = scene.cluster.table.write();
    for (number, address) in (1..).zip(&addresses) {
        scene.select(number, *address);
    }
    drop(applying);
    let mut acked: Vec<u8> = addresses.iter().map(|_| scene.receive().1).collect();
    acked.sort();
    assert_eq!(acked, (1..=20).collect::<Vec<u8>>());
    let calls = scene.cluster.calls.load(Ordering::Relaxed) - before;
    assert!(calls <= 2, "{calls} calls");
}

#[test]
fn bad_datagrams_and_panics_do_not_end_the_service() {
    let scene = Scene::new();
    scene.send(&[]);
    scene.send(&[7; 300]);
    scene.send(&vec![0; REQUEST_LEN_MAX + 1]);
    scene.offer(1);
    scene.cluster.panics_left.store(1, Ordering::Relaxed);
    scene.send(&message(1, 2, &[]));
    // The panicking batch may hold this one, too: the client asks again, as clients do.
    scene.relay.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
    let mut buffer = [0; 1500];
    let answered = (0..400).any(|_| {
        scene.send(&message(1, 3, &[]));
        scene.relay.recv_from(&mut buffer).is_ok()
    });
    assert!(answered, "the service ended");
    assert_eq!(scene.cluster.panics_left.load(Ordering::Relaxed), 0, "nothing was proved");
}

#[test]
fn stopping_answers_what_was_promised() {
    let mut scene = Scene::new();
    let address = scene.offer(1);
    scene.cluster.keep_back();
    scene.select(1, address);
    // Served after it by the same thread, so the promise is on its way.
    scene.offer(2);
    let running = scene.running.take().expect("it runs");
    let stopping = thread::spawn(move || running.stop());
    scene.cluster.let_go();
    stopping.join().expect("it stops");
    assert_eq!(scene.receive(), (MessageType::Ack, 1, address));
    scene.send(&message(1, 3, &[]));
    UdpSocket::bind(scene.server).expect("the port is free again");
}

// proves [H-34]
#[test]
fn an_offer_follows_its_probe_whatever_comes_of_it() {
    let scene = Scene::new();
    let ping_check = |millis| {
        scene.configure_all(|s| s.subnets[0].clients.ping_check_millis = millis);
    };
    ping_check(1);
    // Whether this machine lets us ask, and whoever is there: in the end there is an offer.
    scene.offer(1);
    ping_check(3000);
    // Nobody can be asked: the offer leaves at once, and so do all after it.
    scene.service.prober.give_up();
    let addresses = [scene.offer(2), scene.offer(3)];
    assert_ne!(addresses[0], addresses[1]);
}

#[test]
fn an_address_that_can_not_be_listened_on_is_refused() {
    let check = |listen: SocketAddrV4, expected: &str| {
        let config = NetConfig { listen: vec![listen], ..NetConfig::default() };
        let error = Listeners::bind(&config).expect_err("refused");
        assert_eq!(error.to_string(), expected);
    };
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a socket on loopback");
    let port = taken.local_addr().expect("bound").port();
    let at = |ip| SocketAddrV4::new(ip, port);
    check(at(Ipv4Addr::LOCALHOST), &format!("cannot listen on 127.0.0.1:{port}"));
    let not_unicast = "it is not a unicast address of one host";
    let any = at(Ipv4Addr::UNSPECIFIED);
    check(any, &format!("cannot listen on {any}: {not_unicast}"));
    let first = Listeners::bind(&NetConfig {
        listen: vec![SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)],
        ..NetConfig::default()
    });
    let ours = first.expect("a free port");
    let again = ours.addresses()[0];
    check(again, &format!("cannot listen on {again}"));
}
