//! Names of clients in a DNS server that we did not write: Knot DNS of Debian, on loopback, in a folder of its own.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::client::{Client, Relay};
use tests::cluster::Cluster;
use tests::member::{Member, free_tcp_port};
use tests::packet::{Packet, option};
use tests::{process, wait};

use crate::machine_shared;

const KNOTD: &str = "/usr/sbin/knotd";
/// base64 of a secret that only these tests use.
const SECRET: &str = "bGVhc2Vob2xkLXRlc3RzLW9ubHktc2VjcmV0LTAwMDE=";
const OTHER_SECRET: &str = "bGVhc2Vob2xkLXRlc3RzLW9ubHktc2VjcmV0LTAwMDI=";
/// Flags E and S of option 81 (RFC 4702 section 2).
const FLAGS_E_S: u8 = 0x05;
const FLAG_S: u8 = 0x01;
/// A static host, and a name that is some other client's.
const ZONE: &str = "\
@ 3600 SOA ns hostmaster 1 3600 600 86400 60
@ 3600 NS ns
ns 3600 A 127.0.0.1
www 3600 A 192.0.2.80
taken 3600 A 192.0.2.81
taken 3600 DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=
";
const STATIC: [(&str, &str); 3] = [
    ("ns.example.net.", "127.0.0.1"),
    ("taken.example.net.", "192.0.2.81"),
    ("www.example.net.", "192.0.2.80"),
];

/// A DNS server; it ends with this value.
struct Knot {
    folder: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Knot {
    /// None if it is not installed, which is said.
    fn start(folder: &Path) -> Result<Option<Knot>> {
        if !Path::new(KNOTD).exists() {
            eprintln!("SKIPPED names in DNS: {KNOTD} is not installed (tests/install-packages.sh)");
            return Ok(None);
        }
        let folder = folder.join("knot");
        // Knot makes no directory.
        fs::create_dir_all(folder.join("db"))?;
        let port = free_tcp_port(Ipv4Addr::LOCALHOST)?.port();
        let place = folder.display();
        let zones = ["example.net", "10.in-addr.arpa"].map(|zone| {
            format!(
                "  - domain: {zone}\n    file: \"{place}/{zone}.zone\"\n    acl: [ dhcp, all ]\n"
            )
        });
        let config = format!(
            "server:\n    rundir: \"{place}\"\n    listen: 127.0.0.1@{port}\n\
             database:\n    storage: \"{place}/db\"\n\
             log:\n  - target: \"{place}/knot.log\"\n    any: debug\n\
             key:\n  - id: dhcp-key\n    algorithm: hmac-sha256\n    secret: {SECRET}\n\
             acl:\n  - id: dhcp\n    key: dhcp-key\n    action: update\n  - id: all\n    address: 127.0.0.1\n    action: transfer\n\
             zone:\n{}",
            zones.concat()
        );
        fs::write(folder.join("knot.conf"), config)?;
        fs::write(folder.join("example.net.zone"), format!("$ORIGIN example.net.\n{ZONE}"))?;
        let reverse: String = ZONE.lines().take(2).map(|line| format!("{line}\n")).collect();
        fs::write(
            folder.join("10.in-addr.arpa.zone"),
            format!("$ORIGIN 10.in-addr.arpa.\n{reverse}"),
        )?;
        let mut knot = Knot { folder, port, child: None };
        knot.run()?;
        Ok(Some(knot))
    }

    fn run(&mut self) -> Result<()> {
        let config = self.folder.join("knot.conf");
        let child = process::spawn(Path::new(KNOTD), |command| {
            command.arg("-c").arg(config).stdout(Stdio::null()).stderr(Stdio::null());
        });
        self.child = Some(child.context("cannot start knotd")?);
        wait::until("answer of knotd", wait::PATIENCE, || {
            self.dig(&["example.net", "SOA"]).is_ok_and(|answer| !answer.is_empty()).then_some(())
        })
        .with_context(|| fs::read_to_string(self.folder.join("knot.log")).unwrap_or_default())
    }

    fn end(&mut self) -> Result<()> {
        let mut child = self.child.take().context("knotd is down")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let child = self.child.as_ref().context("knotd is down")?;
        kill(Pid::from_raw(child.id() as i32), signal).context("cannot send a signal")
    }

    fn dig(&self, question: &[&str]) -> Result<String> {
        let port = self.port.to_string();
        let output = Command::new("kdig")
            .args(["@127.0.0.1", "-p", &port, "+short", "+retry=0", "+timeout=2"])
            .args(question)
            .output()
            .context("kdig")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// The address that a name of example.net has; empty if it has none.
    fn address_of(&self, name: &str) -> Result<String> {
        self.dig(&[&format!("{name}.example.net"), "A"])
    }

    fn name_of(&self, address: Ipv4Addr) -> Result<String> {
        self.dig(&["-x", &address.to_string()])
    }

    /// Every name with an address in the zone but the static ones.
    fn listing(&self) -> Result<BTreeSet<(String, String)>> {
        let port = self.port.to_string();
        let output = Command::new("kdig")
            .args(["@127.0.0.1", "-p", &port, "+noall", "+answer", "example.net", "AXFR"])
            .output()
            .context("kdig")?;
        let text = String::from_utf8(output.stdout)?;
        ensure!(text.contains("SOA"), "no zone: {text}");
        let records = text.lines().filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [name, _, "IN", "A", address] = fields[..] else { return None };
            Some((name.to_owned(), address.to_owned()))
        });
        let fixed = |(name, address): &(String, String)| STATIC.contains(&(name, address));
        Ok(records.filter(|record| !fixed(record)).collect())
    }

