//! The API over a real socket, on a ledger in memory that is changed by the same `apply` as a cluster's.

use super::*;
use crate::replica::{MemberStatus, RelaySubOption, Status};
use metrics_exporter_prometheus::PrometheusBuilder;
use replication_ledger::{
    Batch, Bind, ClientKey, HardwareAddress, JournalKind, JournalRecord, LedgerView, MapTable,
    MemberId, Mode, NameWish, Parcel, Role, Session, SilentReason, Stamp, VpnAddress, VpnNumber,
    apply, planning,
};
use replication_raft::{DrainProgress, HandedOver, PartnerDownCase, ReplicationError};
use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

const NETWORK: &str = "[[subnet]]\nprefix = \"10.0.0.0/24\"\npools = [\"10.0.0.10-10.0.0.99\"]\n";

#[path = "vpns_tests.rs"]
mod vpns;

/// One member whose log is a counter.
#[derive(Clone)]
struct Alone {
    table: Arc<Mutex<(u64, MapTable)>>,
    mode: Arc<Mutex<Mode>>,
    founded: Arc<AtomicBool>,
}

impl Alone {
    fn new() -> Alone {
        let table = Arc::new(Mutex::new((0, MapTable::default())));
        let mode = Arc::new(Mutex::new(Mode::Quorum));
        let alone = Alone { table, mode, founded: Arc::new(AtomicBool::new(true)) };
        alone.apply(vec![
            Command::Enroll {
                member: MemberId(1),
                name: "a".to_owned(),
                role: Role::Server,
                server_identifier: Some(Ipv4Addr::LOCALHOST),
            },
            Command::ContactRestored { member: MemberId(1), session: Session(1) },
        ]);
        alone
    }

    fn apply(&self, commands: Vec<Command>) -> Vec<Outcome> {
        let mut table = self.table.lock().expect("no test panics while it holds the lock");
        table.0 += 1;
        let index = table.0;
        let parcel = Parcel { member: MemberId(1), session: Session(1), sequence: index, commands };
        let stamp = Stamp::of(Timestamp::from_seconds(1_000_000));
        apply(&mut table.1, index, Batch { stamp, parcels: vec![parcel] }).remove(0)
    }

    /// Takes in a second server.
    fn pair(&self) {
        self.apply(vec![
            Command::Enroll {
                member: MemberId(2),
                name: "b".to_owned(),
                role: Role::Server,
                server_identifier: None,
            },
            Command::ContactRestored { member: MemberId(2), session: Session(1) },
        ]);
    }

    fn set_draining(&self, member: MemberId, draining: bool) -> Result<(), ReplicationError> {
        match self.apply(vec![Command::Drain { member, draining }]).remove(0) {
            Outcome::Refused(refusal) => Err(ReplicationError::Refused { refusal }),
            _ => Ok(()),
        }
    }

    fn drain_of(&self, member: MemberId) -> Option<DrainProgress> {
        self.read(|view| {
            let globals = view.globals();
            let left = planning::drain_left(globals, member, 0);
            let leads = member == MemberId(1);
            globals.draining.contains(&member).then_some(DrainProgress {
                left,
                leads,
                vote_needed: true,
            })
        })
    }

    /// Binds addresses 10.0.0.10 and following, each client behind the circuit of its number.
    fn bind(&self, count: u8) {
        self.bind_in(VpnNumber::GLOBAL, count);
    }

    /// The same clients on the same addresses of this VPN.
    fn bind_in(&self, vpn: VpnNumber, count: u8) {
        for number in 0..count {
            let hardware = HardwareAddress::new(1, &[2, 0, 0, 0, 0, number]);
            let outcome = self.apply(vec![Command::Bind(Box::new(Bind {
                address: VpnAddress { vpn, ip: Ipv4Addr::new(10, 0, 0, 10 + number) },
                client: match number % 2 {
                    0 => ClientKey::from_hardware(&hardware),
                    _ => ClientKey::from_identifier(&[0, number]),
                },
                hardware,
                lease_seconds: if number == 0 { u32::MAX } else { 600 },
                reservation: None,
                giaddr: Ipv4Addr::new(10, 0, 0, 1),
                relay_agent_information: vec![1, 1, number, 2, 2, b'r', b'1'].into(),
                host_name: b"host\n".as_slice().into(),
                vendor_class_identifier: Vec::new().into(),
                classes: Default::default(),
                names: NameWish::Unsaid,
            }))]);
            assert!(matches!(outcome[..], [Outcome::Bound { .. }]), "{outcome:?}");
        }
    }
}

