use crate::config::{network, without_secrets};
use replication_ledger::{DnsKeyAlgorithm, NameRules, Prefix, Settings, Vpn, VpnNumber};

const DNS: &str = r#"
[dns]
conflict_retry = "5m"

[[dns.key]]
name = "Dhcp-Key"
algorithm = "hmac-sha512"
secret = "c2VjcmV0"

[[dns.key]]
name = "other."
secret = "b3RoZXI="

[[dns.zone]]
name = "Example.NET"
servers = ["192.0.2.53", "[2001:db8::53]:5353"]
key = "dhcp-key."

[[dns.zone]]
name = "2.0.192.in-addr.arpa"
servers = ["192.0.2.53:5300"]

[[dns.zone]]
name = "10.in-addr.arpa"
servers = ["192.0.2.53"]
key = "other"

[clients.dns]
generated = "dhcp-"
ttl = 0.25

[[subnet]]
prefix = "10.0.0.0/8"
clients = { dns = { ttl_min = "1m", ttl_max = "2m", client_updates = false } }

[[subnet]]
prefix = "192.0.2.0/24"
clients = { dns = { updates = false } }
"#;

fn read(text: &str) -> Settings {
    network("n.toml", text).expect(text)
}

#[test]
fn zones_and_keys_are_read_and_sorted() {
    let settings = read(DNS);
    let dns = settings.dns.expect("configured");
    assert_eq!(dns.conflict_retry_seconds, 300);
    let [zone] = &dns.forward[..] else { panic!("one forward zone") };
    assert_eq!(&zone.name[..], b"\x07example\x03net\0");
    let servers = ["192.0.2.53:53", "[2001:db8::53]:5353"].map(|text| text.parse().expect(text));
    assert_eq!((&zone.servers[..], zone.key), (&servers[..], Some(0)));
    let prefixes: Vec<Prefix> = dns.reverse.iter().map(|(prefix, _)| *prefix).collect();
    let prefix = |a: [u8; 4], len| Prefix { address: a.into(), len };
    assert_eq!(prefixes, [prefix([10, 0, 0, 0], 8), prefix([192, 0, 2, 0], 24)]);
    assert_eq!((dns.reverse[0].1.key, dns.reverse[1].1.key), (Some(1), None));
    let keys: Vec<_> = dns.keys.iter().map(|key| (&key.secret[..], key.algorithm)).collect();
    let expected = [
        (&b"secret"[..], DnsKeyAlgorithm::HmacSha512),
        (&b"other"[..], DnsKeyAlgorithm::HmacSha256),
    ];
    assert_eq!(keys, expected);
    assert_eq!(&dns.keys[0].name[..], b"\x08dhcp-key\0");
}

#[test]
fn each_vpn_may_have_zones_of_the_same_names() {
    let zones = |red: &str, blue: &str| {
        let zone = |name: &str, rest: &str| format!("[[dns.zone]]\nname = \"{name}\"\n{rest}\n");
        let global = "servers = [\"192.0.2.53\"]";
        ["example.net", "10.in-addr.arpa"]
            .map(|name| [zone(name, global), zone(name, red), zone(name, blue)].concat())
            .concat()
    };
    let red = "vpn = \"red\"\nservers = [\"192.0.2.54\"]";
    // Another view of the server that red has too.
    let blue = "vpn = \"blue\"\nkey = \"k\"\nservers = [\"192.0.2.55\", \"192.0.2.54\"]";
    let key = "[[dns.key]]\nname = \"k\"\nsecret = \"c2VjcmV0\"\n";
    let subnet = |vpn: &str| format!("[[subnet]]\nprefix = \"10.0.0.0/8\"\nvpn = \"{vpn}\"\n");
    let subnets = ["red", "blue"].map(subnet).concat();
    let settings = read(&format!("{key}{}{subnets}", zones(red, blue)));
    let dns = settings.dns.expect("configured");
    let number = |name: &[u8]| Vpn::named([&[0], name].concat().into()).number();
    let (red, blue) = (number(b"red"), number(b"blue"));
    let mut vpns = [VpnNumber::GLOBAL, red, blue];
    vpns.sort();
    assert_eq!(dns.forward.iter().map(|zone| zone.vpn).collect::<Vec<_>>(), vpns);
    assert_eq!(dns.reverse.iter().map(|(_, zone)| zone.vpn).collect::<Vec<_>>(), vpns);
    for vpn in vpns {
        let forward = dns.forward_zone(vpn, b"\x01h\x07example\x03net\0").expect("its own");
        assert_eq!(forward.vpn, vpn);
    }
    assert!(dns.forward_zone(number(b"green"), b"\x01h\x07example\x03net\0").is_none());
    // Its last subnet may go before the names that are left do.
    read("[[dns.zone]]\nname = \"z\"\nservers = [\"::1\"]\nvpn = \"red\"");
}

