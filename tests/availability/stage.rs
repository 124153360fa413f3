//! A cluster under load in its lab, and what is demanded of it in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use tests::check::{Listing, check};
use tests::cluster::Cluster;
use tests::load::{Ack, AckKind, AckTail, Background, LoadOptions, Retransmit, Summary, read_acks};
use tests::member::{Member, Role};
use tests::wait;

use crate::fault::{Fault, build_library};
use crate::lab::{Lab, address, relay};

/// Which members there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Two servers.
    Pair,
    /// Two servers and a witness.
    PairWithWitness,
    /// Three servers.
    Three,
}

impl Shape {
    fn servers(self) -> u64 {
        if self == Shape::Three { 3 } else { 2 }
    }

    /// Whether the others are a majority when one is gone.
    pub(crate) fn outvotes_one(self) -> bool {
        self != Shape::Pair
    }
}

/// The lease time of the network, and the most that a member may promise alone, in seconds.
pub(crate) const LEASE_SECONDS: u32 = 7200;
const MCLT_SECONDS: u32 = 3600;

/// Leases count from their clients' requests: one that waited for an election is shorter by that.
const WAITED_SECONDS: u32 = 5;

/// A large network with long leases: whatever ends early was lost.
pub(crate) const NETWORK: &str = r#"
[cluster]
mclt = "1h"

[lease]
default = "2h"

[[subnet]]
prefix = "10.16.0.0/12"
pools = ["10.16.1.0-10.31.255.0"]
options = { routers = ["10.16.0.1"] }

[leasequery]
permitted = ["10.16.0.0/12", "192.0.2.0/24"]
"#;

/// ACKs of a kind that must follow a fault: proof that service went on.
const ACKS_ENOUGH: usize = 40;

/// A cluster that serves, with the lab around it and clients that come and renew.
pub(crate) struct Stage {
    pub(crate) lab: Lab,
    pub(crate) cluster: Cluster,
    pub(crate) shape: Shape,
    load: Option<Background>,
}

impl Stage {
    /// Starts a cluster on whose members `fault` can be let loose.
    pub(crate) fn set(shape: Shape, network: &str, fault: Fault) -> Result<Self> {
        let lab = Lab::up(shape.servers() + u64::from(shape == Shape::PairWithWitness))?;
        let mut cluster = lab.cluster(shape.servers())?;
        let library = build_library(cluster.folder())?;
        for member in &mut cluster.members {
            fault.prepare(member, &library)?;
            member.start()?;
        }
        let stage = Stage { lab, cluster, shape, load: None };
        stage.cluster.form()?;
        stage.cluster.apply(network)?;
        stage.cluster.wait_ready()?;
        Ok(stage)
    }

    /// Where the main load's ACKs are.
    pub(crate) fn acks(&self) -> PathBuf {
        self.cluster.folder().join("acks")
    }

    /// Clients through relay agent `number`, with ACK file and client numbers of their own.
    pub(crate) fn options(&self, number: u8, work: &str, rate: f64) -> Result<LoadOptions> {
        let mut options = LoadOptions::new(self.cluster.servers(), relay(number));
        options.work = work.parse().map_err(anyhow::Error::msg)?;
        options.rate = Some(rate);
        options.outstanding = Some(20_000);
        options.duration = Duration::from_secs(24 * 3600);
        // Impatient clients: what they meet is more, and a test is over sooner.
        options.retransmit = Retransmit::Every(Duration::from_millis(250));
        options.linger = Duration::from_secs(20);
        options.first_client = u32::from(number) << 24;
        options.clients = 1 << 24;
        options.acks = Some(self.cluster.folder().join(match number {
            1 => "acks".to_owned(),
            other => format!("acks{other}"),
        }));
        Ok(options)
    }

    /// Lets clients come: new ones, renewing ones, and ones that leave.
    pub(crate) fn open(&mut self, rate: f64) -> Result<()> {
        let options = self.options(1, "dora=4,renew=5,release=1", rate)?;
        self.load = Some(Background::start(options, Some(self.lab.clients())));
        self.served(&AckTail::at_end(&self.acks()), None)
    }

