//! The rules of RFC 4702 section 4 where updates are configured.

use crate::scene::{Ask, OUR_ID, RED, Scene, at, in_vpn, ip, overlapping, settings, vpn};
use replication_ledger::{
    ClientNaming, DnsSettings, DnsZone, LedgerView, NameRules, Naming, Prefix, Settings,
    VpnAddress, VpnNumber,
};
use server_wire::MessageType::{Ack, Inform};
use server_wire::{FLAG_E, FLAG_N, FLAG_O, FLAG_S};

const E: u8 = FLAG_E;
const S: u8 = FLAG_S;
const N: u8 = FLAG_N;
const O: u8 = FLAG_O;

fn wire(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let octets = labels.flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
    octets.chain([0]).collect()
}

/// Zones for example.net and 10.0.0.0/24, and `example.net` as the suffix of the first link.
fn with_dns(rules: NameRules) -> Settings {
    let zone = |name: &str| DnsZone {
        vpn: VpnNumber::GLOBAL,
        name: wire(name).into(),
        servers: Vec::new(),
        key: None,
    };
    let prefix = Prefix { address: ip("10.0.0.0"), len: 24 };
    let mut settings = settings();
    settings.subnets[0].clients.name_suffix = "example.net".into();
    settings.subnets[0].clients.names = rules;
    settings.dns = Some(Box::new(DnsSettings {
        forward: vec![zone("example.net")],
        reverse: vec![(prefix, zone("0.0.10.in-addr.arpa"))],
        keys: Vec::new(),
        conflict_retry_seconds: 60,
    }));
    settings
}

fn fqdn(flags: u8, name: &[u8]) -> Vec<u8> {
    [&[flags, 0, 0], name].concat()
}

/// Flags and name of option 81 in a reply.
type Said = (u8, Vec<u8>);
/// A name that DNS is to have, and whether forward and reverse.
type Done = (Vec<u8>, bool, bool);

/// What the reply says in option 81 (flags and name), and what DNS is to say then (name, forward, reverse).
fn told(settings: Settings, ask: Ask) -> (Option<Said>, Option<Done>) {
    let mut scene = Scene::with_settings(settings);
    let reply = scene.serve(&ask).expect("a reply");
    assert_eq!(reply.message_type, Ack);
    let option = reply.option(81).map(|value| (value[0], value[3..].to_vec()));
    let mut entries = scene.table.names().from(VpnAddress::FIRST);
    let entry = entries.find(|entry| entry.address.ip == reply.header.yiaddr);
    let wanted = entry.and_then(|entry| entry.wanted.clone());
    let wanted = wanted.map(|ClientNaming { naming, .. }| {
        let Naming { name, forward, reverse, .. } = naming;
        (name.to_vec(), forward, reverse)
    });
    (option, wanted)
}

fn request(number: u8) -> Ask {
    Ask::selecting(number, OUR_ID, ip("10.0.0.12"))
}

// proves [O-56] [O-71]
#[test]
fn what_the_reply_says_is_what_will_be_done() {
    let check = |rules: NameRules, asked: u8, said: u8, done: Option<(bool, bool)>| {
        let ask = request(1).with(81, &fqdn(asked, b"\x04host\x07example\x03net\0"));
        let (option, wanted) = told(with_dns(rules.clone()), ask);
        let (flags, name) = option.expect("option 81");
        assert_eq!(flags, said, "asked {asked:#x} of {rules:?}");
        assert_eq!(name, wire("host.example.net"));
        let expected = done.map(|(forward, reverse)| (name, forward, reverse));
        assert_eq!(wanted, expected, "asked {asked:#x} of {rules:?}");
    };
    let usual = NameRules::default;
    check(usual(), E | S, E | S, Some((true, true)));
    check(usual(), E, E, Some((false, true)));
    check(usual(), E | N, E | N, None);
    // S and N together are not allowed by section 2.1; N is honoured, and that is not what S wanted.
    check(usual(), E | S | N, E | N | O, None);
    let ours = NameRules { client_updates: false, ..usual() };
    check(ours.clone(), E, E | S | O, Some((true, true)));
    check(ours, E | N, E | N, None);
    let always = NameRules { client_refuses: false, ..usual() };
    check(always.clone(), E | N, E | S | O, Some((true, true)));
    check(always, E, E, Some((false, true)));
    let off = NameRules { updates: false, ..usual() };
    check(off.clone(), E | S, E | N | O, None);
    check(off, E, E | N, None);
}

