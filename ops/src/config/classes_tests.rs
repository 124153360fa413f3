//! Classes, pools and reservations by expression: what the file becomes, and what is wrong with it.

use super::network;
use replication_ledger::{Allocation, LeaseSpan, ReservationKey, Settings};
use std::fmt::Write;

fn read(text: &str) -> Settings {
    network("n.toml", text).expect(text)
}

fn refused(text: &str, expected: &[&str]) {
    let error = network("n.toml", text).expect_err(text).to_string();
    assert_eq!(error.lines().collect::<Vec<_>>(), expected, "{text}");
}

const POOLS: &str = r#"
[[class]]
name = "one"
match = "htype = 1"
addresses_per_remote_id = 3

[[class]]
name = "two"
match = "not member 'one'"
lease = { min = "5m", max = "1h" }

[[network]]
name = "cable"
allocation = "random"

[[subnet]]
prefix = "10.0.0.0/16"
network = "cable"
pools = ["10.0.2.0-10.0.2.255", "10.0.1.10-10.0.1.20"]
exclude = ["10.0.1.12", "10.0.1.14-10.0.1.15", "10.0.1.20", "10.0.2.0/25"]

[[subnet.pool]]
range = "10.0.0.8/29"
exclude = ["10.0.0.8/30"]
classes = ["two", "one"]
options = { domain-name = "two.example" }
lease = { default = "10m" }
allocation = "sequential"

[[subnet.pool]]
range = "10.0.3.1-10.0.3.9"

[[subnet.reservation]]
relay-id = "dslam-9"
address = "10.0.0.9"

[[subnet.reservation]]
match = "relay.1 = 'a' and not member 'two'"
address = "10.0.9.9"
"#;

#[test]
fn pools_are_ranges_without_what_is_excluded_and_rules_beside_them() {
    let settings = read(POOLS);
    let subnet = &settings.subnets[0];
    let pools: Vec<String> = subnet.pools.iter().map(ToString::to_string).collect();
    let expected = [
        "10.0.0.12-10.0.0.15",
        "10.0.1.10-10.0.1.11",
        "10.0.1.13-10.0.1.13",
        "10.0.1.16-10.0.1.19",
        "10.0.2.128-10.0.2.255",
        "10.0.3.1-10.0.3.9",
    ];
    assert_eq!(pools, expected);
    assert_eq!(subnet.allocation, Allocation::Random);
    let [first, second] = &subnet.pool_rules[..] else { panic!("two pools have rules") };
    assert_eq!(first.range.to_string(), "10.0.0.8-10.0.0.15");
    assert_eq!((&first.classes[..], first.allocation), (&[1, 0][..], Allocation::Sequential));
    assert_eq!(first.lease, LeaseSpan { default_seconds: Some(600), ..LeaseSpan::default() });
    assert_eq!(first.options[0].code, 15);
    assert_eq!((&second.classes[..], second.allocation), (&[][..], Allocation::Random));
    let [one, two] = &settings.classes[..] else { panic!("two classes") };
    assert_eq!((&one.name[..], one.addresses_per_remote_id_max), ("one", Some(3)));
    assert_eq!((two.lease.min_seconds, two.lease.max_seconds), (Some(300), Some(3600)));
    let [by_relay, matching] = &subnet.reservations[..] else { panic!("two reservations") };
    assert_eq!(by_relay.key, ReservationKey::RelayId(b"dslam-9"[..].into()));
    assert_eq!(matching.key.to_string(), "match relay.1 = 'a' and not member 'two'");
    assert_eq!(matching.condition.as_ref().map(|c| c.steps.len()), Some(2));
}

