//! Who this member is: to itself over restarts, and to its peers in every handshake.

use crate::clock::SteadyClock;
use crate::codec::{self, Reader};
use crate::error::{HandshakeRefusal, ReplicationError, TransportError};
use crate::rpc::Introduce;
use crate::transport::{CertificateCheck, Hello, Lane, Lineage, PeerClock};
use crate::version::InForce;
use bytes::Bytes;
use parking_lot::RwLock;
use replication_ledger::{MemberId, Role, Session, Version};
use std::collections::BTreeSet;
use std::sync::Arc;
use storage::{LogStore, StorageError, encoding};
use tokio::sync::oneshot;

/// Mark: the member id that this data directory belongs to.
pub(crate) const MEMBER: &str = "member";
/// Mark: the lineage, and how this member came to it.
pub(crate) const LINEAGE: &str = "lineage";
/// Mark: the newest session that was drawn.
const SESSION: &str = "session";

/// How a member came into its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It founded the cluster.
    Founded,
    /// It joined one.
    Joined,
}

/// This member's names, the stored ones included.
pub(crate) struct Identity {
    pub(crate) me: MemberId,
    pub(crate) role: Role,
    pub(crate) clock: Arc<SteadyClock>,
    log: Arc<dyn LogStore>,
    lineage: RwLock<Option<(Lineage, Origin)>>,
    /// What this member writes.
    pub(crate) in_force: Arc<InForce>,
    /// Removed members: they are told so, instead of being left to call for elections.
    removed: RwLock<BTreeSet<MemberId>>,
}

impl Identity {
    /// Reads what a data directory remembers. A new one becomes this member's.
    ///
    /// # Errors
    /// [`ReplicationError::ForeignData`] if it is another member's, or if the disk failed.
    pub(crate) async fn load(
        me: MemberId,
        role: Role,
        clock: Arc<SteadyClock>,
        log: Arc<dyn LogStore>,
    ) -> Result<Identity, ReplicationError> {
        match log.mark(MEMBER)? {
            Some(bytes) => {
                let mut reader = Reader::new("member id", bytes);
                let stored = MemberId(reader.u64()?);
                if stored != me {
                    return Err(ReplicationError::ForeignData { stored, configured: me });
                }
            }
            None => {
                put_durably(&*log, MEMBER, encode_member(me)).await?;
            }
        }
        let lineage = log.mark(LINEAGE)?.map(read_lineage).transpose()?;
        let (lineage, removed) = (RwLock::new(lineage), RwLock::default());
        let in_force = Arc::default();
        Ok(Identity { me, role, clock, log, lineage, in_force, removed })
    }

    pub(crate) fn lineage(&self) -> Option<Lineage> {
        self.lineage.read().map(|(lineage, _)| lineage)
    }

    pub(crate) fn origin(&self) -> Option<Origin> {
        self.lineage.read().map(|(_, origin)| origin)
    }

    /// This member belongs to a cluster from now on. Durable when it returns.
    pub(crate) async fn adopt(
        &self,
        lineage: Lineage,
        origin: Origin,
    ) -> Result<(), ReplicationError> {
        put_durably(&*self.log, LINEAGE, encode_lineage(lineage, origin)).await?;
        *self.lineage.write() = Some((lineage, origin));
        Ok(())
    }

    /// A session number that was never used before, also after a crash: durable when it returns [AV-Q3].
    pub(crate) async fn draw_session(&self) -> Result<Session, ReplicationError> {
        let last = match self.log.mark(SESSION)? {
            Some(bytes) => Reader::new("session", bytes).u64()?,
            None => 0,
        };
        let session = Session(last + 1);
        let bytes = codec::encode(|writer| {
            writer.u64(session.0);
        });
        put_durably(&*self.log, SESSION, bytes).await?;
        Ok(session)
    }

    /// True if this member knows that another one was removed.
    pub(crate) fn has_removed(&self, member: MemberId) -> bool {
        self.removed.read().contains(&member)
    }

    pub(crate) fn set_removed(&self, removed: BTreeSet<MemberId>) {
        *self.removed.write() = removed;
    }

    pub(crate) fn peer_clock(&self) -> PeerClock {
        let wall_nanos = self.clock.wall_nanos();
        PeerClock { wall_nanos, boot_nanos: self.clock.boot_nanos() }
    }

    /// Judges who connects to this member.
    pub(crate) fn judge(
        &self,
        theirs: &Hello,
        certificate: Option<&CertificateCheck>,
    ) -> Result<(), HandshakeRefusal> {
        if certificate.is_some_and(|is_for| !is_for(theirs.member)) {
            return Err(HandshakeRefusal::WrongCertificate);
        }
        if theirs.lane == Lane::Join {
            let ready = self.lineage().is_some();
            return if ready { Ok(()) } else { Err(HandshakeRefusal::NotInitialized) };
        }
        self.compare(theirs)?;
        if theirs.target != Some(self.me) {
            return Err(HandshakeRefusal::WrongMember);
        }
        if self.has_removed(theirs.member) {
            return Err(HandshakeRefusal::NotMember);
        }
        Ok(())
    }

    fn compare(&self, theirs: &Hello) -> Result<(), HandshakeRefusal> {
        match (self.lineage(), theirs.lineage) {
            (Some(ours), Some(theirs)) if ours == theirs => Ok(()),
            (Some(ours), Some(theirs)) if ours.cluster == theirs.cluster => {
                let superseded = theirs.epoch < ours.epoch;
                Err(match superseded {
                    true => HandshakeRefusal::Superseded,
                    false => HandshakeRefusal::WrongLineage,
                })
            }
            (Some(_), Some(_)) => Err(HandshakeRefusal::WrongCluster),
            _ => Err(HandshakeRefusal::NotInitialized),
        }
    }
}

