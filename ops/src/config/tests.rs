//! Bad input as tables: each row is a text and the exact lines that the operator reads.

use super::*;
use replication_ledger::{MemberId, ReservationKey, Role};
use std::path::Path;

/// The file as the manual shows it.
const NETWORK: &str = r#"
[cluster]
mclt = "1h"

[lease]
default = "12h"

[options]
domain-name-servers = ["192.0.2.53"]
own = { code = 150, value = "0xc0000201" }

[[subnet]]
prefix = "10.20.0.0/16"
network = "cable-north"
pools = ["10.20.1.0-10.20.255.250"]
relays = ["10.20.0.1"]
options = { routers = ["10.20.0.1"] }
lease = { default = "1h" }

[[subnet.reservation]]
mac = "00:16:3e:00:00:07"
address = "10.20.0.7"
hostname = "head-end"

[leasequery]
permitted = ["10.20.0.0/16"]
max_connections = 10
data_timeout = "30s"
max_queries_per_connection = 4
dialects = ["rfc", "draft"]
"#;

const MEMBER: &str = r#"
[member]
id = 1
name = "dhcp-a"
data_dir = "/var/lib/leasehold"
role = "server"

[dhcp]
listen = ["192.0.2.1:67"]
interfaces = ["eth1"]
server_id = "192.0.2.1"

[leasequery]
listen_tcp = ["192.0.2.1:67"]
[leasequery.tls]

[peer]
listen = "198.51.100.1:6747"
advertise = "198.51.100.1:6747"
[peer.tls]
certificate = "member.pem"
key = "member.key"
ca = "/etc/leasehold/ca.pem"

[admin]
listen = "127.0.0.1:6780"
token_file = "/etc/leasehold/tokens.toml"
[admin.tls]
"#;

#[test]
fn the_network_of_the_manual_loads() {
    let settings = network("network.toml", NETWORK).expect("it is the manual's");
    assert_eq!((settings.mclt_seconds, settings.mclt_max_seconds), (3600, 3600));
    let codes: Vec<u8> = settings.options.iter().map(|option| option.code).collect();
    assert_eq!(codes, [6, 150]);
    assert_eq!(&settings.options[1].data[..], [192, 0, 2, 1]);
    let subnet = &settings.subnets[0];
    assert_eq!(subnet.lease.default_seconds, 3600);
    assert_eq!(subnet.lease.max_seconds, 24 * 3600);
    assert_eq!(subnet.pools[0].to_string(), "10.20.1.0-10.20.255.250");
    assert_eq!(subnet.options[0].code, 3);
    let reservation = &subnet.reservations[0];
    assert!(matches!(reservation.key, ReservationKey::Hardware(_)));
    assert_eq!(reservation.host_name.as_deref(), Some("head-end"));
    assert_eq!(settings.leasequery.permitted.len(), 1);
    assert_eq!(settings.source, NETWORK);
}

#[test]
fn the_member_of_the_manual_loads() {
    let config = member("/etc/leasehold/member.toml", MEMBER).expect("it is the manual's");
    assert_eq!((config.id, config.role), (MemberId(1), Role::Server));
    let tls = config.peer.tls.expect("three files are named");
    assert_eq!(tls.certificate, Path::new("/etc/leasehold/member.pem"));
    assert_eq!(config.leasequery.tls, None);
    assert_eq!(config.dhcp.expect("a server").interfaces, ["eth1"]);
}

#[test]
fn an_empty_network_is_a_network() {
    let settings = network("network.toml", "").expect("nothing is required");
    assert_eq!(settings, replication_ledger::Settings::default());
}

fn lines(error: InvalidFile) -> Vec<String> {
    error.to_string().lines().map(str::to_owned).collect()
}

