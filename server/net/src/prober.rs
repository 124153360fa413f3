//! # Probes in flight
//!
//! **Problem.** Before some offers an ICMP echo must be awaited, for one client, while thousands of others are served.
//!
//! **Model.** The receiving threads put down the message and the address in question and go on ([`Prober::begin`]). One thread sends the
//! requests, hears the replies and knows when each has waited long enough; then it has the message decided again, as a batch of one.
//!
//! **Rules.** A probe ends once: by its answer or by its time. At most [`PROBES_IN_FLIGHT_MAX`] run; beyond that, or where the
//! system gives no ICMP socket, the offer leaves without, and that is counted. For one message at most [`PROBES_OF_ONE_MAX`]
//! addresses are tried.
//!
//! **Hazards.** Whoever answers for every address makes each of these probes cost a quarantine: the limit for one message slows it
//! down, the event names the addresses. An answer that comes too late is nobody's.

use crate::dispatch::{Datagram, Work, look};
use crate::echo;
use crate::limits::{PROBE_TICK, PROBES_IN_FLIGHT_MAX, REQUEST_LEN_MAX, STOP_CHECK_EVERY};
use crate::metrics::{Tally, count_probe};
use crate::promiser::Promiser;
use crate::receive::{Serving, serve_batch};
use crate::ways::Way;
use nix::errno::Errno;
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{SockaddrIn, recvfrom, setsockopt};
use nix::sys::time::TimeVal;
use parking_lot::{Condvar, Mutex};
use replication_ledger::{Outcome, VpnAddress};
use server_rules::{Probe, quarantine};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What the threads share about probes.
#[derive(Debug, Default)]
pub(crate) struct Prober {
    state: Mutex<State>,
    begun: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// By the address that is probed.
    running: BTreeMap<VpnAddress, Running>,
    next_sequence: u16,
    /// The system gives no ICMP socket.
    unable: bool,
}

/// A message that waits for the end of its probe.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Running {
    message: Message,
    sequence: u16,
    wait: Duration,
    /// Since when it is over; none until the request is sent.
    due: Option<Instant>,
}

/// A datagram that is decided again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    octets: Box<[u8]>,
    source: SocketAddrV4,
    way: Way,
    heard_at: Instant,
    /// The probes made for it.
    probes: u8,
}

/// How a probe ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// Somebody is there.
    Answered,
    /// Nobody said anything in time.
    Silent,
    /// It was not made.
    Skipped,
}

impl Finding {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Finding::Answered => "answered",
            Finding::Silent => "silent",
            Finding::Skipped => "skipped",
        }
    }
}

impl Prober {
    /// Keeps the datagram, which came by `way`, until its probe has ended. False if no probe is made for it.
    pub(crate) fn begin(&self, probe: Probe, datagram: &Datagram<'_>, way: Way) -> bool {
        let mut state = self.state.lock();
        if state.unable || state.running.len() >= PROBES_IN_FLIGHT_MAX {
            return false;
        }
        let message = Message {
            octets: datagram.octets.into(),
            source: datagram.source,
            way,
            heard_at: Instant::now(),
            probes: datagram.probes + 1,
        };
        let sequence = state.next_sequence;
        state.next_sequence = sequence.wrapping_add(1);
        let wait = Duration::from_millis(probe.wait_millis.into());
        state.running.insert(probe.address, Running { message, sequence, wait, due: None });
        self.begun.notify_one();
        true
    }

    /// Waits for a while until there is a probe; true if there is.
    fn wait(&self) -> bool {
        let mut state = self.state.lock();
        if state.running.is_empty() {
            self.begun.wait_for(&mut state, STOP_CHECK_EVERY);
        }
        !state.running.is_empty()
    }

    /// Those that are not sent yet; from now on their time runs.
    fn unsent(&self, now: Instant) -> Vec<(VpnAddress, u16)> {
        let mut state = self.state.lock();
        let unsent = state.running.iter_mut().filter(|(_, running)| running.due.is_none());
        let begun = unsent.map(|(address, running)| {
            running.due = Some(now + running.wait);
            (*address, running.sequence)
        });
        begun.collect()
    }

    /// The message whose probe of this address, with this number, is answered.
    fn answered(&self, address: VpnAddress, sequence: u16) -> Option<Message> {
        let mut state = self.state.lock();
        state.running.get(&address).filter(|running| running.sequence == sequence)?;
        state.running.remove(&address).map(|running| running.message)
    }

    /// The messages whose time is over.
    fn silent(&self, now: Instant) -> Vec<(VpnAddress, Message)> {
        let mut state = self.state.lock();
        let is_over = |running: &Running| running.due.is_some_and(|due| due <= now);
        let over = state.running.iter().filter(|(_, running)| is_over(running));
        let over: Vec<VpnAddress> = over.map(|(address, _)| *address).collect();
        let taken = |address| Some((address, state.running.remove(&address)?.message));
        over.into_iter().filter_map(taken).collect()
    }