impl Replica for Alone {
    type View<'a> = MapTable;

    fn read<R>(&self, read: impl for<'a> FnOnce(&MapTable) -> R) -> R {
        read(&self.table.lock().expect("no test panics while it holds the lock").1)
    }

    fn addresses_by(
        &self,
        sub_option: RelaySubOption,
        value: &[u8],
    ) -> Result<Vec<VpnAddress>, ReplicationError> {
        let code = sub_option.code();
        Ok(self.read(|view| {
            let all = view.bindings_from(VpnAddress::FIRST);
            all.filter(|b| b.relay_sub_option(code) == Some(value)).map(|b| b.address).collect()
        }))
    }

    fn mode(&self) -> Mode {
        *self.mode.lock().expect("no test panics while it holds the lock")
    }

    fn status(&self) -> Status {
        let index = self.read(|view| view.globals().applied_index);
        Status {
            cluster: self.founded.load(Ordering::Relaxed).then(|| "c".to_owned()),
            member: MemberId(1),
            mode: self.mode(),
            leader: Some(MemberId(1)),
            term: 1,
            last_log_index: index,
            committed_index: index,
            applied_index: index,
            settled_index: index,
            members: vec![MemberStatus {
                id: MemberId(1),
                name: "a".to_owned(),
                role: Role::Server,
                address: "127.0.0.1:1".to_owned(),
                voter: true,
                contact: true,
                settled_index: index,
                lag_entries: Some(0),
                clock_skew_seconds: None,
                round_trip_seconds: None,
                mode: Some(self.mode()),
                newest: None,
                drain: self.drain_of(MemberId(1)),
            }],
        }
    }

    async fn propose(&self, commands: Vec<Command>) -> Result<Vec<Outcome>, ProposeError> {
        assert!(self.founded.load(Ordering::Relaxed), "nobody would ever answer");
        match self.mode() {
            Mode::Quorum => Ok(self.apply(commands)),
            _ => Err(ProposeError::NoQuorum),
        }
    }

    async fn init(&self) -> Result<(), ReplicationError> {
        Err(ReplicationError::AlreadyInitialized { cluster: replication_raft::ClusterId(7) })
    }

    async fn token(&self) -> Result<String, ReplicationError> {
        Ok("once".to_owned())
    }

    async fn join(&self, _: String, _: String) -> Result<Option<HandedOver>, ReplicationError> {
        Err(ReplicationError::BadToken)
    }

    fn partner_down_case(&self) -> Result<PartnerDownCase, ReplicationError> {
        if self.mode() == Mode::Quorum {
            return Err(ReplicationError::StillAnswers { member: MemberId(2) });
        }
        let others = vec![(MemberId(2), Some(std::time::Duration::from_secs(70)))];
        let (lossy, authority_over) = (true, false);
        let (entries_behind, wait_seconds) = (17, 3660);
        Ok(PartnerDownCase {
            epoch: 1,
            others,
            lossy,
            authority_over,
            entries_behind,
            wait_seconds,
        })
    }

    async fn assert_partner_down(
        &self,
        epoch: u64,
        lossy: bool,
        entries_behind: u64,
    ) -> Result<(), ReplicationError> {
        match (epoch, lossy, entries_behind) {
            (1, true, 17) => Ok(()),
            _ => Err(ReplicationError::CaseChanged),
        }
    }

    async fn transfer(&self, _: Option<MemberId>) -> Result<MemberId, ReplicationError> {
        Err(ReplicationError::NotLeader { leader: Some(MemberId(2)) })
    }