#[test]
fn names_of_a_vpn_go_into_zones_of_that_vpn() {
    let ask = || request(1).with(81, &fqdn(E | S, &wire("a.example.net")));
    let vpn = vpn(RED).number();
    let mut settings = overlapping();
    settings.dns = with_dns(NameRules::default()).dns;
    let (option, wanted) = told(settings.clone(), in_vpn(ask(), RED));
    assert_eq!(
        (option.map(|(flags, _)| flags), wanted),
        (Some(E | N | O), None),
        "none of its own"
    );
    let dns = settings.dns.as_mut().expect("it is configured");
    dns.forward.push(DnsZone { vpn, ..dns.forward[0].clone() });
    let (option, wanted) = told(settings.clone(), in_vpn(ask(), RED));
    assert_eq!(option.map(|(flags, _)| flags), Some(E | S));
    assert_eq!(wanted, Some((wire("a.example.net"), true, false)));
    let (_, wanted) = told(settings, ask());
    assert_eq!(wanted, Some((wire("a.example.net"), true, true)), "the global one as before");
}

// proves [O-56]
#[test]
fn a_name_or_address_in_no_zone_of_ours_is_not_updated() {
    let check = |settings: Settings, name: &str, said: u8, done: Option<(bool, bool)>| {
        let ask = request(1).with(81, &fqdn(E | S, &wire(name)));
        let (option, wanted) = told(settings, ask);
        assert_eq!(option.map(|(flags, _)| flags), Some(said), "{name}");
        assert_eq!(wanted, done.map(|(f, r)| (wire(name), f, r)), "{name}");
    };
    let both = || with_dns(NameRules::default());
    check(both(), "a.example.net", E | S, Some((true, true)));
    check(both(), "a.example.org", E | O, Some((false, true)));
    check(both(), "example.net", E | O, Some((false, true)));
    let mut no_reverse = both();
    no_reverse.dns.as_mut().expect("configured").reverse.clear();
    check(no_reverse.clone(), "a.example.net", E | S, Some((true, false)));
    check(no_reverse, "a.example.org", E | N | O, None);
    let mut no_forward = both();
    no_forward.dns.as_mut().expect("configured").forward.clear();
    check(no_forward, "a.example.net", E | O, Some((false, true)));
}

