//! The loop: begin what is due, send, receive, advance each exchange, look for overdue ones.

use std::net::Ipv4Addr;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::socket::SockaddrIn;
use nix::sys::time::{TimeSpec, TimeValLike};

use super::acks::{AckKind, AckWriter, Event};
use super::histogram::Histogram;
use super::leases::{Held, Owners, read_held};
use super::options::{LoadOptions, Retransmit, To, Work};
use super::packet::{Fields, Reply, Style, Template, Templates, kind};
use super::socket::{BATCH, BatchSocket, RECEIVE_BUF};
use super::summary::{Latency, Summary};

/// How often overdue exchanges are looked for and the ACK file is flushed.
const SCAN_NS: u64 = 5_000_000;
const SECOND_NS: u64 = 1_000_000_000;

/// Runs the load until its duration or count is reached or `stop` is set, and says what it found.
///
/// # Errors
/// An address cannot be bound, a file cannot be read or written, or leases are needed and none
/// are given.
pub fn run(options: &LoadOptions, stop: &AtomicBool) -> Result<Summary> {
    Engine::new(options)?.run(stop)
}

/// What an exchange waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Free,
    Offer,
    Ack,
    Renewal,
    Answer(Work),
}

#[derive(Clone, Copy)]
struct Exchange {
    xid: u32,
    client: u32,
    phase: Phase,
    tries: u32,
    relay: u16,
    address: Ipv4Addr,
    server: Ipv4Addr,
    first_ns: u64,
    phase_ns: u64,
    deadline_ns: u64,
}

const FREE: Exchange = Exchange {
    xid: 0,
    client: 0,
    phase: Phase::Free,
    tries: 0,
    relay: 0,
    address: Ipv4Addr::UNSPECIFIED,
    server: Ipv4Addr::UNSPECIFIED,
    first_ns: 0,
    phase_ns: 0,
    deadline_ns: 0,
};

#[derive(Default)]
struct Histograms {
    discover_offer: Histogram,
    request_ack: Histogram,
    dora: Histogram,
    renew: Histogram,
    query: Histogram,
}

struct Engine<'a> {
    options: &'a LoadOptions,
    style: Style,
    templates: Templates,
    sockets: Vec<BatchSocket>,
    servers: Vec<SockaddrIn>,
    rotation: usize,
    exchanges: Vec<Exchange>,
    free: Vec<u16>,
    /// Exchanges from here on were never used: scans stop here.
    used: usize,
    generation: u16,
    held: Vec<Held>,
    keep_leases: bool,
    owners: Owners,
    acks: Option<AckWriter>,
    random: u64,
    start: Instant,
    start_wall_us: u64,
    next_client: u32,
    last_ack_ns: u64,
    last_done_ns: u64,
    histograms: Histograms,
    summary: Summary,
}

impl<'a> Engine<'a> {
    fn new(options: &'a LoadOptions) -> Result<Self> {
        let style = Style { client_id: !options.no_client_id, option_82: !options.no_option_82 };
        let window = options.outstanding.unwrap_or(match options.rate {
            Some(_) => 20_000,
            None => 64,
        }) as usize;
        let held = match &options.leases {
            Some(path) => read_held(path)?,
            None if options.work.has(Work::Dora) => Vec::new(),
            None => bail!("this work needs leases: name the ACK file of an earlier run (--leases)"),
        };
        let sockets =
            options.relays.iter().map(|at| BatchSocket::bind(*at)).collect::<Result<_>>()?;
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).context("a clock before 1970")?;
        Ok(Engine {
            options,
            style,
            templates: Templates::new(style),
            sockets,
            servers: options.servers.iter().map(|at| SockaddrIn::from(*at)).collect(),
            rotation: 0,
            exchanges: vec![FREE; window],
            free: (0..window as u16).rev().collect(),
            used: 0,
            // Two runs after one another on the same port must not take each other's replies.
            generation: wall.subsec_nanos() as u16,
            keep_leases: [Work::Renew, Work::Release, Work::QueryIp, Work::QueryMac]
                .into_iter()
                .chain([Work::QueryClientId])
                .any(|work| options.work.has(work)),
            held,
            owners: Owners::new(),
            acks: match &options.acks {
                Some(path) => Some(AckWriter::create(path, style)?),
                None => None,
            },
            random: options.seed,
            start: Instant::now(),
            start_wall_us: wall.as_micros() as u64,
            next_client: 0,
            last_ack_ns: 0,
            last_done_ns: 0,
            histograms: Histograms::default(),
            summary: Summary::default(),
        })
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    fn run(mut self, stop: &AtomicBool) -> Result<Summary> {
        let end = self.options.duration.as_nanos() as u64;
        let (mut next_scan, mut next_line, mut stopped) = (SCAN_NS, SECOND_NS, None);
        loop {
            let now = self.now();
            let all_begun = self.options.count.is_some_and(|count| self.summary.started >= count);
            if stopped.is_none() && (now >= end || all_begun || stop.load(Ordering::Relaxed)) {
                stopped = Some(now);
            }
            match stopped {
                None => self.begin_due(now),
                Some(at) => {
                    let linger = self.options.linger.as_nanos() as u64;
                    if self.free.len() == self.exchanges.len() || now > at + linger {
                        break;
                    }
                }
            }
            self.flush();
            let received = self.receive();
            self.flush();
            if now >= next_scan {
                self.overdue(now);
                self.flush();
                self.flush_acks()?;
                next_scan = now + SCAN_NS;
            }
            if self.options.progress && now >= next_line {
                self.line(now);
                next_line += SECOND_NS;
            }
            if received == 0 {
                self.wait(next_scan, stopped.is_none());
            }
        }
        self.flush_acks()?;
        let now = self.now();
        self.finish(stopped.unwrap_or(now), now)
    }

