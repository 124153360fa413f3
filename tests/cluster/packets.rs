//! Malformed packets are dropped, counted with their reason, and change nothing.

use anyhow::{Context, Result, ensure};
use tests::client::Client;
use tests::cluster::Cluster;
use tests::packet::{Packet, kind, option};
use tests::wait;

use crate::machine_shared;

fn drops(cluster: &Cluster) -> Result<f64> {
    Ok(cluster.members[0].metric("leasehold_dhcp_drops_total", &[])?.unwrap_or(0.0))
}

#[test]
fn a_malformed_packet_is_dropped_and_counted_with_its_reason() -> Result<()> {
    let _machine = machine_shared();
    let cluster = Cluster::start(1, false)?;
    let relay = cluster.relay(1, 0)?;
    let good = Packet { giaddr: relay.giaddr(), ..Client::new(1).discover() }.encode();
    let end = good.iter().rposition(|octet| *octet == 255).context("an End option")?;
    let with_options = |tail: &[u8]| [&good[..240], tail].concat();
    let cases: [(&str, Vec<u8>); 6] = [
        ("nothing at all", vec![]),
        ("half a header", good[..100].to_vec()),
        ("no options", good[..238].to_vec()),
        ("another cookie", {
            let mut octets = good.clone();
            octets[236] = 0;
            octets
        }),
        ("an option over the end", with_options(&[53, 1, 1, 61, 200, 1, 2, 3])),
        ("a hardware address too long", {
            let mut octets = good[..=end].to_vec();
            octets[2] = 17;
            octets.resize(300, 0);
            octets
        }),
    ];
    for (what, octets) in cases {
        let before = drops(&cluster)?;
        relay.send_octets(&octets)?;
        wait::until("drop to be counted", wait::PATIENCE, || {
            drops(&cluster).ok().filter(|after| *after > before)
        })
        .with_context(|| what.to_owned())?;
    }
    let (_, metrics) = cluster.members[0].get("/metrics")?;
    let reasons = metrics
        .lines()
        .filter(|line| line.starts_with("leasehold_dhcp_drops_total{reason="))
        .count();
    ensure!(reasons >= 2, "different faults must have different reasons:\n{metrics}");
    let ack = Client::new(2).obtain(&relay)?;
    ensure!(ack.kind() == kind::ACK && ack.option(option::SERVER_ID).is_some(), "{ack:?}");
    Ok(())
}
