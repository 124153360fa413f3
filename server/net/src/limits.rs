//! Every cap and timeout of this crate.

use std::time::Duration;

/// The most datagrams taken or sent by one system call.
pub const BATCH_LEN_MAX: usize = 64;

/// Octets of the longest request that is taken; longer ones are dropped as too long.
pub const REQUEST_LEN_MAX: usize = 4096;

/// The most promises that wait for their outcome; beyond it requests are dropped as overloaded.
pub const PROMISES_IN_FLIGHT_MAX: usize = 65_536;

/// Octets asked of the kernel for each direction of a socket: a burst must not be lost while a batch is decided.
pub const SOCKET_BUFFER_LEN: usize = 8 << 20;

/// How long a receiving thread waits for a datagram before it looks whether it shall stop.
pub const STOP_CHECK_EVERY: Duration = Duration::from_millis(100);

/// How long stopping waits for the outcomes of promises in flight.
pub const STOP_WAIT_MAX: Duration = Duration::from_secs(3);