    /// Begins the exchanges that are due, one batch at most: replies must not wait for long.
    fn begin_due(&mut self, now: u64) {
        let room = match self.options.count {
            Some(count) => count - self.summary.started.min(count),
            None => u64::MAX,
        };
        match self.options.rate {
            Some(rate) => {
                let due = (now as f64 * rate / 1e9) as u64;
                let behind = due.saturating_sub(self.summary.started + self.summary.starved);
                for _ in 0..behind.min(BATCH as u64).min(room) {
                    if !self.begin(now) {
                        self.summary.starved += 1;
                    }
                }
            }
            None => {
                for _ in 0..room.min(BATCH as u64) {
                    if self.free.is_empty() || !self.begin(now) {
                        break;
                    }
                }
            }
        }
    }

    /// Begins one exchange; false if none of them is free or no lease is there to use.
    fn begin(&mut self, now: u64) -> bool {
        let draw = self.draw();
        let mut work = self.options.work.pick(draw);
        if self.held.is_empty() && work != Work::Dora {
            if !self.options.work.has(Work::Dora) {
                return false;
            }
            work = Work::Dora; // A mixed run has to begin somewhere.
        }
        let Some(index) = self.free.pop() else { return false };
        let held = match work {
            Work::Dora => {
                let client = self
                    .options
                    .first_client
                    .wrapping_add(self.next_client % self.options.clients.max(1));
                self.next_client = self.next_client.wrapping_add(1);
                Held { client, address: Ipv4Addr::UNSPECIFIED, server: Ipv4Addr::UNSPECIFIED }
            }
            // Renewed or released by one exchange at a time: taken out while it is under way.
            Work::Renew | Work::Release => {
                let at = (draw >> 16) as usize % self.held.len();
                self.held.swap_remove(at)
            }
            _ => self.held[(draw >> 16) as usize % self.held.len()],
        };
        self.generation = self.generation.wrapping_add(1);
        self.used = self.used.max(usize::from(index) + 1);
        self.exchanges[usize::from(index)] = Exchange {
            xid: u32::from(self.generation) << 16 | u32::from(index),
            client: held.client,
            phase: match work {
                Work::Dora => Phase::Offer,
                Work::Renew => Phase::Renewal,
                other => Phase::Answer(other),
            },
            tries: 0,
            relay: (held.client as usize % self.sockets.len()) as u16,
            address: held.address,
            server: held.server,
            first_ns: now,
            phase_ns: now,
            deadline_ns: 0,
        };
        self.summary.started += 1;
        self.transmit(index, now);
        if work == Work::Release {
            self.owners.release(held.address);
            self.record(AckKind::Release, index, 0, false, now);
            self.summary.done += 1;
            self.free_exchange(index);
        }
        true
    }

