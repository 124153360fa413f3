//! Real sockets on loopback, requestors that the test plays, and a ledger that changes when the test says so.

use super::*;
use crate::promiser::{OnOutcomes, Promiser};
use parking_lot::RwLock;
use replication_ledger::{
    ActiveLeasequerySettings, AddressRange, Binding, BindingKey, BindingState, Command,
    HardwareAddress, LeasequerySettings, LedgerTable, MapPast, MapTable, MemberId, Mode, PastLost,
    PastView, Prefix, RequestorSettings, Settings, Stamp, Subnet, Timestamp, VpnAddress,
    view::contract,
};
use replication_raft::ChangeListener;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use server_wire::{
    Framer, Framing, Header, Message, MessageType, MessageWriter, Op, OptionCode, StatusCode,
};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};

/// How long an answer may take on the slowest machine; never waited out by a test that passes.
const PATIENCE: Duration = Duration::from_secs(30);
/// A message has at most so many octets.
const MESSAGE_LEN_MAX: usize = 4096;
const NOW: Timestamp = Timestamp(1_000_000_000);

/// A ledger in memory that remembers what its past was.
struct Ledger {
    table: RwLock<MapTable>,
    listeners: Mutex<Vec<ChangeListener>>,
    panics_left: AtomicUsize,
    /// Counts views of the past, and itself.
    pasts: Arc<()>,
}

struct Past {
    table: MapPast,
    _held: Arc<()>,
}

impl Ledger {
    fn new(settings: LeasequerySettings, bindings: u32) -> Arc<Ledger> {
        let mut table = MapTable::default();
        table.globals_mut().settings = network(settings, bindings);
        for number in 0..bindings {
            table.put(binding(number));
        }
        table.advance(u64::from(bindings) + 1, Stamp::of(NOW));
        Arc::new(Ledger {
            table: RwLock::new(table),
            listeners: Mutex::default(),
            panics_left: AtomicUsize::new(0),
            pasts: Arc::default(),
        })
    }

    fn pasts_held(&self) -> usize {
        Arc::strong_count(&self.pasts) - 1
    }

    /// One binding changes, as an entry of the log would have it.
    fn change(&self, number: u32) {
        let mut table = self.table.write();
        let index = table.globals().applied_index + 1;
        table.advance(index, Stamp::of(NOW));
        table.put(Binding { changed_index: index, ..binding(number) });
        drop(table);
        self.listeners.lock().iter().for_each(|listener| listener());
    }
}

impl Promiser for Ledger {
    type View<'v> = MapTable;
    type Error = &'static str;

    fn propose_many(&self, commands: Vec<Command>, done: OnOutcomes<&'static str>) {
        done(commands.iter().map(|_| Err("leasequery changes nothing")).collect());
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
        NOW
    }
}

impl Archive for Ledger {
    type Past = Past;

    fn past(&self) -> Result<Past, PastLost> {
        Ok(Past { table: self.table.read().past(), _held: Arc::clone(&self.pasts) })
    }

    fn on_applied(&self, listener: ChangeListener) {
        self.listeners.lock().push(listener);
    }
}

impl PastView for Past {
    fn index(&self) -> u64 {
        self.table.index()
    }

    fn binding(&self, address: VpnAddress) -> Result<Option<Binding>, PastLost> {
        self.table.binding(address)
    }

    fn addresses(
        &self,
        key: &BindingKey,
        after: Option<VpnAddress>,
        limit: usize,
    ) -> Result<Vec<VpnAddress>, PastLost> {
        self.table.addresses(key, after, limit)
    }

    fn knows(&self, key: &BindingKey) -> Result<bool, PastLost> {
        self.table.knows(key)
    }
}

