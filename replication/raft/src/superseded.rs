//! # Superseded: the cluster went on without this member in a newer epoch
//!
//! **Problem.** A member that was asserted to be down comes back, perhaps with promises that nobody knows of. It must promise nothing more, and
//! what it promised must reach the new epoch once, whatever crashes on the way.
//!
//! **Model.** A peer of a newer epoch refuses this member's lineage and says so. From then on it is silent for good, which a mark on its disk
//! keeps over restarts. An operator hands it over with a join token of the new epoch: it asks what is merged of its records
//! there, stores what is to be handed over as its journal, and ships it over the join lane in order. The other side proposes each as a
//! `Merge`. After that its data directory holds nothing that is worth keeping.
//!
//! **Rules.** Section 5, "a lost member that returns". If the new epoch began with a lossy recovery, every promise that stands in *all* of this
//! member's log is shipped as well, whoever made it.
//!
//! **Hazards.** *A crash between two parcels*: the journal holds the list as it was planned, and the other side says how far it
//! came. *A record that is refused there* ends the attempt with its reason; nothing is dropped here before all of it is merged.
//!
//! **Absent on purpose.** Taking the member in again: it joins under a new id, with an empty data directory, as any new one does.

use crate::clock::parse_hex_u128;
use crate::cluster::Cluster;
use crate::codec::{self, Reader};
use crate::error::{ClusterId, ReplicationError};
use crate::identity::put_durably;
use crate::limits;
use crate::member::Member;
use crate::operation::{decode_result, encode_result};
use crate::rpc::{Introduce, Link};
use crate::state_machine::StateMachineStore;
use crate::survivor::apply_up_to;
use crate::transport::{Lane, Lineage, kind};
use bytes::Bytes;
use openraft::AsyncRuntime;
use replication_ledger::{
    Command, JournalRecord, LedgerView, MemberId, Merged, Outcome, Version, merged_sequence,
    plan_return,
};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use storage::{LogStore, StorageError, encoding};
use tokio::sync::oneshot;

/// Mark: a newer epoch was met.
const SUPERSEDED: &str = "superseded";
/// Mark: the journal is the list that is to be handed over.
const PLANNED: &str = "return-planned";

/// What came of handing a superseded member's promises over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandedOver {
    /// Records that the new epoch has now.
    pub records: u64,
    /// Those of them that were merged in this attempt and could not stand: the address is promised to somebody else there.
    pub conflicts: u64,
}

/// What the new epoch knows of a member of the old one.
struct Reception {
    merged_sequence: u64,
    lossy: bool,
}

/// True if a mark on the disk says so.
pub(crate) fn was_superseded(log: &dyn LogStore) -> Result<bool, StorageError> {
    Ok(log.mark(SUPERSEDED)?.is_some())
}

impl<RT: AsyncRuntime, S: StateMachineStore> Cluster<RT, S> {
    /// Hands everything that this member promised to the newer epoch that went on without it. `token` was minted at the member at
    /// `address`. When this returns its data directory holds nothing that is worth keeping.
    ///
    /// # Errors
    /// If nobody answers there, the token is not valid, or that member is not of a newer epoch. It may be asked again.
    pub async fn hand_over(
        &self,
        address: &str,
        token: &str,
    ) -> Result<HandedOver, ReplicationError> {
        let token = parse_hex_u128(token.trim()).map_err(|_| ReplicationError::BadToken)?;
        self.member.hand_over(address, token).await
    }

    /// True if the cluster went on without this member in a newer epoch.
    pub fn is_superseded(&self) -> bool {
        self.member.superseded.load(Ordering::Acquire)
    }
}

impl<RT: AsyncRuntime, S: StateMachineStore> Member<RT, S> {
    /// A peer of a newer epoch refused this member.
    pub(crate) async fn note_superseded(&self) -> Result<(), ReplicationError> {
        if self.superseded.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.isolation.end();
        tracing::error!(event = "superseded");
        put_durably(&*self.log, SUPERSEDED, Bytes::from_static(&[1])).await
    }

    /// Ships everything that this member promised to the newer epoch.
    pub(crate) async fn hand_over(
        &self,
        address: &str,
        token: u128,
    ) -> Result<HandedOver, ReplicationError> {
        let lineage = self.identity.lineage().ok_or(ReplicationError::NotInitialized)?;
        let introduce = Arc::clone(&self.identity) as Arc<dyn Introduce>;
        let transport = self.peers.transport();
        let link: Link<RT> = Link::new(transport, introduce, Lane::Join, None, address);
        let ask = async |records: &[JournalRecord]| {
            let body = encode_request(token, lineage, self.me(), self.identity.version(), records);
            let asked = link.call(kind::RETURN, body, limits::OPERATION_PATIENCE).await;
            let unreachable =
                |source| ReplicationError::Unreachable { address: address.to_owned(), source };
            decode_result(asked.map_err(unreachable)?, |reader| {
                let (merged_sequence, lossy) = (reader.u64()?, reader.bool()?);
                Ok((Reception { merged_sequence, lossy }, reader.u64()?))
            })
        };
        let (reception, _) = ask(&[]).await?;
        let records = self.plan_hand_over(reception).await?;
        let mut handed = HandedOver { records: records.len() as u64, conflicts: 0 };
        for parcel in records.chunks(limits::MERGE_RECORDS_MAX) {
            let (_, conflicts) = ask(parcel).await?;
            handed.conflicts += conflicts;
        }
        let (records, conflicts) = (handed.records, handed.conflicts);
        tracing::warn!(event = "handed_over", records, conflicts);
        Ok(handed)
    }

