//! Every cap of this crate on what is kept or given because somebody asked.

/// How long an address is held for a client that was offered it, in seconds.
pub const OFFER_SECONDS: u32 = 10;

/// The most addresses held at one time by one member; the oldest hold gives way.
pub const OFFERS_MAX: usize = 200_000;

/// The most addresses held at one time for clients of one circuit of a relay agent; the oldest hold gives way.
pub const OFFERS_OF_DEVICE_MAX: usize = 32;

/// The most addresses in quarantine because one client declined them; it keeps the next one that it declines.
pub const DECLINED_BY_CLIENT_MAX: usize = 4;

/// The most addresses in quarantine because clients of one circuit of a relay agent declined them.
pub const DECLINED_BY_DEVICE_MAX: usize = 16;

/// Pairs of requestor and secret whose counters one member remembers. A further pair is refused: to forget one would let
/// its old queries be repeated.
pub const REPLAY_PAIRS_MAX: usize = 16_384;

/// Octets of the longest leasequery that is read from a connection. Its keys and lists make some hundred; what is longer is no query.
pub const QUERY_LEN_MAX: usize = 4096;

/// Turns of queries of one connection in one call: an answer of which little is wanted must not keep other connections waiting.
pub const TURNS_MAX: usize = 32;

/// Octets of a reply to a client that has no address yet and no relay agent, at most: one packet of 1500 octets.
pub const DIRECT_REPLY_LEN_MAX: usize = 1500 - 28;