/// Addresses from 10.0.0.0 on, one for each binding.
fn network(leasequery: LeasequerySettings, bindings: u32) -> Settings {
    let prefix = Prefix { address: Ipv4Addr::new(10, 0, 0, 0), len: 8 };
    let last = Ipv4Addr::from(u32::from(prefix.address) + bindings.max(1) - 1);
    let pool = AddressRange { first: prefix.address, last };
    let subnet = Subnet { pools: vec![pool], ..Subnet::new(prefix) };
    Settings { revision: 1, subnets: vec![subnet], leasequery, ..Settings::default() }
}

fn binding(number: u32) -> Binding {
    let [.., high, low] = number.to_be_bytes();
    Binding {
        address: VpnAddress::global(Ipv4Addr::from(0x0a00_0000 + number)),
        state: BindingState::Active,
        hardware: HardwareAddress::new(1, &[2, 0, 0, 0, high, low]),
        until: Timestamp::from_seconds(2_000_000),
        changed_index: u64::from(number) + 1,
        ..contract::sample()
    }
}

fn local() -> LeasequerySettings {
    let prefix = Prefix { address: Ipv4Addr::new(127, 0, 0, 0), len: 8 };
    LeasequerySettings { permitted: vec![prefix], ..LeasequerySettings::default() }
}

/// A member that serves.
struct Scene {
    ledger: Arc<Ledger>,
    running: Option<LeasequeryRunning>,
    server: SocketAddr,
}

impl Scene {
    fn new(settings: LeasequerySettings, bindings: u32) -> Scene {
        Scene::with_tls(settings, bindings, None)
    }

    fn with_tls(settings: LeasequerySettings, bindings: u32, tls: Option<LeasequeryTls>) -> Scene {
        let ledger = Ledger::new(settings, bindings);
        let listen = ["127.0.0.1:0".parse().expect("an address")];
        let listeners = LeasequeryListeners::bind(&listen).expect("a free port");
        let server = listeners.addresses()[0];
        let me = SessionFacts { id: MemberId(1), server_identifier: Ipv4Addr::LOCALHOST };
        let running = run_leasequery(listeners, Arc::clone(&ledger), me, tls).expect("threads");
        Scene { ledger, running: Some(running), server }
    }

    fn connect(&self) -> Requestor<TcpStream> {
        Requestor::of(connect(self.server))
    }
}

/// A connection whose system takes little: what the server sends beyond that stays at the server's.
fn connect(server: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let socket = socket.expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a buffer");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket.connect(&server.into()).expect("it listens");
    socket.into()
}

/// What a test holds of one connection.
struct Requestor<S> {
    stream: S,
    framer: Framer,
}

/// One message of an answer.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    message_type: MessageType,
    xid: u32,
    address: Ipv4Addr,
    status: Option<StatusCode>,
}

impl<S: Read + Write> Requestor<S> {
    fn of(stream: S) -> Requestor<S> {
        Requestor { stream, framer: Framer::new(Framing::TwoOctet, MESSAGE_LEN_MAX) }
    }

    fn send(&mut self, message_type: u8, xid: u32) {
        self.stream.write_all(&framed(message_type, xid)).expect("it is connected");
        self.stream.flush().expect("it is connected");
    }

    /// The next message; none if the server closed the connection.
    fn next(&mut self) -> Option<Told> {
        loop {
            if let Some(octets) = self.framer.next_frame().expect("good frames") {
                let message = Message::decode(octets).expect("a message");
                let status = message.option(OptionCode::STATUS_CODE);
                let status = status.and_then(|value| value.first()).copied();
                return Some(Told {
                    message_type: message.message_type().expect("a type"),
                    xid: message.header.xid,
                    address: message.header.ciaddr,
                    status: status.and_then(StatusCode::from_u8),
                });
            }
            let mut buffer = [0; 2048];
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(len) => self.framer.push(&buffer[..len]),
                Err(error) => match error.kind() {
                    ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof => return None,
                    _ => panic!("{error}"),
                },
            }
        }
    }

    /// Every message up to the one that ends an answer, which is included.
    fn answer(&mut self) -> Vec<Told> {
        let mut answer = Vec::new();
        while let Some(told) = self.next() {
            let last = told.message_type == MessageType::LeaseQueryDone;
            answer.push(told);
            if last {
                break;
            }
        }
        answer
    }

    /// True if everything is asked and answered.
    fn is_served(&mut self) -> bool {
        if self.stream.write_all(&framed(BULK, 7)).is_err() {
            return false;
        }
        let answer = self.answer();
        answer.last().is_some_and(|last| last.message_type == MessageType::LeaseQueryDone)
    }
}