#[test]
fn a_bad_network_is_refused_with_line_key_and_reason() {
    let check = |text: &str, expected: &[&str]| {
        let error = network("n.toml", text).expect_err(text);
        assert_eq!(lines(error), expected, "{text}");
    };
    check(
        "a =",
        &["n.toml:1: not valid TOML: string values must be quoted, expected literal string"],
    );
    check(
        "\nsubnets = 1",
        &[
            "n.toml:2: subnets: unknown key; known here: boot, class, clients, cluster, dns, lease, \
         leasequery, network, option_definition, options, subnet, vendor_class",
        ],
    );
    check(
        "[cluster]\nauto_partner_down = \"59s\"",
        &[
            "n.toml:2: cluster.auto_partner_down: a restart of the other must not look like its end; write at least \"1m\"",
        ],
    );
    check("[cluster]\nmclt = 3600", &["n.toml:2: cluster.mclt: must be a string in quotes"]);
    check(
        "[cluster]\nmclt = \"0s\"",
        &["n.toml:2: cluster.mclt: must not be 0; the usual value is \"1h\""],
    );
    check(
        "[cluster]\nmclt = \"1 hour\"",
        &[
            "n.toml:2: cluster.mclt: `1 hour` is not a duration; write for example \"12h\" or \"1h30m\"",
        ],
    );
    check(
        "[lease]\ndefault = \"2h\"\nmax = \"1h\"",
        &["n.toml:2: lease.default: default 2h is above max 1h; lower default or raise max"],
    );
    check(
        "[lease]\ndefault = \"1m\"\nmin = \"1h\"",
        &["n.toml:2: lease.default: default 1m is below min 1h; raise default or lower min"],
    );
    check(
        "[lease]\nrenew = 0.9",
        &["n.toml:2: lease.renew: renew must be below rebind; usual are 0.5 and 0.875"],
    );
    check(
        "[lease]\nrenew = 2.0",
        &["n.toml:2: lease.renew: must be a number between 0 and 1, such as 0.5"],
    );
    check(
        "[options]\ncolour = \"red\"",
        &[
            "n.toml:2: options.colour: unknown option; write colour = { code = N, value = \"0x…\" } \
         if you know its code",
        ],
    );
    check(
        "[options]\nrouters = [\"10.0.0\"]",
        &[
            "n.toml:2: options.routers: not a value of option routers: `10.0.0` is not an IPv4 address",
        ],
    );
    check(
        "[options]\nip-address-lease-time = 5",
        &["n.toml:2: options.ip-address-lease-time: option ip-address-lease-time cannot be \
         configured; use the section lease"],
    );
    check(
        "[options]\nrouters = \"10.0.0.1\"\nx = { code = 3, value = \"0x0a000002\" }",
        &["n.toml:3: options.x: option 3 is already given by options.routers"],
    );
    check(
        "[options]\nx = { code = 300, value = \"a\" }",
        &["n.toml:2: options.x.code: must be a whole number from 1 to 254"],
    );
    check(
        "[[class]]\nname = \"voip\"",
        &["n.toml:1: class[0].match: missing; write the expression that holds for its clients"],
    );
    check(
        "[leasequery]\npermitted = [\"10.0.0.1/8\"]\ndialects = [\"kea\"]\nmax_connections = 0",
        &[
            "n.toml:2: leasequery.permitted[0]: `10.0.0.1/8` has bits after its length; write \
         \"10.0.0.0/8\"",
            "n.toml:3: leasequery.dialects[0]: `kea` is not a dialect; known are \"rfc\" and \"draft\"",
            "n.toml:4: leasequery.max_connections: must be a whole number from 1 to 10000",
        ],
    );
}

#[test]
fn what_does_not_fit_together_is_refused_with_both_places() {
    let check = |text: &str, expected: &[&str]| {
        let error = network("n.toml", text).expect_err(text);
        assert_eq!(lines(error), expected, "{text}");
    };
    check(
        "[[subnet]]\npools = []",
        &["n.toml:1: subnet[0].prefix: missing; write for example prefix = \"10.20.0.0/16\""],
    );
    check(
        "[[subnet]]\nprefix = \"10.1.0.0/16\"\n[[subnet]]\nprefix = \"10.0.0.0/8\"\n",
        &["n.toml:1: subnet[0]: 10.1.0.0/16 overlaps 10.0.0.0/8 of subnet[1]; every address must \
         lie in one subnet only"],
    );
    check(
        "[[subnet]]\nprefix = \"10.0.0.0/24\"\npools = [\"10.0.1.1-10.0.1.9\",\n\"10.0.0.0/25\",\n\"10.0.0.9-10.0.0.20\"]",
        &[
            "n.toml:3: subnet[0].pools[0]: 10.0.1.1-10.0.1.9 is not inside 10.0.0.0/24; use \
         10.0.0.1-10.0.0.254",
            "n.toml:4: subnet[0].pools[1]: 10.0.0.0 is the network address of 10.0.0.0/24; use \
         10.0.0.1-10.0.0.254",
            "n.toml:5: subnet[0].pools[2]: 10.0.0.9-10.0.0.20 overlaps 10.0.0.0-10.0.0.127 of \
         subnet[0].pools[1]; join the two",
        ],
    );
    let reservations = "[[subnet]]\nprefix = \"10.0.0.0/24\"\n\
        [[subnet.reservation]]\nmac = \"00:00:00:00:00:01\"\naddress = \"10.0.0.5\"\n\
        [[subnet.reservation]]\nmac = \"00:00:00:00:00:01\"\naddress = \"10.0.0.5\"\n\
        [[subnet.reservation]]\naddress = \"10.0.1.5\"\n\
        [[subnet.reservation]]\nremote-id = \"x\"\naddress = \"10.0.1.5\"\n";
    check(
        reservations,
        &[
            "n.toml:6: subnet[0].reservation[1]: 10.0.0.5 is already reserved by \
         subnet[0].reservation[0]; remove one",
            "n.toml:6: subnet[0].reservation[1]: mac 00:00:00:00:00:01 already has a reservation in \
         this subnet, subnet[0].reservation[0]; remove one",
            "n.toml:9: subnet[0].reservation[2]: names its client 0 times; give exactly one of mac, \
         client-id, circuit-id, remote-id, subscriber-id, relay-id, match",
            "n.toml:11: subnet[0].reservation[3]: 10.0.1.5 is not inside 10.0.0.0/24; use \
         10.0.0.1-10.0.0.254",
        ],
    );
    let relays = "[[subnet]]\nprefix = \"10.0.0.0/24\"\nrelays = [\"10.9.0.1\", \"10.0.1.1\"]\n\
        [[subnet]]\nprefix = \"10.0.1.0/24\"\nrelays = [\"10.9.0.1\"]\n";
    check(
        relays,
        &[
            "n.toml:3: subnet[0].relays[1]: 10.0.1.1 lies in 10.0.1.0/24 of subnet[1], which is \
         another link; give both subnets the same network or remove it",
            "n.toml:6: subnet[1].relays[0]: 10.9.0.1 is also a relay of another link, \
         subnet[0].relays[0]; remove one or give both subnets the same network",
        ],
    );
    let one_link = relays.replace("prefix", "network = \"n\"\nprefix");
    assert!(network("n.toml", &one_link).is_ok(), "subnets of one network share their relays");
}

