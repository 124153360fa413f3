//! # The journal, and how it comes into the log again
//!
//! **Problem.** What a member promised without a quorum stands only in its own journal. When it is back, everybody must come to know
//! of it, once, whatever crashes on the way, and nobody's promise may be pushed aside unseen.
//!
//! **Model.** A [`JournalRecord`] is one promise, release or decline, numbered by its member without gaps, for ever. After the return each becomes
//! a [`Command::Merge`], in order. `apply` takes the one that follows the member's last merged number and nothing else, so a record is
//! merged exactly once and none is skipped. What comes of it is the table of section 4.
//!
//! **Rules.** *A promise* meets the committed record: the same client keeps the later end; a free address that was this member's to give becomes
//! active; another client's record stands, and if the promise still runs that is a conflict: counted, kept, shown. *A release or a
//! decline* ends only the very promise that it was made for: the committed record must be as its maker knew it.
//!
//! **Hazards.** A client that took an address and gave it up again in one isolation: its promise is shipped as given up ([`plan_merges`]), or it
//! would hide from its own release that nothing else has changed. Members' clocks: which of two promises is newer is asked of client-last-transaction-time only
//! where either answer is safe.
//!
//! **Absent on purpose.** Disk: the journal is fsynced by whoever keeps it, before the reply leaves (AV-I5).

use crate::{
    Binding, BindingState, ClientKey, Command, Globals, HardwareAddress, LimitedClasses, MemberId,
    NameWish, Octets, ReservationKey, Session, Timestamp, VpnAddress,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// What a journal record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JournalKind {
    /// The address was promised to the client until `until`.
    Promise,
    /// The client gave the address up.
    Release,
    /// The client found the address in use; nobody may have it until `until`.
    Decline,
}

/// One thing that a member did without a quorum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalRecord {
    /// Who did it.
    pub member: MemberId,
    /// The isolation in which it did.
    pub session: Session,
    /// Its count of records: 1 for the first of its life, without gaps.
    pub sequence: u64,
    /// What was done.
    pub kind: JournalKind,
    /// Which address.
    pub address: VpnAddress,
    /// Which client.
    pub client: ClientKey,
    /// Its hardware address.
    pub hardware: HardwareAddress,
    /// End of the promise or of the quarantine, by the member's clock; of a release, when it came.
    pub until: Timestamp,
    /// client-last-transaction-time, by the member's clock.
    pub cltt: Timestamp,
    /// [`Binding::changed_index`] of the address in what the member had applied, 0 if it had no record: the
    /// promise that a release or a decline was made for.
    pub base_index: u64,
    /// A later record of the same journal says that the client gave this promise up. Set when it is shipped.
    pub given_up: bool,
    /// The reservation that gave the client this address, if one did.
    pub reservation: Option<ReservationKey>,
    /// The relay, 0.0.0.0 if there was none.
    pub giaddr: Ipv4Addr,
    /// Option 82 verbatim; empty if there was none.
    pub relay_agent_information: Octets,
    /// Option 12, empty if there was none.
    pub host_name: Octets,
    /// Option 60, empty if there was none.
    pub vendor_class_identifier: Octets,
    /// The classes with a limit that the promise counts for.
    pub classes: LimitedClasses,
    /// What DNS is to say, from the merge on.
    pub names: NameWish,
}

/// What came of a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Merged {
    /// The binding is the client's, until the later end.
    Active,
    /// The binding is ended or in quarantine, as its client wished.
    Ended,
    /// Nothing is left to be done about it: it is over, given up, or overtaken.
    History,
    /// It was merged before.
    Known,
    /// The address is promised to somebody else: that stands, and the conflict is kept.
    Conflict,
}

impl Merged {
    /// The lower-case name used in metrics, events and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Merged::Active => "active",
            Merged::Ended => "ended",
            Merged::History => "history",
            Merged::Known => "known",
            Merged::Conflict => "conflict",
        }
    }
}

/// Two clients were promised one address. It can only follow a false partner-down or a broken clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// When it was found, by the log's time.
    pub at: Timestamp,
    /// The log index at which it was found.
    pub index: u64,
    /// Which address.
    pub address: VpnAddress,
    /// Who made the promise that does not stand.
    pub member: MemberId,
    /// In which isolation.
    pub session: Session,
    /// The number of its journal record.
    pub sequence: u64,
    /// To whom it was made.
    pub client: ClientKey,
    /// That client's hardware address.
    pub hardware: HardwareAddress,
    /// Until when.
    pub until: Timestamp,
    /// When it was made.
    pub cltt: Timestamp,
    /// The binding that stands; none if the address was nobody's but not this member's to give.
    pub standing: Option<StandingBinding>,
}

