//! Every cap and wait of this crate, by name.

use std::time::Duration;

/// How often the leader is heard, in milliseconds.
pub const HEARTBEAT_INTERVAL_MS: u64 = 75;
/// A follower that heard nothing for [`ELECTION_TIMEOUT_MAX_MS`] waits at least so much longer before it stands.
pub const ELECTION_TIMEOUT_MIN_MS: u64 = 150;
/// See [`ELECTION_TIMEOUT_MIN_MS`]; also how long a leader's word is good for.
pub const ELECTION_TIMEOUT_MAX_MS: u64 = 300;

/// Commands in one log entry, at most (a single larger parcel goes alone).
pub const ENTRY_COMMANDS_MAX: usize = 512;
/// Bytes of parcels in one log entry, at most (a single larger parcel goes alone).
pub const ENTRY_BYTES_MAX: usize = 64 << 10;
/// Log entries that the leader has proposed and not yet applied, at most.
pub const ENTRIES_IN_FLIGHT_MAX: usize = 4;
/// Commands that wait at one member for an outcome, at most; more are refused as overload.
pub const PENDING_COMMANDS_MAX: usize = 65_536;
/// Commands that wait at the leader to be packed, at most; more are sent back to their origin.
pub const LEADER_QUEUE_COMMANDS_MAX: usize = 65_536;
/// Messages with forwarded parcels on the way to the leader, at most.
pub const FORWARDS_IN_FLIGHT_MAX: usize = 8;
/// Bytes of parcels in one forwarding message, at most.
pub const FORWARD_BYTES_MAX: usize = 256 << 10;

/// How long a proposal waits through elections before it fails.
pub const PROPOSAL_PATIENCE: Duration = Duration::from_secs(2);
/// A parcel without outcome is sent again after this.
pub const RESEND_AFTER: Duration = Duration::from_millis(500);
/// How long a membership change or an operator's command may take.
pub const OPERATION_PATIENCE: Duration = Duration::from_secs(15);

/// A member without contact for this long is isolated.
pub const ISOLATION_DELAY: Duration = Duration::from_secs(1);
/// How often a member stores for how long it may promise alone.
pub const AUTHORITY_STORED_EVERY: Duration = Duration::from_secs(1);
/// A wall clock that jumped by more has its authority stored at once.
pub const CLOCK_STEP_NANOS: u64 = 500_000_000;
/// A member whose own commands of unknown outcome are more than this begins a new session, which decides them.
pub const UNKNOWN_COMMANDS_MAX: usize = 262_144;
/// A lease that is offered alone may still be promised so much later, in milliseconds: less is offered by so much.
pub const OFFER_AHEAD_MILLIS: i64 = 2_000;
/// Journal records that are merged with one parcel, at most.
pub const MERGE_RECORDS_MAX: usize = 512;
/// The leader commits a server as lost after this long without contact.
pub const CONTACT_LOST_AFTER: Duration = Duration::from_secs(3);
/// How often members ask one another for clock, progress and leadership.
pub const PING_INTERVAL: Duration = Duration::from_millis(100);
/// How long a member that is about to be asserted down has to answer each time.
pub const LAST_CALL_DEADLINE: Duration = Duration::from_secs(1);
/// No answer to a ping for this long counts as a failure.
pub const PING_DEADLINE: Duration = Duration::from_millis(400);
/// A server that was not heard for this long does not keep the others from answering its clients.
pub const UNHEARD_AFTER: Duration = Duration::from_millis(400);
/// How often a member looks at its own facts.
pub const CONTACT_TICK: Duration = Duration::from_millis(50);
/// How often the leader commits settled indexes while an end waits for them.
pub const SETTLE_INTERVAL: Duration = Duration::from_millis(100);
/// How often the members look for work of their own: ends, frees, moves.
pub const HOUSEKEEPING_INTERVAL: Duration = Duration::from_millis(250);
/// Addresses that one housekeeping command lists, at most.
pub const HOUSEKEEPING_ADDRESSES_MAX: usize = 4096;

/// A clock this far from another member's is alarmed.
pub const CLOCK_SKEW_ALARM: Duration = Duration::from_secs(5);
/// A member whose clock is this far from the others' is silent.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(60);

/// The largest message between members: a configuration of some hundred thousand reservations is one entry of the log.
pub const FRAME_BYTES_MAX: usize = 64 << 20;
/// AppendEntries messages on the way to one member, at most.
pub const APPENDS_IN_FLIGHT_MAX: usize = 8;
/// Frames that wait to be written to one connection, at most.
pub const CONNECTION_QUEUE_FRAMES: usize = 256;
/// A connection must be up within this.
pub const CONNECT_DEADLINE: Duration = Duration::from_millis(700);
/// A follower that does not confirm entries for this long loses the connection (a slow disk may need this long).
pub const APPEND_DEADLINE: Duration = Duration::from_secs(3);
/// One chunk of a snapshot must be confirmed within this; the last includes the installation.
pub const SNAPSHOT_CHUNK_DEADLINE: Duration = Duration::from_secs(60);
/// Unacknowledged data on a TCP connection for this long breaks it.
pub const TCP_USER_TIMEOUT: Duration = Duration::from_millis(1000);

/// The image is flushed, so that the log can be purged, when the log has grown by so many entries since.
pub const FLUSH_AFTER_ENTRIES: u64 = 16_384;
/// The image is flushed at least this often while the log grows.
pub const FLUSH_AFTER: Duration = Duration::from_secs(60);
/// Applied and flushed entries that are kept for members that lag a little.
pub const KEPT_ENTRIES: u64 = 8_192;
/// How long a join token may be used.
pub const JOIN_TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Join tokens that may be outstanding at one member.
pub const JOIN_TOKENS_MAX: usize = 64;
/// A learner with at most so many entries to go is made a voter.
pub const PROMOTION_LAG_MAX: u64 = 256;