#[test]
fn a_bad_member_is_refused_with_line_key_and_reason() {
    let check = |text: &str, expected: &[&str]| {
        let error = member("m.toml", text).expect_err(text);
        assert_eq!(lines(error), expected, "{text}");
    };
    check(
        "",
        &[
            "m.toml:1: member: missing section; write [member] with id, name and data_dir",
            "m.toml:1: peer: missing section; write [peer] with listen",
        ],
    );
    check(
        "[member]\nid = 1\ndata_dir = \"d\"\n[peer]\nlisten = \"127.0.0.1:1\"",
        &["m.toml:1: dhcp: missing section; a server needs [dhcp] with listen and server_id"],
    );
    let witness = "[member]\nid = 3\ndata_dir = \"d\"\nrole = \"witness\"\n";
    check(
        &format!("{witness}[dhcp]\n[peer]\nlisten = \"127.0.0.1:1\""),
        &[
            "m.toml:5: dhcp: a witness serves no DHCP; remove the section or write role = \"server\"",
        ],
    );
    check(
        &format!("{witness}[leasequery]\n[peer]\nlisten = \"127.0.0.1:1\""),
        &["m.toml:5: leasequery: a witness serves no leasequery; remove the section"],
    );
    check(
        &format!("{witness}[peer]\nlisten = \"10.0.0.1:1\""),
        &[
            "m.toml:5: peer.tls: 10.0.0.1:1 is not loopback, so certificate, key and ca are required; \
         write insecure = true under [peer] only on a network that nobody else can reach",
        ],
    );
    check(
        &format!("{witness}[peer]\nlisten = \"0.0.0.0:1\"\ninsecure = true"),
        &["m.toml:5: peer.advertise: missing; write the address that other members use"],
    );
    let peer = format!("{witness}[peer]\nlisten = \"127.0.0.1:1\"\n");
    check(
        &format!("{peer}[admin]\nlisten = \"10.0.0.1:1\""),
        &[
            "m.toml:7: admin.token_file: 10.0.0.1:1 is not loopback, so a token file is required",
            "m.toml:7: admin.tls: 10.0.0.1:1 is not loopback, so certificate and key are required",
        ],
    );
    check(
        &format!("{peer}[admin.tls]\nkey = \"k\""),
        &["m.toml:7: admin.tls.certificate: missing; write the PEM file of the certificate chain"],
    );
    check(
        &format!("{peer}[log]\nformat = \"xml\""),
        &["m.toml:8: log.format: `xml` is not a form; write \"text\" or \"json\""],
    );
    check(
        &peer.replace("id = 3", "id = 0"),
        &["m.toml:2: member.id: must be a whole number from 1 to 4294967295"],
    );
    check(
        &peer.replace("role", "rôle"),
        &["m.toml:4: not valid TOML: invalid unquoted key, expected letters, numbers, `-`, `_`"],
    );
}

// proves [H-11]
#[test]
fn a_server_never_listens_where_clients_do() {
    let text = MEMBER.replacen("192.0.2.1:67", "192.0.2.1:68", 1);
    let error = member("m.toml", &text).expect_err("the port of clients");
    let expected =
        "m.toml:9: dhcp.listen[0]: `192.0.2.1:68` is the port of clients; a server has port 67";
    assert_eq!(lines(error), [expected]);
}

#[test]
fn the_examples_of_the_page_of_configuration_load() {
    let page = include_str!("../../../docs/CONFIG.md");
    let mut counts = (0, 0);
    for block in page.split("```toml ").skip(1) {
        let (kind, rest) = block.split_once('\n').expect("a kind and a line");
        let (text, _) = rest.split_once("```").expect("every block ends");
        match kind {
            "network" => {
                network("CONFIG.md", text).expect("an example of network.toml");
                counts.0 += 1;
            }
            "member" => {
                member("CONFIG.md", text).expect("an example of member.toml");
                counts.1 += 1;
            }
            _ => panic!("an example of {kind}"),
        }
    }
    assert!(counts.0 >= 1 && counts.1 >= 1, "{counts:?}");
}
