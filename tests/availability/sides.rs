//! Both sides of a split pair serve, clients reach both and move between them: each side tells its
//! own truth, and whoever asks both learns the newest.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::client::Relay;
use tests::load::{Ack, AckKind, AckTail, Background, To, read_acks};
use tests::member::binary;
use tests::packet::option;
use tests::requestor::{Key, query};
use tests::wait;

use crate::fault::Fault;
use crate::lab::relay;
use crate::stage::{NETWORK, Shape, Stage, Window, hold_rest, wall_us};

/// Addresses that are asked about in the end of a split.
const ASKED: usize = 12;

/// How far a last transaction may be from the ACK that ended it.
const CLOCK_SECONDS: u64 = 2;

/// A pair is split for so long; clients that the servers knew before renew at either side in turn, new
/// ones come to both.
pub(crate) fn both(hold: Duration) -> Result<()> {
    let fault = Fault::Split;
    let mut stage = Stage::set(Shape::Pair, NETWORK, fault)?;
    stage.open(200.0)?;
    let mut known = stage.options(2, "dora", 200.0)?;
    (known.count, known.duration) = (Some(200), Duration::from_secs(60));
    let known_acks = known.acks.clone().context("an ACK file")?;
    let clients = stage.lab.clients();
    clients.run(|| tests::load::run(&known, &false.into()))?;

    let start = Instant::now();
    fault.strike(&stage.lab, &mut stage.cluster, 1)?;
    stage.isolated(1)?;
    stage.isolated(2)?;
    let alone = stage.cluster.servers().iter().map(|server| *server.ip()).collect();
    let mut window = Window { from_us: wall_us(), to_us: 0, alone };
    let mut moving = stage.options(3, "renew", 50.0)?;
    (moving.to, moving.leases) = (To::Rotate, Some(known_acks.clone()));
    let moving_acks = moving.acks.clone().context("an ACK file")?;
    let moving = Background::start(moving, Some(clients));
    let since = AckTail::at_end(&stage.acks());
    stage.served(&since, Some(1))?;
    stage.served(&since, Some(2))?;
    hold_rest(start, hold);
    let summary = moving.stop()?;
    ensure!(summary.renewals_refused == 0 && summary.unfinished == 0, "{summary:?}");
    let mut acks = read_acks(&moving_acks)?;
    acks.extend(since.clone().more()?);
    tell_the_truth(&stage, &acks)?;

    window.to_us = wall_us();
    fault.heal(&stage.lab, &mut stage.cluster, 1)?;
    stage.cluster.wait_ready()?;
    stage.served(&AckTail::at_end(&stage.acks()), None)?;
    let verdict = stage.close(&[known_acks, moving_acks])?;
    verdict.clients_content()?;
    verdict.promised(&window)
}

/// The last ACK of each side about one address.
type LastOfEach<'a> = BTreeMap<Ipv4Addr, &'a Ack>;

/// Asks both sides about addresses of whose last ACKs it is clear which is newer.
fn tell_the_truth(stage: &Stage, acks: &[Ack]) -> Result<()> {
    let mut known: BTreeMap<Ipv4Addr, LastOfEach<'_>> = BTreeMap::new();
    for ack in acks.iter().filter(|ack| ack.kind != AckKind::Release) {
        known.entry(ack.address).or_default().insert(ack.server, ack);
    }
    for ack in acks.iter().filter(|ack| ack.kind == AckKind::Release) {
        known.remove(&ack.address); // Whether the release arrived is not known.
    }
    let apart = |last: &LastOfEach<'_>| {
        let times: Vec<u64> = last.values().map(|ack| ack.wall_us).collect();
        times.len() == 2 && times[0].abs_diff(times[1]) > 2_000_000
    };
    let (mut moved, mut stayed) = (0, [0, 0]);
    for (address, last) in &known {
        if apart(last) && moved < ASKED {
            moved += 1;
        } else if last.len() == 1 {
            let side = usize::from(last.values().all(|ack| ack.server.octets()[3] == 2));
            if stayed[side] >= ASKED / 2 {
                continue;
            }
            stayed[side] += 1;
        } else {
            continue;
        }
        ask_both(stage, *address, last)
            .with_context(|| format!("leasequeries about {address}, {last:?}"))?;
    }
    ensure!(moved > 0 && stayed[0] > 0 && stayed[1] > 0, "asked about {moved}, {stayed:?}");
    Ok(())
}

/// The requestor shows the record of the side that has the newest ACK, for the client that got it,
/// and each side, asked alone, says that its own last ACK was the last transaction.
fn ask_both(stage: &Stage, address: Ipv4Addr, last: &LastOfEach<'_>) -> Result<()> {
    let newest = last.values().max_by_key(|ack| ack.wall_us).context("an ACK")?;
    let mut command = stage.lab.clients().command();
    command.arg(binary()?).args(["leasequery", "--tcp", "--dialect", "draft", "--show-all"]);
    command.args(["--output", "json", "--ip", &address.to_string()]);
    for server in stage.cluster.servers() {
        command.args(["--server", &server.to_string()]);
    }
    let output = command.output().context("cannot ask")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let records: Vec<Value> = serde_json::from_str(&text)
        .with_context(|| format!("{text}{}", String::from_utf8_lossy(&output.stderr)))?;
    let best = records.first().context("no record")?;
    let mac = newest.mac.map(|octet| format!("{octet:02x}")).join(":");
    ensure!(best["mac"] == mac.as_str() && best["state"] == "active", "{records:?}");
    // An exchange that was committed just before the split is known to both, who then say the same.
    let same = records.iter().all(|told| told["last_transaction"] == best["last_transaction"]);
    ensure!(same || speaker(best) == Some(newest.server), "not the newest side: {records:?}");
    for (server, ack) in last {
        let asked = SocketAddrV4::new(*server, relay(4).port());
        let reply = stage.lab.clients().run(|| {
            Relay::bind(relay(4), asked)?.exchange(&query(&Key::Ip(address)), wait::PATIENCE)
        })?;
        let ago = reply.number(option::LAST_TRANSACTION).map(u64::from);
        let ago = ago.with_context(|| format!("{server} does not know: {reply:?}"))?;
        let apart = (wall_us() / 1_000_000).saturating_sub(ago).abs_diff(ack.wall_us / 1_000_000);
        ensure!(reply.chaddr[..6] == ack.mac, "{server}: {reply:?}");
        ensure!(apart <= CLOCK_SECONDS, "{server} is {apart} s off: {reply:?}");
    }
    Ok(())
}

/// The address of the server whose record this is.
fn speaker(record: &Value) -> Option<Ipv4Addr> {
    let place: SocketAddrV4 = record["server"].as_str()?.parse().ok()?;
    Some(*place.ip())
}
