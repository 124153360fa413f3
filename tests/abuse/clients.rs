//! DHCP clients that never pause, devices that play thousands of them, and what is no message at all.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use tests::client::{Client, Relay};
use tests::cluster::{Cluster, NETWORK};
use tests::packet::{Packet, kind, option};
use tests::wait::{self, PATIENCE};

use crate::tcp::junk;
use crate::{Scale, Victim, victim};

/// Numbers of clients that do not behave: far from the others'.
const ABUSERS: u32 = 0x0200_0000;
/// Addresses that one device may put into quarantine: what the server's limits say.
const DECLINED_BY_DEVICE_MAX: usize = 16;

/// Client `number` behind the one device of all abusers.
fn abuser(number: u32) -> Client {
    let relay_agent = Client::new(ABUSERS).relay_agent;
    Client { relay_agent, ..Client::new(ABUSERS + number) }
}

fn dropped(victim: &Victim, reason: &str) -> Result<f64> {
    let name = "leasehold_dhcp_drops_total";
    let label = format!("reason=\"{reason}\"");
    Ok(victim.cluster.members[0].metric(name, &[&label])?.unwrap_or(0.0))
}

/// Sends what `datagram` makes of 0, 1, 2 …, and of these again, through the second relay agent as fast as that goes; others are served
/// meanwhile.
fn flood(
    victim: &mut Victim,
    scale: Scale,
    datagram: impl Fn(u32) -> Vec<u8> + Sync,
) -> Result<()> {
    let source = SocketAddrV4::new(Ipv4Addr::new(127, 0, 1, 2), victim.dhcp().port());
    let socket = UdpSocket::bind(source).context("the flood's address")?;
    socket.connect(victim.dhcp())?;
    let (stop, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    let least = scale.of(100_000);
    std::thread::scope(|scope| -> Result<()> {
        let flood = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) || sent.load(Ordering::Relaxed) < least {
                // However long the others take, there are so many devices: what is kept for each must not hang on time.
                let number = (sent.fetch_add(1, Ordering::Relaxed) % least) as u32;
                // A full buffer on the way: the next one.
                let _ = socket.send(&datagram(number));
            }
        });
        let served = (0..scale.of(40)).try_for_each(|_| victim.others_are_served());
        stop.store(true, Ordering::Relaxed);
        flood.join().expect("no panic");
        served.context("beside the flood")
    })?;
    ensure!(sent.load(Ordering::Relaxed) >= least);
    Ok(())
}

/// The datagram of a message behind the second relay agent.
fn relayed(packet: Packet, xid: u32) -> Vec<u8> {
    Packet { xid, giaddr: Ipv4Addr::new(127, 0, 1, 2), ..packet }.encode()
}

#[test]
fn a_client_that_never_stops_asking_gets_its_rate() -> Result<()> {
    let mut victim = victim()?;
    victim.withstands(|victim, scale| {
        let discover = abuser(1).discover();
        flood(victim, scale, |xid| relayed(discover.clone(), xid))
    })?;
    let dropped = dropped(&victim, "client_rate")?;
    ensure!(dropped > 10_000.0, "{dropped} dropped");
    Ok(())
}

#[test]
fn a_client_that_never_stops_renewing_gets_its_rate() -> Result<()> {
    let mut victim = victim()?;
    victim.withstands(|victim, scale| {
        let client = abuser(2);
        let address = client.obtain(&victim.relay)?.yiaddr;
        let messages = [
            client.request_extension(address),
            client.request_reboot(address),
            client.inform(address),
            client.release(address, *victim.dhcp().ip()),
        ];
        flood(victim, scale, |xid| relayed(messages[xid as usize % messages.len()].clone(), xid))
    })
}

#[test]
fn a_device_that_plays_thousands_of_clients_gets_its_rate() -> Result<()> {
    let mut victim = victim()?;
    victim.withstands(|victim, scale| {
        flood(victim, scale, |number| relayed(abuser(number).discover(), number))
    })?;
    let dropped = dropped(&victim, "circuit_rate")?;
    ensure!(dropped > 10_000.0, "{dropped} dropped");
    Ok(())
}

#[test]
fn thousands_of_devices_that_nobody_has_seen_cost_no_memory() -> Result<()> {
    victim()?.withstands(|victim, scale| {
        flood(victim, scale, |number| {
            let words = junk(number.into(), 60);
            let relay_agent = [&[1, 28][..], &words[..28], &[2, 30], &words[28..58]].concat();
            let client = Client { relay_agent: Some(relay_agent), ..abuser(number) };
            // They ask, they believe to have an address, and they ask for what is another's.
            let packet = match number % 3 {
                0 => client.discover(),
                1 => client.request_reboot(Ipv4Addr::new(10, 17, (number >> 8) as u8, 1)),
                _ => client.request_extension(Ipv4Addr::new(10, 18, (number >> 8) as u8, 1)),
            };
            relayed(packet, number)
        })
    })
}