    /// Waits until new clients were served and old ones renewed, by this server or by any.
    pub(crate) fn served(&self, since: &AckTail, by: Option<u64>) -> Result<()> {
        let (mut tail, mut seen) = (since.clone(), BTreeMap::new());
        let who = by.map_or("any server".to_owned(), |id| format!("m{id}"));
        wait::until(&format!("service by {who}"), wait::PATIENCE, || {
            for ack in tail.more().ok()? {
                if by.is_none_or(|id| ack.server == address(id)) {
                    *seen.entry(ack.kind.name()).or_insert(0) += 1;
                }
            }
            let enough = |kind: AckKind| seen.get(kind.name()).is_some_and(|n| *n >= ACKS_ENOUGH);
            (enough(AckKind::Dora) && enough(AckKind::Renew)).then_some(())
        })
        .with_context(|| self.cluster.last_words())
    }

    /// The member (its id) to hit: the one that leads, or a server that does not.
    pub(crate) fn choose(&self, leading: bool) -> Result<u64> {
        let leader = self.cluster.leader()?;
        if leading {
            return Ok(self.cluster.members[leader].id);
        }
        let mut others = self.cluster.members.iter().filter(|member| member.role == Role::Server);
        let other = others.find(|member| member.id != leader as u64 + 1);
        Ok(other.context("no other server")?.id)
    }

    /// The servers but this one.
    pub(crate) fn servers_but(&self, id: u64) -> impl Iterator<Item = &Member> {
        let servers = self.cluster.members.iter().filter(|member| member.role == Role::Server);
        servers.filter(move |member| member.id != id)
    }

    /// Waits until a member says that it does not serve, or nothing any more.
    pub(crate) fn unready(&self, id: u64) -> Result<()> {
        let member = &self.cluster.members[id as usize - 1];
        let unready = || (!member.is_ready()).then_some(());
        wait::until(&format!("end of service of m{id}"), 2 * wait::PATIENCE, unready)
            .with_context(|| member.last_words())
    }

    /// Waits until a member says that it is isolated.
    pub(crate) fn isolated(&self, id: u64) -> Result<()> {
        let member = &self.cluster.members[id as usize - 1];
        wait::until(&format!("isolated m{id}"), wait::PATIENCE, || {
            let mode = member.metric("leasehold_mode", &["mode=\"isolated\""]).ok()??;
            (mode == 1.0).then_some(())
        })
        .with_context(|| member.last_words())
    }

    /// Ends the load, waits until all members are level and demands what must hold when every fault
    /// is healed. `mine` are further ACK files.
    pub(crate) fn close(mut self, mine: &[PathBuf]) -> Result<Verdict> {
        let summary = match self.load.take() {
            Some(load) => load.stop()?,
            None => Summary::default(),
        };
        let mut acks = read_acks(&self.acks())?;
        for path in mine {
            acks.extend(read_acks(path)?);
        }
        acks.sort_by_key(|ack| ack.wall_us);
        self.converged(&acks).with_context(|| self.cluster.last_words())?;
        Ok(Verdict { summary, acks })
    }

    fn converged(&self, acks: &[Ack]) -> Result<()> {
        self.cluster.wait_ready()?;
        for member in &self.cluster.members {
            wait::until("empty journal", wait::PATIENCE, || {
                let entries = member.metric("leasehold_journal_entries", &[]).ok()?;
                (entries == Some(0.0)).then_some(())
            })
            .with_context(|| member.name.clone())?;
            let conflicts = member.metric("leasehold_merge_conflicts_total", &[])?.unwrap_or(0.0);
            ensure!(conflicts == 0.0, "{}: {conflicts} conflicts", member.name);
        }
        self.cluster.wait_level()?;
        let texts = self.same_everywhere()?;
        let mut listings = Vec::new();
        for (member, text) in self.cluster.members.iter().zip(&texts) {
            let leases = serde_json::from_str(text).context("lease list")?;
            listings.push(Listing { member: member.name.clone(), leases });
        }
        let checked = check(acks, &listings, wall_us() / 1_000_000);
        let shown: Vec<String> =
            checked.violations.iter().take(10).map(ToString::to_string).collect();
        let count = checked.violations.len();
        ensure!(count == 0, "{count} broken promises:\n{}", shown.join("\n"));
        Ok(())
    }