const BULK: u8 = 14;
const ACTIVE: u8 = 16;
const TLS: u8 = 18;

fn framed(message_type: u8, xid: u32) -> Vec<u8> {
    let mut octets = Vec::new();
    let write = |buffer: &mut Vec<u8>| {
        let mut header = Header::new(Op::BootRequest);
        header.xid = xid;
        let mut writer = MessageWriter::new(buffer, 1400);
        writer.header(&header);
        writer.option_u8(OptionCode::DHCP_MESSAGE_TYPE, message_type).expect("room");
        writer.finish();
    };
    Framing::TwoOctet.frame(&mut octets, write).expect("short enough");
    octets
}

fn leased(answer: &[Told]) -> usize {
    answer.iter().filter(|told| told.message_type == MessageType::LeaseActive).count()
}

/// Waits until it is so.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what} did not happen");
        thread::sleep(Duration::from_millis(5));
    }
}

// proves [B-53] [D-56]
#[test]
fn only_permitted_requestors_are_let_in() {
    let check = |settings: LeasequerySettings, expected: bool| {
        let scene = Scene::new(settings, 3);
        assert_eq!(scene.connect().is_served(), expected);
    };
    check(local(), true);
    check(LeasequerySettings::default(), false);
    let elsewhere = Prefix { address: Ipv4Addr::new(127, 0, 0, 64), len: 26 };
    check(LeasequerySettings { permitted: vec![elsewhere], ..local() }, false);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let scene = Scene::new(local(), 0);
    let SocketAddr::V4(address) = scene.server else { panic!("IPv4 was asked for") };
    let error = LeasequeryListeners::bind(&[address]).expect_err("it is taken");
    assert_eq!(error.to_string(), format!("cannot listen on {address}"));
}

/// A requestor whose answer has begun and does not fit into what the systems hold for it.
fn busy(scene: &Scene) -> Requestor<TcpStream> {
    let mut requestor = scene.connect();
    requestor.send(BULK, 1);
    assert_eq!(requestor.next().map(|told| told.message_type), Some(MessageType::LeaseActive));
    requestor
}

/// So many bindings do not fit into socket buffers.
const MANY: u32 = 20_000;

// proves [D-54] [B-52]
#[test]
fn one_connection_too_many_is_closed_at_once() {
    let check = |settings: LeasequerySettings| {
        let scene = Scene::new(settings, MANY);
        let mut present = [busy(&scene), busy(&scene)];
        assert_eq!(scene.connect().next(), None, "one too many");
        for requestor in &mut present {
            assert_eq!(leased(&requestor.answer()), MANY as usize - 1);
        }
        drop(present);
        until("places are free again", || scene.connect().is_served());
    };
    check(LeasequerySettings { connections_max: 2, ..local() });
    check(LeasequerySettings { connections_per_requestor_max: 2, ..local() });
    assert_eq!(LeasequerySettings::default().connections_max, 10);
}

// proves [D-63]
#[test]
fn a_connection_that_asks_nothing_makes_room() {
    let check = |settings: LeasequerySettings| {
        let scene = Scene::new(settings, MANY);
        let mut asking = busy(&scene);
        let mut idle = scene.connect();
        assert!(idle.is_served());
        until("the idle one leaves", || scene.connect().is_served());
        assert_eq!(idle.next(), None);
        assert_eq!(leased(&asking.answer()), MANY as usize - 1, "who asks stays");
    };
    check(LeasequerySettings { connections_max: 2, ..local() });
    check(LeasequerySettings { connections_per_requestor_max: 2, ..local() });
}

