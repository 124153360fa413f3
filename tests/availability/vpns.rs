//! A split pair whose clients have the same addresses in several VPNs: each side extends and promises in each of them, and the merge
//! keeps them apart.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tests::client::{Client, Relay};
use tests::packet::kind;
use tests::wait;

use crate::fault::Fault;
use crate::lab::{address, relay};
use crate::stage::{NETWORK, Shape, Stage, hold_rest};

/// As network.toml names them, and as relay agents do. The load's clients are in the global one.
const VPNS: [(&str, &[u8]); 2] =
    [("red", b"\0red"), ("0x00000500000001", &[1, 0, 0, 5, 0, 0, 0, 1])];

/// Where each client is, by VPN and number.
type Promises = BTreeMap<(&'static str, u32), Ipv4Addr>;

fn network() -> String {
    let subnet = |(name, _)| {
        format!(
            "[[subnet]]\nprefix = \"10.16.0.0/12\"\npools = [\"10.16.1.0-10.31.255.0\"]\n\
             allocation = \"sequential\"\nvpn = \"{name}\"\n"
        )
    };
    format!("{NETWORK}{}", VPNS.map(subnet).concat())
}

/// A client by its relay agent, at one server.
fn through<T>(stage: &Stage, server: u64, talk: impl Fn(&Relay) -> Result<T> + Sync) -> Result<T>
where
    T: Send,
{
    let to = SocketAddrV4::new(address(server), relay(2).port());
    stage.lab.clients().run(|| talk(&Relay::bind(relay(2), to)?))
}

fn obtain(stage: &Stage, number: u32, server: u64) -> Result<Promises> {
    let mut promises = Promises::new();
    for (name, vss) in VPNS {
        let client = Client::new(number).within(vss);
        let ack = through(stage, server, |relay| client.obtain(relay));
        let ack = ack.with_context(|| format!("client {number} in {name} at m{server}"))?;
        promises.insert((name, number), ack.yiaddr);
    }
    Ok(promises)
}

fn renew(stage: &Stage, promises: &Promises, server: u64) -> Result<()> {
    for (name, vss) in VPNS {
        for ((_, number), ip) in promises.iter().filter(|((vpn, _), _)| *vpn == name) {
            let request = Client::new(*number).within(vss).request_extension(*ip);
            let ack = through(stage, server, |relay| relay.exchange(&request, wait::PATIENCE))?;
            ensure!((ack.kind(), ack.yiaddr) == (kind::ACK, *ip), "{name}, m{server}: {ack:?}");
        }
    }
    Ok(())
}

/// Waits until every server lists these promises, and no others in these VPNs.
fn listed(stage: &Stage, promises: &Promises) -> Result<()> {
    for server in stage.servers_but(0) {
        for (name, _) in VPNS {
            let expected: BTreeMap<Ipv4Addr, String> = promises
                .iter()
                .filter(|((vpn, _), _)| *vpn == name)
                .map(|((_, number), ip)| {
                    (*ip, Client::new(*number).mac.map(|octet| format!("{octet:02x}")).join(":"))
                })
                .collect();
            let mut found = BTreeMap::new();
            wait::until("promises of a VPN", wait::PATIENCE, || {
                let leases = server.leases().ok()?.leases.into_iter();
                let here = leases.filter(|l| l.vpn.as_deref() == Some(name) && l.state == "active");
                found = here.map(|lease| (lease.ip, lease.mac.unwrap_or_default())).collect();
                (found == expected).then_some(())
            })
            .with_context(|| format!("{} in {name}: {found:?}, not {expected:?}", server.name))?;
        }
    }
    Ok(())
}

/// A pair under load is split for so long. A client that both sides know renews at both, in each VPN; new ones come to each side.
pub(crate) fn apart(hold: Duration) -> Result<()> {
    let fault = Fault::Split;
    let mut stage = Stage::set(Shape::Pair, &network(), fault)?;
    stage.open(200.0)?;
    let known = obtain(&stage, 1, 1)?;
    listed(&stage, &known)?;

    let start = Instant::now();
    fault.strike(&stage.lab, &mut stage.cluster, 1)?;
    let mut promises = known.clone();
    for server in [1, 2] {
        stage.isolated(server)?;
        renew(&stage, &known, server)?;
        promises.append(&mut obtain(&stage, 1 + server as u32, server)?);
    }
    hold_rest(start, hold);
    fault.heal(&stage.lab, &mut stage.cluster, 1)?;
    stage.cluster.wait_ready()?;
    listed(&stage, &promises)?;
    // Else the VPNs were never in each other's way.
    let [one, other] = VPNS.map(|(name, _)| name);
    let met = promises
        .iter()
        .filter(|((vpn, number), ip)| *vpn == one && promises.get(&(other, *number)) == Some(ip));
    ensure!(met.count() > 0, "no address in both VPNs: {promises:?}");
    for server in [1, 2] {
        renew(&stage, &promises, server)?;
    }
    stage.close(&[])?.clients_content()
}
