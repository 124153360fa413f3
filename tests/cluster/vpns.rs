//! The same addresses leased in several VPNs at once (RFC 6607 section 7): every member keeps them apart, through a take-over, a
//! restart and a time in which one of them is alone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use tests::check::Lease;
use tests::client::{Client, Relay};
use tests::cluster::Cluster;
use tests::member::Member;
use tests::packet::{Packet, kind, option};
use tests::wait::{self, PATIENCE};

use crate::machine_shared;

/// A VPN as network.toml names it, and as a relay agent does.
type Vpn = (Option<&'static str>, &'static [u8]);

/// The global one, one by name, one by VPN-ID.
const VPNS: [Vpn; 3] = [
    (None, &[255]),
    (Some("red"), b"\0red"),
    (Some("0x00000500000001"), &[1, 0, 0, 5, 0, 0, 0, 1]),
];

/// The same subnet behind the same relay agent in every VPN. Members choose alike, so that addresses meet.
fn network() -> String {
    let subnet = |(name, _): Vpn| {
        let vpn = name.map(|name| format!("vpn = \"{name}\"\n")).unwrap_or_default();
        format!(
            "[[subnet]]\nprefix = \"10.16.0.0/24\"\npools = [\"10.16.0.10-10.16.0.99\"]\n\
             relays = [\"127.0.1.1\", \"127.0.1.2\"]\nallocation = \"sequential\"\n{vpn}"
        )
    };
    let leasequery = "[leasequery]\npermitted = [\"127.0.0.0/8\"]\n";
    format!("[lease]\ndefault = \"2h\"\n{leasequery}{}", VPNS.map(subnet).concat())
}

/// This client gets an address in each VPN, which is the same in all.
fn obtained_everywhere(number: u32, relay: &Relay) -> Result<Ipv4Addr> {
    let mut addresses = BTreeSet::new();
    for (name, vss) in VPNS {
        let client = Client::new(number).within(vss);
        let ack = client.obtain(relay).with_context(|| format!("client {number} in {name:?}"))?;
        ensure!(ack.option(option::RELAY_AGENT) == client.relay_agent, "{name:?}: {ack:?}");
        addresses.insert(ack.yiaddr);
    }
    ensure!(addresses.len() == 1, "client {number}: {addresses:?}");
    addresses.pop_first().context("one address")
}

fn renewed(number: u32, vpn: Vpn, address: Ipv4Addr, relay: &Relay) -> Result<Packet> {
    let client = Client::new(number).within(vpn.1);
    let ack = relay.exchange(&client.request_extension(address), PATIENCE)?;
    ensure!((ack.kind(), ack.yiaddr) == (kind::ACK, address), "{vpn:?}: {ack:?}");
    Ok(ack)
}

/// What a member lists with these arguments: state and client of each address in its VPN.
type Listed = BTreeMap<(Option<String>, Ipv4Addr), (String, Option<String>)>;

fn listed(member: &Member, arguments: &[&str]) -> Result<Listed> {
    let text = member.succeed(&[&["lease", "list", "--output", "json"][..], arguments].concat())?;
    let leases: Vec<Lease> = serde_json::from_str(&text).context("lease list")?;
    let count = leases.len();
    let listed: Listed =
        leases.into_iter().map(|l| ((l.vpn, l.ip), (l.state, l.client_id))).collect();
    ensure!(listed.len() == count, "{}: an address stands twice in one VPN", member.name);
    Ok(listed)
}

/// The active leases of these clients in every VPN.
fn held(clients: &[(u32, Ipv4Addr)]) -> Listed {
    let mut held = Listed::new();
    for (number, address) in clients {
        for (name, _) in VPNS {
            let client_id = Client::new(*number).client_id.unwrap_or_default();
            let client_id: String = client_id.iter().map(|octet| format!("{octet:02x}")).collect();
            let whose = ("active".to_owned(), Some(client_id));
            held.insert((name.map(str::to_owned), *address), whose);
        }
    }
    held
}

fn all_list(cluster: &Cluster, expected: &Listed) -> Result<()> {
    for member in &cluster.members {
        let found = listed(member, &[])?;
        ensure!(found == *expected, "{}: {found:?}, not {expected:?}", member.name);
    }
    Ok(())
}