// proves [B-01] [D-02] [D-62] [B-59]
#[test]
fn a_connection_stays_for_more_queries() {
    let scene = Scene::new(local(), 3);
    let mut requestor = scene.connect();
    for xid in [5, 6] {
        requestor.send(BULK, xid);
        let answer = requestor.answer();
        assert_eq!(leased(&answer), 3);
        assert!(answer.iter().all(|told| told.xid == xid));
    }
    requestor.stream.shutdown(Shutdown::Write).expect("it is connected");
    assert_eq!(requestor.next(), None, "it ends when the requestor does");
}

#[test]
fn a_reader_that_stops_costs_a_buffer_and_nobody_else_waits() {
    let scene = Scene::new(local(), MANY);
    let mut slow = busy(&scene);
    // All of them are served by the thread that would have to serve the slow one.
    for _ in 0..5 {
        assert!(scene.connect().is_served());
    }
    // The others' views of the past are gone, its own is not: most of its answer was not read from the ledger yet.
    until("the others are done", || scene.ledger.pasts_held() == 1);
    assert_eq!(leased(&slow.answer()), MANY as usize - 1, "nothing is lost");
}

// proves [D-58] [B-54]
#[test]
fn half_a_query_and_no_query_end_the_connection_in_time() {
    let settings = LeasequerySettings {
        first_query_timeout_seconds: 1,
        rfc_data_timeout_seconds: 1,
        draft_data_timeout_seconds: 1,
        ..local()
    };
    let tls = Authority::new().server_tls();
    let scene = Scene::with_tls(settings, 3, Some(tls));
    let check = |octets: &[u8]| {
        let mut requestor = scene.connect();
        requestor.stream.write_all(octets).expect("it is connected");
        assert_eq!(requestor.next(), None, "after {} octets", octets.len());
    };
    check(&[]);
    check(&framed(BULK, 1)[..100]);
    check(&framed(BULK, 1)[..1]);
    // Idle after an answer.
    let mut requestor = scene.connect();
    assert!(requestor.is_served());
    assert_eq!(requestor.next(), None);
}

// proves [D-58] [B-54] [D-64] [B-60]
#[test]
fn a_reader_that_never_goes_on_is_left() {
    let settings = LeasequerySettings { rfc_data_timeout_seconds: 1, ..local() };
    let scene = Scene::new(settings, MANY);
    let mut stalled = busy(&scene);
    until("its past is let go", || scene.ledger.pasts_held() == 0);
    let answer = stalled.answer();
    assert!(answer.iter().all(|told| told.message_type == MessageType::LeaseActive), "cut off");
    assert!(answer.len() < MANY as usize, "{}", answer.len());
}

#[test]
fn a_panic_over_one_connection_ends_only_that_one() {
    let scene = Scene::new(local(), 3);
    let mut unlucky = scene.connect();
    assert!(unlucky.is_served());
    scene.ledger.panics_left.store(1, Ordering::Relaxed);
    assert!(!unlucky.is_served());
    assert_eq!(scene.ledger.panics_left.load(Ordering::Relaxed), 0, "nothing was proved");
    assert!(scene.connect().is_served());
}

#[test]
fn many_that_come_in_vain_do_not_keep_others_out() {
    let elsewhere = Prefix { address: Ipv4Addr::LOCALHOST, len: 32 };
    let scene = Scene::new(LeasequerySettings { permitted: vec![elsewhere], ..local() }, 3);
    let uninvited = Ipv4Addr::new(127, 0, 0, 2);
    let mut open = Vec::new();
    for _ in 0..500 {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let socket = socket.expect("a socket");
        socket.bind(&SocketAddr::from((uninvited, 0)).into()).expect("loopback is ours");
        socket.connect(&scene.server.into()).expect("it listens");
        open.push(Requestor::of(TcpStream::from(socket)));
    }
    assert!(scene.connect().is_served());
    assert!(open.iter_mut().all(|requestor| requestor.next().is_none()), "all were closed");
}

