//! Every cap and timeout of this crate.

use std::time::Duration;

/// Entries that are worked on at a time.
pub const IN_FLIGHT_MAX: usize = 16;

/// Due entries that are looked at under one lock of the ledger.
pub const SCAN_LEN_MAX: usize = 512;

/// How often it is looked what is due while nothing changes.
pub const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long a new leader waits before its first update: no datagram of the leader before it is under way any more.
pub const TAKEOVER_PAUSE: Duration = Duration::from_secs(3);

/// How long an answer is waited for after each sending of a datagram.
pub const ANSWER_WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];

/// How long an exchange over TCP may take, its connection included.
pub const TCP_EXCHANGE_MAX: Duration = Duration::from_secs(4);

/// Octets of the longest update that goes by UDP (RFC 1035 section 2.3.4); longer ones go by TCP.
pub const UDP_LEN_MAX: usize = 512;

/// Messages of one transaction at most (RFC 4703 section 5.3).
pub const MESSAGES_MAX: usize = 8;

/// How far apart the clocks of a server and of this member may be, in seconds (RFC 8945 section 10).
pub const TSIG_FUDGE_SECONDS: u16 = 300;

/// A zone whose servers are all away is tried again after so long, then after twice as long each time …
pub const AWAY_PAUSE_MIN: Duration = Duration::from_secs(1);
/// … up to this.
pub const AWAY_PAUSE_MAX: Duration = Duration::from_secs(60);

/// What a server refuses is tried again after so many seconds, then after twice as many each time …
pub const DENIED_PAUSE_SECONDS_MIN: u32 = 10;
/// … up to this.
pub const DENIED_PAUSE_SECONDS_MAX: u32 = 3600;

/// Addresses in trouble that are remembered, so that the trouble is said once; of more than these nothing is said.
pub const TROUBLED_LEN_MAX: usize = 1024;
