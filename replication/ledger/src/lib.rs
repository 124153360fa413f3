//! # The ledger: who may promise which address to which client
//!
//! **Problem.** Several members give out addresses from the same pools while any of them may stop, lag or
//! be cut off. No address may ever be promised to two clients, and no promise may be forgotten.
//!
//! **Model.** Everything that matters enters a replicated log as a [`Batch`] of [`Command`]s. Every member applies
//! the same batches in the same order with [`apply`], the one function that changes a ledger. The
//! state is a set of [`Binding`]s (one per address that was ever given out) and the [`Globals`]: members, settings,
//! bucket map, and who owns each free address ([`Holders`]).
//!
//! **Rules.** The rules of `docs/RULES.md` are cited as `AV-Q1` … `AV-I6`. What a command may do is checked
//! when it is applied, against the state at its own place in the log: the proposer's opinion counts for nothing.
//!
//! **Hazards.** A command may be applied twice (its sender did not hear the outcome and sent it again): each is
//! written so that the second time changes nothing that matters. A command may be applied late: its session tells.
//!
//! **Absent on purpose.** No clock (time is the [`Stamp`] of the batch), no randomness, no packets, no disk, no
//! network, no hash map whose order could differ between members.

mod apply;
mod authority;
mod batch;
mod binding;
mod buckets;
mod classes;
mod client_rules;
mod command;
mod dns_settings;
mod globals;
mod identity;
pub mod invariants;
mod isolated;
mod leasequery_settings;
mod limited_classes;
mod map_table;
mod member_view;
mod merge;
mod mode;
mod names;
mod narrowing;
mod octets;
mod ownership;
mod partner_down;
mod past;
mod past_with_journal;
pub mod planning;
mod pools;
mod reservations;
mod reuse;
mod settings;
mod stable_hash;
mod stamp;
#[cfg(feature = "teeth")]
pub mod teeth;
#[cfg(not(feature = "teeth"))]
#[allow(dead_code, reason = "some rules are broken only in the simulation")]
mod teeth;
mod version;
pub mod view;
mod vpn;

pub use apply::{apply, may_bind};
pub use authority::{
    Authority, BootStamp, BootTime, Bound, EchoBook, PAUSE_MAX_MILLIS, Round, StoredAuthority,
    VoterStanding, may_be_lost, voter_standing,
};
pub use batch::{Batch, Parcel};
pub use binding::{Binding, BindingState, Event, TRANSITIONS, Transition};
pub use buckets::{BUCKETS_LEN, BucketMap, bucket_of};
pub use classes::{Class, Condition, FAILS, Field, HOLDS, LeaseSpan, Part, Question, Step, Test};
pub use client_rules::{Authoritative, Boot, BootpService, ClientRules, Reception, VendorClass};
pub use command::{Bind, Command, Outcome, Refusal};
pub use dns_settings::{DnsKey, DnsKeyAlgorithm, DnsSettings, DnsZone, NameRules};
pub use globals::{Globals, Lost, Member, Role};
pub use identity::{ClientKey, HardwareAddress, MemberId, Session};
pub use isolated::{Alone, AloneGrant, Moment};
pub use leasequery_settings::{
    ActiveLeasequerySettings, AuthenticationProtocol, DraftNumbers, LeasequeryDialect,
    LeasequeryKind, LeasequerySecret, LeasequerySettings, RequestorSettings,
};
pub use limited_classes::{ClassNumber, LimitedClasses};
pub use map_table::{MapPast, MapTable};
pub use member_view::MemberView;
pub use merge::{
    CONFLICTS_LEN_MAX, Conflict, JournalKind, JournalRecord, Merged, StandingBinding,
    merged_sequence, plan_merges,
};
pub use mode::{Mode, ModeFacts, SilentReason};
pub use names::{
    ClientNaming, NameEntry, NameTable, NameVerdict, NameWish, Naming, STANDING_LEN_MAX,
};
pub use narrowing::Narrowing;
pub use octets::Octets;
pub use ownership::{Holder, Holders};
pub use partner_down::{
    Assertion, Lossy, PartnerDown, lease_seconds_max, plan_assertion, plan_return, waits_for_unseen,
};
pub use past::{BindingKey, PastLost, PastView};
pub use past_with_journal::PastWithJournal;
pub use pools::{Allocation, PoolRules};
pub use reservations::{Reservation, ReservationKey};
pub use reuse::{authority_over, settled_everywhere};
pub use settings::{AddressRange, LeaseTimes, OptionValue, Prefix, Settings, Subnet};
pub use stamp::{Stamp, Timestamp};
pub use version::Version;
pub use view::{LedgerTable, LedgerView};
pub use vpn::{Vpn, VpnAddress, VpnNumber, VpnRange};