// proves [A-33] [D-65] [B-60]
#[test]
fn stopping_tells_those_that_read_and_leaves_those_that_do_not() {
    let mut scene = Scene::new(local(), MANY);
    let mut reading = busy(&scene);
    let stalled = busy(&scene);
    let running = scene.running.take().expect("it runs");
    let stopping = thread::spawn(move || running.stop());
    until("nobody is accepted", || TcpStream::connect(scene.server).is_err());
    let answer = reading.answer();
    let last = answer.last().expect("there is more");
    assert_eq!(last.message_type, MessageType::LeaseQueryDone);
    assert_eq!(last.status, Some(StatusCode::QueryTerminated));
    assert_eq!(reading.next(), None);
    stopping.join().expect("it stops");
    drop(stalled);
}

#[test]
fn what_is_applied_is_told_to_those_who_wait_for_it() {
    let active = ActiveLeasequerySettings { enabled: true, insecure: true, ..Default::default() };
    let scene = Scene::new(LeasequerySettings { active, ..local() }, 3);
    let mut requestor = scene.connect();
    requestor.send(ACTIVE, 9);
    // Without a query-start-time there is no catch-up: the next change is the first that is told. Changes before the query was read
    // are not, so one is made until one is.
    let told = thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            loop {
                match requestor.next().expect("it is connected") {
                    told if told.message_type == MessageType::LeaseActive => break told,
                    told => assert_eq!(told.message_type, MessageType::LeaseQueryStatus),
                }
            }
        });
        until("a change is told", || {
            scene.ledger.change(2);
            waiting.is_finished()
        });
        waiting.join().expect("it is told")
    });
    assert_eq!((told.xid, told.address), (9, Ipv4Addr::new(10, 0, 0, 2)));
}

/// An authority, and what it signed.
struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Authority {
        let key = rcgen::KeyPair::generate().expect("draws a key");
        let mut parameters = rcgen::CertificateParams::new(Vec::<String>::new()).expect("no names");
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = parameters.self_signed(&key).expect("signs itself").pem();
        Authority { issuer: rcgen::Issuer::new(parameters, key), pem }
    }

    /// Certificate and key.
    fn issue(&self, name: &str) -> (String, String) {
        let key = rcgen::KeyPair::generate().expect("draws a key");
        let parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let certificate = parameters.signed_by(&key, &self.issuer).expect("signs");
        (certificate.pem(), key.serialize_pem())
    }

    fn server_tls(&self) -> LeasequeryTls {
        let (certificate, key) = self.issue("dhcp-a.example");
        LeasequeryTls::from_pem(&certificate, &key, &self.pem).expect("good files")
    }

    /// The requestor's side: it trusts this authority and shows that certificate. TLS 1.2, whose records tell what they hold.
    fn client(&self, shown: Option<(String, String)>) -> ClientConnection {
        let mut roots = RootCertStore::empty();
        let pem = self.pem.as_bytes();
        roots.add(CertificateDer::from_pem_slice(pem).expect("ours")).expect("ours");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS12])
            .expect("it is known")
            .with_root_certificates(roots);
        let config = match shown {
            Some((certificate, key)) => {
                let certificate = CertificateDer::from_pem_slice(certificate.as_bytes());
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("ours");
                let chain = vec![certificate.expect("ours")];
                builder.with_client_auth_cert(chain, key).expect("they belong together")
            }
            None => builder.with_no_client_auth(),
        };
        let name = ServerName::try_from("dhcp-a.example").expect("a name");
        ClientConnection::new(Arc::new(config), name).expect("a good configuration")
    }
}