impl Introduce for Identity {
    fn hello(&self, lane: Lane, target: Option<MemberId>) -> Hello {
        Hello {
            versions: (self.version(), *encoding::readable().end()),
            lane,
            lineage: self.lineage(),
            member: self.me,
            target,
            role: self.role,
            clock: self.peer_clock(),
        }
    }

    fn version(&self) -> Version {
        self.in_force.get()
    }

    fn check(&self, theirs: &Hello, target: Option<MemberId>) -> Result<(), TransportError> {
        if let Some(target) = target {
            self.compare(theirs)?;
            if theirs.member != target {
                return Err(HandshakeRefusal::WrongMember.into());
            }
        }
        Ok(())
    }
}

pub(crate) fn encode_member(me: MemberId) -> Bytes {
    codec::encode(|writer| {
        writer.u64(me.0);
    })
}

pub(crate) fn encode_lineage(lineage: Lineage, origin: Origin) -> Bytes {
    codec::encode(|writer| {
        lineage.write(writer);
        writer.bool(origin == Origin::Founded);
    })
}

fn read_lineage(bytes: Bytes) -> Result<(Lineage, Origin), ReplicationError> {
    let mut reader = Reader::new("lineage", bytes);
    let lineage = Lineage::read(&mut reader)?;
    let origin = if reader.bool()? { Origin::Founded } else { Origin::Joined };
    Ok(reader.finish((lineage, origin))?)
}

/// Stores a mark; it is on the disk when this returns.
pub(crate) async fn put_durably(
    log: &dyn LogStore,
    key: &str,
    value: Bytes,
) -> Result<(), ReplicationError> {
    let (sender, durable) = oneshot::channel();
    // Whoever waited may have been cancelled; the mark stands all the same.
    log.put_mark(key, value, Some(Box::new(move |outcome| drop(sender.send(outcome)))))?;
    durable.await.unwrap_or(Err(StorageError::Closed))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::error::ClusterId;
    use storage::memory::MemoryLogStore;

    fn lineage(cluster: u128, epoch: u64) -> Lineage {
        Lineage { cluster: ClusterId(cluster), epoch, draw: 5 }
    }

    async fn identity(log: &Arc<MemoryLogStore>, me: u64) -> Result<Identity, ReplicationError> {
        let clock = Arc::new(SteadyClock::new(Arc::new(ManualClock::at(9, 9))));
        let log = Arc::clone(log) as Arc<dyn LogStore>;
        Identity::load(MemberId(me), Role::Server, clock, log).await
    }

    #[tokio::test]
    async fn a_data_directory_belongs_to_one_member() {
        let log = Arc::new(MemoryLogStore::synchronous());
        identity(&log, 1).await.expect("new");
        identity(&log, 1).await.expect("the same again");
        let refused = identity(&log, 2).await.err();
        assert!(matches!(refused, Some(ReplicationError::ForeignData { .. })), "{refused:?}");
    }

    // proves [AV-Q3]
    #[tokio::test]
    async fn a_session_number_is_never_drawn_twice() {
        let log = Arc::new(MemoryLogStore::synchronous());
        let first = identity(&log, 1).await.expect("loads").draw_session().await.expect("draws");
        let after_restart = identity(&log, 1).await.expect("loads");
        assert!(after_restart.draw_session().await.expect("draws") > first);
    }

    #[tokio::test]
    async fn strangers_are_told_why_they_are_refused() {
        let log = Arc::new(MemoryLogStore::synchronous());
        let identity = identity(&log, 1).await.expect("loads");
        let hello = Hello {
            versions: (Version::FIRST, Version::FIRST),
            lane: Lane::Control,
            lineage: Some(lineage(7, 0)),
            member: MemberId(2),
            target: Some(MemberId(1)),
            role: Role::Server,
            clock: PeerClock::default(),
        };
        let check = |hello: Hello, expected: Result<(), HandshakeRefusal>| {
            assert_eq!(identity.judge(&hello, None), expected, "{hello:?}");
        };
        check(hello.clone(), Err(HandshakeRefusal::NotInitialized));
        identity.adopt(lineage(7, 0), Origin::Founded).await.expect("stores");
        check(hello.clone(), Ok(()));
        let other = |lineage| Hello { lineage, ..hello.clone() };
        check(other(Some(lineage(8, 0))), Err(HandshakeRefusal::WrongCluster));
        check(other(Some(lineage(7, 1))), Err(HandshakeRefusal::WrongLineage));
        check(other(None), Err(HandshakeRefusal::NotInitialized));
        let joining = Hello { lane: Lane::Join, target: None, ..other(None) };
        check(joining, Ok(()));
        let target = Some(MemberId(9));
        check(Hello { target, ..hello.clone() }, Err(HandshakeRefusal::WrongMember));
        let wrong: CertificateCheck = Arc::new(|member| member == MemberId(3));
        let judged = identity.judge(&hello, Some(&wrong));
        assert_eq!(judged, Err(HandshakeRefusal::WrongCertificate));
        identity.set_removed(BTreeSet::from([MemberId(2)]));
        check(hello.clone(), Err(HandshakeRefusal::NotMember));
    }
}