#[test]
fn what_is_no_message_costs_a_look() -> Result<()> {
    let mut victim = victim()?;
    victim.withstands(|victim, scale| {
        let good = relayed(abuser(3).discover(), 7);
        flood(victim, scale, |number| {
            let noise = junk(number.into(), 600);
            match number % 4 {
                // Noise of every length; a message with a hole; its beginning; option 82 that is noise.
                0 => noise[..number as usize % 600].to_vec(),
                1 => {
                    let at = usize::from(u16::from_be_bytes([noise[0], noise[1]])) % good.len();
                    [&good[..at], &noise[..good.len() - at]].concat()
                }
                2 => good[..number as usize % good.len()].to_vec(),
                _ => {
                    let words = noise[..usize::from(noise[599])].to_vec();
                    let client = Client { relay_agent: Some(words), ..abuser(number) };
                    relayed(client.discover(), number)
                }
            }
        })
    })
}

/// Takes an address, declines it, and takes the next.
fn declines(relay: &Relay, client: &Client, server: Ipv4Addr) -> Result<()> {
    let offer = relay.exchange(&client.discover(), PATIENCE)?;
    let ack = relay.exchange(&client.request_offered(&offer), PATIENCE)?;
    ensure!(ack.kind() == kind::ACK, "{ack:?}");
    relay.stays_silent(&client.decline(ack.yiaddr, server))
}

/// Addresses in quarantine.
fn declined(victim: &Victim) -> Result<usize> {
    let leases = victim.cluster.members[0].leases()?;
    Ok(leases.leases.iter().filter(|lease| lease.state == "declined").count())
}

#[test]
fn a_device_that_declines_everything_takes_few_addresses_from_the_others() -> Result<()> {
    let mut victim = victim()?;
    let (server, before) = (*victim.dhcp().ip(), declined(&victim)?);
    for number in 0..3 * DECLINED_BY_DEVICE_MAX as u32 {
        declines(&victim.relay, &abuser(0x1000 + number), server)?;
    }
    let after = declined(&victim)? - before;
    ensure!((1..=DECLINED_BY_DEVICE_MAX).contains(&after), "{after} addresses are in quarantine");
    // One client behind no device that is known, again and again.
    let (alone, before) = (Client { relay_agent: None, ..abuser(0x2000) }, declined(&victim)?);
    for _ in 0..10 {
        declines(&victim.relay, &alone, server)?;
    }
    let after = declined(&victim)? - before;
    ensure!((1..DECLINED_BY_DEVICE_MAX).contains(&after), "{after} addresses are in quarantine");
    let held = victim.relay.exchange(&alone.discover(), PATIENCE)?;
    ensure!(held.kind() == kind::OFFER, "{held:?}");
    ensure!(held.option(option::LEASE_TIME).is_some(), "it keeps its last one: {held:?}");
    victim.others_are_served()
}

/// `[dhcp.rates]` as an operator would hardly have it, so that a few messages show it.
#[test]
fn the_rates_are_the_operators() -> Result<()> {
    let rates = "\n[dhcp.rates]\nclient = 1\ncircuit = 5\nrelay = 20\n";
    let cluster = Cluster::start_configured(1, false, NETWORK, rates)?;
    let relay = cluster.relay(1, 0)?;
    let member = &cluster.members[0];
    let count = |name: &str, label: &str| -> Result<f64> {
        Ok(member.metric(name, &[label])?.unwrap_or(0.0))
    };
    let drops = |reason: &str| count("leasehold_dhcp_drops_total", &format!("reason=\"{reason}\""));
    let mut sent = 0;
    let mut send_all = |messages: Vec<Packet>| -> Result<()> {
        sent += messages.len();
        messages.iter().try_for_each(|message| relay.send(message).map(drop))?;
        wait::until("all messages taken", PATIENCE, || {
            let taken = count("leasehold_dhcp_messages_total", "type=\"discover\"").ok()?;
            (taken >= sent as f64).then_some(())
        })
    };
    let anonymous = |number| Client { relay_agent: None, ..abuser(number) };
    let without = drops("client_rate")? + drops("circuit_rate")? + drops("relay_rate")?;
    ensure!(without == 0.0, "{without} dropped before");
    // What comes at once is far more than seconds' worth.
    send_all(vec![anonymous(1).discover(); 150])?;
    ensure!(drops("client_rate")? > 50.0, "of a client: {}", drops("client_rate")?);
    ensure!(drops("circuit_rate")? == 0.0 && drops("relay_rate")? == 0.0, "only of a client");
    send_all((100..300).map(|number| abuser(number).discover()).collect())?;
    ensure!(drops("circuit_rate")? > 50.0, "of a circuit: {}", drops("circuit_rate")?);
    ensure!(drops("relay_rate")? == 0.0, "only of a circuit");
    send_all((1000..1500).map(|number| anonymous(number).discover()).collect())?;
    ensure!(drops("relay_rate")? > 50.0, "of a relay agent: {}", drops("relay_rate")?);
    // Another relay agent has a rate of its own.
    let other = cluster.relay(2, 0)?;
    anonymous(2000).obtain(&other).map(drop)
}
