//! # Leasequery: telling others who has what
//!
//! **Problem.** Several documents ask the same questions in different words, over different transports, by different
//! keys, and disagree about the answers' form.
//!
//! **Model.** Three steps. A dialect reads a message as a [`Query`]; `select.rs` finds the bindings: leases that run for the
//! RFCs, last clients for the draft of 2001; the dialect writes the [`Finding`], option by option from what `told.rs` says of
//! a binding. A new key is an arm in `query.rs` and `select.rs`; a new dialect is a file. Over UDP `udp.rs` says whose
//! dialect a query is, and [`authenticate`] whether its sender is who it says.
//!
//! Over TCP an answer is a stream: a [`Session`] takes octets and gives octets, [`LeasequerySource`] is all that it
//! asks of the ledger. Each bulk answer is a walk over one state, an active one a place in the order of changes.
//!
//! **Rules.** A query changes nothing: it sees the ledger through a shared reference. Every member answers from
//! what it has applied, in every mode, for every client: buckets do not count here [AV-Q7].
//!
//! **Absent on purpose.** Transports; remembering earlier queries, but for the counters of a [`ReplayGuard`].

mod access;
mod active_rfc7724;
mod asked;
mod authentication;
mod bulk_dtv;
mod bulk_message;
mod bulk_query;
mod bulk_rfc6926;
mod connection;
mod cursor;
mod dhcp_state;
mod intake;
mod patience;
mod query;
mod reception;
mod requested;
mod rights;
mod scope;
mod select;
mod session;
mod source;
mod tally;
mod told;
mod udp;
mod udp_lq01;
mod udp_rfc4388;

pub use authentication::{AuthenticationFault, ReplayGuard, authenticate, is_signed, sign};
pub use bulk_message::SessionFacts;
pub use connection::{CloseReason, Connected, Moment, Next};
pub use query::{Finding, Lease, Query};
pub use select::select;
pub use session::Session;
pub use source::LeasequerySource;
pub use tally::{Answered, QueryResult, Tally};
pub use told::code_points;
pub(crate) use udp::decide;
pub use udp::{AnswerPlan, UdpDialect, encode};

#[cfg(test)]
mod active_tests;
#[cfg(test)]
mod bulk_tests;
#[cfg(test)]
mod dtv_tests;
#[cfg(test)]
mod line_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod udp_lq01_tests;
#[cfg(test)]
mod vpn_tests;
