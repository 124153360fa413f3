//! What the members of one cluster say in bulk: the same, but for who learned it from whom.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use tests::client::Client;
use tests::cluster::Cluster;
use tests::packet::{Packet, kind, option};
use tests::requestor::{Key, bulk_query};
use tests::stream::{Connection, Framing};

use crate::machine_shared;

/// RFC 6926 §6.2.7.
const AVAILABLE: u8 = 1;
const REMOTE: u8 = 7;

const NETWORK: &str = r#"
[lease]
default = "2h"

[[subnet]]
prefix = "10.16.0.0/16"
pools = ["10.16.1.0-10.16.8.255"]
relays = ["127.0.1.1", "127.0.1.2", "127.0.1.3"]

[leasequery]
permitted = ["127.0.0.0/8"]
"#;

fn ask(cluster: &Cluster, member: usize, key: &Key) -> Result<Vec<Packet>> {
    let server = cluster.members[member].places.leasequery;
    Connection::open(server, Framing::Two)?.exchange(&bulk_query(key))
}

fn octet(message: &Packet, code: u8) -> Option<u8> {
    message.option(code).and_then(|value| value.first().copied())
}

// proves [B-36]
// proves [B-37]
#[test]
fn a_lease_is_remote_to_the_server_that_learned_it() -> Result<()> {
    let _machine = machine_shared();
    let cluster = Cluster::start_with(2, true, NETWORK)?;
    for (giver, number) in [(0, 1), (1, 2)] {
        let client = Client::new(number);
        let address = client.obtain(&cluster.relay(1, giver)?)?.yiaddr;
        cluster.wait_level()?;
        for member in 0..2 {
            let messages = ask(&cluster, member, &Key::Mac(client.mac))?;
            ensure!(messages.len() == 2, "m{}: {messages:?}", member + 1);
            ensure!(messages[0].kind() == kind::LEASEACTIVE && messages[0].ciaddr == address);
            let remote = octet(&messages[0], option::DATA_SOURCE).unwrap_or(0) & 1 == 1;
            ensure!(remote == (member != giver), "m{}: {:?}", member + 1, messages[0]);
        }
    }
    Ok(())
}

// proves [B-41]
#[test]
fn an_address_that_one_server_may_give_is_remote_to_the_other() -> Result<()> {
    let _machine = machine_shared();
    let cluster = Cluster::start_with(2, true, NETWORK)?;
    for member in 0..2 {
        // Each has been asked for an address, so that the free ones are shared out.
        Client::new(10 + member as u32).obtain(&cluster.relay(1, member)?)?;
    }
    cluster.wait_level()?;
    let states = |member| -> Result<BTreeMap<Ipv4Addr, u8>> {
        let messages = ask(&cluster, member, &Key::All)?;
        let (_, told) = messages.split_last().context("no answer")?;
        let free = told.iter().filter(|message| message.kind() == kind::LEASEUNASSIGNED);
        free.map(|message| {
            let state = octet(message, option::DHCP_STATE).context("no state")?;
            Ok((message.ciaddr, state))
        })
        .collect()
    };
    let (one, two) = (states(0)?, states(1)?);
    ensure!(one.keys().eq(two.keys()), "not the same free addresses");
    let mut shared = [0, 0];
    for (address, state) in &one {
        let other = two[address];
        ensure!(
            matches!((*state, other), (AVAILABLE, REMOTE) | (REMOTE, AVAILABLE)),
            "{address}: {state} at one, {other} at the other"
        );
        shared[usize::from(*state == REMOTE)] += 1;
    }
    ensure!(shared.iter().all(|count| *count > 0), "one of them has all: {shared:?}");
    Ok(())
}
