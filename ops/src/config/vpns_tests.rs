//! Subnets of several VPNs: the same addresses in each, and what is refused.

use super::network;
use replication_ledger::{Settings, Vpn, VpnAddress, VpnNumber};

/// Two names with one number, found by trying.
const TWINS: [&str; 2] = ["customer-539599", "customer-722382"];

fn read(text: &str) -> Settings {
    network("n.toml", text).expect(text)
}

fn number(name: &str) -> VpnNumber {
    Vpn::named([b"\0", name.as_bytes()].concat().into()).number()
}

#[test]
fn every_vpn_may_have_the_same_subnet_relay_and_reservation() {
    let subnet = |vpn: &str| {
        format!(
            "[[subnet]]\n{vpn}prefix = \"10.0.0.0/24\"\npools = [\"10.0.0.10-10.0.0.20\"]\n\
             relays = [\"192.0.2.1\"]\n\
             [[subnet.reservation]]\nmac = \"02:00:00:00:00:01\"\naddress = \"10.0.0.9\"\n"
        )
    };
    let vpns = ["vpn = \"red\"\n", "", "vpn = \"blue\"\n"].map(subnet);
    let wide = "[[subnet]]\nprefix = \"10.0.0.0/8\"\nvpn = \"green\"\n";
    let settings = read(&format!("{}{wide}", vpns.concat()));
    let mut expected = [VpnNumber::GLOBAL, number("red"), number("blue"), number("green")];
    expected.sort();
    let found: Vec<VpnNumber> = settings.subnets.iter().map(|s| s.vpn.number()).collect();
    assert_eq!(found, expected);
    let ip = [10, 0, 0, 9].into();
    for vpn in expected {
        let address = VpnAddress { vpn, ip };
        let subnet = settings.subnet_of(address).expect("each has it");
        assert_eq!(subnet.vpn.number(), vpn);
        let reserved = settings.reservation_of(address).map(|reservation| reservation.address);
        assert_eq!(reserved, (vpn != number("green")).then_some(ip), "{vpn:?}");
    }
    assert!(settings.subnet_of(VpnAddress { vpn: number("grey"), ip }).is_none());
    assert!(settings.reception.vss);
}

#[test]
fn what_can_not_be_told_apart_is_refused() {
    let check = |text: &str, expected: &[&str]| {
        let error = network("n.toml", text).expect_err(text);
        let lines: Vec<String> = error.to_string().lines().map(str::to_owned).collect();
        assert_eq!(lines, expected, "{text}");
    };
    let [one, other] = TWINS;
    assert_eq!(number(one), number(other), "else nothing is proved");
    check(
        &format!(
            "[[network]]\nname = \"a\"\nvpn = \"{one}\"\n[[subnet]]\nnetwork = \"a\"\n\
             prefix = \"10.0.0.0/24\"\n[[dns.zone]]\nname = \"z\"\nservers = [\"::1\"]\n\
             vpn = \"{other}\"\n"
        ),
        &["n.toml:10: dns.zone[0].vpn: customer-722382 and customer-539599 of network[0].vpn \
           cannot be told apart by their number 6ebb41c2; give one of them another name"],
    );
    let red = "[[subnet]]\nvpn = \"red\"\nprefix =";
    check(
        &format!(
            "{red} \"10.0.0.0/8\"\n{red} \"10.1.0.0/16\"\n[[subnet]]\nprefix = \"10.1.0.0/24\""
        ),
        &["n.toml:4: subnet[1]: 10.1.0.0/16 overlaps 10.0.0.0/8 of subnet[0]; every address must \
           lie in one subnet only"],
    );
    let relay = "relays = [\"10.0.0.1\"]\n";
    check(
        &format!("{red} \"10.1.0.0/16\"\n{relay}{red} \"10.2.0.0/16\"\n{relay}"),
        &["n.toml:8: subnet[1].relays[0]: 10.0.0.1 is also a relay of another link, \
           subnet[0].relays[0]; remove one or give both subnets the same network"],
    );
    check(
        &format!("{red} \"10.1.0.0/16\"\n{relay}{red} \"10.0.0.0/16\"\n"),
        &["n.toml:4: subnet[0].relays[0]: 10.0.0.1 lies in 10.0.0.0/16 of subnet[1], which is \
           another link; give both subnets the same network or remove it"],
    );
    // It lies in a subnet of the global VPN, which is another one.
    read(&format!("{red} \"10.1.0.0/16\"\n{relay}[[subnet]]\nprefix = \"10.0.0.0/16\"\n"));
    let pings = "[clients]\nping_check = \"300ms\"\n";
    check(
        &format!("{pings}[[subnet]]\nprefix = \"10.0.0.0/8\"\n{red} \"10.0.0.0/8\"\n"),
        &["n.toml:5: subnet[1]: 10.0.0.0/8 is in a VPN, where ping_check can not look; write \
           clients = { ping_check = \"0s\" } in it or its network"],
    );
    read(&format!("{pings}{red} \"10.0.0.0/8\"\nclients = {{ ping_check = \"0s\" }}\n"));
    check(
        "[clients]\nvpn_option = [\"red\", \"rde\"]\n[[subnet]]\nprefix = \"10.0.0.0/8\"\nvpn = \"red\"",
        &["n.toml:2: clients.vpn_option[1]: no subnet is in the VPN rde; give one this vpn"],
    );
}

#[test]
fn vpns_that_clients_may_choose_are_listed_once_for_all() {
    let subnet = |name: &str| format!("[[subnet]]\nprefix = \"10.0.0.0/8\"\nvpn = \"{name}\"\n");
    let subnets = ["red", "blue"].map(subnet).concat();
    let chosen = |list: &str| read(&format!("{list}\n{subnets}")).reception.vpn_option;
    assert_eq!(chosen(""), [], "nobody chooses unless it is written");
    let mut both = [number("red"), number("blue")];
    both.sort();
    assert_eq!(chosen("[clients]\nvpn_option = [\"red\", \"blue\"]"), both);
}
