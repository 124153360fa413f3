//! # The demonstration
//!
//! A pair and a witness as three processes on loopback, a relay with some hundred clients in front of the pair, and what an
//! operator would look at. Nothing here is special to the servers: they are this program's `serve`, configured
//! through its own admin API, and the clients are datagrams.

mod clients;
mod members;

use crate::api::dto;
use crate::cli::Caller;
use anyhow::{Context, Result, bail, ensure};
use clients::{Relay, Round};
use members::{Members, Process};
use replication_ledger::Role;
use std::io::{IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Clients that are not served by then will not be.
const ROUND_DEADLINE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);
/// A server that has not heard of a lease by then will not tell of it.
const KNOWN_EVERYWHERE_AFTER: Duration = Duration::from_secs(5);
/// The relay's address: it belongs to the demonstration's subnet by the key `relays`.
const GIADDR: Ipv4Addr = Ipv4Addr::LOCALHOST;

const NETWORK: &str = r#"[lease]
default = "1h"

[options]
domain-name-servers = ["10.77.0.2"]

[[subnet]]
prefix = "10.77.0.0/16"
network = "demo"
pools = ["10.77.0.10-10.77.255.250"]
relays = ["127.0.0.1"]
options = { routers = ["10.77.0.1"] }

[[subnet.reservation]]
mac = "02:00:00:00:00:00"
address = "10.77.0.7"
hostname = "head-end"

[leasequery]
permitted = ["127.0.0.0/8"]
"#;

/// What to show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// End after that time, counted from the start.
    pub(crate) exit_after: Option<Duration>,
    /// Clients behind the relay.
    pub(crate) clients: u32,
    /// Kill the leader and let all clients renew.
    pub(crate) kill_leader: bool,
}

/// Runs the demonstration until it is interrupted or its time is over.
///
/// # Errors
/// A member does not start, or a client was not served.
pub(crate) fn run(plan: &Plan) -> Result<()> {
    let began = Instant::now();
    let stop = watch_signals()?;
    let mut members = Members::new()?;
    start(&mut members, &stop)?;
    let servers: Vec<SocketAddrV4> = members.servers().map(|server| server.dhcp).collect();
    let mut relay = Relay::new(GIADDR, &servers, plan.clients)?;
    let deadline = plan.exit_after.map_or(began + ROUND_DEADLINE, |after| began + after);
    let round = serve_clients(&mut relay, "clients", deadline, &stop)?;
    report(&members, &round);
    ensure_served(&round, plan.clients)?;
    show_leasequery(&mut relay, &members)?;
    if plan.kill_leader {
        kill_leader(&mut members, &mut relay, plan, &stop)?;
    }
    show_where(&mut members, plan);
    let over = || plan.exit_after.is_some_and(|after| began.elapsed() >= after);
    while !stop.load(Ordering::Relaxed) && !over() {
        std::thread::sleep(POLL);
    }
    println!("stopping    the members");
    Ok(())
}

/// Where to look, and how long.
fn show_where(members: &mut Members, plan: &Plan) {
    let alive: Vec<_> = members.processes.iter_mut().filter_map(Process::admin_if_alive).collect();
    for (position, (name, admin)) in alive.iter().enumerate() {
        let title = if position == 0 { "dashboard" } else { "" };
        println!("{title:<11} http://{admin}/ of {name}");
    }
    if let Some((_, admin)) = alive.first() {
        println!("try         leasehold cluster status --admin http://{admin}");
        println!("            leasehold lease list --remote-id modem-1 --admin http://{admin}");
    }
    match plan.exit_after {
        Some(after) => println!("up          until {after:?} have passed since the start"),
        None => println!("up          until Ctrl-C"),
    }
}

/// Becomes true when the process is asked to end.
fn watch_signals() -> Result<Arc<AtomicBool>> {
    use tokio::signal::unix::{SignalKind, signal};
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no threads can be started")?;
    let mut signals = {
        let _guard = runtime.enter();
        let of = |kind| signal(kind).context("no signals can be caught");
        (of(SignalKind::interrupt())?, of(SignalKind::terminate())?)
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = signals.0.recv() => {}
                _ = signals.1.recv() => {}
            }
        });
        told.store(true, Ordering::Relaxed);
    });
    Ok(stop)
}