#[test]
fn rules_for_names_count_key_by_key() {
    let settings = read(DNS);
    let everywhere =
        NameRules { generated_prefix: "dhcp-".into(), ttl_permille: 250, ..NameRules::default() };
    let first = NameRules {
        ttl_min_seconds: 60,
        ttl_max_seconds: 120,
        client_updates: false,
        ..everywhere.clone()
    };
    assert_eq!(settings.subnets[0].clients.names, first);
    let second = NameRules { updates: false, ..everywhere };
    assert_eq!(settings.subnets[1].clients.names, second);
    assert_eq!(read("[[subnet]]\nprefix = \"10.0.0.0/8\"\n").dns, None, "off unless configured");
}

#[test]
fn what_is_wrong_is_said_and_never_a_secret() {
    let check = |text: &str, expected: &[&str]| {
        let problems = network("n.toml", text).expect_err(text);
        let said: Vec<String> =
            problems.problems.iter().map(|p| format!("{}: {}", p.key, p.reason)).collect();
        assert_eq!(said, expected, "{text}");
    };
    check("[dns]\n", &["dns.zone: missing; write [[dns.zone]] with name and servers"]);
    check(
        "[[dns.key]]\nname = \"k\"\nsecret = \"hid den\"\n[[dns.zone]]\nname = \"z\"\nservers = []\n",
        &[
            "dns.key[0].secret: is not base64, in which tsig-keygen and keymgr print secrets",
            "dns.zone[0].servers: names no server",
        ],
    );
    check(
        "[[dns.zone]]\nname = \"z\"\nservers = [\"1.2.3.4\"]\nkey = \"k\"\n",
        &["dns.zone[0].key: there is no [[dns.key]] with this name"],
    );
    check(
        "[[dns.zone]]\nname = \"z\"\nservers = [\"ns\"]\n[[dns.zone]]\nname = \"Z.\"\nservers = [\"::1\"]\n",
        &[
            "dns.zone[0].servers[0]: `ns` is not an address; write for example \"192.0.2.53\" or \
             \"192.0.2.53:53\"",
            "dns.zone[1]: is the same zone as dns.zone[0]; join the two",
        ],
    );
    let zone = |rest: &str| format!("[[dns.zone]]\nname = \"10.in-addr.arpa\"\n{rest}\n");
    check(
        &[
            zone("servers = [\"::1\"]"),
            zone("servers = [\"1.2.3.4\"]\nvpn = \"red\""),
            zone("servers = [\"1.2.3.4:53\", \"::2\"]\nvpn = \"blue\""),
            zone("servers = [\"::3\"]\nvpn = \"blue\""),
            zone("servers = [\"::4\"]\nvpn = \"\""),
        ]
        .concat(),
        &[
            "dns.zone[2]: is the same zone at 1.2.3.4:53 as dns.zone[1], but of another VPN; give \
             each VPN its own server, or its own key and view there",
            "dns.zone[4]: is the same zone as dns.zone[0]; join the two",
            "dns.zone[4].vpn: `` is not the name of a VPN; write 1 to 254 ASCII characters",
        ],
    );
    for name in ["0/25.2.0.192.in-addr.arpa", "1.2.3.4.in-addr.arpa", "010.in-addr.arpa"] {
        check(
            &format!("[[dns.zone]]\nname = \"{name}\"\nservers = [\"::1\"]\n"),
            &["dns.zone[0]: covers no addresses as whole octets; write for example \
               \"2.0.192.in-addr.arpa\""],
        );
    }
    check(
        "[clients.dns]\ngenerated = \"Dhcp\"\nttl_min = \"2m\"\nttl_max = \"1m\"\n",
        &[
            "clients.dns.generated: `Dhcp` does not begin a name; write at most 48 lower-case \
             letters, digits and hyphens, such as \"dhcp-\"",
            "clients.dns.ttl_max: is below ttl_min; write a longer one",
        ],
    );
}

#[test]
fn a_file_that_is_shown_has_no_secret_in_it() {
    let clear = without_secrets(DNS);
    assert!(!clear.contains("c2VjcmV0") && !clear.contains("b3RoZXI="), "{clear}");
    assert!(clear.contains("secret = \"…\"") && clear.contains("hmac-sha512"));
    let both =
        format!("{DNS}\n[[leasequery.secret]]\nid = 1\nprotocol = \"token\"\nsecret = \"x7\"\n");
    let clear = without_secrets(&both);
    assert!(!clear.contains("x7") && !clear.contains("c2VjcmV0"), "{clear}");
}