#[test]
fn names_are_cleaned_and_completed() {
    let check = |rules: NameRules, ask: Ask, name: Option<&str>| {
        let (_, wanted) = told(with_dns(rules), ask.clone());
        assert_eq!(wanted.map(|wanted| wanted.0), name.map(wire), "{ask:?}");
    };
    let usual = NameRules::default;
    let by = |flags: u8, name: &[u8]| request(1).with(81, &fqdn(flags, name));
    check(usual(), by(E | S, b"\x04HoSt"), Some("host.example.net"));
    check(usual(), by(S, b"Host.Example.NET."), Some("host.example.net"));
    check(usual(), by(S, b"host"), Some("host.example.net"));
    check(usual(), by(S, b"my_host's"), Some("my-host-s.example.net"));
    check(usual(), by(S, b"--x--"), Some("x.example.net"));
    check(usual(), by(S, b"caf\xc3\xa9"), Some("caf.example.net"));
    check(usual(), by(S, b"___"), None);
    check(usual(), by(E | S, b"\x05host"), None);
    check(usual(), by(E | S, b"\xc0\x0c"), None);
    let long = [b'a'; 70];
    let cut = format!("{}.example.net", "a".repeat(63));
    check(usual(), by(S, &long), Some(&cut));
    let too_long = ["a".repeat(63).as_str(); 4].join(".");
    check(usual(), by(S, too_long.as_bytes()), None);
    // Option 12, and that of a client whose option 81 names nothing.
    check(usual(), request(1).with(12, b"printer"), Some("printer.example.net"));
    check(usual(), request(1).with(12, b"a.example.net"), Some("a.example.net"));
    check(usual(), by(E | S, b"").with(12, b"printer"), Some("printer.example.net"));
    check(usual(), by(E | S, b"\x01h").with(12, b"printer"), Some("h.example.net"));
    let fqdn_only = NameRules { without_fqdn: false, ..usual() };
    check(fqdn_only.clone(), request(1).with(12, b"printer"), None);
    check(fqdn_only, by(E | S, b"\x01h"), Some("h.example.net"));
    check(usual(), request(1), None);
    let generated = NameRules { generated_prefix: "dhcp-".into(), ..usual() };
    check(generated.clone(), request(1), Some("dhcp-10-0-0-12.example.net"));
    check(generated.clone(), request(1).with(12, b"!!"), Some("dhcp-10-0-0-12.example.net"));
    check(generated, request(1).with(12, b"printer"), Some("printer.example.net"));
    let in_domain = NameRules { client_domain: false, ..usual() };
    check(in_domain.clone(), by(S, b"www.corp.example.net"), Some("www.example.net"));
    check(in_domain, request(1).with(12, b"a.b"), Some("a.example.net"));
    // The operator's name comes before the client's.
    let reserved = Ask::init_reboot(200, ip("10.0.0.200"));
    check(usual(), reserved.clone().with(12, b"printer"), Some("head-end.example.net"));
    check(usual(), reserved, Some("head-end.example.net"));
}

#[test]
fn an_ascii_client_is_told_its_whole_name_in_ascii() {
    let (option, wanted) =
        told(with_dns(NameRules::default()), request(1).with(81, &fqdn(S, b"Host")));
    assert_eq!(option, Some((S, b"host.example.net".to_vec())));
    assert_eq!(wanted, Some((wire("host.example.net"), true, true)));
}

// proves [O-58]
#[test]
fn only_a_promise_is_told_and_a_silent_renewal_changes_nothing() {
    let mut scene = Scene::with_settings(with_dns(NameRules::default()));
    let name = fqdn(E | S, b"\x04host");
    let offer = scene.serve(&Ask::discover(1).with(81, &name)).expect("an offer");
    let address = offer.header.yiaddr;
    assert_eq!(offer.option(81).map(|value| value[0]), Some(E | S), "what it will do");
    assert!(scene.table.names().is_empty(), "and does not do yet");
    let named = |scene: &Scene| {
        let entry = scene.table.names().get(at(address));
        entry.and_then(|entry| entry.wanted.as_ref()).map(|wanted| wanted.naming.clone())
    };
    scene.serve(&Ask::selecting(1, OUR_ID, address).with(81, &name)).expect("an ack");
    let first = named(&scene).expect("a name");
    assert_eq!((&first.name[..], first.ttl_seconds), (&wire("host.example.net")[..], 1198));
    scene.serve(&Ask::renewing(1, address)).expect("an ack");
    assert_eq!(named(&scene), Some(first));
    scene.serve(&Ask::renewing(1, address).with(81, &fqdn(E | N, b"\x04host"))).expect("an ack");
    assert_eq!(named(&scene), None, "the client wants no records any more");
}

#[test]
fn an_answer_to_dhcpinform_promises_no_updates() {
    let mut scene = Scene::with_settings(with_dns(NameRules::default()));
    let ask = Ask::new(Inform, 1).ciaddr(ip("10.0.0.50")).with(81, &fqdn(E | S, b"\x04host"));
    let reply = scene.serve(&ask).expect("an ack");
    assert_eq!(reply.option(81).map(|value| value[0]), Some(E | N | O));
    assert!(scene.table.names().is_empty());
}
