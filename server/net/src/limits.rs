//! Every cap and timeout of this crate.

use std::time::Duration;

/// The most datagrams taken or sent by one system call.
pub const BATCH_LEN_MAX: usize = 64;

/// So many full batches in a row are a backlog: 2048 datagrams, ten restarted concentrators' queries.
pub const BATCHES_OF_BACKLOG: u32 = 32;

/// For so many batches after its message a client, or a second requestor, counts as present.
pub const BATCHES_OF_COMPANY: u32 = 256;

/// The most leasequeries of one requestor answered of one batch while there is a backlog and others are present.
pub const LEASEQUERIES_OF_ONE_MAX: u32 = 8;

/// A sender may be ahead of its rate by so much time: what it sends at once after a rest.
pub const BURST: Duration = Duration::from_secs(4);

/// Clients whose rate one receiving thread remembers, a power of two; 32 octets each.
pub const BUSIEST_CLIENTS: usize = 1 << 16;

/// Circuits whose rate, and whose rate of declines, one receiving thread remembers, a power of two.
pub const BUSIEST_CIRCUITS: usize = 1 << 15;

/// Relay agents whose rate one receiving thread remembers, a power of two.
pub const BUSIEST_RELAYS: usize = 1 << 12;

/// One more address may be declined from one circuit after so long.
pub const DECLINE_EVERY: Duration = Duration::from_secs(600);

/// Addresses that may be declined from one circuit at once after a rest.
pub const DECLINES_AT_ONCE: u32 = 16;

/// That somebody floods is told at most so often.
pub const TOLD_EVERY: Duration = Duration::from_secs(1);

/// Octets of the longest request that is taken; longer ones are dropped as too long.
pub const REQUEST_LEN_MAX: usize = 4096;

/// The most promises that wait for their outcome; beyond it requests are dropped as overloaded.
pub const PROMISES_IN_FLIGHT_MAX: usize = 65_536;

/// Octets asked of the kernel for each direction of a socket: a burst must not be lost while a batch is decided.
pub const SOCKET_BUFFER_LEN: usize = 8 << 20;

/// How long a receiving thread waits for a datagram before it looks whether it shall stop.
pub const STOP_CHECK_EVERY: Duration = Duration::from_millis(100);

/// The interfaces are looked at so often even if the kernel says nothing.
pub const INTERFACES_CHECK_EVERY: Duration = Duration::from_secs(5);

/// The most probes before offers that run at a time; beyond that offers leave without.
pub const PROBES_IN_FLIGHT_MAX: usize = 1024;

/// The most addresses that are probed for one message; if somebody answers at each it is dropped.
pub const PROBES_OF_ONE_MAX: u8 = 4;

/// While probes run, new ones and ended ones are looked for so often.
pub const PROBE_TICK: Duration = Duration::from_millis(5);

/// How long stopping waits for the outcomes of promises in flight.
pub const STOP_WAIT_MAX: Duration = Duration::from_secs(3);

/// Octets of answers that one leasequery connection holds at a time: what its requestor has not taken yet.
pub const LEASEQUERY_CHUNK_LEN: usize = 64 << 10;

/// Octets that are read from a leasequery connection at a time.
pub const LEASEQUERY_INPUT_LEN: usize = 2048;

/// Octets that the kernel may hold for a requestor that reads slowly. It takes twice as much for its own accounts.
pub const LEASEQUERY_SEND_BUFFER_LEN: usize = 256 << 10;

/// Octets that the kernel may hold of what a requestor sent: queries are short.
pub const LEASEQUERY_RECEIVE_BUFFER_LEN: usize = 16 << 10;

/// Connections that may wait to be accepted.
pub const LEASEQUERY_BACKLOG: i32 = 128;

/// A connection that has been idle for so long may have to leave for a new one.
pub const LEASEQUERY_IDLE_MIN: Duration = Duration::from_secs(1);

/// How far the priority of leasequery over TCP is below that of everything else (`setpriority(2)`).
pub const LEASEQUERY_NICENESS: i32 = 5;

/// How long a TLS handshake may take.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a leasequery connection that ends waits for the requestor's end; shorter than [`STOP_WAIT_MAX`].
pub const FAREWELL_MAX: Duration = Duration::from_secs(2);

/// Octets that are still read, and not looked at, from a connection that ends.
pub const FAREWELL_LEN_MAX: usize = 64 << 10;

/// After a failure to accept: how long until the next attempt, at first and at most.
pub const ACCEPT_RETRY_MIN: Duration = Duration::from_millis(50);
/// See [`ACCEPT_RETRY_MIN`].
pub const ACCEPT_RETRY_MAX: Duration = Duration::from_secs(1);

/// While entries are applied, answers over TCP are written in a part of every slice of time: this part.
pub const SLICE_OF_WORK: Duration = Duration::from_millis(1);
/// See [`SLICE_OF_WORK`].
pub const SLICE: Duration = Duration::from_millis(5);

/// So long after an entry was applied more are expected.
pub const BUSY_FOR: Duration = Duration::from_millis(20);
