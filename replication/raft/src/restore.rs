//! # Restore: a cluster from a backup, when no member is left
//!
//! **Problem.** A backup is older than what it was taken from. Promises were made since that nobody knows any more, and some of
//! what it holds was given up and given to others.
//!
//! **Model.** An empty data directory becomes that of the only member of the next epoch: the backup's ledger, a
//! membership of this member alone, its enrolment, and an assertion that everybody else is gone. That is a *lossy* partner-down by a
//! survivor without authority, so its rules hold: until the longest lease is over nothing is given to anybody.
//!
//! **Rules.** The member has an id that the backup does not know: what an older one promised is waited for [AV-Q9]. The
//! cluster keeps its name; the epoch and its draw are new, so members of the old lineage are refused.
//!
//! **Hazards.** A crash half-way: the caller works in a directory that counts only when it has been renamed.
//!
//! **Absent on purpose.** Asking the operator, and whether other members are really gone.

use crate::codec;
use crate::error::{ClusterId, ReplicationError};
use crate::identity::{LINEAGE, MEMBER, Origin, encode_lineage, encode_member};
use crate::survivor::entry_of_one_voter;
use crate::transport::Lineage;
use crate::types::{CommittedLeaderId, LogId, MemberAddress, Vote};
use replication_ledger::{
    Batch, Command, LedgerView, Lossy, MemberId, Outcome, Parcel, Role, Session, Stamp, Timestamp,
    Version, lease_seconds_max, plan_assertion,
};
use std::net::Ipv4Addr;
use std::path::Path;
use storage::{
    BackupOrigin, CommittedEntry, EntryContent, LedgerStore, LogStore, RocksLogStore, StorageError,
    check_backup, encoding,
};
use tokio::sync::oneshot;

/// Who the member of the restored cluster is, and what is to be waited for.
#[derive(Clone, Debug)]
pub struct Restoration {
    /// Its id, which the backup must not know.
    pub member: MemberId,
    /// Its name, for people.
    pub name: String,
    /// Where others will reach it.
    pub address: String,
    /// Option 54 of its replies.
    pub server_identifier: Option<Ipv4Addr>,
    /// Now.
    pub now: Timestamp,
    /// The longest lease that may have been given since the backup, in seconds; what the backup has configured counts anyway.
    pub lease_seconds_max: u32,
    /// Leases that run are renewed as the backup has them: right only if none was given up since.
    pub renew_known: bool,
    /// Names the new epoch: random.
    pub draw: u128,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Where the backup was from.
    pub origin: BackupOrigin,
    /// The new epoch.
    pub epoch: u64,
    /// Until when nothing new is given to anybody.
    pub wait_until: Timestamp,
}

/// Makes a data directory that of the only member of a cluster restored from a backup. Blocks; the directory must not have been used.
///
/// # Errors
/// [`ReplicationError::MemberIdUsed`] if the backup knows the id, or if the file is damaged or the disk fails.
pub fn restore(
    data_dir: &Path,
    backup: &Path,
    restoration: &Restoration,
) -> Result<Restored, ReplicationError> {
    let origin = check_backup(backup)?.origin;
    let store = LedgerStore::open(data_dir)?;
    store.restore_backup(backup)?;
    let member = restoration.member;
    if store.view().globals().members.contains_key(&member) {
        return Err(ReplicationError::MemberIdUsed { member });
    }
    let last = Entries::after(&store)?.begin_epoch(&store, restoration)?;
    store.flush()?;
    let globals = store.view().globals().clone();
    drop(store);
    let lineage = Lineage {
        cluster: ClusterId(origin.cluster),
        epoch: globals.epoch,
        draw: restoration.draw,
    };
    begin_log(data_dir, member, lineage, last)?;
    let wait_until = globals.assertion.map_or(restoration.now, |assertion| assertion.wait_until);
    Ok(Restored { origin, epoch: globals.epoch, wait_until })
}

/// Entries that nobody ever replicated: they follow the last one of the backup.
struct Entries {
    last: LogId,
}

impl Entries {
    fn after(store: &LedgerStore) -> Result<Entries, ReplicationError> {
        let Some(position) = store.position() else {
            return Err(StorageError::Corrupt { what: "a backup of nothing" }.into());
        };
        let last = codec::decode_log_id(position.into())?;
        // Of a term that nobody of the old lineage led.
        let leader = CommittedLeaderId::new(last.leader_id.term + 1);
        Ok(Entries { last: LogId::new(leader, last.index) })
    }

    /// Returns the last entry.
    fn begin_epoch(
        mut self,
        store: &LedgerStore,
        restoration: &Restoration,
    ) -> Result<LogId, ReplicationError> {
        let Restoration { member, name, address, server_identifier, .. } = restoration;
        self.last.index += 1;
        let own = MemberAddress { address: address.clone(), name: name.clone(), witness: false };
        store.apply_all(vec![entry_of_one_voter(self.last, *member, &own)?])?;
        let enroll = Command::Enroll {
            member: *member,
            name: name.clone(),
            role: Role::Server,
            server_identifier: *server_identifier,
        };
        self.apply(store, restoration, enroll)?;
        let assertion = {
            let view = store.view();
            let configured = lease_seconds_max(view.globals());
            let lossy = Lossy {
                lease_seconds_max: restoration.lease_seconds_max.max(configured),
                authority_over: !restoration.renew_known,
            };
            plan_assertion(&*view, &*view, *member, &[], &[], Some(lossy))
        };
        let assertion = assertion.map_err(|refusal| ReplicationError::Refused { refusal })?;
        self.apply(store, restoration, Command::AssertPartnerDown(Box::new(assertion)))?;
        Ok(self.last)
    }

    fn apply(
        &mut self,
        store: &LedgerStore,
        restoration: &Restoration,
        command: Command,
    ) -> Result<(), ReplicationError> {
        self.last.index += 1;
        let parcel = Parcel {
            member: restoration.member,
            session: Session(0),
            sequence: 0,
            commands: vec![command],
        };
        let batch = Batch { stamp: Stamp::of(restoration.now), parcels: vec![parcel] };
        let content = EntryContent::Batch(encoding::encode_batch(Version::FIRST, &batch).into());
        let position = codec::encode_log_id(&self.last).into();
        let entry = CommittedEntry { index: self.last.index, position, content };
        let applied = store.apply_all(vec![entry])?;
        let outcomes = applied.into_iter().flatten().flat_map(|parcel| parcel.outcomes);
        for outcome in outcomes {
            if let Outcome::Refused(refusal) = outcome {
                return Err(ReplicationError::Refused { refusal });
            }
        }
        Ok(())
    }
}

/// A log that ends where the ledger does, and the names of this member.
fn begin_log(
    data_dir: &Path,
    member: MemberId,
    lineage: Lineage,
    last: LogId,
) -> Result<(), ReplicationError> {
    let log = RocksLogStore::open(&data_dir.join("log"))?;
    log.purge(last.index, codec::encode_log_id(&last))?;
    log.put_mark(MEMBER, encode_member(member), None)?;
    log.put_mark(LINEAGE, encode_lineage(lineage, Origin::Founded), None)?;
    let vote = codec::encode(|writer| {
        writer.vote(&Vote::new(last.leader_id.term, member.0));
    });
    // What was called first is durable first.
    let (sender, durable) = oneshot::channel();
    log.save_vote(vote, Box::new(move |outcome| drop(sender.send(outcome))))?;
    durable.blocking_recv().unwrap_or(Err(StorageError::Closed))?;
    Ok(())
}
