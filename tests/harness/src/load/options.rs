//! What a run is told: shared by the command line and by tests that call [`super::run`].

use std::net::SocketAddrV4;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};

pub(super) const SECOND_NS: u64 = 1_000_000_000;

/// One kind of exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    /// A new client: DISCOVER, OFFER, REQUEST, ACK.
    Dora,
    /// REQUEST in state RENEWING, as a relay agent passes it on, for a lease held.
    Renew,
    /// RELEASE of a lease held; nothing answers it.
    Release,
    /// DHCPLEASEQUERY by IP address of a lease held (RFC 4388 §6.2).
    QueryIp,
    /// DHCPLEASEQUERY by hardware address of a lease held.
    QueryMac,
    /// DHCPLEASEQUERY by client identifier of a lease held.
    QueryClientId,
}

const WORKS: [(&str, Work); 6] = [
    ("dora", Work::Dora),
    ("renew", Work::Renew),
    ("release", Work::Release),
    ("query-ip", Work::QueryIp),
    ("query-mac", Work::QueryMac),
    ("query-client-id", Work::QueryClientId),
];

impl FromStr for Work {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        WORKS.iter().find(|(name, _)| *name == text).map(|(_, work)| *work).ok_or_else(|| {
            let names: Vec<&str> = WORKS.iter().map(|(name, _)| *name).collect();
            format!("no work {text:?}; there are {}", names.join(", "))
        })
    }
}

/// Kinds of exchange and how often each is begun, as weights: `dora` or `dora=1,renew=6`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix(Vec<(Work, u32)>);

impl Mix {
    /// A run of one kind only.
    pub fn only(work: Work) -> Self {
        Mix(vec![(work, 1)])
    }

    /// The work that a random `draw` falls on.
    pub(super) fn pick(&self, draw: u64) -> Work {
        let total: u64 = self.0.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let mut left = draw % total;
        for (work, weight) in &self.0 {
            if left < u64::from(*weight) {
                return *work;
            }
            left -= u64::from(*weight);
        }
        self.0[0].0
    }

    /// Whether any of the work is about leases that are held.
    pub(super) fn uses_leases(&self) -> bool {
        self.0.iter().any(|(each, _)| *each != Work::Dora)
    }

    /// Whether this work is part of it.
    pub(super) fn has(&self, work: Work) -> bool {
        self.0.iter().any(|(each, _)| *each == work)
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let part = |part: &str| {
            let (name, weight) = part.split_once('=').unwrap_or((part, "1"));
            let weight = weight.parse().map_err(|_| format!("{weight:?} is not a weight"))?;
            if weight == 0 {
                return Err(format!("the weight of {name} is 0"));
            }
            Ok((name.parse()?, weight))
        };
        Ok(Mix(text.split(',').map(part).collect::<Result<_, String>>()?))
    }
}

/// Which servers a relay agent sends a client's message to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum To {
    /// Every one, as relay agents with several helper addresses do.
    All,
    /// The first one only.
    First,
    /// One, in turn, message by message.
    Rotate,
}

/// What a client does when nothing answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retransmit {
    /// Nothing: after the patience the exchange counts as a drop.
    Never,
    /// Send again after this time, again and again.
    Every(Duration),
    /// RFC 2131 §4.1: after 4, 8, 16, 32, 64 s, each ± 1 s.
    Rfc,
}

impl FromStr for Retransmit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "never" => Ok(Retransmit::Never),
            "rfc" => Ok(Retransmit::Rfc),
            other => parse_duration(other).map(Retransmit::Every),
        }
    }
}

/// Reads `250us`, `100ms`, `30s`, `5m` or `1h`.
///
/// # Errors
/// The text is no such duration; the message says so.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: f64 =
        digits.parse().map_err(|_| format!("{text:?} is not a duration (100ms, 30s, 5m)"))?;
    let scale = match &text[digits.len()..] {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        unit => return Err(format!("{text:?}: no unit {unit:?}; there are us, ms, s, m, h")),
    };
    Duration::try_from_secs_f64(number * scale).map_err(|error| format!("{text:?}: {error}"))
}

/// Everything that shapes a run.
#[derive(Args, Clone, Debug)]
pub struct LoadOptions {
    /// What to do: one of dora, renew, release, query-ip, query-mac, query-client-id, or several
    /// with weights (dora=1,renew=6,query-ip=3)
    #[arg(long, default_value = "dora")]
    pub work: Mix,

    /// A server, ADDRESS:PORT; may be repeated
    #[arg(long = "server", required = true, value_name = "ADDRESS:PORT")]
    pub servers: Vec<SocketAddrV4>,

    /// A simulated relay agent: the address it binds, which is its giaddr; may be repeated,
    /// clients are spread over them
    #[arg(long = "relay", required = true, value_name = "ADDRESS:PORT")]
    pub relays: Vec<SocketAddrV4>,

    /// Which servers each message goes to
    #[arg(long, value_enum, default_value = "all")]
    pub to: To,

    /// Open loop: this many new exchanges a second; without it, closed loop
    #[arg(long, value_name = "PER_SECOND")]
    pub rate: Option<f64>,