    /// The probe of this address can not be made: its time is over.
    fn cut_short(&self, address: VpnAddress, now: Instant) {
        if let Some(running) = self.state.lock().running.get_mut(&address) {
            running.due = Some(now);
        }
    }

    /// No more probes, and none of those that were begun.
    pub(crate) fn give_up(&self) -> Vec<(VpnAddress, Message)> {
        let mut state = self.state.lock();
        state.unable = true;
        let all = std::mem::take(&mut state.running);
        all.into_iter().map(|(address, running)| (address, running.message)).collect()
    }
}

/// The thread of all probes.
pub(crate) fn probe<P: Promiser>(serving: &Serving<P>, stop: &AtomicBool) {
    let prober = &serving.service.prober;
    let mut open = None;
    let mut again = Again { serving, work: Work::default(), tally: Tally::default() };
    while !stop.load(Ordering::Acquire) {
        if !prober.wait() {
            continue;
        }
        let echo = match open.take().map_or_else(Echo::open, Ok) {
            Ok(echo) => open.insert(echo),
            Err(error) => {
                tracing::warn!(event = "ping_check_impossible", %error);
                for (address, message) in prober.give_up() {
                    again.decide(address, &message, Finding::Skipped);
                }
                continue;
            }
        };
        for (address, sequence) in prober.unsent(Instant::now()) {
            if let Err(error) = echo.ask(address.ip, sequence) {
                // No route to it: then nobody there can be reached by us, nor can answer.
                tracing::debug!(%address, %error, "dhcp.probe_failed");
                prober.cut_short(address, Instant::now());
            }
        }
        if let Some((address, sequence)) = echo.hear()
            // Nobody in another VPN can be asked, or answer.
            && let address = VpnAddress::global(address)
            && let Some(message) = prober.answered(address, sequence)
        {
            again.decide(address, &message, Finding::Answered);
        }
        for (address, message) in prober.silent(Instant::now()) {
            again.decide(address, &message, Finding::Silent);
        }
    }
}

/// The second time that a message is decided.
struct Again<'s, P: Promiser> {
    serving: &'s Serving<P>,
    work: Work,
    tally: Tally,
}

impl<P: Promiser> Again<'_, P> {
    /// One message that breaks us must not end all probes: it is lost, the client repeats itself.
    fn decide(&mut self, address: VpnAddress, message: &Message, finding: Finding) {
        let decided =
            catch_unwind(AssertUnwindSafe(|| self.decide_once(address, message, finding)));
        if decided.is_err() {
            tracing::error!(%address, "dhcp.probe_panicked");
            self.work.clear();
        }
    }

    fn decide_once(&mut self, address: VpnAddress, message: &Message, finding: Finding) {
        count_probe(finding);
        let service = &self.serving.service;
        let commands = look(service, |situation, offers| match finding {
            Finding::Answered => quarantine(address, situation, offers),
            Finding::Silent | Finding::Skipped => {
                offers.probed(address);
                Vec::new()
            }
        });
        if !commands.is_empty() {
            let count = commands.len();
            service.promised(count);
            let shared = service.clone();
            let done = move |outcomes: Vec<Result<Outcome, P::Error>>| {
                shared.settled(count);
                report(address, &outcomes);
            };
            service.promiser.propose_many(commands, Box::new(done));
        }
        let Message { octets, source, way, heard_at, probes } = message;
        let datagram = Datagram { octets, source: *source, probes: *probes };
        let once = std::iter::once(datagram);
        serve_batch(self.serving, *way, once, *heard_at, &mut self.work, &mut self.tally);
    }
}

/// What an operator should know of an address where somebody answered.
fn report<E: std::fmt::Display>(address: VpnAddress, outcomes: &[Result<Outcome, E>]) {
    match outcomes {
        [Ok(Outcome::Bound { .. }), Ok(Outcome::Done { .. })] => {
            tracing::warn!(event = "address_in_use", %address, quarantined = true);
        }
        _ => tracing::warn!(event = "address_in_use", %address, quarantined = false),
    }
}

/// An ICMP socket, of one of the two kinds that Linux has.
struct Echo {
    socket: Socket,
    /// Whole packets, and everybody's; else only replies to what it sent (`icmp(7)`, "ping socket").
    is_raw: bool,
    /// Not looked at if the kernel chooses it.
    identifier: u16,
}

