//! # server-rules: from packet to intent
//!
//! **Problem.** A client, a relay or a requestor sent a message. What does this member do about it, given what the
//! cluster has agreed on, what this member has offered, and what time it is?
//!
//! **Model.** [`decide`] reads a decoded message and a [`Situation`] and says what to do: drop it with a reason, reply
//! now, or propose a command and reply once it is committed. The reply to a proposal is encoded at once, while the
//! message is at hand, and kept; [`answer`] says after the outcome whether it leaves, becomes a DHCPNAK, or is
//! forgotten. So nothing of the request is copied.
//!
//! **Rules.** RFC 2131 section 4 and the documents that amend it, cited by their IDs in `docs/RULES.md`. Who may
//! have an address is not decided here: that is the ledger's, at the command's own place in the log. A DHCPNAK about an
//! address therefore follows a refusal by the ledger or the client's own committed record, one about a link follows
//! from the configuration [H-47].
//!
//! **Hazards.** The view may lag behind the log by some milliseconds: what it allows is a proposal, never a promise.
//! [`Offers`] are forgotten at a restart; the ledger then decides as if they had never been made. Clients may send
//! anything: every arm ends in an intent, and a drop has a closed reason.
//!
//! **Absent on purpose.** Clocks (the time is in the [`Situation`]), randomness, sockets, disk, hash maps.

mod admission;
mod allocator;
mod answer;
mod classes;
mod identity;
mod intent;
mod lease_terms;
pub mod leasequery;
pub mod limits;
mod messages;
mod names;
mod network_index;
mod offers;
mod parameters;
mod probe;
mod reply;
mod reply_fields;
mod reply_fqdn;
mod reply_options;
mod request;
mod responsibility;
mod subnet_selection;

#[cfg(test)]
mod scene;

pub use answer::{Answer, PendingReply, RequestState, answer};
pub use classes::holds;
pub use intent::{DropReason, Intent};
pub use lease_terms::LeaseTerms;
pub use messages::decide;
pub use network_index::NetworkIndex;
pub use offers::{OfferLimits, Offers};
pub use probe::{Probe, quarantine};
pub use reply::{ReplyPlan, encode_reply};
pub use request::{Arrival, MemberFacts, Situation};
pub use subnet_selection::{Link, address_of_link};