    fn wait_for(
        &self,
        cluster: &Cluster,
        what: &str,
        holds: impl Fn() -> Result<bool>,
    ) -> Result<()> {
        wait::until(what, wait::PATIENCE, || holds().unwrap_or(false).then_some(()))
            .with_context(|| self.listing().map_or_else(|e| e.to_string(), |l| format!("{l:?}")))
            .with_context(|| cluster.last_words())
    }
}

impl Drop for Knot {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Gone already is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn network(port: u16, secret: &str) -> String {
    format!(
        r#"
[lease]
default = "2h"
min = "2s"

[clients]
name_suffix = "example.net"

[[subnet]]
prefix = "10.16.0.0/12"
pools = ["10.16.1.0-10.31.255.0"]
relays = ["127.0.1.1", "127.0.1.2", "127.0.1.3"]

[dns]
[[dns.key]]
name = "dhcp-key"
secret = "{secret}"

[[dns.zone]]
name = "example.net"
servers = ["127.0.0.1:{port}"]
key = "dhcp-key"

[[dns.zone]]
name = "10.in-addr.arpa"
servers = ["127.0.0.1:{port}"]
key = "dhcp-key"
"#
    )
}

/// A client that asks for a name; returns its DHCPACK.
fn named(relay: &Relay, number: u32, name: &str, lease_seconds: Option<u32>) -> Result<Packet> {
    name_given(relay, &Client::new(number), name, lease_seconds)
}

fn name_given(
    relay: &Relay,
    client: &Client,
    name: &str,
    lease_seconds: Option<u32>,
) -> Result<Packet> {
    let offer = relay.exchange(&client.discover(), wait::PATIENCE)?;
    let mut request = client.request_offered(&offer).with(option::CLIENT_FQDN, fqdn(name));
    if let Some(seconds) = lease_seconds {
        request = request.with(option::LEASE_TIME, seconds.to_be_bytes());
    }
    relay.exchange(&request, wait::PATIENCE)
}

fn fqdn(name: &str) -> Vec<u8> {
    [&[FLAGS_E_S, 0, 0, name.len() as u8][..], name.as_bytes()].concat()
}

fn server_of(ack: &Packet) -> Result<Ipv4Addr> {
    ack.address(option::SERVER_ID).context("an ACK names its server")
}

// proves [O-58]
#[test]
fn names_come_and_go_with_leases_and_other_hosts_keep_theirs() -> Result<()> {
    let _machine = machine_shared();
    let cluster = Cluster::start(1, false)?;
    let Some(knot) = Knot::start(cluster.folder())? else { return Ok(()) };
    cluster.apply(&network(knot.port, SECRET))?;
    let relay = cluster.relay(1, 0)?;
    let ack = named(&relay, 1, "alpha", None)?;
    let said = ack.option(option::CLIENT_FQDN).context("option 81")?;
    assert_eq!((said[0], &said[3..]), (FLAGS_E_S, &b"\x05alpha\x07example\x03net\0"[..]));
    let address = ack.yiaddr.to_string();
    knot.wait_for(&cluster, "name of the client", || {
        Ok(knot.address_of("alpha")? == address
            && knot.name_of(ack.yiaddr)? == "alpha.example.net."
            && !knot.dig(&["alpha.example.net", "DHCID"])?.is_empty())
    })?;
    // Another client of that name, a host of the operator's, and a name with another DHCID.
    for (number, name) in [(2, "alpha"), (3, "www"), (4, "taken")] {
        let rival = named(&relay, number, name, None)?;
        let shown = format!("{name}.example.net");
        knot.wait_for(&cluster, "conflict", || {
            let list = cluster.members[0].succeed(&["names", "list", "--output", "csv"])?;
            let row = list.lines().find(|line| line.starts_with(&format!("{},", rival.yiaddr)));
            Ok(row.is_some_and(|row| row.contains(&shown) && row.contains(",conflict,")))
        })?;
        assert_eq!(knot.name_of(rival.yiaddr)?, "", "no pointer to a name of somebody else's");
    }
    assert_eq!(knot.address_of("alpha")?, address);
    assert_eq!(knot.address_of("www")?, "192.0.2.80");
    assert_eq!(knot.address_of("taken")?, "192.0.2.81");
    assert!(cluster.members[0].log().contains("dns_conflict"));
    let conflicts = ["result=\"conflict\""];
    let counted = cluster.members[0].metric("leasehold_dns_updates_total", &conflicts)?;
    ensure!(counted >= Some(3.0), "{counted:?}");

    relay.send(&Client::new(1).release(ack.yiaddr, server_of(&ack)?))?;
    knot.wait_for(&cluster, "end of the name after a release", || {
        Ok(knot.address_of("alpha")?.is_empty()
            && knot.name_of(ack.yiaddr)?.is_empty()
            && knot.dig(&["alpha.example.net", "DHCID"])?.is_empty())
    })?;
    let short = named(&relay, 5, "short", Some(3))?;
    let address = short.yiaddr.to_string();
    knot.wait_for(&cluster, "name for a short lease", || Ok(knot.address_of("short")? == address))?;
    knot.wait_for(&cluster, "end of the name after the lease", || {
        Ok(knot.address_of("short")?.is_empty() && knot.name_of(short.yiaddr)?.is_empty())
    })?;
    assert_eq!(knot.listing()?, BTreeSet::new(), "nothing is left behind");
    Ok(())
}

/// The network of one zone, and the same subnet and zone of the VPN red at another server. Blue has no zone.
fn network_of_vpns(global: &Knot, red: &Knot) -> String {
    let text = network(global.port, SECRET);
    let (before, zones) = text.split_at(text.find("[[dns.zone]]").unwrap_or(text.len()));
    let subnet = |vpn: &str| {
        format!(
            "[[subnet]]\nprefix = \"10.16.0.0/12\"\npools = [\"10.16.1.0-10.31.255.0\"]\n\
             relays = [\"127.0.1.1\"]\nvpn = \"{vpn}\"\n"
        )
    };
    let of_red = zones.replace(&global.port.to_string(), &red.port.to_string());
    let of_red = of_red.replace("[[dns.zone]]", "[[dns.zone]]\nvpn = \"red\"");
    [before, zones, &of_red, &subnet("red"), &subnet("blue")].concat()
}

#[test]
fn names_of_a_vpn_go_into_its_own_zones_and_no_others() -> Result<()> {
    let _machine = machine_shared();
    let cluster = Cluster::start(1, false)?;
    let folders = ["global", "red"].map(|name| cluster.folder().join(name));
    let Some(global) = Knot::start(&folders[0])? else { return Ok(()) };
    let red = Knot::start(&folders[1])?.context("it is installed")?;
    cluster.apply(&network_of_vpns(&global, &red))?;
    let relay = cluster.relay(1, 0)?;
    let client = |vpn: &[u8]| Client::new(1).within(vpn);
    let (in_global, in_red) = (client(&[255]), client(b"\0red"));
    let acks = [&in_global, &in_red].map(|client| name_given(&relay, client, "alpha", None));
    let [of_global, of_red] = acks;
    let (of_global, of_red) = (of_global?, of_red?);
    let of_blue = name_given(&relay, &client(b"\0blue"), "beta", None)?;
    for (knot, ack) in [(&global, &of_global), (&red, &of_red)] {
        let address = ack.yiaddr.to_string();
        knot.wait_for(&cluster, "name of the client", || {
            Ok(knot.address_of("alpha")? == address
                && knot.name_of(ack.yiaddr)? == "alpha.example.net.")
        })?;
    }
    // It was told so with its address: without a zone nobody updates anything.
    let said = of_blue.option(option::CLIENT_FQDN).context("option 81")?;
    ensure!(said[0] & FLAG_S == 0, "{said:?}");
    let names = page(&cluster.members[0], "limit=1000")?;
    let names = names["names"].as_array().context("a list")?;
    let vpns: Vec<_> = names.iter().map(|name| name["vpn"].as_str()).collect();
    ensure!(vpns == [None, Some("red")], "{names:?}");
    for knot in [&global, &red] {
        assert_eq!(knot.listing()?.len(), 1, "nothing of another VPN");
    }
    relay.send(&in_red.release(of_red.yiaddr, server_of(&of_red)?))?;
    red.wait_for(&cluster, "end of the name in the VPN", || Ok(red.listing()?.is_empty()))?;
    assert_eq!(global.name_of(of_global.yiaddr)?, "alpha.example.net.");
    assert_eq!(global.address_of("alpha")?, of_global.yiaddr.to_string());
    Ok(())
}

#[test]
fn a_wrong_key_is_said_and_the_right_one_mends_it() -> Result<()> {
    let _machine = machine_shared();
    let cluster = Cluster::start(1, false)?;
    let Some(knot) = Knot::start(cluster.folder())? else { return Ok(()) };
    cluster.apply(&network(knot.port, OTHER_SECRET))?;
    let relay = cluster.relay(1, 0)?;
    let ack = named(&relay, 1, "alpha", None)?;
    knot.wait_for(&cluster, "refusal", || {
        let log = cluster.members[0].log();
        Ok(log.contains("dns_refused") && log.contains("BADSIG"))
    })?;
    assert_eq!(knot.listing()?, BTreeSet::new());
    let shown = cluster.members[0].succeed(&["names", "list", "--waiting", "--output", "csv"])?;
    ensure!(shown.contains(",denied,"), "{shown}");
    cluster.apply(&network(knot.port, SECRET))?;
    let address = ack.yiaddr.to_string();
    knot.wait_for(&cluster, "name with the right key", || Ok(knot.address_of("alpha")? == address))
}

#[test]
fn nothing_is_lost_and_nothing_is_left_while_servers_of_both_kinds_fail() -> Result<()> {
    let _machine = machine_shared();
    let mut cluster = Cluster::start(2, true)?;
    let Some(mut knot) = Knot::start(cluster.folder())? else { return Ok(()) };
    cluster.apply(&network(knot.port, SECRET))?;
    let mut relay = cluster.relay(1, 0)?;
    let mut acks: Vec<Packet> = Vec::new();
    for number in 0..6 {
        acks.push(named(&relay, number, &format!("c{number}"), None)?);
    }
    // The DNS server is away: clients do not notice, and it learns of them when it is back.
    knot.end()?;
    relay.send(&Client::new(0).release(acks[0].yiaddr, server_of(&acks[0])?))?;
    for number in 6..10 {
        acks.push(named(&relay, number, &format!("c{number}"), None)?);
    }
    let leader = cluster.leader()?;
    knot.wait_for(&cluster, "notice that it is away", || {
        Ok(cluster.members[leader].log().contains("dns_server_away"))
    })
    .or_else(|error| if cluster.leader()? == leader { Err(error) } else { Ok(()) })?;
    knot.run()?;
    wait_level(&knot, &cluster, 9)?;
    for round in 0..3 {
        // It takes updates and does not answer in time, and the leader dies in the middle of them.
        knot.signal(Signal::SIGSTOP)?;
        let leader = cluster.leader()?;
        for number in 0..4 {
            let number = 20 + round * 4 + number;
            acks.push(named(&relay, number, &format!("c{number}"), None)?);
        }
        let gone = &acks[1 + round as usize];
        let server = server_of(gone)?;
        let maker = cluster.servers().into_iter().find(|place| *place.ip() == server);
        relay.toward(maker.context("the server of an ACK")?);
        relay.send(&Client::new(1 + round).release(gone.yiaddr, server))?;
        knot.wait_for(&cluster, "four names to add and one to remove", || {
            Ok(page(&cluster.members[leader], "waiting=true")?["waiting"] == 5)
        })?;
        // So that some are on their way.
        wait::hold(Duration::from_millis(400));
        cluster.members[leader].kill()?;
        knot.signal(Signal::SIGCONT)?;
        let left = cluster.members.iter().position(|m| m.is_running() && m.id <= 2);
        relay.toward(cluster.members[left.context("a server runs")?].places.dhcp);
        wait_level(&knot, &cluster, 9 + (round as usize + 1) * 3)?;
        cluster.members[leader].start()?;
        cluster.wait_ready()?;
    }
    Ok(())
}

fn page(member: &Member, query: &str) -> Result<serde_json::Value> {
    let (_, body) = member.get(&format!("/v1/names?{query}"))?;
    Ok(serde_json::from_str(&body)?)
}

/// Waits until so many names stand in DNS and they are exactly those that the ledger wants.
fn wait_level(knot: &Knot, cluster: &Cluster, names_len: usize) -> Result<()> {
    knot.wait_for(cluster, "equal names in the ledger and in DNS", || {
        let member = cluster.members.iter().find(|member| member.is_running());
        let page = page(member.context("a member runs")?, "limit=1000")?;
        let names = page["names"].as_array().context("a list")?;
        let wanted = names.iter().filter_map(|name| {
            let text = format!("{}.", name["name"].as_str()?);
            Some((text, name["ip"].as_str()?.to_owned()))
        });
        let wanted: BTreeSet<_> = wanted.collect();
        Ok(page["waiting"] == 0 && wanted.len() == names_len && wanted == knot.listing()?)
    })
}