    /// The list that is handed over, stored before any of it is shipped.
    async fn plan_hand_over(
        &self,
        reception: Reception,
    ) -> Result<Vec<JournalRecord>, ReplicationError> {
        if self.log.mark(PLANNED)?.is_none() {
            self.stop_raft().await?;
            // Also what was never known to be committed: the others may have told it to clients.
            apply_up_to(&*self.log, &*self.ledger, u64::MAX)?;
            let journal = self.isolation.journal()?;
            let planned = plan_return(
                &*self.ledger.view(),
                &journal,
                self.me(),
                self.proposer.session(),
                reception.merged_sequence,
                reception.lossy,
            );
            let version = self.identity.version();
            let encode_journal_record = |record| encoding::encode_journal_record(version, record);
            let encoded = planned
                .iter()
                .map(|record| (record.sequence, encode_journal_record(record).into()));
            let (sender, durable) = oneshot::channel();
            let on_durable = Box::new(move |outcome| drop(sender.send(outcome)));
            self.log.replace_journal(encoded.collect(), on_durable)?;
            durable.await.unwrap_or(Err(StorageError::Closed))?;
            put_durably(&*self.log, PLANNED, Bytes::from_static(&[1])).await?;
        }
        Ok(self.isolation.journal()?)
    }

    /// Records of a superseded member arrive: they are merged, and what is known of it is told.
    pub(crate) async fn receive_returned(&self, body: Bytes) -> Result<Bytes, String> {
        let received = self.take_returned(body).await;
        if let Err(error) = &received {
            tracing::warn!(event = "return_refused", reason = %error);
        }
        Ok(encode_result(&received, |writer, (reception, conflicts)| {
            writer.u64(reception.merged_sequence).bool(reception.lossy).u64(*conflicts);
        }))
    }

    async fn take_returned(&self, body: Bytes) -> Result<(Reception, u64), ReplicationError> {
        let mut reader = Reader::new("records of a returning member", body);
        let (token, cluster) = (reader.u128()?, ClusterId(reader.u128()?));
        let (epoch, member) = (reader.u64()?, MemberId(reader.u64()?));
        let encoded = reader.list(Reader::bytes)?;
        reader.finish(())?;
        let own = self.identity.lineage().ok_or(ReplicationError::NotInitialized)?;
        if cluster != own.cluster || epoch >= own.epoch {
            return Err(ReplicationError::NotSuperseded);
        }
        // Not used up: the member joins with it afterwards.
        let over_at = self.tokens.lock().get(&token).copied();
        if over_at.is_none_or(|over_at| over_at <= self.clock.boot_nanos()) {
            return Err(ReplicationError::BadToken);
        }
        let records = encoded.iter().map(|bytes| encoding::decode_journal_record(bytes));
        let records = records.collect::<Result<Vec<JournalRecord>, _>>()?;
        if records.iter().any(|record| record.member != member) {
            return Err(ReplicationError::NoSuchMember { member });
        }
        let commands = records.into_iter().map(|record| Command::Merge(Box::new(record)));
        let mut conflicts = 0;
        for outcome in self.propose_and_wait(commands.collect()).await {
            match outcome {
                Ok(Outcome::Merged(merged)) => conflicts += u64::from(merged == Merged::Conflict),
                Ok(Outcome::Refused(refusal)) => return Err(ReplicationError::Refused { refusal }),
                _ => return Err(ReplicationError::NoQuorum { what: "merging the records" }),
            }
        }
        let view = self.ledger.view();
        let globals = view.globals();
        let known = globals.members.get(&member).is_some_and(|known| known.removed);
        if !known {
            return Err(ReplicationError::NoSuchMember { member });
        }
        let lossy = globals.assertion.is_some_and(|assertion| assertion.lossy.is_some());
        Ok((Reception { merged_sequence: merged_sequence(globals, member), lossy }, conflicts))
    }
}

fn encode_request(
    token: u128,
    lineage: Lineage,
    member: MemberId,
    version: Version,
    records: &[JournalRecord],
) -> Bytes {
    codec::encode(|writer| {
        writer.u128(token).u128(lineage.cluster.0).u64(lineage.epoch).u64(member.0);
        writer.list(records.iter(), |writer, record| {
            writer.bytes(&encoding::encode_journal_record(version, record));
        });
    })
}