    async fn drain(&self, member: MemberId) -> Result<(), ReplicationError> {
        self.set_draining(member, true)
    }

    async fn undrain(&self, member: MemberId) -> Result<(), ReplicationError> {
        self.set_draining(member, false)
    }

    fn backup(&self) -> Result<std::fs::File, ReplicationError> {
        if !self.founded.load(Ordering::Relaxed) {
            return Err(ReplicationError::NotInitialized);
        }
        // Longer than what is sent at once.
        let path = std::env::temp_dir().join(format!("leasehold-test-{}", std::process::id()));
        std::fs::write(&path, "0123456789".repeat(50_000)).expect("it is writable");
        let file = std::fs::File::open(&path).expect("it is there");
        std::fs::remove_file(&path).expect("it is ours");
        Ok(file)
    }

    async fn remove(&self, member: MemberId) -> Result<(), ReplicationError> {
        Err(ReplicationError::NoSuchMember { member })
    }
}

/// A running API and how to call it.
struct Called {
    alone: Alone,
    base: String,
    agent: ureq::Agent,
    runtime: tokio::runtime::Runtime,
}

impl Called {
    fn new(tokens: Tokens) -> Called {
        let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
        let alone = Alone::new();
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let api = Api { replica: alone.clone(), metrics, tokens: Arc::new(tokens) };
        let socket = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .expect("loopback has a free port");
        let base = format!("http://{}", socket.local_addr().expect("it is bound"));
        runtime.spawn(serve(Listener::plain(socket), router(api), std::future::pending()));
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        Called { alone, base, agent: config.into(), runtime }
    }

    /// Status and body of a call.
    fn call(&self, method: &str, path: &str, kind: &str, body: &str) -> (u16, String) {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("content-type", kind)
            .body(body.to_owned())
            .expect("the tests write good requests");
        let mut response = self.agent.run(request).expect("the server answers");
        let text = response.body_mut().read_to_string().expect("the body is text");
        (response.status().as_u16(), text)
    }

    fn get(&self, path: &str) -> (u16, String) {
        self.call("GET", path, "text/plain", "")
    }

    fn addresses(&self, path: &str) -> (Vec<String>, Option<String>) {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        let page: dto::LeasePage = serde_json::from_str(&body).expect("it is a page");
        (page.leases.iter().map(|lease| lease.ip.to_string()).collect(), page.next)
    }