    /// Sends the message of the exchange's phase and sets its next deadline.
    fn transmit(&mut self, index: u16, now: u64) {
        let draw = self.draw();
        let exchange = &mut self.exchanges[usize::from(index)];
        exchange.deadline_ns = now
            + match self.options.retransmit {
                Retransmit::Never => self.options.patience.as_nanos() as u64,
                Retransmit::Every(interval) => interval.as_nanos() as u64,
                Retransmit::Rfc => {
                    let doubled = (4 * SECOND_NS) << exchange.tries.min(4);
                    doubled - SECOND_NS + draw % (2 * SECOND_NS)
                }
            };
        let template: &Template = match exchange.phase {
            Phase::Offer => &self.templates.discover,
            Phase::Ack => &self.templates.request,
            Phase::Renewal => &self.templates.renew,
            Phase::Answer(Work::Release) => &self.templates.release,
            Phase::Answer(Work::QueryMac) => &self.templates.query_mac,
            Phase::Answer(Work::QueryClientId) => &self.templates.query_client_id,
            Phase::Answer(_) => &self.templates.query_ip,
            Phase::Free => return,
        };
        let by_address = matches!(
            exchange.phase,
            Phase::Renewal | Phase::Answer(Work::QueryIp) | Phase::Answer(Work::Release)
        );
        let relay = usize::from(exchange.relay);
        let fields = Fields {
            xid: exchange.xid,
            secs: ((now - exchange.first_ns) / SECOND_NS).min(0xffff) as u16,
            client: exchange.client,
            giaddr: *self.options.relays[relay].ip(),
            ciaddr: if by_address { exchange.address } else { Ipv4Addr::UNSPECIFIED },
            requested: exchange.address,
            server: exchange.server,
        };
        let destinations = match self.options.to {
            To::All => &self.servers[..],
            To::First => &self.servers[..1],
            To::Rotate => {
                self.rotation = (self.rotation + 1) % self.servers.len();
                &self.servers[self.rotation..=self.rotation]
            }
        };
        self.sockets[relay].queue(destinations, |out| template.write(&fields, out));
    }

    fn flush(&mut self) {
        self.sockets.iter_mut().for_each(BatchSocket::flush);
    }

    fn receive(&mut self) -> usize {
        let mut total = 0;
        for relay in 0..self.sockets.len() {
            let count = self.sockets[relay].receive(false);
            if count == 0 {
                continue;
            }
            total += count;
            let now = self.now();
            for index in 0..count {
                // Copied: advancing the exchange queues its next packet on the same socket.
                let mut packet = [0u8; RECEIVE_BUF];
                let (datagram, _) = self.sockets[relay].datagram(index);
                let length = datagram.len();
                packet[..length].copy_from_slice(datagram);
                self.reply(&packet[..length], now);
            }
        }
        self.summary.packets_received += total as u64;
        total
    }

    /// Advances the exchange that a reply belongs to.
    fn reply(&mut self, packet: &[u8], now: u64) {
        let reply = Reply::read(packet);
        let index = reply.map_or(0, |reply| reply.xid & 0xffff) as u16;
        let exchange = self.exchanges.get(usize::from(index));
        match (reply, exchange) {
            (Some(reply), Some(exchange)) if exchange.xid == reply.xid => {
                match (exchange.phase, reply.kind) {
                    (Phase::Offer, kind::OFFER) => self.offered(index, &reply, now),
                    (Phase::Ack | Phase::Renewal, kind::ACK) => {
                        self.acknowledged(index, &reply, now);
                    }
                    (Phase::Ack | Phase::Renewal, kind::NAK) => self.refused(index, now),
                    (
                        Phase::Answer(_),
                        kind::LEASEACTIVE | kind::LEASEUNASSIGNED | kind::LEASEUNKNOWN,
                    ) => self.answered(index, reply.kind, now),
                    _ => self.summary.extra_replies += 1,
                }
            }
            _ => self.summary.extra_replies += 1,
        }
    }

    fn offered(&mut self, index: u16, reply: &Reply<'_>, now: u64) {
        let exchange = &mut self.exchanges[usize::from(index)];
        self.histograms.discover_offer.record(now - exchange.phase_ns);
        if self.style.option_82 && !reply.echoes_relay_of(exchange.client) {
            self.summary.option_82_faults += 1;
        }
        exchange.address = reply.yiaddr;
        exchange.server = reply.server;
        exchange.phase = Phase::Ack;
        exchange.phase_ns = now;
        exchange.tries = 0;
        self.transmit(index, now);
    }

