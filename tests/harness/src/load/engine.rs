//! The loop: begin what is due, send, receive, advance each exchange, look for overdue ones.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::SockaddrIn;
use nix::sys::time::{TimeSpec, TimeValLike};

use super::acks::{AckKind, AckWriter, Event};
use super::exchange::{Exchange, Phase, Table};
use super::leases::{Held, Owners, read_held};
use super::options::{LoadOptions, Retransmit, SECOND_NS, To, Work};
use super::packet::{Fields, Reply, Style, Template, Templates, kind};
use super::socket::{BATCH, BatchSocket, RECEIVE_BUF};
use super::summary::Summary;
use super::tally::Tally;

/// How often overdue exchanges are looked for and the ACK file is flushed.
const SCAN_NS: u64 = 5_000_000;

/// Exchanges in flight if the options give no number.
const CLOSED_LOOP_WINDOW: u32 = 64;
const OPEN_LOOP_WINDOW: u32 = 20_000;

/// Runs the load until its duration or count is reached or `stop` is set, and says what it found.
///
/// # Errors
/// An address cannot be bound, a file cannot be read or written, or leases are needed and none
/// are given.
pub fn run(options: &LoadOptions, stop: &AtomicBool) -> Result<Summary> {
    Engine::new(options)?.run(stop)
}

struct Engine<'a> {
    options: &'a LoadOptions,
    style: Style,
    templates: Templates,
    sockets: Vec<BatchSocket>,
    servers: Vec<SockaddrIn>,
    rotation: usize,
    table: Table,
    /// Leases that no exchange is about.
    held: Vec<Held>,
    keep_leases: bool,
    owners: Owners,
    acks: Option<AckWriter>,
    random: u64,
    start: Instant,
    start_wall_us: u64,
    next_client: u32,
    tally: Tally,
}

