//! # server-dns: DNS follows the ledger
//!
//! **Problem.** What the ledger wants to be said of addresses has to come into the zones of DNS servers that are away now and then, that refuse
//! updates, and in which others write too. Members fail in the middle of it.
//!
//! **Model.** One member does the updates: the one that leads with a quorum. It looks for entries of the ledger that are due
//! ([`replication_ledger::NameEntry`]), does for each what RFC 4703 section 5 says ([`procedure`]), and proposes what came of it. All that it knows besides the ledger,
//! which servers are away and which entries it is working on, may be lost: the next one begins from the committed entries.
//!
//! **Rules.** Each update is one message with the client's DHCID as its prerequisite, so that doing it again changes nothing and a name of somebody
//! else is never touched. DHCP never waits for any of this.
//!
//! **Hazards.** *A leader that is none any more* may have an update on its way while the next one undoes what it wanted. So nothing is sent without asking
//! a moment before whether this member leads in contact with a quorum, and a new leader waits for longer than a datagram lives
//! ([`limits::TAKEOVER_PAUSE`]); a signed update is refused by the server once it is older than its fudge (RFC 8945 section 5.2.3). *A server that is away* holds up
//! the entries of its zone and no others. *Answers that are not signed as they should be* change nothing.
//!
//! **Absent on purpose.** Which names clients have (server-rules), queries, zone transfers, DNSSEC.

mod dhcid;
mod exchange;
mod executor;
mod key;
pub mod limits;
mod metrics;
mod procedure;
mod register;
mod update;
mod work;

pub use dhcid::{DHCID_LEN, dhcid};
pub use executor::Executor;
pub use key::{KeySecretError, key_secret};
pub use metrics::describe;
pub use register::NameRegister;