    /// Exchanges in flight: the closed loop's number (64 if not given), the open loop's ceiling
    /// (20000)
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=65_535))]
    pub outstanding: Option<u32>,

    /// How long new exchanges are begun
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    pub duration: Duration,

    /// Begin no more exchanges than this
    #[arg(long)]
    pub count: Option<u64>,

    /// What a client does when nothing answers: never, rfc, or an interval (100ms)
    #[arg(long, default_value = "never")]
    pub retransmit: Retransmit,

    /// Without retransmission: an answer later than this is a drop
    #[arg(long, default_value = "1s", value_parser = parse_duration)]
    pub patience: Duration,

    /// With retransmission: a REQUEST sent this often in vain sends the client back to DISCOVER
    #[arg(long, default_value_t = 4)]
    pub request_tries: u32,

    /// How long to wait at the end for exchanges in flight
    #[arg(long, default_value = "2s", value_parser = parse_duration)]
    pub linger: Duration,

    /// Number of the first client (it makes hardware address, client identifier and option 82)
    #[arg(long, default_value_t = 0)]
    pub first_client: u32,

    /// How many clients there are before the first comes again
    #[arg(long, default_value_t = 1_000_000)]
    pub clients: u32,

    /// Send no client identifier (option 61)
    #[arg(long)]
    pub no_client_id: bool,

    /// Send no relay agent information (option 82)
    #[arg(long)]
    pub no_option_82: bool,

    /// So many clients in a row are behind one relay agent, whose identifier (RFC 6925) stands in
    /// option 82: the client's number divided by this; none without
    #[arg(long, value_name = "COUNT")]
    pub clients_per_relay: Option<NonZeroU32>,

    /// Write every ACK to this file
    #[arg(long, value_name = "FILE")]
    pub acks: Option<PathBuf>,

    /// Leases to renew, release or ask for: the ACK file of an earlier run
    #[arg(long, value_name = "FILE")]
    pub leases: Option<PathBuf>,

    /// Seed of every random choice
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// A line a second on standard error
    #[arg(long)]
    pub progress: bool,
}

impl LoadOptions {
    /// How long to wait for an answer to try number `tries`; `draw` is random.
    pub(super) fn patience_ns(&self, tries: u32, draw: u64) -> u64 {
        match self.retransmit {
            Retransmit::Never => self.patience.as_nanos() as u64,
            Retransmit::Every(interval) => interval.as_nanos() as u64,
            // RFC 2131 §4.1: 4, 8, 16, 32, 64 s, each ± 1 s.
            Retransmit::Rfc => {
                let doubled = (4 * SECOND_NS) << tries.min(4);
                doubled - SECOND_NS + draw % (2 * SECOND_NS)
            }
        }
    }

    /// A closed loop of new clients through one relay agent, everything else as the command
    /// line's defaults have it.
    pub fn new(servers: Vec<SocketAddrV4>, relay: SocketAddrV4) -> Self {
        LoadOptions {
            work: Mix::only(Work::Dora),
            servers,
            relays: vec![relay],
            to: To::All,
            rate: None,
            outstanding: None,
            duration: Duration::from_secs(10),
            count: None,
            retransmit: Retransmit::Never,
            patience: Duration::from_secs(1),
            request_tries: 4,
            linger: Duration::from_secs(2),
            first_client: 0,
            clients: 1_000_000,
            no_client_id: false,
            no_option_82: false,
            clients_per_relay: None,
            acks: None,
            leases: None,
            seed: 1,
            progress: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        let check = |text, expected| assert_eq!(parse_duration(text).ok(), expected, "{text}");
        check("100ms", Some(Duration::from_millis(100)));
        check("250us", Some(Duration::from_micros(250)));
        check("1.5s", Some(Duration::from_millis(1500)));
        check("2m", Some(Duration::from_secs(120)));
        check("10", None);
        check("s", None);
        check("-1s", None);
        check("3 days", None);
    }

    #[test]
    fn a_mix_is_begun_in_proportion_to_its_weights() {
        let mix: Mix = "dora=1,renew=6,query-ip=3".parse().expect("a mix");
        let picked = |work| (0..10).filter(|draw| mix.pick(*draw) == work).count();
        assert_eq!((picked(Work::Dora), picked(Work::Renew), picked(Work::QueryIp)), (1, 6, 3));
        for bad in ["", "dora=0", "dora=x", "fly", "dora,,renew"] {
            assert!(bad.parse::<Mix>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn back_off_doubles_from_four_to_sixty_four_seconds() {
        let server = "127.0.0.1:67".parse().expect("an address");
        let mut options = LoadOptions::new(vec![server], server);
        options.retransmit = Retransmit::Rfc;
        for (tries, seconds) in [(0, 4), (1, 8), (2, 16), (3, 32), (4, 64), (9, 64)] {
            for draw in [0, SECOND_NS, u64::MAX] {
                let patience = options.patience_ns(tries, draw);
                let off = patience.abs_diff(seconds * SECOND_NS);
                assert!(off <= SECOND_NS, "try {tries}: {patience} ns");
            }
        }
    }
}