    /// What every member lists, once they all list the same: released addresses become free a while
    /// after the last client has gone.
    fn same_everywhere(&self) -> Result<Vec<String>> {
        let mut texts = Vec::new();
        let same = wait::until("state that is the same everywhere", wait::PATIENCE, || {
            texts = self.cluster.members.iter().map(listing).collect::<Result<_>>().ok()?;
            texts.windows(2).all(|pair| pair[0] == pair[1]).then_some(())
        });
        same.with_context(|| first_difference(&texts))?;
        Ok(texts)
    }
}

/// Everything that a member lists, but for what depends on the moment of the listing.
fn listing(member: &Member) -> Result<String> {
    let text = member.succeed(&["lease", "list", "--output", "json"])?;
    let lines = text.lines().map(|line| match line.split_once("\"remaining\":") {
        Some((before, after)) => {
            let after = after.trim_start_matches(|letter: char| letter.is_ascii_digit());
            format!("{before}\"remaining\":0{after}\n")
        }
        None => format!("{line}\n"),
    });
    Ok(lines.collect())
}

/// What the clients saw in the end.
pub(crate) struct Verdict {
    pub(crate) summary: Summary,
    pub(crate) acks: Vec<Ack>,
}

impl Verdict {
    /// Demands that no client was refused, left alone or given another's address.
    pub(crate) fn clients_content(&self) -> Result<()> {
        let Summary { duplicates, renewals_refused, lapsed, unfinished, .. } = self.summary;
        ensure!(duplicates == 0, "{duplicates} addresses had two clients");
        let refused = self.acks.iter().find(|ack| ack.kind == AckKind::Refused);
        ensure!(renewals_refused == 0, "{renewals_refused} renewals were refused: {refused:?}");
        ensure!(lapsed == 0, "{lapsed} leases ran out while their clients asked for more");
        ensure!(unfinished == 0, "{unfinished} clients were never served");
        Ok(())
    }

    /// How many addresses had a second client.
    pub(crate) fn changed_hands(&self) -> usize {
        let mut clients: BTreeMap<Ipv4Addr, BTreeSet<[u8; 6]>> = BTreeMap::new();
        for ack in self.acks.iter().filter(|ack| ack.kind != AckKind::Release) {
            clients.entry(ack.address).or_default().insert(ack.mac);
        }
        clients.values().filter(|clients| clients.len() > 1).count()
    }

    /// Demands that this server, while isolated, promised no more than it may alone, and that others
    /// promised in full.
    pub(crate) fn promised(&self, during: &Window) -> Result<()> {
        let no_promise = [AckKind::Release, AckKind::Refused];
        let acks = self.acks.iter().filter(|ack| !no_promise.contains(&ack.kind));
        for ack in acks.filter(|ack| (during.from_us..during.to_us).contains(&ack.wall_us)) {
            let alone = during.alone.contains(&ack.server);
            let may = if alone { MCLT_SECONDS } else { LEASE_SECONDS };
            let least = if alone { 1 } else { LEASE_SECONDS - WAITED_SECONDS };
            let right = (least..=may).contains(&ack.lease_seconds);
            let (address, server, told) = (ack.address, ack.server, ack.lease_seconds);
            ensure!(right, "{server} promised {address} for {told} s, not {may}; alone: {alone}");
        }
        Ok(())
    }
}

/// A time during which these servers were isolated, and no other.
pub(crate) struct Window {
    pub(crate) from_us: u64,
    pub(crate) to_us: u64,
    pub(crate) alone: Vec<Ipv4Addr>,
}

/// Now, in microseconds since 1970.
pub(crate) fn wall_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

/// Lets the rest of a time pass that began at `start`.
pub(crate) fn hold_rest(start: Instant, duration: Duration) {
    wait::hold(duration.saturating_sub(start.elapsed()));
}

/// The first line in which a member's listing differs from the first member's.
fn first_difference(texts: &[String]) -> String {
    for (number, text) in texts.iter().enumerate().skip(1) {
        if let Some((one, two)) = texts[0].lines().zip(text.lines()).find(|(one, two)| one != two) {
            return format!("m1: {one}\nm{}: {two}", number + 1);
        }
    }
    let lengths: Vec<usize> = texts.iter().map(|text| text.lines().count()).collect();
    format!("{lengths:?} lines")
}
