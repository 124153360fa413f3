//! # Load: many clients behind relay agents, and a record of every ACK
//!
//! Problem. To know what a server can do, its load must cost less than its work: one core here
//! makes several times what a server answers. To know what a server lost, each ACK must be on
//! record outside of it.
//!
//! Model.   One thread, one socket per relay agent, a table of exchanges in flight. A transaction
//! id is the exchange's place in that table and its generation, so that a reply finds its exchange
//! without a search and a late one is known to be late.
//!
//! Rules.   Closed loop: a fixed number of exchanges in flight, the rate is the result. Open loop:
//! a fixed rate, the latency is the result, measured from the moment the exchange was *due to
//! start* in its client's eyes (its first packet), retransmissions included.
//!
//! Hazards. A generator short of processor time measures itself: `cpu_seconds` in the summary and
//! the null server's ceiling say whether it was.
//!
//! Absent.  No server-wire: see the crate's head. Bindings are not remembered beyond the run; the
//! ACK file is the memory, and [`crate::check`] its reader.

mod acks;
mod background;
mod drain;
mod engine;
mod exchange;
mod histogram;
mod leases;
mod null_server;
mod options;
mod packet;
mod socket;
mod summary;
mod tally;

pub use acks::{Ack, AckKind, AckTail, read_acks, service_gap};
pub use background::Background;
pub use drain::{DrainKey, DrainOptions, DrainSummary, drain};
pub use engine::run;
pub use histogram::Histogram;
pub use null_server::{NullServerOptions, serve_null};
pub use options::{LoadOptions, Mix, Retransmit, To, Work, parse_duration};
pub use packet::{circuit_id_of, client_id_of, mac_of, relay_id_of, remote_id_of};
pub use summary::{Latency, Summary};