#[test]
fn bad_classes_and_pools_are_refused_with_their_place() {
    refused(
        "[[class]]\nname = \"a\"\nmatch = '''\nhtype = 1 and\n  hlen = x'''",
        &["n.toml:5: class[0].match: column 10: expected a number; `x` is not it"],
    );
    refused(
        "[[class]]\nmatch = \"option.12 = \\\"a\\\" or\"\nname = \"a\"\noption = 1",
        &[
            "n.toml:2: class[0].match: column 30: expected a field such as chaddr, option.NAME or \
             relay.NAME, `not`, `exists`, `member` or `(`; it ends here",
            "n.toml:4: class[0].option: unknown key; known here: addresses, addresses_per_circuit_id, \
             addresses_per_remote_id, boot, lease, match, name, options",
        ],
    );
    refused(
        "[[class]]\nname = \"a\"\nmatch = \"member 'b'\"\n[[class]]\nname = \"b\"\nmatch = \"htype = 1\"\n\
         [[class]]\nname = \"b\"\nmatch = \"htype = 2\"",
        &[
            "n.toml:3: class[0].match: column 17: expected the name of a class that stands before \
             this one; `'b'` is not it",
            "n.toml:7: class[2]: b is the name of another class; choose another",
        ],
    );
    refused(
        "[[class]]\nname = \"a\"\nmatch = \"htype = 1\"\nlease = { renew = 0.5, default = \"2h\", max = \"1h\" }",
        &[
            "n.toml:4: class[0].lease.renew: unknown key; known here: default, max, min",
            "n.toml:4: class[0].lease.default: default 2h is above max 1h; lower default or raise max",
        ],
    );
    refused(
        "[[subnet]]\nprefix = \"10.0.0.0/24\"\npools = [\"10.0.0.9\"]\nexclude = [\"10.0.0.10\"]\n\
         allocation = \"lowest\"\n[[subnet.pool]]\nrange = \"10.0.0.8-10.0.0.9\"\nclasses = [\"a\"]",
        &[
            "n.toml:3: subnet[0].pools[0]: 10.0.0.9-10.0.0.9 overlaps 10.0.0.8-10.0.0.9 of \
             subnet[0].pool[0].range; join the two",
            "n.toml:4: subnet[0].exclude[0]: 10.0.0.10-10.0.0.10 is in no pool of 10.0.0.0/24; remove it",
            "n.toml:5: subnet[0].allocation: `lowest` is unknown; write \"rotating\", \"sequential\", \
             \"random\" or \"least-recently-used\"",
            "n.toml:8: subnet[0].pool[0].classes[0]: no [[class]] has the name a",
        ],
    );
    let mut many = String::from("[[subnet]]\nprefix = \"10.0.0.0/24\"\n");
    for number in 1..=65 {
        let text = format!(
            "[[subnet.reservation]]\nmatch = \"secs = {number}\"\naddress = \"10.0.0.{number}\"\n"
        );
        many += &text;
    }
    refused(
        &many,
        &["n.toml:195: subnet[0].reservation[64]: is one reservation by expression too many; a \
           subnet may have 64"],
    );
    let classes = |count: usize, text: &str| {
        let class = |number| format!("[[class]]\nname = \"{number}\"\nmatch = \"{text}\"\n");
        (0..count).map(class).collect::<String>()
    };
    let error = |text: String| network("n.toml", &text).expect_err("too many").to_string();
    assert!(error(classes(257, "htype = 1")).contains("class[256]: is one class too many"));
    let long = vec!["htype = 1"; 256].join(" or ");
    assert!(error(classes(17, &long)).contains("class[16]: makes it more than 4096 questions"));
}

/// A tenth of what is promised: 500 subnets, 20,000 reservations, 50 classes.
#[test]
fn a_large_network_loads_and_is_right() {
    let mut text = String::new();
    for class in 0..50 {
        let _ = writeln!(
            text,
            "[[class]]\nname = \"{class}\"\nmatch = \"option.60 = 'model-{class}'\""
        );
    }
    for subnet in 0..500u32 {
        let (high, low) = (subnet / 250, subnet % 250);
        let _ = writeln!(
            text,
            "[[subnet]]\nprefix = \"10.{high}.{low}.0/24\"\nnetwork = \"n{}\"\nrelays = [\"172.16.{high}.{low}\"]\n\
             pools = [\"10.{high}.{low}.100-10.{high}.{low}.200\"]",
            subnet / 2
        );
        for each in (10..50).rev() {
            let _ = writeln!(
                text,
                "[[subnet.reservation]]\nmac = \"02:00:{high:02x}:{low:02x}:00:{each:02x}\"\n\
                 address = \"10.{high}.{low}.{each}\"\nhostname = \"h-{subnet}-{each}\""
            );
        }
    }
    let settings = read(&text);
    assert_eq!((settings.classes.len(), settings.subnets.len()), (50, 500));
    assert_eq!(settings.reservations().count(), 20_000);
    let address = replication_ledger::VpnAddress::global([10, 1, 249, 33].into());
    let found = settings.reservation_of(address).expect("it is reserved");
    assert_eq!(found.host_name.as_deref(), Some("h-499-33"));
    assert_eq!(found.key.to_string(), "mac 02:00:01:f9:00:21");
}