/// Starts the members and makes a cluster of them, as an operator would.
fn start(members: &mut Members, stop: &AtomicBool) -> Result<()> {
    members.start(1, "dhcp-a", Role::Server)?;
    members.start(2, "dhcp-b", Role::Server)?;
    members.start(3, "witness", Role::Witness)?;
    let mut callers = Vec::new();
    for process in &mut members.processes {
        callers.push(process.await_alive(stop)?);
        match process.role {
            Role::Server => {
                println!("started     {} serves DHCP at {}", process.name, process.dhcp)
            }
            Role::Witness => println!("started     {} votes", process.name),
        }
    }
    let peer = members.processes[0].peer.to_string();
    let nothing = serde_json::json!({});
    let cluster: dto::Cluster = callers[0].post("/v1/cluster/init", &nothing)?;
    for caller in &callers[1..] {
        let dto::JoinToken { token } = callers[0].post("/v1/cluster/token", &nothing)?;
        let join = dto::Join { peer: peer.clone(), token };
        let _: dto::Joined = caller.post("/v1/cluster/join", &join)?;
    }
    println!("cluster     {} of a pair and a witness", cluster.cluster.unwrap_or_default());
    let outcome: dto::ConfigOutcome = callers[0].put_toml("/v1/config", NETWORK)?;
    println!("network     10.77.0.0/16 in force as revision {}", outcome.revision);
    members.processes.iter_mut().try_for_each(|process| process.await_ready(stop))
}

fn serve_clients(
    relay: &mut Relay,
    title: &str,
    deadline: Instant,
    stop: &AtomicBool,
) -> Result<Round> {
    let terminal = std::io::stdout().is_terminal();
    let mut shown = Instant::now();
    let round = relay.round(deadline, stop, |served| {
        if terminal && shown.elapsed() > POLL {
            shown = Instant::now();
            print!("\r{title:<11} {served} served");
            // Progress that cannot be shown is no reason to stop.
            let _ = std::io::stdout().flush();
        }
    })?;
    let per_second = round.served as f64 / round.took.as_secs_f64().max(1e-9);
    println!(
        "{}{title:<11} {} served in {:.2} s, {per_second:.0} per second",
        if terminal { "\r" } else { "" },
        round.served,
        round.took.as_secs_f64()
    );
    Ok(round)
}

fn report(members: &Members, round: &Round) {
    for (server, count) in members.servers().zip(&round.by_server) {
        println!("            {count} of them by {}", server.name);
    }
}

fn ensure_served(round: &Round, clients: u32) -> Result<()> {
    if round.served != clients as usize {
        bail!("{} of {clients} clients were not served in time", clients as usize - round.served);
    }
    Ok(())
}

/// Asks every server about one lease.
fn show_leasequery(relay: &mut Relay, members: &Members) -> Result<()> {
    let leases = relay.leases();
    let address = *leases.last().context("no client has a lease")?;
    let expected = relay.remote_id_of(address);
    for server in members.servers() {
        let asked = Instant::now();
        // What another member promised is known here a heartbeat later.
        let answer = loop {
            let answer = relay
                .query(address, server.dhcp)?
                .with_context(|| format!("{} does not answer a leasequery", server.name))?;
            if answer.remote_id == expected || asked.elapsed() > KNOWN_EVERYWHERE_AFTER {
                break answer;
            }
            std::thread::sleep(POLL);
        };
        println!(
            "leasequery  {address} by {}: {:?}, client {}, {} s left, {} s ago, behind {}",
            server.name,
            answer.message_type,
            answer.hardware,
            answer.remaining_seconds.map_or("?".to_owned(), |seconds| seconds.to_string()),
            answer.transaction_seconds_ago.map_or("?".to_owned(), |seconds| seconds.to_string()),
            answer.remote_id.as_deref().unwrap_or("?")
        );
        ensure!(
            answer.remote_id == expected,
            "{} names another client for {address} than the one that has it",
            server.name
        );
    }
    Ok(())
}

fn kill_leader(
    members: &mut Members,
    relay: &mut Relay,
    plan: &Plan,
    stop: &AtomicBool,
) -> Result<()> {
    let caller = Caller::local(&format!("http://{}", members.processes[0].admin))?;
    let cluster: dto::Cluster = caller.get("/v1/cluster")?;
    let leader = cluster.leader.context("there is no leader to kill")?;
    let process = members
        .processes
        .iter_mut()
        .find(|process| process.id == leader)
        .with_context(|| format!("member {leader} is not of this demonstration"))?;
    process.kill()?;
    println!("killed      {} (SIGKILL), which led", process.name);
    let round = serve_clients(relay, "renewals", Instant::now() + ROUND_DEADLINE, stop)?;
    let gap = round.first_ack.unwrap_or(round.took);
    println!("            first answer after {:.2} s", gap.as_secs_f64());
    ensure_served(&round, plan.clients)?;
    ensure!(round.moved == 0, "{} clients got another address", round.moved);
    println!("            every client kept its address");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_of_the_demonstration_is_good() {
        let settings = crate::config::network("n.toml", NETWORK).expect("it is good");
        assert_eq!(settings.subnets[0].relays, [GIADDR]);
        assert!(settings.pools().map(|pool| pool.size()).sum::<u64>() > 50_000);
    }
}