/// The binding that stood against a merge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingBinding {
    /// Whose it is.
    pub client: ClientKey,
    /// That client's hardware address.
    pub hardware: HardwareAddress,
    /// Its state.
    pub state: BindingState,
    /// Until when.
    pub until: Timestamp,
    /// Who made the promise.
    pub maker: MemberId,
}

impl StandingBinding {
    pub(crate) fn of(binding: &Binding) -> StandingBinding {
        StandingBinding {
            client: binding.client.clone(),
            hardware: binding.hardware,
            state: binding.state,
            until: binding.until,
            maker: binding.maker,
        }
    }
}

/// How many conflicts are kept; the count of all is in [`Globals::conflicts`].
pub const CONFLICTS_LEN_MAX: usize = 256;

/// The commands that bring a journal into the log, in the order in which they are to be applied. Only what is durable in the
/// journal may be given here: a number that a crash takes back would be used again for something else.
pub fn plan_merges(journal: &[JournalRecord], globals: &Globals, limit: usize) -> Vec<Command> {
    let Some(merged) = journal.first().map(|first| merged_sequence(globals, first.member)) else {
        return Vec::new();
    };
    let mut ended: BTreeSet<(VpnAddress, &ClientKey)> = BTreeSet::new();
    let mut given_up = vec![false; journal.len()];
    for (position, record) in journal.iter().enumerate().rev() {
        match record.kind {
            JournalKind::Promise => {
                given_up[position] = ended.contains(&(record.address, &record.client));
            }
            JournalKind::Release | JournalKind::Decline => {
                ended.insert((record.address, &record.client));
            }
        }
    }
    let unmerged = journal.iter().zip(given_up).filter(|(record, _)| record.sequence > merged);
    unmerged
        .take(limit)
        .map(|(record, given_up)| {
            Command::Merge(Box::new(JournalRecord { given_up, ..record.clone() }))
        })
        .collect()
}

/// The newest journal record of a member that is merged in this state. Up to it the member may forget its journal, and only when it has
/// applied this state itself and its own log has the merge on its disk: otherwise a loss of power takes back both.
// [AV-I5] The journal is kept until the merge is applied by its maker, and durable there.
pub fn merged_sequence(globals: &Globals, member: MemberId) -> u64 {
    globals.members.get(&member).map_or(0, |member| member.merged_sequence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Member, Role};

    fn record(sequence: u64, kind: JournalKind, address: u8, client: u8) -> JournalRecord {
        let hardware = HardwareAddress::new(1, &[2, 0, 0, 0, 0, client]);
        JournalRecord {
            member: MemberId(1),
            session: Session(3),
            sequence,
            kind,
            address: VpnAddress::global([10, 0, 0, address].into()),
            client: ClientKey::from_hardware(&hardware),
            hardware,
            until: Timestamp(9),
            cltt: Timestamp(5),
            base_index: 0,
            given_up: false,
            reservation: None,
            giaddr: Ipv4Addr::UNSPECIFIED,
            relay_agent_information: Octets::default(),
            host_name: Octets::default(),
            vendor_class_identifier: Octets::default(),
            classes: LimitedClasses::default(),
            names: NameWish::Unsaid,
        }
    }

    #[test]
    fn what_is_not_merged_yet_is_shipped_in_order_and_marked_if_it_was_given_up() {
        use JournalKind::{Decline, Promise, Release};
        let journal = [
            record(4, Promise, 1, 1),
            record(5, Promise, 1, 1),
            record(6, Promise, 2, 1),
            record(7, Release, 1, 1),
            record(8, Promise, 1, 1),
            record(9, Promise, 3, 2),
            record(10, Decline, 3, 2),
        ];
        let mut globals = Globals::default();
        let member = Member {
            name: "a".into(),
            role: Role::Server,
            server_identifier: None,
            session: Session(2),
            settled_index: 0,
            lost: None,
            removed: false,
            merged_sequence: 4,
        };
        globals.members.insert(MemberId(1), member);
        let shipped = |limit| -> Vec<(u64, bool)> {
            let commands = plan_merges(&journal, &globals, limit).into_iter();
            let records = commands.map(|command| match command {
                Command::Merge(record) => (record.sequence, record.given_up),
                other => panic!("{other:?} is no merge"),
            });
            records.collect()
        };
        let all = [(5, true), (6, false), (7, false), (8, false), (9, true), (10, false)];
        assert_eq!(shipped(usize::MAX), all);
        assert_eq!(shipped(2), all[..2]);
        assert_eq!(plan_merges(&[], &globals, 9), []);
    }
}