impl Echo {
    /// # Errors
    /// Neither CAP_NET_RAW nor `net.ipv4.ping_group_range` permits it.
    fn open() -> io::Result<Echo> {
        let raw = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4));
        let (socket, is_raw) = match raw {
            Ok(socket) => (socket, true),
            Err(_) => (Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::ICMPV4))?, false),
        };
        // Less than a second.
        let patience = TimeVal::new(0, i64::from(PROBE_TICK.subsec_micros()));
        setsockopt(&socket, ReceiveTimeout, &patience)?;
        // Any number: it keeps other programs' replies apart from ours, together with the data.
        let identifier = (std::process::id() & 0xffff) as u16;
        Ok(Echo { socket, is_raw, identifier })
    }

    fn ask(&self, address: Ipv4Addr, sequence: u16) -> io::Result<()> {
        let request = echo::request(self.identifier, sequence);
        let to = SocketAddrV4::new(address, 0).into();
        self.socket.send_to(&request, &to).map(drop)
    }

    /// Waits a moment for a reply: who sent it, and its number.
    fn hear(&self) -> Option<(Ipv4Addr, u16)> {
        let mut buffer = [0; REQUEST_LEN_MAX];
        let (len, from) = match recvfrom::<SockaddrIn>(self.socket.as_raw_fd(), &mut buffer) {
            Ok((len, from)) => (len, from?),
            // Nothing, or a signal; or a router said of an earlier request that nobody is there.
            Err(Errno::EAGAIN | Errno::EINTR) => return None,
            Err(error) => {
                tracing::debug!(%error, "dhcp.probe_failed");
                return None;
            }
        };
        let message = match self.is_raw {
            true => echo::behind_ip_header(&buffer[..len])?,
            false => &buffer[..len],
        };
        let (identifier, sequence) = echo::replied_to(message)?;
        let is_ours = !self.is_raw || identifier == self.identifier;
        is_ours.then(|| (from.ip(), sequence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAY_TAKE: u16 = 300;

    fn address(number: u8) -> VpnAddress {
        VpnAddress::global(Ipv4Addr::new(10, 0, 0, number))
    }

    fn begin(prober: &Prober, number: u8) -> bool {
        let probe = Probe { address: address(number), wait_millis: MAY_TAKE };
        let source = SocketAddrV4::new(address(1).ip, 67);
        let datagram = Datagram { octets: &[number], source, probes: 0 };
        prober.begin(probe, &datagram, Way::Socket(0))
    }

    #[test]
    fn a_probe_ends_by_its_answer_or_by_its_time_and_only_once() {
        let (prober, now) = (Prober::default(), Instant::now());
        assert!(begin(&prober, 10) && begin(&prober, 11) && prober.wait());
        // Its time does not run before it is sent.
        assert!(prober.silent(now + Duration::from_secs(60)).is_empty());
        assert_eq!(prober.unsent(now), [(address(10), 0), (address(11), 1)]);
        assert!(prober.unsent(now).is_empty());
        // Another's answer, and one to another request.
        assert_eq!(prober.answered(address(12), 0), None);
        assert_eq!(prober.answered(address(10), 1), None);
        let answered = prober.answered(address(10), 0).expect("it waits");
        assert_eq!((&answered.octets[..], answered.probes), (&[10][..], 1));
        assert_eq!(prober.answered(address(10), 0), None);
        let wait = Duration::from_millis(MAY_TAKE.into());
        assert!(prober.silent(now + wait - Duration::from_millis(1)).is_empty());
        let silent = prober.silent(now + wait);
        assert_eq!(silent.iter().map(|(address, _)| *address).collect::<Vec<_>>(), [address(11)]);
        assert_eq!(prober.answered(address(11), 1), None);
        assert!(prober.silent(now + wait).is_empty());
    }

    #[test]
    fn no_more_run_than_the_limit_permits_and_none_without_a_socket() {
        let prober = Prober::default();
        let source = SocketAddrV4::new(address(1).ip, 67);
        for number in 0..PROBES_IN_FLIGHT_MAX {
            // Far fewer than there are addresses.
            let address = VpnAddress::global(Ipv4Addr::from(number as u32));
            let probe = Probe { address, wait_millis: 1 };
            let datagram = Datagram { octets: &[], source, probes: 0 };
            assert!(prober.begin(probe, &datagram, Way::Socket(0)));
        }
        assert!(!begin(&prober, 10));
        assert_eq!(prober.give_up().len(), PROBES_IN_FLIGHT_MAX);
        assert!(!begin(&prober, 10));
    }

    #[test]
    fn what_can_not_be_sent_is_over_at_once() {
        let (prober, now) = (Prober::default(), Instant::now());
        assert!(begin(&prober, 10));
        prober.unsent(now);
        prober.cut_short(address(10), now);
        assert_eq!(prober.silent(now).len(), 1);
    }
}