impl<'a> Engine<'a> {
    fn new(options: &'a LoadOptions) -> Result<Self> {
        let style = Style {
            client_id: !options.no_client_id,
            option_82: !options.no_option_82,
            clients_per_relay: options.clients_per_relay,
        };
        let window = options.outstanding.unwrap_or(match options.rate {
            Some(_) => OPEN_LOOP_WINDOW,
            None => CLOSED_LOOP_WINDOW,
        });
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).context("a clock before 1970")?;
        let start_wall_us = wall.as_micros() as u64;
        let held = match &options.leases {
            Some(path) => read_held(path, start_wall_us)?,
            None if options.work.has(Work::Dora) => Vec::new(),
            None => bail!("this work needs leases: name the ACK file of an earlier run (--leases)"),
        };
        let acks = match &options.acks {
            Some(path) => Some(AckWriter::create(path, style)?),
            None => None,
        };
        let sockets =
            options.relays.iter().map(|at| BatchSocket::bind(*at)).collect::<Result<_>>()?;
        Ok(Engine {
            options,
            style,
            templates: Templates::new(style),
            sockets,
            servers: options.servers.iter().map(|at| SockaddrIn::from(*at)).collect(),
            rotation: 0,
            // Two runs after one another on one port must not take each other's replies.
            table: Table::new(window, wall.subsec_micros() as u16),
            held,
            keep_leases: options.work.uses_leases(),
            owners: Owners::new(),
            acks,
            random: options.seed,
            start: Instant::now(),
            start_wall_us,
            next_client: 0,
            tally: Tally::default(),
        })
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    fn run(mut self, stop: &AtomicBool) -> Result<Summary> {
        let end = self.options.duration.as_nanos() as u64;
        let linger = self.options.linger.as_nanos() as u64;
        let (mut next_scan, mut next_line, mut stopped) = (SCAN_NS, SECOND_NS, None);
        loop {
            let now = self.now();
            let (started, count) = (self.tally.summary.started, self.options.count);
            let all_begun = count.is_some_and(|count| started >= count);
            if stopped.is_none() && (now >= end || all_begun || stop.load(Ordering::Relaxed)) {
                stopped = Some(now);
            }
            match stopped {
                None => self.begin_due(now),
                Some(at) if self.table.is_idle() || now > at + linger => break,
                Some(_) => {}
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
        self.finish(stopped.unwrap_or(end))
    }

    /// Begins the exchanges that are due, one batch at most: replies must not wait for long.
    fn begin_due(&mut self, now: u64) {
        let Summary { started, starved, .. } = self.tally.summary;
        let room = self.options.count.map_or(u64::MAX, |count| count.saturating_sub(started));
        match self.options.rate {
            Some(rate) => {
                let due = (now as f64 * rate / 1e9) as u64;
                let behind = due.saturating_sub(started + starved);
                for _ in 0..behind.min(BATCH as u64).min(room) {
                    if !self.begin(now) {
                        self.tally.summary.starved += 1;
                    }
                }
            }
            None => {
                for _ in 0..room.min(BATCH as u64) {
                    if self.table.is_full() || !self.begin(now) {
                        break;
                    }
                }
            }
        }
    }

    /// Begins one exchange; false if no place is free or no lease is there to use.
    fn begin(&mut self, now: u64) -> bool {
        let draw = self.draw();
        let mut work = self.options.work.pick(draw);
        if self.held.is_empty() && work != Work::Dora {
            if !self.options.work.has(Work::Dora) {
                return false;
            }
            work = Work::Dora; // A mixed run has to begin somewhere.
        }
        let Some(index) = self.table.take() else { return false };
        let Held { client, address, server, ends_ns } = self.subject(work, draw);
        if ends_ns <= now {
            // It ran out unused: its client is silent about it (RFC 2131 §4.4.5).
            self.table.release(index);
            return false;
        }
        self.table[index] = Exchange {
            xid: self.table.fresh_xid(index),
            client,
            phase: match work {
                Work::Dora => Phase::Offer,
                Work::Renew => Phase::Renewal,
                other => Phase::Answer(other),
            },
            tries: 0,
            relay: (client as usize % self.sockets.len()) as u16,
            address,
            server,
            lease_ends_ns: ends_ns,
            first_ns: now,
            phase_ns: now,
            deadline_ns: 0,
        };
        self.tally.summary.started += 1;
        self.transmit(index, now);
        if work == Work::Release {
            self.owners.release(address);
            self.record(AckKind::Release, index, 0, false, now);
            self.tally.done(now);
            self.table.release(index);
        }
        true
    }

    /// Who or what an exchange is about: the next new client, or a lease.
    fn subject(&mut self, work: Work, draw: u64) -> Held {
        let lease = || (draw >> 16) as usize % self.held.len();
        match work {
            Work::Dora => {
                let number = self.next_client % self.options.clients.max(1);
                self.next_client = self.next_client.wrapping_add(1);
                Held {
                    client: self.options.first_client.wrapping_add(number),
                    address: Ipv4Addr::UNSPECIFIED,
                    server: Ipv4Addr::UNSPECIFIED,
                    ends_ns: u64::MAX,
                }
            }
            // One exchange at a time about a lease: it is taken out while that is under way.
            Work::Renew | Work::Release => self.held.swap_remove(lease()),
            Work::QueryIp | Work::QueryMac | Work::QueryClientId => self.held[lease()],
        }
    }

    /// Sends the message of the exchange's phase and sets its next deadline.
    fn transmit(&mut self, index: u16, now: u64) {
        let draw = self.draw();
        let exchange = &mut self.table[index];
        exchange.deadline_ns = now + self.options.patience_ns(exchange.tries, draw);
        let (template, by_address): (&Template, bool) = match exchange.phase {
            Phase::Offer => (&self.templates.discover, false),
            Phase::Ack => (&self.templates.request, false),
            Phase::Renewal => (&self.templates.renew, true),
            Phase::Answer(Work::Release) => (&self.templates.release, true),
            Phase::Answer(Work::QueryMac) => (&self.templates.query_mac, false),
            Phase::Answer(Work::QueryClientId) => (&self.templates.query_client_id, false),
            Phase::Answer(_) => (&self.templates.query_ip, true),
            Phase::Free => return,
        };
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
        self.tally.summary.packets_received += total as u64;
        total
    }

    /// Advances the exchange that a reply belongs to.
    fn reply(&mut self, packet: &[u8], now: u64) {
        let reply = Reply::read(packet);
        let place = reply.and_then(|reply| Some((reply, self.table.find(reply.xid)?)));
        let Some((reply, index)) = place else {
            self.tally.summary.extra_replies += 1;
            if let Some(reply) = reply {
                self.record_late(&reply, now);
            }
            return;
        };
        match (self.table[index].phase, reply.kind) {
            (Phase::Offer, kind::OFFER) => self.offered(index, &reply, now),
            (Phase::Ack | Phase::Renewal, kind::ACK) => self.acknowledged(index, &reply, now),
            (Phase::Ack | Phase::Renewal, kind::NAK) => self.refused(index, &reply, now),
            (Phase::Answer(_), kind::LEASEACTIVE | kind::LEASEUNASSIGNED | kind::LEASEUNKNOWN) => {
                self.answered(index, reply.kind, now)
            }
            _ => {
                self.tally.summary.extra_replies += 1;
                self.record_late(&reply, now);
            }
        }
    }

    fn offered(&mut self, index: u16, reply: &Reply<'_>, now: u64) {
        let exchange = &mut self.table[index];
        self.tally.discover_offer.record(now - exchange.phase_ns);
        if self.style.option_82 && !reply.echoes_relay_of(exchange.client, self.style) {
            self.tally.summary.option_82_faults += 1;
        }
        exchange.address = reply.yiaddr;
        exchange.server = reply.server;
        exchange.phase = Phase::Ack;
        exchange.phase_ns = now;
        exchange.tries = 0;
        self.transmit(index, now);
    }

    fn acknowledged(&mut self, index: u16, reply: &Reply<'_>, now: u64) {
        let exchange = &mut self.table[index];
        exchange.address = reply.yiaddr;
        exchange.server = reply.server;
        let exchange = *exchange;
        let kind = match exchange.phase {
            Phase::Renewal => {
                self.tally.renew.record(now - exchange.phase_ns);
                AckKind::Renew
            }
            _ => {
                self.tally.request_ack.record(now - exchange.phase_ns);
                self.tally.dora.record(now - exchange.first_ns);
                AckKind::Dora
            }
        };
        let Exchange { client, address, server, .. } = exchange;
        let echoed = reply.echoes_relay_of(client, self.style);
        if self.style.option_82 && !echoed {
            self.tally.summary.option_82_faults += 1;
        }
        let seconds = (now / SECOND_NS) as u32;
        let expires = seconds.saturating_add(reply.lease_seconds);
        if self.owners.promise(address, client, seconds, expires) {
            self.tally.summary.duplicates += 1;
        }
        self.tally.ack(now);
        self.record(kind, index, reply.lease_seconds, echoed, now);
        if self.keep_leases {
            let ends_ns = now.saturating_add(u64::from(reply.lease_seconds) * SECOND_NS);
            self.held.push(Held { client, address, server, ends_ns });
        }
        self.complete(index, now);
    }

    fn refused(&mut self, index: u16, reply: &Reply<'_>, now: u64) {
        self.tally.summary.naks += 1;
        let selecting = self.table[index].phase == Phase::Ack;
        if !selecting {
            self.tally.summary.renewals_refused += 1;
            let Exchange { client, address, .. } = self.table[index];
            let (kind, server) = (AckKind::Refused, reply.server);
            self.write(Event { kind, client, address, server, ..self.event(now) });
        }
        if selecting && self.options.retransmit != Retransmit::Never {
            self.start_again(index, now);
        } else {
            self.table.release(index);
        }
    }

    fn answered(&mut self, index: u16, kind: u8, now: u64) {
        self.tally.query.record(now - self.table[index].phase_ns);
        match kind {
            kind::LEASEACTIVE => self.tally.summary.query_active += 1,
            kind::LEASEUNASSIGNED => self.tally.summary.query_unassigned += 1,
            _ => self.tally.summary.query_unknown += 1,
        }
        self.complete(index, now);
    }

    fn complete(&mut self, index: u16, now: u64) {
        let Exchange { client, first_ns, .. } = self.table[index];
        self.tally.done(now);
        self.tally.waited(client, first_ns, now);
        self.table.release(index);
    }

    /// Back to DISCOVER with a new transaction; the client goes on waiting since its first one.
    fn start_again(&mut self, index: u16, now: u64) {
        let xid = self.table.fresh_xid(index);
        let exchange = &mut self.table[index];
        exchange.xid = xid;
        exchange.phase = Phase::Offer;
        exchange.phase_ns = now;
        exchange.tries = 0;
        self.transmit(index, now);
    }

    /// Sends again, or gives up, what was not answered in time.
    fn overdue(&mut self, now: u64) {
        for index in self.table.places() {
            let exchange = self.table[index];
            if exchange.phase == Phase::Free || exchange.deadline_ns > now {
                continue;
            }
            if exchange.phase == Phase::Renewal && exchange.lease_ends_ns <= now {
                self.tally.summary.lapsed += 1;
                self.tally.waited(exchange.client, exchange.first_ns, now);
                self.table.release(index);
                continue;
            }
            if self.options.retransmit == Retransmit::Never {
                self.give_up(index, now);
                continue;
            }
            self.tally.summary.retransmissions += 1;
            self.table[index].tries += 1;
            if exchange.phase == Phase::Ack && exchange.tries + 1 >= self.options.request_tries {
                self.start_again(index, now);
            } else {
                self.transmit(index, now);
            }
        }
    }

    fn give_up(&mut self, index: u16, now: u64) {
        let Exchange { client, address, server, lease_ends_ns, first_ns, phase, .. } =
            self.table[index];
        self.tally.summary.drops += 1;
        self.tally.waited(client, first_ns, now);
        if phase == Phase::Renewal {
            // Its client still has the lease.
            self.held.push(Held { client, address, server, ends_ns: lease_ends_ns });
        }
        self.table.release(index);
    }

    fn record(&mut self, kind: AckKind, index: u16, lease_seconds: u32, echoed: bool, now: u64) {
        let Exchange { client, address, server, .. } = self.table[index];
        let event = self.event(now);
        self.write(Event { kind, client, address, lease_seconds, server, echoed, ..event });
    }

    /// Records an ACK that came when its exchange was over: a promise of its server's like any other.
    fn record_late(&mut self, reply: &Reply<'_>, now: u64) {
        let Some(client) = reply.client.filter(|_| reply.kind == kind::ACK) else { return };
        let Reply { yiaddr: address, lease_seconds, server, .. } = *reply;
        let (kind, echoed) = (AckKind::Late, reply.echoes_relay_of(client, self.style));
        let event = self.event(now);
        self.write(Event { kind, client, address, lease_seconds, server, echoed, ..event });
    }

    /// An event of this moment, all else to be filled in.
    fn event(&self, now: u64) -> Event {
        let monotonic_us = now / 1000;
        Event {
            monotonic_us,
            // One clock, read once: a step of the wall clock cannot reorder the file.
            wall_us: self.start_wall_us + monotonic_us,
            kind: AckKind::Late,
            client: 0,
            address: Ipv4Addr::UNSPECIFIED,
            lease_seconds: 0,
            server: Ipv4Addr::UNSPECIFIED,
            echoed: false,
        }
    }

    fn write(&mut self, event: Event) {
        if let Some(acks) = &mut self.acks {
            acks.write(&event);
        }
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
            let begun = self.tally.summary.started + self.tally.summary.starved;
            until = until.min(((begun + 1) as f64 * 1e9 / rate) as u64);
        }
        if until <= now {
            return;
        }
        let mut descriptors: Vec<PollFd<'_>> = self
            .sockets
            .iter()
            .map(|socket| PollFd::new(socket.descriptor(), PollFlags::POLLIN))
            .collect();
        let timeout = TimeSpec::nanoseconds((until - now) as i64);
        // Interrupted or timed out: the loop looks at the clock and the sockets either way.
        let _ = ppoll(&mut descriptors, Some(timeout), None);
    }

    fn line(&self, now: u64) {
        let Summary { started, done, drops, naks, retransmissions, .. } = self.tally.summary;
        eprintln!(
            "{:7.1} s: started {started} done {done} drops {drops} naks {naks} \
             retransmissions {retransmissions}",
            now as f64 / 1e9
        );
    }

    fn finish(mut self, stopped: u64) -> Result<Summary> {
        let now = self.now();
        let mut waiting_for_ack = false;
        for index in self.table.places() {
            let Exchange { client, first_ns, phase, .. } = self.table[index];
            if phase != Phase::Free {
                self.tally.summary.unfinished += 1;
                self.tally.waited(client, first_ns, now);
                waiting_for_ack |= !matches!(phase, Phase::Answer(_));
            }
        }
        if waiting_for_ack {
            self.tally.ack(now);
        }
        self.tally.summary.send_errors = self.sockets.iter().map(|each| each.send_errors).sum();
        self.tally.summary.packets_sent = self.sockets.iter().map(|each| each.sent).sum();
        self.tally.finish(stopped, self.options.rate.is_some())
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
