//! A pair loses both servers at once, and one comes back without the other: it goes on for the clients that it knows (PROMISES.md, I4).

use anyhow::{Context, Result, ensure};
use tests::client::Client;
use tests::cluster::Cluster;
use tests::member::Member;
use tests::packet::kind;
use tests::wait::{self, PATIENCE};

use crate::machine_shared;

/// How far the log is committed is on the disk with the next write, at the latest with the authority a second later.
fn stores_what_is_committed(member: &Member) -> Result<()> {
    let syncs = || member.metric("leasehold_log_fsync_total", &[]).ok().flatten();
    let before = syncs().context("no metric")?;
    wait::until("two writes", PATIENCE, || syncs().filter(|now| *now >= before + 2.0).map(drop))
}

#[test]
fn whichever_server_of_a_pair_comes_back_alone_knows_the_clients_of_both() -> Result<()> {
    let _machine = machine_shared();
    for alone in 0..2 {
        let mut cluster = Cluster::start(2, false)?;
        let mut held = Vec::new();
        for number in 1..=6u32 {
            let relay = cluster.relay(1, (number % 2) as usize)?;
            let client = Client::new(number);
            let address = client.obtain(&relay)?.yiaddr;
            held.push((client, address));
        }
        cluster.wait_level()?;
        cluster.members.iter().try_for_each(stores_what_is_committed)?;
        for member in &mut cluster.members {
            member.kill()?;
        }
        cluster.members[alone].start()?;
        let member = &cluster.members[alone];
        wait::until("isolated member", PATIENCE, || {
            let mode = member.metric("leasehold_mode", &["mode=\"isolated\""]).ok()??;
            (mode == 1.0).then_some(())
        })
        .with_context(|| member.last_words())?;
        let relay = cluster.relay(1, alone)?;
        for (client, address) in &held {
            let ack = relay
                .exchange(&client.request_extension(*address), PATIENCE)
                .with_context(|| member.last_words())?;
            ensure!((ack.kind(), ack.yiaddr) == (kind::ACK, *address), "{ack:?}");
        }
    }
    Ok(())
}