    fn acknowledged(&mut self, index: u16, reply: &Reply<'_>, now: u64) {
        let exchange = &mut self.exchanges[usize::from(index)];
        let renewal = exchange.phase == Phase::Renewal;
        exchange.address = reply.yiaddr;
        exchange.server = reply.server;
        let (client, taken) = (exchange.client, now - exchange.phase_ns);
        let (address, server) = (exchange.address, exchange.server);
        let histogram = match renewal {
            true => &mut self.histograms.renew,
            false => &mut self.histograms.request_ack,
        };
        histogram.record(taken);
        if !renewal {
            self.histograms.dora.record(now - exchange.first_ns);
        }
        let echoed = reply.echoes_relay_of(client);
        if self.style.option_82 && !echoed {
            self.summary.option_82_faults += 1;
        }
        let seconds = (now / SECOND_NS) as u32;
        let expires = seconds.saturating_add(reply.lease_seconds);
        if self.owners.promise(address, client, seconds, expires) {
            self.summary.duplicates += 1;
        }
        if now - self.last_ack_ns > (self.summary.longest_gap_ms * 1e6) as u64 {
            self.gap(now);
        }
        self.last_ack_ns = now;
        let kind = if renewal { AckKind::Renew } else { AckKind::Dora };
        self.record(kind, index, reply.lease_seconds, echoed, now);
        if self.keep_leases {
            self.held.push(Held { client, address, server });
        }
        self.complete(index, now);
    }

    fn refused(&mut self, index: u16, now: u64) {
        self.summary.naks += 1;
        let exchange = &mut self.exchanges[usize::from(index)];
        if exchange.phase == Phase::Ack && self.options.retransmit != Retransmit::Never {
            self.start_again(index, now);
        } else {
            self.free_exchange(index);
        }
    }

    fn answered(&mut self, index: u16, kind: u8, now: u64) {
        let exchange = &self.exchanges[usize::from(index)];
        self.histograms.query.record(now - exchange.phase_ns);
        match kind {
            kind::LEASEACTIVE => self.summary.query_active += 1,
            kind::LEASEUNASSIGNED => self.summary.query_unassigned += 1,
            _ => self.summary.query_unknown += 1,
        }
        self.complete(index, now);
    }

    fn complete(&mut self, index: u16, now: u64) {
        self.summary.done += 1;
        self.last_done_ns = now;
        self.waited(index, now);
        self.free_exchange(index);
    }

    fn waited(&mut self, index: u16, now: u64) {
        let exchange = &self.exchanges[usize::from(index)];
        let waited = (now - exchange.first_ns) as f64 / 1e6;
        if waited > self.summary.worst_wait_ms {
            self.summary.worst_wait_ms = waited;
            self.summary.worst_client = Some(exchange.client);
        }
    }

    fn gap(&mut self, now: u64) {
        self.summary.longest_gap_ms = (now - self.last_ack_ns) as f64 / 1e6;
        self.summary.longest_gap_at_seconds = self.last_ack_ns as f64 / 1e9;
    }

    /// Back to DISCOVER with a new transaction; the client goes on waiting since its first one.
    fn start_again(&mut self, index: u16, now: u64) {
        self.generation = self.generation.wrapping_add(1);
        let exchange = &mut self.exchanges[usize::from(index)];
        exchange.xid = u32::from(self.generation) << 16 | u32::from(index);
        exchange.phase = Phase::Offer;
        exchange.phase_ns = now;
        exchange.tries = 0;
        self.transmit(index, now);
    }

    /// Sends again, or gives up, what was not answered in time.
    fn overdue(&mut self, now: u64) {
        for index in 0..self.used {
            let exchange = self.exchanges[index];
            if exchange.phase == Phase::Free || exchange.deadline_ns > now {
                continue;
            }
            let slot = index as u16;
            if self.options.retransmit == Retransmit::Never {
                self.summary.drops += 1;
                self.waited(slot, now);
                self.give_back(&exchange);
                self.free_exchange(slot);
                continue;
            }
            self.summary.retransmissions += 1;
            self.exchanges[index].tries += 1;
            if exchange.phase == Phase::Ack && exchange.tries + 1 >= self.options.request_tries {
                self.start_again(slot, now);
            } else {
                self.transmit(slot, now);
            }
        }
    }