    fn configured() -> Called {
        let called = Called::new(Tokens::open());
        let (status, body) = called.call("PUT", "/v1/config", "text/toml", NETWORK);
        assert_eq!((status, body.as_str()), (200, r#"{"revision":1,"applied":true}"#));
        called
    }
}

#[test]
fn a_partner_is_asserted_to_be_down_only_in_the_case_that_was_shown() {
    let called = Called::new(Tokens::open());
    let path = "/v1/cluster/partner-down";
    let (status, _) = called.get(path);
    assert_eq!(status, 409, "the other one answers");
    *called.alone.mode.lock().expect("no test panics while it holds the lock") = Mode::Isolated;
    let (status, case) = called.get(path);
    assert_eq!(status, 200, "{case}");
    let check = |body: &str, expected: u16| {
        let (status, answer) = called.call("POST", path, "application/json", body);
        assert_eq!(status, expected, "{body}: {answer}");
    };
    check(r#"{"epoch":1,"lossy":false,"entries_behind":17}"#, 409);
    check(r#"{"epoch":1,"lossy":true}"#, 400);
    check(r#"{"epoch":1,"lossy":true,"entries_behind":17}"#, 200);
}

#[test]
fn leases_are_found_by_every_key_and_page_by_page() {
    let called = Called::configured();
    called.alone.bind(5);
    let check = |query: &str, expected: &[&str], next: Option<&str>| {
        let (found, after) = called.addresses(&format!("/v1/leases?{query}"));
        assert_eq!(found, expected, "{query}");
        assert_eq!(after.as_deref(), next, "{query}");
    };
    check("ip=10.0.0.12", &["10.0.0.12"], None);
    check("ip=10.0.0.99", &[], None);
    check("mac=02:00:00:00:00:01", &["10.0.0.11"], None);
    check("client_id=00:03", &["10.0.0.13"], None);
    check("circuit_id=0x04", &["10.0.0.14"], None);
    check("remote_id=r1&limit=2", &["10.0.0.10", "10.0.0.11"], Some("10.0.0.11"));
    check("remote_id=r1&limit=2&after=10.0.0.11", &["10.0.0.12", "10.0.0.13"], Some("10.0.0.13"));
    check("remote_id=r1&circuit_id=0x04", &["10.0.0.14"], None);
    check(
        "limit=4&after=10.0.0.10&state=active&subnet=10.0.0.0/24",
        &["10.0.0.11", "10.0.0.12", "10.0.0.13", "10.0.0.14"],
        None,
    );
    check("subnet=10.0.1.0/24", &[], None);
    check("state=released", &[], None);
    check("after=255.255.255.255", &[], None);
}

#[test]
fn a_lease_shows_everything_that_is_known() {
    let called = Called::configured();
    called.alone.bind(2);
    let (status, body) = called.get("/v1/leases/10.0.0.11");
    let lease: dto::Lease = serde_json::from_str(&body).expect("it is a lease");
    let expected = dto::Lease {
        ip: Ipv4Addr::new(10, 0, 0, 11),
        vpn: None,
        state: "active".to_owned(),
        client_id: Some("0001".to_owned()),
        mac: "02:00:00:00:00:01".to_owned(),
        hostname: Some("host\\n".to_owned()),
        expires: Some(1_000_600),
        starts: 1_000_000,
        cltt: 1_000_000,
        remaining: Some(0),
        giaddr: Some(Ipv4Addr::new(10, 0, 0, 1)),
        relay_agent_information: Some("01010102027231".to_owned()),
        circuit_id: Some("01".to_owned()),
        remote_id: Some("7231".to_owned()),
        subscriber_id: None,
        relay_id: None,
        member: 1,
        subnet: Some("10.0.0.0/24".to_owned()),
    };
    assert_eq!((status, lease), (200, expected));
    let (_, body) = called.get("/v1/leases/10.0.0.10");
    let endless: dto::Lease = serde_json::from_str(&body).expect("it is a lease");
    assert_eq!((endless.expires, endless.remaining, endless.client_id), (None, None, None));
}

#[test]
fn a_released_lease_is_reset_once() {
    let called = Called::configured();
    called.alone.bind(1);
    let delete = || called.call("DELETE", "/v1/leases/10.0.0.10", "text/plain", "");
    assert_eq!(delete(), (204, String::new()));
    assert_eq!(called.addresses("/v1/leases?state=reset").0, ["10.0.0.10"]);
    let (status, body) = called.call("DELETE", "/v1/leases/10.0.0.50", "text/plain", "");
    assert_eq!(status, 404);
    assert!(body.contains("there is no active lease of 10.0.0.50"), "{body}");
}

#[test]
fn problems_say_what_to_do() {
    let called = Called::configured();
    let json = "application/json";
    let check = |call: (&str, &str, &str, &str), status: u16, kind: &str, detail: &str| {
        let (method, path, media_type, body) = call;
        let (found, text) = called.call(method, path, media_type, body);
        let problem: dto::ProblemDocument = serde_json::from_str(&text).expect("a problem");
        assert_eq!((found, problem.status), (status, status), "{path}");
        assert_eq!(problem.kind, format!("urn:leasehold:problem:{kind}"), "{path}");
        assert_eq!(problem.detail, detail, "{path}");
    };
    check(("GET", "/v2", json, ""), 404, "not-found", "there is no /v2 here");
    check(
        ("GET", "/v1/leases?ip=ten", json, ""),
        400,
        "bad-request",
        "ip: `ten` is not an IPv4 address",
    );
    check(
        ("GET", "/v1/leases?state=gone", json, ""),
        400,
        "bad-request",
        "state: `gone` is not a state; known are active, expired, released, declined, reset, free",
    );
    check(
        ("POST", "/v1/cluster/init", json, ""),
        409,
        "refused",
        "this member already belongs to cluster 00000000000000000000000000000007",
    );
    check(
        ("POST", "/v1/cluster/join", json, r#"{"peer":"127.0.0.1:1","token":"x"}"#),
        409,
        "refused",
        "the join token is not valid: it is wrong, was used already, or has expired",
    );
    check(
        ("POST", "/v1/cluster/transfer", json, "{}"),
        421,
        "not-leader",
        "this member is not the leader; member 2 is",
    );
    check(
        ("POST", "/v1/cluster/remove", json, "{}"),
        400,
        "bad-request",
        "member: missing; say which member to remove",
    );
    check(
        ("PUT", "/v1/config", json, NETWORK),
        400,
        "bad-request",
        "send network.toml as the body with Content-Type: text/toml",
    );
    check(
        ("PUT", "/v1/config?replaces=0", "text/toml", NETWORK),
        409,
        "refused",
        "refused: the configuration was changed by somebody else meanwhile",
    );
}

#[test]
fn a_bad_configuration_changes_nothing() {
    let called = Called::configured();
    let (status, body) = called.call("PUT", "/v1/config", "text/toml", "\nwrong = 1");
    let problem: dto::ProblemDocument = serde_json::from_str(&body).expect("a problem");
    assert_eq!(status, 422);
    assert_eq!((problem.problems[0].line, problem.problems[0].key.as_str()), (2, "wrong"));
    let (_, body) = called.get("/v1/config");
    let config: dto::Config = serde_json::from_str(&body).expect("a configuration");
    assert_eq!((config.revision, config.source.as_str()), (1, NETWORK));
    let checked = called.call("PUT", "/v1/config?dry_run=true", "text/toml", "");
    assert_eq!(checked, (200, r#"{"revision":1,"applied":false}"#.to_owned()));
}

#[test]
fn a_member_of_no_cluster_says_so() {
    let called = Called::configured();
    called.alone.founded.store(false, Ordering::Relaxed);
    let (status, body) = called.call("PUT", "/v1/config", "text/toml", NETWORK);
    assert_eq!(status, 409);
    assert!(body.contains("run `cluster init` or `cluster join`"), "{body}");
}

#[test]
fn readiness_follows_the_mode_and_life_does_not() {
    let called = Called::configured();
    assert_eq!(called.get("/readyz"), (200, "quorum\n".to_owned()));
    *called.alone.mode.lock().expect("nobody panicked") = Mode::Silent(SilentReason::NoQuorum);
    assert_eq!(called.get("/readyz"), (503, "silent (no quorum)\n".to_owned()));
    assert_eq!(called.get("/livez").0, 200);
    let (status, body) = called.call("PUT", "/v1/config", "text/toml", NETWORK);
    assert_eq!(status, 503);
    assert!(body.contains("the change may still happen, look before trying again"), "{body}");
}

#[test]
fn subnets_and_members_count_free_addresses() {
    let called = Called::configured();
    called.alone.bind(3);
    let (_, body) = called.get("/v1/subnets");
    let subnets: Vec<dto::Subnet> = serde_json::from_str(&body).expect("subnets");
    let pool = &subnets[0].pools[0];
    assert_eq!((pool.range.as_str(), pool.size), ("10.0.0.10-10.0.0.99", 90));
    assert_eq!((pool.states["active"], pool.free["1"]), (3, 87));
    let (_, body) = called.get("/v1/cluster");
    let cluster: dto::Cluster = serde_json::from_str(&body).expect("a cluster");
    assert_eq!((cluster.free_addresses, cluster.members[0].free_addresses), (87, 87));
    assert!(cluster.members[0].leader);
}

#[test]
fn secrets_of_the_configuration_are_shown_to_those_who_may_set_them() {
    let token = |role: &str| {
        format!(
            "[[token]]\nname = \"{role}\"\nrole = \"{role}\"\nsecret = \"{role}-0123456789abcdef\"\n"
        )
    };
    let file = ["read", "operate", "admin"].map(token).concat();
    let tokens = Tokens::parse(std::path::Path::new("t"), &file).expect("it is well formed");
    let called = Called::new(tokens);
    let call = |method: &str, role: &str, body: &str| {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}/v1/config", called.base))
            .header("authorization", format!("Bearer {role}-0123456789abcdef"))
            .header("content-type", "text/toml")
            .body(body.to_owned())
            .expect("a good request");
        let mut response = called.agent.run(request).expect("the server answers");
        response.body_mut().read_to_string().expect("the body is text")
    };
    let text = "[[leasequery.secret]]\nid = 1\nprotocol = \"token\"\nsecret = \"open sesame\"\n";
    assert_eq!(call("PUT", "admin", text), r#"{"revision":1,"applied":true}"#);
    let check = |role: &str, expected: &str| {
        let shown: dto::Config =
            serde_json::from_str(&call("GET", role, "")).expect("a configuration");
        assert_eq!(shown.source, expected, "{role}");
    };
    check("admin", text);
    check("operate", &text.replace("open sesame", "…"));
    check("read", &text.replace("open sesame", "…"));
    drop(called.runtime);
}

#[test]
fn every_route_but_the_probes_needs_its_permission() {
    let file = "[[token]]\nname = \"p\"\nrole = \"read\"\nsecret = \"0123456789abcdef\"";
    let tokens = Tokens::parse(std::path::Path::new("t"), file).expect("it is well formed");
    let called = Called::new(tokens);
    let check = |method: &str, path: &str, without: u16, as_reader: u16| {
        assert_eq!(called.call(method, path, "text/plain", "").0, without, "{method} {path}");
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", called.base))
            .header("authorization", "Bearer 0123456789abcdef")
            .body(String::new())
            .expect("a good request");
        let response = called.agent.run(request).expect("the server answers");
        assert_eq!(response.status().as_u16(), as_reader, "{method} {path}");
    };
    check("GET", "/livez", 200, 200);
    check("GET", "/readyz", 200, 200);
    check("GET", "/metrics", 401, 200);
    check("GET", "/v1/cluster", 401, 200);
    check("GET", "/v1/leases", 401, 200);
    check("GET", "/v1/subnets", 401, 200);
    check("GET", "/v1/conflicts", 401, 200);
    check("GET", "/v1/config", 401, 200);
    check("GET", "/v1/cluster/backup", 401, 403);
    check("DELETE", "/v1/leases/10.0.0.1", 401, 403);
    check("PUT", "/v1/config", 401, 403);
    for action in ["init", "token", "join", "transfer", "remove", "drain", "undrain"] {
        check("POST", &format!("/v1/cluster/{action}"), 401, 403);
    }
    drop(called.runtime);
}

#[test]
fn a_drain_is_begun_shown_and_taken_back() {
    let called = Called::configured();
    let post = |action: &str, body: &str| {
        called.call("POST", &format!("/v1/cluster/{action}"), "application/json", body)
    };
    let (status, body) = post("drain", "{}");
    assert_eq!(status, 409);
    assert!(body.contains("it is the last server that serves"), "{body}");
    called.alone.pair();
    // The member that is asked is meant if none is named; twice is as good as once.
    for body in ["{}", r#"{"member":1}"#] {
        let (status, text) = post("drain", body);
        let cluster: dto::Cluster = serde_json::from_str(&text).expect("a cluster");
        let member = &cluster.members[0];
        let expected = dto::Drain {
            done: false,
            leads: true,
            buckets: 256,
            owned_addresses: 90,
            moving_addresses: 0,
            unsettled_members: 0,
            vote_needed: true,
        };
        assert_eq!((status, member.drain), (200, Some(expected)));
        assert_eq!((member.buckets, member.mode.as_deref()), (256, Some("quorum")));
    }
    let (status, text) = post("undrain", "{}");
    let cluster: dto::Cluster = serde_json::from_str(&text).expect("a cluster");
    assert_eq!((status, cluster.members[0].drain), (200, None));
    let (status, body) = post("drain", r#"{"member":9}"#);
    assert_eq!(status, 409);
    assert!(body.contains("there is no such member"), "{body}");
    called.alone.founded.store(false, Ordering::Relaxed);
    let (status, body) = post("drain", "{}");
    assert_eq!(status, 409);
    assert!(body.contains("run `cluster init` or `cluster join`"), "{body}");
}

#[test]
fn a_removed_server_is_shown_while_it_is_waited_for() {
    let called = Called::configured();
    called.alone.pair();
    called.alone.apply(vec![Command::Remove { member: MemberId(2) }]);
    let (_, body) = called.get("/v1/cluster");
    let cluster: dto::Cluster = serde_json::from_str(&body).expect("a cluster");
    let settings = called.alone.read(|view| view.globals().settings.clone());
    let wait = u64::from(settings.mclt_seconds + settings.margin_seconds);
    let removed = 1_000_000;
    let waits_until = removed + wait;
    let expected = dto::Removed { id: 2, name: "b".to_owned(), removed, waits_until };
    assert_eq!(cluster.removed, [expected]);
}

/// A promise of member 2, made without a quorum, of 10.0.0.11 to a client that nobody else knows.
fn promise_to_another() -> JournalRecord {
    let hardware = HardwareAddress::new(1, &[2, 0, 0, 0, 0, 0x99]);
    JournalRecord {
        member: MemberId(2),
        session: Session(1),
        sequence: 1,
        kind: JournalKind::Promise,
        address: VpnAddress::global(Ipv4Addr::new(10, 0, 0, 11)),
        client: ClientKey::from_identifier(&[7, 7]),
        hardware,
        until: Timestamp::from_seconds(1_000_500),
        cltt: Timestamp::from_seconds(999_900),
        base_index: 0,
        given_up: false,
        reservation: None,
        giaddr: Ipv4Addr::UNSPECIFIED,
        relay_agent_information: Vec::new().into(),
        host_name: Vec::new().into(),
        vendor_class_identifier: Vec::new().into(),
        classes: Default::default(),
        names: NameWish::Unsaid,
    }
}

#[test]
fn a_conflict_names_both_clients() {
    let called = Called::configured();
    called.alone.pair();
    called.alone.bind(2);
    let none = (200, r#"{"total":0,"conflicts":[]}"#.to_owned());
    assert_eq!(called.get("/v1/conflicts"), none);
    let merged = called.alone.apply(vec![Command::Merge(Box::new(promise_to_another()))]);
    assert_eq!(merged, [Outcome::Merged(replication_ledger::Merged::Conflict)]);
    let (_, body) = called.get("/v1/conflicts");
    let found: dto::Conflicts = serde_json::from_str(&body).expect("conflicts");
    let index = called.alone.read(|view| view.globals().applied_index);
    let expected = dto::Conflict {
        ip: Ipv4Addr::new(10, 0, 0, 11),
        vpn: None,
        found: 1_000_000,
        log_index: index,
        member: 2,
        session: 1,
        sequence: 1,
        client_id: Some("0707".to_owned()),
        mac: "02:00:00:00:00:99".to_owned(),
        expires: Some(1_000_500),
        cltt: 999_900,
        standing: Some(dto::Standing {
            client_id: Some("0001".to_owned()),
            mac: "02:00:00:00:00:01".to_owned(),
            state: "active".to_owned(),
            expires: Some(1_000_600),
            member: 1,
        }),
    };
    assert_eq!((found.total, found.conflicts), (1, vec![expected]));
    let (_, body) = called.get("/v1/cluster");
    let cluster: dto::Cluster = serde_json::from_str(&body).expect("a cluster");
    assert_eq!(cluster.conflicts, 1);
}

#[test]
fn a_backup_is_sent_whole_to_administrators() {
    let called = Called::configured();
    let (status, body) = called.get("/v1/cluster/backup");
    assert_eq!((status, body), (200, "0123456789".repeat(50_000)));
    called.alone.founded.store(false, Ordering::Relaxed);
    assert_eq!(called.get("/v1/cluster/backup").0, 409);
}