/// Keeps what came, as it came.
struct Tap {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Read for Tap {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = self.stream.read(buffer)?;
        self.received.extend_from_slice(&buffer[..len]);
        Ok(len)
    }
}

impl Write for Tap {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.stream.write(octets)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

impl Tap {
    /// Records of type application_data.
    fn data_records(&self) -> usize {
        let (mut count, mut left) = (0, &self.received[..]);
        while let [kind, _, _, high, low, rest @ ..] = left {
            count += usize::from(*kind == 23);
            let len = usize::from(u16::from_be_bytes([*high, *low]));
            left = rest.get(len..).unwrap_or_default();
        }
        count
    }
}

type Secured = StreamOwned<ClientConnection, Tap>;

fn secured(stream: TcpStream, client: ClientConnection) -> Requestor<Secured> {
    Requestor::of(StreamOwned::new(client, Tap { stream, received: Vec::new() }))
}

// proves
#[test]
fn tls_from_the_start_has_one_message_in_each_record() {
    let authority = Authority::new();
    let scene = Scene::with_tls(local(), 300, Some(authority.server_tls()));
    let client = authority.client(Some(authority.issue("cmts.example")));
    let mut requestor = secured(connect(scene.server), client);
    requestor.send(BULK, 1);
    let answer = requestor.answer();
    assert_eq!(leased(&answer), 300);
    assert_eq!(requestor.stream.sock.data_records(), answer.len());
    assert!(scene.connect().is_served(), "the same port serves those without TLS");
}

// proves
#[test]
fn tls_is_begun_when_the_requestor_asks_for_it() {
    let authority = Authority::new();
    let active = ActiveLeasequerySettings { enabled: true, ..Default::default() };
    let settings = LeasequerySettings { active, ..local() };
    let scene = Scene::with_tls(settings, 3, Some(authority.server_tls()));
    let mut plain = scene.connect();
    plain.send(TLS, 4);
    let told = plain.next().expect("an answer");
    assert_eq!((told.message_type, told.status), (MessageType::Tls, None));
    let client = authority.client(Some(authority.issue("cmts.example")));
    let mut requestor = secured(plain.stream, client);
    assert!(requestor.is_served());
}

// proves
#[test]
fn only_the_certificate_that_is_expected_is_taken() {
    let (authority, other) = (Authority::new(), Authority::new());
    let named = |name: &str| RequestorSettings {
        prefix: Prefix { address: Ipv4Addr::LOCALHOST, len: 32 },
        dialect: None,
        queries: None,
        secret_ids: Vec::new(),
        certificate_name: Some(name.to_owned()),
    };
    let check = |shown: Option<(String, String)>, expected: bool| {
        let settings = LeasequerySettings { requestors: vec![named("cmts.example")], ..local() };
        let scene = Scene::with_tls(settings, 3, Some(authority.server_tls()));
        let mut requestor = secured(connect(scene.server), authority.client(shown));
        assert_eq!(requestor.is_served(), expected);
    };
    check(Some(authority.issue("cmts.example")), true);
    check(Some(authority.issue("other.example")), false);
    check(Some(other.issue("cmts.example")), false);
    check(None, false);
}

#[test]
fn files_that_can_not_be_used_are_told_apart() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue("a.example");
    let (_, other_key) = authority.issue("b.example");
    let check = |certificate: &str, key: &str, client_authority: &str, expected: &str| {
        let made = LeasequeryTls::from_pem(certificate, key, client_authority).map(drop);
        let error = made.expect_err(expected).to_string();
        assert!(error.starts_with(expected), "{error}");
    };
    check("", &key, &authority.pem, "the certificate can not be used: no certificate found");
    check(&certificate, "", &authority.pem, "the private key can not be used: ");
    check(&certificate, &other_key, &authority.pem, "the private key can not be used: ");
    check(&certificate, &key, "", "the requestors' authority can not be used: ");
}