    /// A renewal that failed leaves its client the lease it had.
    fn give_back(&mut self, exchange: &Exchange) {
        if exchange.phase == Phase::Renewal {
            let Exchange { client, address, server, .. } = *exchange;
            self.held.push(Held { client, address, server });
        }
    }

    fn free_exchange(&mut self, index: u16) {
        self.exchanges[usize::from(index)].phase = Phase::Free;
        self.free.push(index);
    }

    fn record(&mut self, kind: AckKind, index: u16, lease_seconds: u32, echoed: bool, now: u64) {
        let Some(acks) = &mut self.acks else { return };
        let exchange = &self.exchanges[usize::from(index)];
        let monotonic_us = now / 1000;
        let event = Event {
            monotonic_us,
            // One clock, read once: a step of the wall clock cannot reorder the file.
            wall_us: self.start_wall_us + monotonic_us,
            kind,
            client: exchange.client,
            address: exchange.address,
            lease_seconds,
            server: exchange.server,
            echoed,
        };
        // A failure shows at the next flush, which reports it.
        let _ = acks.write(&event);
    }

    fn flush_acks(&mut self) -> Result<()> {
        match &mut self.acks {
            Some(acks) => acks.flush().context("cannot write the ACK file"),
            None => Ok(()),
        }
    }

    /// Sleeps until a datagram arrives, an exchange is due, or the next scan.
    fn wait(&self, next_scan: u64, beginning: bool) {
        let now = self.now();
        let mut until = next_scan;
        if let (Some(rate), true) = (self.options.rate, beginning) {
            let begun = self.summary.started + self.summary.starved;
            until = until.min(((begun + 1) as f64 * 1e9 / rate) as u64);
        }
        if until <= now {
            return;
        }
        let mut descriptors: Vec<PollFd<'_>> = self
            .sockets
            .iter()
            .map(|socket| -> BorrowedFd<'_> { socket.descriptor() })
            .map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN))
            .collect();
        let timeout = TimeSpec::nanoseconds((until - now) as i64);
        // Interrupted or timed out: the loop looks at the clock and the sockets either way.
        let _ = ppoll(&mut descriptors, Some(timeout), None);
    }

    fn line(&self, now: u64) {
        let Summary { started, done, drops, naks, retransmissions, .. } = self.summary;
        eprintln!(
            "{:7.1} s: started {started} done {done} drops {drops} naks {naks} \
             retransmissions {retransmissions}",
            now as f64 / 1e9
        );
    }

    fn finish(mut self, stopped: u64, now: u64) -> Result<Summary> {
        let mut waiting_for_ack = false;
        for index in 0..self.used {
            let exchange = self.exchanges[index];
            if exchange.phase != Phase::Free {
                self.summary.unfinished += 1;
                self.waited(index as u16, now);
                waiting_for_ack |= !matches!(exchange.phase, Phase::Answer(_));
            }
        }
        if waiting_for_ack && now - self.last_ack_ns > (self.summary.longest_gap_ms * 1e6) as u64 {
            self.gap(now);
        }
        // Open loop: the offered load's time. Closed: until the last of the window was answered.
        let span = match self.options.rate {
            Some(_) => stopped,
            None => self.last_done_ns.max(if self.summary.unfinished > 0 { stopped } else { 0 }),
        };
        let usage = getrusage(UsageWho::RUSAGE_SELF).context("getrusage")?;
        let cpu_us = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        let summary = &mut self.summary;
        summary.seconds = span as f64 / 1e9;
        summary.rate = if span > 0 { summary.done as f64 * 1e9 / span as f64 } else { 0.0 };
        summary.drop_percent = 100.0 * summary.drops as f64 / summary.started.max(1) as f64;
        summary.send_errors = self.sockets.iter().map(|socket| socket.send_errors).sum();
        summary.packets_sent = self.sockets.iter().map(|socket| socket.sent).sum();
        summary.discover_offer = Latency::of(&self.histograms.discover_offer);
        summary.request_ack = Latency::of(&self.histograms.request_ack);
        summary.dora = Latency::of(&self.histograms.dora);
        summary.renew = Latency::of(&self.histograms.renew);
        summary.query = Latency::of(&self.histograms.query);
        summary.cpu_seconds = cpu_us as f64 / 1e6;
        Ok(self.summary)
    }

    /// splitmix64: small, seeded, good enough to choose leases.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
