//! One address leased in several VPNs: each lease is found, shown and released as that of its VPN and of no other.

use super::*;
use replication_ledger::{Naming, Vpn};

/// The VPN-ID comes before "red" by its number, the global VPN before both.
const THREE: &str = r#"
[[subnet]]
prefix = "10.0.0.0/24"
pools = ["10.0.0.10-10.0.0.99"]
[[subnet]]
prefix = "10.0.0.0/24"
pools = ["10.0.0.10-10.0.0.99"]
vpn = "red"
[[subnet]]
prefix = "10.0.0.0/16"
pools = ["10.0.0.10-10.0.0.99"]
vpn = "0x00000500000001"
"#;
const ID: &str = "0x00000500000001";

fn number(identifier: &[u8]) -> VpnNumber {
    Vpn::named(identifier.into()).number()
}

fn red() -> VpnNumber {
    number(b"\0red")
}

fn of_id() -> VpnNumber {
    number(&[1, 0, 0, 5, 0, 0, 0, 1])
}

/// Three clients in each of three VPNs, on the same addresses.
fn called() -> Called {
    assert!(of_id() < red(), "else the order of the tests is another one");
    let called = Called::new(Tokens::open());
    called.configure(THREE, 1);
    for vpn in [VpnNumber::GLOBAL, red(), of_id()] {
        called.alone.bind_in(vpn, 3);
    }
    called
}

