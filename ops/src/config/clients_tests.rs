//! Rules for clients and boot fields: what each place says and what it takes from the places around it.

use super::network;
use replication_ledger::{Authoritative, Boot, BootpService, ClientRules, Settings};
use std::net::Ipv4Addr;

const LAYERS: &str = r#"
[lease]
quarantine = "2h"

[clients]
rapid_commit = true
bootp = "reserved"
short_messages = false

[boot]
next_server = "192.0.2.1"
file = "everybody"

[[network]]
name = "cable"
lease = { default = "30m" }
clients = { bootp = "automatic", authoritative = "clients", addresses_per_remote_id = 4, ping_check = "300ms" }
boot = { file = "cable" }
options = { routers = ["10.0.0.1"], domain-name = "cable.example" }

[[subnet]]
prefix = "10.0.0.0/24"
network = "cable"
lease = { quarantine = "5m" }
clients = { authoritative = "no", known_only = true, ping_check = "0s" }
boot = { server_name = "boot" }
options = { domain-name = "first.example" }

[[subnet.reservation]]
mac = "02:00:00:00:00:01"
address = "10.0.0.9"
boot = { file = "own" }

[[subnet]]
prefix = "10.0.1.0/24"
network = "cable"

[[subnet]]
prefix = "10.9.0.0/24"
"#;

fn read(text: &str) -> Settings {
    network("n.toml", text).expect(text)
}

#[test]
fn the_nearest_place_counts_key_by_key() {
    let settings = read(LAYERS);
    assert!(!settings.reception.short_messages && settings.reception.subnet_selection);
    let [first, second, third] = &settings.subnets[..] else { panic!("three subnets") };
    let cable = ClientRules {
        rapid_commit: true,
        bootp: BootpService::Automatic,
        authoritative: Authoritative::Clients,
        quarantine_seconds: 7200,
        addresses_per_remote_id_max: Some(4),
        ping_check_millis: 300,
        ..ClientRules::default()
    };
    assert_eq!(second.clients, cable);
    let expected = ClientRules {
        authoritative: Authoritative::Nothing,
        known_only: true,
        ping_check_millis: 0,
        quarantine_seconds: 300,
        ..cable
    };
    assert_eq!(first.clients, expected);
    assert_eq!(third.clients.bootp, BootpService::Reserved);
    assert_eq!(third.clients.authoritative, Authoritative::Link);
    let boot = |server_name: &str, file: &str| Boot {
        next_server: Ipv4Addr::new(192, 0, 2, 1),
        server_name: server_name.into(),
        file: file.into(),
    };
    assert_eq!(first.boot, boot("boot", "cable"));
    assert_eq!(second.boot, boot("", "cable"));
    assert_eq!(third.boot, boot("", "everybody"));
    assert_eq!(first.reservations[0].boot, Boot { file: "own".into(), ..Boot::default() });
    let options = |position: usize| {
        let options = settings.subnets[position].options.iter();
        options.map(|o| (o.code, o.data.to_vec())).collect::<Vec<_>>()
    };
    let routers = (3, vec![10, 0, 0, 1]);
    assert_eq!(options(0), [routers.clone(), (15, b"first.example".to_vec())]);
    assert_eq!(options(1), [routers, (15, b"cable.example".to_vec())]);
    assert_eq!(options(2), []);
    assert_eq!(second.lease.default_seconds, 1800);
    assert_eq!(third.lease.default_seconds, 12 * 3600);
}

#[test]
fn what_is_not_said_is_as_the_documents_want_it() {
    let settings = read("[[subnet]]\nprefix = \"10.0.0.0/24\"");
    let rules = &settings.subnets[0].clients;
    assert_eq!(*rules, ClientRules::default());
    assert_eq!((rules.bootp, rules.rapid_commit), (BootpService::Refused, false));
    assert!(settings.reception.short_messages && settings.reception.subnet_selection);
}