// proves [O-48]
#[test]
fn one_address_is_leased_in_three_vpns_at_once_and_ends_in_one() -> Result<()> {
    let _machine = machine_shared();
    let mut cluster = Cluster::start_with(2, true, &network())?;
    let address = obtained_everywhere(1, &cluster.relay(1, 0)?)?;
    cluster.wait_level()?;
    let mut expected = held(&[(1, address)]);
    all_list(&cluster, &expected)?;
    // In its VPN it is taken all the same.
    let other = Client::new(2).within(VPNS[1].1).obtain(&cluster.relay(1, 1)?)?.yiaddr;
    ensure!(other != address);
    expected.insert((Some("red".to_owned()), other), held(&[(2, other)])[&(None, other)].clone());
    cluster.wait_level()?;
    all_list(&cluster, &expected)?;

    let (leader, text) = (cluster.leader()?, address.to_string());
    let first = &cluster.members[0];
    let of_red = listed(first, &["--vpn", "red"])?;
    ensure!(of_red.len() == 2 && of_red.keys().all(|(vpn, _)| vpn.as_deref() == Some("red")));
    let global = listed(first, &["--vpn", "", "--ip", &text])?;
    ensure!(global.keys().eq([&(None, address)]), "{global:?}");
    let table = first.succeed(&["lease", "list"])?;
    ensure!(table.lines().next().is_some_and(|line| line.contains("VPN")), "{table}");
    let table = first.succeed(&["lease", "list", "--vpn", ""])?;
    ensure!(!table.contains("VPN"), "{table}");
    // A requestor asks in a VPN, too, by datagram and in bulk.
    let server = first.places.dhcp.to_string();
    let asked = |arguments: &[&str]| {
        let common = ["leasequery", "--server", &server, "--output", "json"];
        first.succeed(&[&common[..], arguments].concat())
    };
    let in_red = asked(&[
        "--ip",
        &text,
        "--vpn",
        "red",
        "--udp",
        "--source-port",
        "0",
        "--giaddr",
        "127.0.0.1",
    ])?;
    ensure!(in_red.contains("\"red\"") && in_red.contains(&text), "{in_red}");

    first.succeed(&["lease", "release", &text, "--vpn", "red", "--yes"])?;
    let unknown = first.command(&["lease", "release", &text, "--vpn", "blue", "--yes"])?;
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    ensure!(!unknown.status.success() && said.contains("there is no VPN blue"), "{said}");
    for (name, _) in VPNS {
        let shown = first.succeed(&["lease", "show", &text, "--vpn", name.unwrap_or_default()])?;
        let state = if name == Some("red") { "reset" } else { "active" };
        ensure!(shown.contains(state), "{name:?}: {shown}");
    }

    cluster.members[leader].kill()?;
    let relay = cluster.relay(1, 1 - leader)?;
    for vpn in [VPNS[0], VPNS[2]] {
        renewed(1, vpn, address, &relay)?;
    }
    let again = Client::new(1).within(VPNS[1].1).obtain(&relay)?.yiaddr;
    cluster.members[leader].start()?;
    cluster.wait_ready()?;
    cluster.wait_level()?;
    for member in &cluster.members {
        let found = listed(member, &["--state", "active", "--mac", "02:5a:00:00:00:01"])?;
        let vpns: Vec<_> = found.keys().map(|(vpn, ip)| (vpn.as_deref(), *ip)).collect();
        let mut expected = vec![(None, address), (VPNS[2].0, address), (VPNS[1].0, again)];
        expected.sort();
        ensure!(vpns == expected, "{}: {vpns:?}, not {expected:?}", member.name);
    }
    Ok(())
}

#[test]
fn a_member_alone_keeps_vpns_apart_and_so_does_its_merge() -> Result<()> {
    let _machine = machine_shared();
    let mut cluster = Cluster::start_with(2, false, &network())?;
    let relay = cluster.relay(1, 0)?;
    let first = obtained_everywhere(1, &relay)?;
    cluster.wait_level()?;
    cluster.members[1].kill()?;
    let member = &cluster.members[0];
    wait::until("isolated member", PATIENCE, || {
        let mode = member.metric("leasehold_mode", &["mode=\"isolated\""]).ok()??;
        (mode == 1.0).then_some(())
    })
    .with_context(|| member.last_words())?;
    for vpn in VPNS {
        renewed(1, vpn, first, &relay)?;
    }
    let clients = [(1, first), (2, obtained_everywhere(2, &relay)?)];
    ensure!(listed(member, &[])? == held(&clients), "alone it lists what it promised");
    wait::until("journal of three VPNs", PATIENCE, || {
        let entries = member.metric("leasehold_journal_entries", &[]).ok()?;
        (entries >= Some(6.0)).then_some(())
    })?;

    cluster.members[1].start()?;
    cluster.wait_ready()?;
    wait::until("empty journal", PATIENCE, || {
        let entries = cluster.members[0].metric("leasehold_journal_entries", &[]).ok()?;
        (entries == Some(0.0)).then_some(())
    })
    .with_context(|| cluster.last_words())?;
    cluster.wait_level()?;
    all_list(&cluster, &held(&clients))?;
    for member in &cluster.members {
        let conflicts = member.succeed(&["lease", "conflicts", "--output", "json"])?;
        ensure!(conflicts.trim() == "[]", "{}: {conflicts}", member.name);
    }
    // The other one, too, knows in which VPN which client is.
    for vpn in VPNS {
        renewed(2, vpn, clients[1].1, &cluster.relay(2, 1)?)?;
    }
    Ok(())
}