impl Called {
    fn configure(&self, network: &str, revision: u64) {
        let (status, body) = self.call("PUT", "/v1/config", "text/toml", network);
        assert_eq!((status, body), (200, format!(r#"{{"revision":{revision},"applied":true}}"#)));
    }

    /// The last octet and the VPN of each lease, and what the next page is asked for with.
    fn leases(&self, query: &str) -> (Vec<(u8, Option<String>)>, Option<String>) {
        let (status, body) = self.get(&format!("/v1/leases?{query}"));
        assert_eq!(status, 200, "{query}: {body}");
        let page: dto::LeasePage = serde_json::from_str(&body).expect("it is a page");
        let leases = page.leases.into_iter().map(|lease| (lease.ip.octets()[3], lease.vpn));
        (leases.collect(), page.next)
    }
}

#[test]
fn leases_are_listed_of_one_vpn_or_of_all() {
    let called = called();
    let check = |query: &str, expected: &[(u8, Option<&str>)]| {
        let expected: Vec<_> =
            expected.iter().map(|(ip, vpn)| (*ip, vpn.map(str::to_owned))).collect();
        assert_eq!(called.leases(query), (expected, None), "{query}");
    };
    let one = |ip| [(ip, None), (ip, Some(ID)), (ip, Some("red"))];
    check("ip=10.0.0.11", &one(11));
    check("ip=10.0.0.11&vpn=", &[(11, None)]);
    check("ip=10.0.0.11&vpn=red", &[(11, Some("red"))]);
    check("ip=10.0.0.11&vpn=red&state=reset", &[]);
    check("ip=10.0.0.50", &[]);
    check("mac=02:00:00:00:00:02", &one(12));
    check("mac=02:00:00:00:00:02&vpn=red", &[(12, Some("red"))]);
    check(&format!("client_id=00:01&vpn={ID}"), &[(11, Some(ID))]);
    check("circuit_id=0x01&vpn=", &[(11, None)]);
    check("vpn=red", &[(10, Some("red")), (11, Some("red")), (12, Some("red"))]);
    check("subnet=10.0.0.12/32", &one(12));
    check("subnet=10.0.0.10/31&vpn=red", &[(10, Some("red")), (11, Some("red"))]);
    check("subnet=10.0.0.12/30&ip=10.0.0.11", &[]);
}

#[test]
fn pages_go_on_from_one_vpn_to_the_next() {
    let called = called();
    for query in ["", "remote_id=r1&", "subnet=10.0.0.0/8&"] {
        for limit in [1, 2, 4, 9] {
            let (mut all, mut pages, mut after) = (Vec::new(), 0, String::new());
            loop {
                let (page, next) = called.leases(&format!("{query}limit={limit}{after}"));
                assert!(page.len() <= limit && !page.is_empty());
                all.extend(page);
                pages += 1;
                let Some(next) = next else { break };
                after = format!("&after={}", next.replace('%', "%25"));
            }
            assert_eq!(pages, 9_usize.div_ceil(limit), "{query}{limit}");
            let vpns = [None, Some(ID), Some("red")].map(|vpn| vpn.map(str::to_owned));
            let expected =
                vpns.into_iter().flat_map(|vpn| (10..13).map(move |ip| (ip, vpn.clone())));
            assert_eq!(all, expected.collect::<Vec<_>>(), "{query}{limit}");
        }
    }
    let last = format!("limit=1&after=10.0.0.11%25{:08x}", of_id().0);
    assert_eq!(called.leases(&format!("{last}&vpn=red")).0, [(10, Some("red".to_owned()))]);
    assert_eq!(called.leases(&format!("{last}&vpn=")).0, []);
    let (status, body) = called.get("/v1/leases?after=10.0.0.11%25x");
    assert_eq!(status, 400);
    assert!(body.contains("after: `10.0.0.11%x` does not end in the number of a VPN"), "{body}");
}

#[test]
fn a_lease_is_shown_and_released_in_its_vpn_only() {
    let called = called();
    let state = |query: &str| {
        let (status, body) = called.get(&format!("/v1/leases/10.0.0.11{query}"));
        assert_eq!(status, 200, "{query}: {body}");
        let lease: dto::Lease = serde_json::from_str(&body).expect("it is a lease");
        (lease.vpn, lease.subnet, lease.state)
    };
    let of = |vpn: Option<&str>, subnet: &str, state: &str| {
        (vpn.map(str::to_owned), Some(subnet.to_owned()), state.to_owned())
    };
    let release = |query: &str| {
        called.call("DELETE", &format!("/v1/leases/10.0.0.11{query}"), "text/plain", "")
    };
    assert_eq!(release("?vpn=red"), (204, String::new()));
    assert_eq!(state("?vpn=red"), of(Some("red"), "10.0.0.0/24", "reset"));
    assert_eq!(state(""), of(None, "10.0.0.0/24", "active"));
    assert_eq!(state(&format!("?vpn={ID}")), of(Some(ID), "10.0.0.0/16", "active"));
    assert_eq!(release("?vpn="), (204, String::new()));
    assert_eq!(state("?vpn="), of(None, "10.0.0.0/24", "reset"));
    assert_eq!(state(&format!("?vpn={ID}")), of(Some(ID), "10.0.0.0/16", "active"));
    let refused = |path: &str, expected: &str| {
        let (status, body) = called.call("DELETE", path, "text/plain", "");
        let problem: dto::ProblemDocument = serde_json::from_str(&body).expect("a problem");
        assert_eq!((status, problem.detail.as_str()), (404, expected), "{path}");
    };
    refused("/v1/leases/10.0.0.50?vpn=red", "there is no active lease of 10.0.0.50 in VPN red");
    let unknown = "there is no VPN blue in this or any former configuration";
    refused("/v1/leases/10.0.0.11?vpn=blue", unknown);
    let (status, body) = called.get("/v1/leases?vpn=blue");
    assert_eq!(status, 404);
    assert!(body.contains(unknown), "{body}");
}

#[test]
fn what_is_left_of_a_vpn_that_was_removed_is_still_found_by_its_name() {
    let called = called();
    called.configure(NETWORK, 2);
    let of = |vpn: Option<&str>| (11, vpn.map(str::to_owned));
    assert_eq!(called.leases("ip=10.0.0.11").0, [of(None), of(Some(ID)), of(Some("red"))]);
    assert_eq!(called.leases("ip=10.0.0.11&vpn=red").0, [of(Some("red"))]);
    let by_number = format!("ip=10.0.0.11&vpn=%25{:08x}", red().0);
    assert_eq!(called.leases(&by_number).0, [of(Some("red"))]);
    let (status, body) = called.get("/v1/leases/10.0.0.11?vpn=red");
    let lease: dto::Lease = serde_json::from_str(&body).expect("it is a lease");
    assert_eq!((status, lease.subnet, lease.state.as_str()), (200, None, "reset"));
    // Somebody else's pool is as it was.
    let (_, body) = called.get("/v1/leases/10.0.0.11");
    assert!(body.contains("\"active\""), "{body}");
}

#[test]
fn of_two_names_with_one_number_the_newer_one_counts() {
    // Found by trying.
    let [one, other] = ["customer-539599", "customer-722382"];
    assert_eq!(number(format!("\0{one}").as_bytes()), number(format!("\0{other}").as_bytes()));
    let called = Called::new(Tokens::open());
    let text = |name: &str| format!("{NETWORK}vpn = \"{name}\"\n");
    called.configure(&text(one), 1);
    called.alone.bind_in(number(format!("\0{one}").as_bytes()), 1);
    assert_eq!(called.leases(&format!("vpn={one}")).0, [(10, Some(one.to_owned()))]);
    assert_eq!(called.get(&format!("/v1/leases?vpn={other}")).0, 404);
    called.configure(&text(other), 2);
    assert_eq!(called.leases(&format!("vpn={other}")).0, [(10, Some(other.to_owned()))]);
    assert_eq!(called.get(&format!("/v1/leases?vpn={one}")).0, 404);
}

#[test]
fn pools_and_their_metrics_are_counted_by_vpn() {
    let called = called();
    called.alone.bind_in(red(), 5);
    let (_, body) = called.get("/v1/subnets");
    let subnets: Vec<dto::Subnet> = serde_json::from_str(&body).expect("subnets");
    let shown: Vec<_> = subnets
        .iter()
        .map(|s| (s.vpn.as_deref(), &s.prefix[..], s.pools.len(), s.pools[0].states["active"]))
        .collect();
    let expected = [
        (None, "10.0.0.0/24", 1, 3),
        (Some(ID), "10.0.0.0/16", 1, 3),
        (Some("red"), "10.0.0.0/24", 1, 5),
    ];
    assert_eq!(shown, expected);
    assert_eq!(subnets[2].pools[0].free["1"], 85);
    let recorder = PrometheusBuilder::new().build_recorder();
    ::metrics::with_local_recorder(&recorder, || crate::metrics::refresh(&called.alone));
    let text = recorder.handle().render();
    let value = |vpn: &str, subnet: &str| {
        let labels = [format!("vpn=\"{vpn}\""), format!("subnet=\"{subnet}\"")];
        let all = labels.iter().map(String::as_str).chain(["state=\"active\""]);
        let all: Vec<&str> = all.collect();
        let of = |line: &&str| {
            line.starts_with("leasehold_addresses{") && all.iter().all(|label| line.contains(label))
        };
        let lines: Vec<&str> = text.lines().filter(of).collect();
        assert_eq!(lines.len(), 1, "{vpn}: {lines:?}");
        lines[0].rsplit(' ').next().map(str::to_owned)
    };
    assert_eq!(value("", "10.0.0.0/24").as_deref(), Some("3"));
    assert_eq!(value(ID, "10.0.0.0/16").as_deref(), Some("3"));
    assert_eq!(value("red", "10.0.0.0/24").as_deref(), Some("5"));
}

#[test]
fn names_and_conflicts_say_their_vpn() {
    let called = called();
    let [global, red] = [VpnNumber::GLOBAL, red()].map(|vpn| {
        let address = VpnAddress { vpn, ip: Ipv4Addr::new(10, 0, 0, 11) };
        let naming = Naming {
            name: b"\x01h\x01z\0"[..].into(),
            ttl_seconds: 600,
            forward: true,
            reverse: false,
        };
        let client = ClientKey::from_identifier(&[0, 1]);
        let entry = replication_ledger::NameEntry {
            address,
            wanted: Some(replication_ledger::ClientNaming { client, naming }),
            standing: Vec::new(),
            serial: 1,
            due: Some(Timestamp(0)),
            tries: 0,
            verdict: None,
        };
        let mut table = called.alone.table.lock().expect("no test panics while it holds the lock");
        replication_ledger::LedgerTable::set_names(&mut table.1, address, Some(entry));
        address
    });
    let (_, body) = called.get("/v1/names?limit=1");
    let first: dto::NamePage = serde_json::from_str(&body).expect("a page");
    assert_eq!((first.total, first.names[0].vpn.as_deref()), (2, None));
    assert_eq!(first.next, Some(global.to_string()));
    let (_, body) = called.get("/v1/names?limit=1&after=10.0.0.11");
    let second: dto::NamePage = serde_json::from_str(&body).expect("a page");
    assert_eq!((second.names[0].vpn.as_deref(), second.next), (Some("red"), None));
    called.alone.pair();
    called.alone.apply(vec![Command::Merge(Box::new(JournalRecord {
        address: red,
        ..promise_to_another()
    }))]);
    let (_, body) = called.get("/v1/conflicts");
    let found: dto::Conflicts = serde_json::from_str(&body).expect("conflicts");
    let conflict = &found.conflicts[0];
    assert_eq!((conflict.ip, conflict.vpn.as_deref()), (red.ip, Some("red")));
}
