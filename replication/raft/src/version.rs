//! # Versions: one for the whole cluster, raised by its log (docs/decisions/0007)
//!
//! **Problem.** Members are upgraded one after the other. Until the last one is, what a new program writes must be readable by the
//! old one: entries, snapshots, messages, and its own disk, should the operator go back.
//!
//! **Model.** Every program reads a range of versions. One version is *in force*: it is committed state, begins at the oldest, and is what
//! everybody writes. The leader raises it when every member, heard within the isolation delay, reads a higher one.
//!
//! **Rules.** A hello names the first version that its sender can do with (the one in force, as far as it knows) and the last one that it
//! reads; where these ranges do not meet the connection is refused. A frame names the version of its body.
//!
//! **Hazards.** A parcel is encoded where it is proposed and packed elsewhere, perhaps after the version was raised: it names its own, and
//! an entry holds parcels of one version. A member of an older release that joins while the version is raised cannot read what comes
//! next: it stops, and says so.

use crate::member::Member;
use crate::state_machine::StateMachineStore;
use openraft::AsyncRuntime;
use replication_ledger::{Command, LedgerView, MemberId, Version};
use std::sync::atomic::{AtomicU8, Ordering};
use storage::encoding;

/// The version in force as this member knows it: what it writes.
#[derive(Debug)]
pub(crate) struct InForce(AtomicU8);

impl Default for InForce {
    fn default() -> Self {
        InForce(AtomicU8::new(Version::FIRST.0))
    }
}

impl InForce {
    pub(crate) fn get(&self) -> Version {
        Version(self.0.load(Ordering::Acquire))
    }

    /// What the ledger says now. True if that is another version than before.
    pub(crate) fn set(&self, version: Version) -> bool {
        self.0.swap(version.0, Ordering::AcqRel) != version.0
    }
}

impl<RT: AsyncRuntime, S: StateMachineStore> Member<RT, S> {
    /// By the leader: the version that every member reads, if it is higher than the one in force.
    pub(crate) fn raised_version(&self) -> Option<Command> {
        let own = *encoding::readable().end();
        let version = self.others().into_iter().try_fold(own, |lowest, (member, _)| {
            self.newest_of(member).map(|newest| lowest.min(newest))
        })?;
        let in_force = self.ledger.view().globals().version;
        (version > in_force).then_some(Command::RaiseVersion { version })
    }

    /// The last version that a member reads; none if it was not heard just now: it may be another program by now.
    pub(crate) fn newest_of(&self, member: MemberId) -> Option<Version> {
        if member == self.me() {
            return Some(*encoding::readable().end());
        }
        self.contact
            .is_fresh(member)
            .then(|| self.contact.of(member))?
            .map(|heard| heard.report.newest)
    }
}
