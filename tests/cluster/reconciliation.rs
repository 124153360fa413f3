//! Members that hold different states of one binding: the requestor prints the newer one, and says
//! so.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::client::{Client, Relay};
use tests::cluster::Cluster;
use tests::packet::{kind, option};
use tests::requestor::{Key, query};
use tests::wait::{self, PATIENCE};

use crate::machine_shared;

/// The one address of each network.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 16, 1, 5);

const NETWORK: &str = r#"
[lease]
default = "2h"

[[subnet]]
prefix = "10.16.0.0/16"
pools = ["10.16.1.5-10.16.1.5"]
relays = ["127.0.1.1", "127.0.1.2", "127.0.1.3"]

[leasequery]
permitted = ["127.0.0.0/8"]
"#;

/// One of two servers that know nothing of each other, with its relay agent.
struct Lone {
    cluster: Cluster,
    relay: Relay,
}

impl Lone {
    fn start() -> Result<Self> {
        let cluster = Cluster::start_with(1, false, NETWORK)?;
        let relay = cluster.relay(1, 0)?;
        Ok(Lone { cluster, relay })
    }

    fn tcp(&self) -> String {
        self.cluster.members[0].places.leasequery.to_string()
    }

    fn udp(&self) -> String {
        self.cluster.members[0].places.dhcp.to_string()
    }

    /// Waits until the last transaction is two seconds ago: far enough to be told apart.
    fn until_past(&self) -> Result<()> {
        wait::until("two seconds since a transaction", PATIENCE, || {
            let reply = self.relay.exchange(&query(&Key::Ip(ADDRESS)), PATIENCE).ok()?;
            reply.number(option::LAST_TRANSACTION).filter(|ago| *ago >= 2)
        })?;
        Ok(())
    }
}

/// What the requestor prints of both servers, in either order, over every transport: the record it
/// shows and the ones that lost.
fn asked(servers: [&Lone; 2]) -> Result<Vec<Vec<Value>>> {
    let ip = ADDRESS.to_string();
    let udp = ["--udp", "--giaddr", "127.0.1.3", "--source-port", "0"];
    let tcp = ["--tcp", "--dialect", "draft"];
    let (by_ip, everything) = (["--ip", ip.as_str()], ["--all", "--tcp"]);
    let mut printed = Vec::new();
    for order in [servers, [servers[1], servers[0]]] {
        let over = |place: fn(&Lone) -> String, words: &[&str]| -> Result<Vec<Value>> {
            let places = order.map(place);
            let mut line = vec!["leasequery", "--output", "json", "--show-all"];
            for place in &places {
                line.extend(["--server", place.as_str()]);
            }
            line.extend(words);
            let text = order[0].cluster.members[0].succeed(&line)?;
            serde_json::from_str(&text).with_context(|| format!("{line:?}: {text}"))
        };
        printed.push(over(Lone::udp, &[&udp[..], &by_ip].concat())?);
        printed.push(over(Lone::tcp, &[&tcp[..], &by_ip].concat())?);
        printed.push(over(Lone::tcp, &everything)?);
    }
    Ok(printed)
}

/// Ensures that this client's record of this server is shown as the newest, and the other's as older.
fn newest_is(servers: [&Lone; 2], winner: &Lone, client: &Client, loser: &Client) -> Result<()> {
    let mac = |client: &Client| {
        let pairs: Vec<String> = client.mac.iter().map(|octet| format!("{octet:02x}")).collect();
        pairs.join(":")
    };
    for lines in asked(servers)? {
        let [first, second] = &lines[..] else { anyhow::bail!("not two records: {lines:?}") };
        for (line, client, verdict) in [(first, client, "newest"), (second, loser, "older")] {
            let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            ensure!(text("ip") == ADDRESS.to_string(), "{lines:?}");
            ensure!(text("mac") == mac(client), "{verdict} is {}: {lines:?}", text("mac"));
            ensure!(text("verdict").starts_with(verdict), "{lines:?}");
        }
        let server = first["server"].as_str().unwrap_or_default().to_owned();
        ensure!([winner.udp(), winner.tcp()].contains(&server), "{server}: {lines:?}");
    }
    Ok(())
}

#[test]
fn of_two_states_of_one_binding_the_newer_one_is_printed_and_said_to_be_newer() -> Result<()> {
    let _machine = machine_shared();
    let (a, b) = (Lone::start()?, Lone::start()?);
    let (one, two) = (Client::new(1), Client::new(2));
    ensure!(one.obtain(&a.relay)?.yiaddr == ADDRESS);
    a.until_past()?;
    ensure!(two.obtain(&b.relay)?.yiaddr == ADDRESS);
    newest_is([&a, &b], &b, &two, &one)?;
    b.until_past()?;
    let renewed = a.relay.exchange(&one.request_extension(ADDRESS), PATIENCE)?;
    ensure!(renewed.kind() == kind::ACK, "{renewed:?}");
    newest_is([&a, &b], &a, &one, &two)
}

#[test]
fn when_nobody_knows_the_exit_status_says_so() -> Result<()> {
    let _machine = machine_shared();
    let server = Lone::start()?;
    let place = server.tcp();
    let line = ["leasequery", "--server", &place, "--tcp", "--mac", "02:00:00:00:00:01"];
    let output = server.cluster.members[0].command(&line)?;
    ensure!(output.status.code() == Some(3), "{output:?}");
    Ok(())
}