#[test]
fn bad_rules_are_refused_with_line_key_and_reason() {
    let check = |text: &str, expected: &[&str]| {
        let error = network("n.toml", text).expect_err(text).to_string();
        assert_eq!(error.lines().collect::<Vec<_>>(), expected, "{text}");
    };
    check(
        "[clients]\nbootp = true\nauthoritative = \"yes\"\nrapid_commit = \"on\"",
        &[
            "n.toml:2: clients.bootp: must be a string in quotes",
            "n.toml:3: clients.authoritative: `yes` is unknown; write \"no\", \"link\" or \"clients\"",
            "n.toml:4: clients.rapid_commit: must be true or false",
        ],
    );
    check(
        "[[subnet]]\nprefix = \"10.0.0.0/24\"\nclients = { short_messages = true }",
        &["n.toml:3: subnet[0].clients.short_messages: unknown key; known here: \
         addresses_per_circuit_id, addresses_per_remote_id, authoritative, auto_configure, bootp, dns, fqdn, known_only, \
         name_suffix, ping_check, rapid_commit"],
    );
    check(
        "[clients]\naddresses_per_remote_id = 0",
        &["n.toml:2: clients.addresses_per_remote_id: must be a whole number from 1 to 65535"],
    );
    let long = format!("[boot]\nfile = \"{}\"\nserver_name = \"a\\u0000\"", "x".repeat(128));
    check(
        &long,
        &[
            "n.toml:2: boot.file: must have at most 127 octets and no NUL",
            "n.toml:3: boot.server_name: must have at most 63 octets and no NUL",
        ],
    );
    check(
        "[[network]]\nname = \"a\"\n[[network]]\nname = \"a\"",
        &[
            "n.toml:1: network[0]: no subnet says network = \"a\"; correct one of the names or remove it",
            "n.toml:3: network[1]: a is already described by network[0]; join the two",
        ],
    );
    check(
        "[clients]\nname_suffix = \"a..b\"",
        &[
            "n.toml:2: clients.name_suffix: `a..b` is not a name of DNS; write for example \"example.net\"",
        ],
    );
    check(
        "[[subnet]]\nprefix = \"10.0.0.0/24\"\nvpn = \"0x0102\"",
        &["n.toml:3: subnet[0].vpn: `0x0102` is not a VPN-ID; it has seven octets"],
    );
    check(
        "[[subnet]]\nprefix = \"10.0.0.0/24\"\nnetwork = \"a\"\nvpn = \"red\"\n\
         [[subnet]]\nprefix = \"10.0.1.0/24\"\nnetwork = \"a\"",
        &["n.toml:1: subnet[0]: 10.0.0.0/24 of network a is in another VPN than 10.0.1.0/24; \
         give both the same vpn or separate networks"],
    );
    check(
        "[[network]]\nlease = { default = \"0s\" }",
        &[
            "n.toml:1: network[0].name: missing; write the name that its subnets give as their network",
            "n.toml:2: network[0].lease.default: must not be 0",
        ],
    );
}

#[test]
fn vpns_and_names_are_read() {
    let settings = read(
        "[clients]\nname_suffix = \"example.net.\"\nfqdn = false\n[[network]]\nname = \"a\"\n\
         vpn = \"red\"\n[[subnet]]\nprefix = \"10.0.0.0/24\"\nnetwork = \"a\"\n[[subnet]]\n\
         prefix = \"10.0.1.0/24\"\nvpn = \"0x00000500000001\"\n[[subnet]]\nprefix = \"10.0.2.0/24\"",
    );
    // By the number of their VPN.
    let vpn = |position: usize| settings.subnets[position].vpn.identifier();
    assert_eq!(vpn(0), None);
    assert_eq!(vpn(1), Some(&[1, 0, 0, 5, 0, 0, 0, 1][..]));
    assert_eq!(vpn(2), Some(&b"\0red"[..]));
    assert!(settings.reception.vss);
    let rules = &settings.subnets[0].clients;
    assert_eq!((&rules.name_suffix[..], rules.fqdn), ("example.net", false));
    assert!(!read("[[subnet]]\nprefix = \"10.0.2.0/24\"").reception.vss);
}

