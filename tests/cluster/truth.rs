//! Every member knows every lease, and tells the same of it.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use tests::client::Client;
use tests::cluster::Cluster;
use tests::packet::{Packet, kind, option};
use tests::requestor::{Key, query};
use tests::wait;

use crate::machine_shared;

/// What of a reply two members must agree on.
#[derive(Debug, PartialEq)]
struct Told {
    kind: u8,
    address: Ipv4Addr,
    chaddr: [u8; 16],
    client_id: Option<Vec<u8>>,
    relay_agent: Option<Vec<u8>>,
}

fn told(reply: &Packet) -> Told {
    Told {
        kind: reply.kind(),
        address: reply.ciaddr,
        chaddr: reply.chaddr,
        client_id: reply.option(option::CLIENT_ID),
        relay_agent: reply.option(option::RELAY_AGENT),
    }
}

/// Asks each server the same, and ensures the same answer but for a second of time.
fn agree(cluster: &Cluster, key: &Key) -> Result<Packet> {
    let mut replies = Vec::new();
    for member in 0..2 {
        let relay = cluster.relay(2, member)?;
        replies.push(relay.exchange(&query(key), wait::PATIENCE)?);
    }
    let [one, two] = &replies[..] else { unreachable!("two servers were asked") };
    ensure!(told(one) == told(two), "{key:?}: {:?}, and {:?}", told(one), told(two));
    for code in [option::LEASE_TIME, option::T1, option::T2, option::LAST_TRANSACTION] {
        let apart = match (one.number(code), two.number(code)) {
            (Some(one), Some(two)) => one.abs_diff(two),
            (one, two) => u32::from(one != two) * u32::MAX,
        };
        ensure!(apart <= 1, "{key:?}: option {code} differs by {apart}");
    }
    Ok(one.clone())
}

// proves
// proves [L-46]
#[test]
fn two_members_answer_the_same_leasequery_alike() -> Result<()> {
    let _machine = machine_shared();
    let cluster = Cluster::start(2, true)?;
    let client = Client::new(1);
    let ack = client.obtain(&cluster.relay(1, 0)?)?;
    cluster.wait_level()?;
    let client_id = client.client_id.clone().context("a client identifier")?;
    for key in [Key::Ip(ack.yiaddr), Key::Mac(client.mac), Key::ClientId(client_id.clone())] {
        let reply = agree(&cluster, &key)?;
        ensure!(reply.kind() == kind::LEASEACTIVE, "{key:?}: type {}", reply.kind());
        ensure!(reply.ciaddr == ack.yiaddr, "{key:?}: {}", reply.ciaddr);
        ensure!(reply.option(option::RELAY_AGENT) == client.relay_agent, "{key:?}: option 82");
        ensure!(reply.option(option::CLIENT_ID) == Some(client_id.clone()), "{key:?}: option 61");
        let left = reply.number(option::LEASE_TIME).context("lease time")?;
        ensure!((7100..=7200).contains(&left), "{key:?}: {left} s left of two hours");
    }
    let free = Ipv4Addr::new(10, 31, 254, 254);
    let reply = agree(&cluster, &Key::Ip(free))?;
    ensure!(reply.kind() == kind::LEASEUNASSIGNED, "a free address: type {}", reply.kind());
    Ok(())
}

#[test]
fn a_lease_taken_from_one_server_is_renewed_by_the_other() -> Result<()> {
    let _machine = machine_shared();
    let mut cluster = Cluster::start(2, true)?;
    let client = Client::new(2);
    let ack = client.obtain(&cluster.relay(1, 0)?)?;
    cluster.members[0].kill()?;
    let renewed =
        cluster.relay(1, 1)?.exchange(&client.request_extension(ack.yiaddr), wait::PATIENCE)?;
    ensure!(renewed.kind() == kind::ACK, "type {}", renewed.kind());
    ensure!(renewed.yiaddr == ack.yiaddr, "{} became {}", ack.yiaddr, renewed.yiaddr);
    ensure!(renewed.number(option::LEASE_TIME) == Some(7200), "{renewed:?}");
    Ok(())
}

#[test]
fn every_member_lists_the_lease_with_its_relay_information() -> Result<()> {
    let _machine = machine_shared();
    let cluster = Cluster::start(2, true)?;
    let client = Client::new(3);
    let ack = client.obtain(&cluster.relay(1, 0)?)?;
    cluster.wait_level()?;
    for member in &cluster.members {
        let listing = member.leases()?;
        let lease = listing.leases.iter().find(|lease| lease.ip == ack.yiaddr);
        let lease = lease.with_context(|| format!("{} does not list it", member.name))?;
        ensure!(lease.state == "active", "{}: {lease:?}", member.name);
        ensure!(lease.circuit_id.as_deref() == Some("00000003"), "{}: {lease:?}", member.name);
        ensure!(lease.remote_id.as_deref() == Some("025b00000003"), "{}: {lease:?}", member.name);
    }
    Ok(())
}