const SPACES: &str = r#"
[[option_definition]]
name = "acs-url"
vendor = true
code = 1
format = "text"

[[option_definition]]
name = "tftp-hosts"
enterprise = 4491
code = 2
format = "addresses"

[[option_definition]]
name = "site"
code = 230
format = "u32"

[options]
site = 70000
vendor-specific-information = { acs-url = "http://a", 2 = "0x0102" }
vi-vendor-specific = { 4491 = { tftp-hosts = ["192.0.2.1", "192.0.2.2"] } }
other = { code = 230, value = "7" }

[[vendor_class]]
identifier = "phone"
options = { vendor-specific-information = { 3 = "x" } }

[[vendor_class]]
identifier = "0x4150"
"#;

#[test]
fn vendor_spaces_and_own_options_are_encoded_as_they_are_defined() {
    let text = SPACES.replace("other = { code = 230, value = \"7\" }\n", "");
    let settings = read(&text);
    let options: Vec<_> = settings.options.iter().map(|o| (o.code, &o.data[..])).collect();
    let expected: [(u8, &[u8]); 3] = [
        (43, b"\x01\x08http://a\x02\x02\x01\x02"),
        (125, &[0, 0, 0x11, 0x8b, 10, 2, 8, 192, 0, 2, 1, 192, 0, 2, 2]),
        (230, &[0, 1, 0x11, 0x70]),
    ];
    assert_eq!(options, expected);
    let classes: Vec<_> =
        settings.vendor_classes.iter().map(|class| &class.identifier[..]).collect();
    assert_eq!(classes, [&b"AP"[..], b"phone"]);
    let phone = settings.vendor_class(b"phone").expect("it is configured");
    assert_eq!((phone.options[0].code, &phone.options[0].data[..]), (43, &b"\x03\x01x"[..]));
}

#[test]
fn bad_definitions_are_refused_with_line_key_and_reason() {
    let check = |text: &str, expected: &[&str]| {
        let error = network("n.toml", text).expect_err(text).to_string();
        assert_eq!(error.lines().collect::<Vec<_>>(), expected, "{text}");
    };
    check(SPACES, &["n.toml:20: options.site: option 230 is already given by options.other"]);
    let defined = |rest: &str| format!("[[option_definition]]\nname = \"a\"\ncode = {rest}");
    check(
        &defined("3\nformat = \"text\""),
        &["n.toml:1: option_definition[0]: option 3 is known as routers; use that name"],
    );
    check(
        &defined("300\nformat = \"ipv4\""),
        &[
            "n.toml:3: option_definition[0].code: must be a whole number from 1 to 254",
            "n.toml:4: option_definition[0].format: `ipv4` is not a format; known are address, \
             addresses, address-pairs, boolean, domain-name, domain-names, flag, hex, i32, \
             ipv6-address, routes, text, u16, u16s, u32, u8, u8s",
        ],
    );
    check(
        &defined(
            "1\nformat = \"u8\"\nvendor = true\n[options]\nvendor-specific-information = { a = 7, 1 = 8 }",
        ),
        &[
            "n.toml:7: options.vendor-specific-information.a: sub-option 1 is given twice; remove one",
        ],
    );
    check(
        "[options]\nvendor-specific-information = { acs-url = \"x\" }\n\
         vi-vendor-specific = { cable = { 1 = \"x\" } }",
        &[
            "n.toml:2: options.vendor-specific-information.acs-url: unknown here; write its \
             number, or an [[option_definition]] of acs-url",
            "n.toml:2: options.vendor-specific-information: must not be empty",
            "n.toml:3: options.vi-vendor-specific.cable: `cable` is not an enterprise number; \
             write for example 4491",
            "n.toml:3: options.vi-vendor-specific: must not be empty",
        ],
    );
    check(
        "[[vendor_class]]\nidentifier = \"a\"\n[[vendor_class]]\nidentifier = \"a\"",
        &["n.toml:3: vendor_class[1]: this identifier has a class already; join the two"],
    );
}
