//! # How openraft's values look as bytes, on disk and between members
//!
//! Written by hand: a dozen integers around an opaque batch. Integers are big-endian. A decoder takes all of its input
//! or refuses it. A batch is never copied on the way out of a buffer: it is a slice of it.

use crate::error::Malformed;
use crate::types::{
    AppliedMark, CommittedLeaderId, EncodedBatch, Entry, LogId, MemberAddress, Membership, Payload,
    SnapshotMeta, StoredMembership, Vote,
};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use openraft::vote::RaftLeaderId;
use replication_ledger::{BootStamp, BootTime};
use std::collections::{BTreeMap, BTreeSet};

/// Version of the entry record below; on disk for as long as the entry lives.
const ENTRY_VERSION: u8 = 1;

const BLANK: u8 = 0;
const BATCH: u8 = 1;
const MEMBERSHIP: u8 = 2;

/// Takes values off the front of a buffer.
pub(crate) struct Reader {
    bytes: Bytes,
    what: &'static str,
}

impl Reader {
    /// `what` names the message in errors.
    pub(crate) fn new(what: &'static str, bytes: Bytes) -> Reader {
        Reader { bytes, what }
    }

    pub(crate) fn malformed(&self) -> Malformed {
        Malformed { what: self.what }
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        self.bytes.try_get_u8().map_err(|_| self.malformed())
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        self.bytes.try_get_u16().map_err(|_| self.malformed())
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.bytes.try_get_u32().map_err(|_| self.malformed())
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.bytes.try_get_u64().map_err(|_| self.malformed())
    }

    pub(crate) fn u128(&mut self) -> Result<u128, Malformed> {
        self.bytes.try_get_u128().map_err(|_| self.malformed())
    }

    pub(crate) fn bool(&mut self) -> Result<bool, Malformed> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.malformed()),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<Bytes, Malformed> {
        let len = usize::try_from(self.u32()?).map_err(|_| self.malformed())?;
        if len > self.bytes.len() {
            return Err(self.malformed());
        }
        Ok(self.bytes.split_to(len))
    }

    pub(crate) fn text(&mut self) -> Result<String, Malformed> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| self.malformed())
    }

    pub(crate) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Reader) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        if self.bool()? { read(self).map(Some) } else { Ok(None) }
    }

    pub(crate) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Reader) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let len = self.u32()?;
        // Grows as items really arrive: a length alone must not make us allocate.
        let mut items = Vec::new();
        for _ in 0..len {
            items.push(read(self)?);
        }
        Ok(items)
    }

    pub(crate) fn log_id(&mut self) -> Result<LogId, Malformed> {
        let term = self.u64()?;
        Ok(LogId::new(CommittedLeaderId::new(term), self.u64()?))
    }

    pub(crate) fn vote(&mut self) -> Result<Vote, Malformed> {
        let (term, member) = (self.u64()?, self.u64()?);
        Ok(if self.bool()? { Vote::new_committed(term, member) } else { Vote::new(term, member) })
    }

    pub(crate) fn membership(&mut self) -> Result<Membership, Malformed> {
        let configs = self
            .list(|reader| Ok(reader.list(Reader::u64)?.into_iter().collect::<BTreeSet<u64>>()))?;
        let nodes: BTreeMap<u64, MemberAddress> = self
            .list(|reader| Ok((reader.u64()?, reader.member_address()?)))?
            .into_iter()
            .collect();
        Membership::new(configs, nodes).map_err(|_| self.malformed())
    }

    pub(crate) fn stored_membership(&mut self) -> Result<StoredMembership, Malformed> {
        let log_id = self.option(Reader::log_id)?;
        // openraft refuses an empty membership, but begins with one.
        let membership = self.option(Reader::membership)?.unwrap_or_default();
        Ok(StoredMembership::new(log_id, membership))
    }

    pub(crate) fn member_address(&mut self) -> Result<MemberAddress, Malformed> {
        Ok(MemberAddress { address: self.text()?, name: self.text()?, witness: self.bool()? })
    }

    pub(crate) fn boot_stamp(&mut self) -> Result<BootStamp, Malformed> {
        // Two's complement there and back.
        Ok(BootStamp { boot_id: self.u128()?, at: BootTime(self.u64()? as i64) })
    }

    pub(crate) fn entry(&mut self) -> Result<Entry, Malformed> {
        let index = self.u64()?;
        entry_of_record(index, self.bytes()?)
    }

    /// Everything that is left.
    pub(crate) fn rest(self) -> Bytes {
        self.bytes
    }

    /// Nothing may be left.
    pub(crate) fn finish<T>(self, value: T) -> Result<T, Malformed> {
        if self.bytes.is_empty() { Ok(value) } else { Err(self.malformed()) }
    }
}

/// Puts values at the end of a buffer.
#[derive(Default)]
pub(crate) struct Writer(BytesMut);

impl Writer {
    pub(crate) fn with_capacity(capacity: usize) -> Writer {
        Writer(BytesMut::with_capacity(capacity))
    }

    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.0.put_u8(value);
        self
    }

    pub(crate) fn u16(&mut self, value: u16) -> &mut Self {
        self.0.put_u16(value);
        self
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.0.put_u32(value);
        self
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.0.put_u64(value);
        self
    }

    pub(crate) fn u128(&mut self, value: u128) -> &mut Self {
        self.0.put_u128(value);
        self
    }

    pub(crate) fn bool(&mut self, value: bool) -> &mut Self {
        self.u8(u8::from(value))
    }

    fn len(&mut self, len: usize) -> &mut Self {
        // Frames are capped far below 4 GiB (limits.rs), so no list or string in one can be longer.
        self.u32(u32::try_from(len).unwrap_or(u32::MAX))
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.len(value.len()).0.put_slice(value);
        self
    }

    pub(crate) fn raw(&mut self, value: &[u8]) -> &mut Self {
        self.0.put_slice(value);
        self
    }

    pub(crate) fn text(&mut self, value: &str) -> &mut Self {
        self.bytes(value.as_bytes())
    }

    pub(crate) fn option<T>(
        &mut self,
        value: Option<T>,
        write: impl FnOnce(&mut Writer, T),
    ) -> &mut Self {
        self.bool(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
        self
    }

    pub(crate) fn list<T>(
        &mut self,
        items: impl ExactSizeIterator<Item = T>,
        mut write: impl FnMut(&mut Writer, T),
    ) -> &mut Self {
        self.len(items.len());
        for item in items {
            write(self, item);
        }
        self
    }

    pub(crate) fn log_id(&mut self, log_id: &LogId) -> &mut Self {
        self.u64(log_id.leader_id.term).u64(log_id.index)
    }

    pub(crate) fn option_log_id(&mut self, log_id: Option<&LogId>) -> &mut Self {
        self.option(log_id, |writer, log_id| {
            writer.log_id(log_id);
        })
    }

    pub(crate) fn boot_stamp(&mut self, stamp: BootStamp) -> &mut Self {
        self.u128(stamp.boot_id).u64(stamp.at.0 as u64)
    }

    pub(crate) fn vote(&mut self, vote: &Vote) -> &mut Self {
        self.u64(vote.leader_id.term()).u64(*vote.leader_id.node_id()).bool(vote.committed)
    }

    pub(crate) fn membership(&mut self, membership: &Membership) -> &mut Self {
        self.list(membership.get_joint_config().iter(), |writer, config| {
            writer.list(config.iter(), |writer, id| {
                writer.u64(*id);
            });
        });
        let nodes: Vec<_> = membership.nodes().collect();
        self.list(nodes.into_iter(), |writer, (id, node)| {
            writer.u64(*id).member_address(node);
        })
    }

    pub(crate) fn stored_membership(&mut self, stored: &StoredMembership) -> &mut Self {
        self.option_log_id(stored.log_id().as_ref());
        let membership = stored.membership();
        let present = !membership.get_joint_config().is_empty();
        self.option(present.then_some(membership), |writer, membership| {
            writer.membership(membership);
        })
    }

    pub(crate) fn member_address(&mut self, node: &MemberAddress) -> &mut Self {
        self.text(&node.address).text(&node.name).bool(node.witness)
    }

    pub(crate) fn entry(&mut self, entry: &Entry) -> &mut Self {
        let record = record_of_entry(entry);
        self.u64(entry.log_id.index).bytes(&record)
    }

    pub(crate) fn finish(self) -> Bytes {
        self.0.freeze()
    }
}

/// An entry without its index: version, kind, term, content.
pub(crate) fn record_of_entry(entry: &Entry) -> Bytes {
    let content_len = match &entry.payload {
        Payload::Normal(EncodedBatch(bytes)) => bytes.len(),
        _ => 0,
    };
    let mut writer = Writer::with_capacity(10 + content_len);
    let kind = match &entry.payload {
        Payload::Blank => BLANK,
        Payload::Normal(_) => BATCH,
        Payload::Membership(_) => MEMBERSHIP,
    };
    writer.u8(ENTRY_VERSION).u8(kind).u64(entry.log_id.leader_id.term);
    match &entry.payload {
        Payload::Blank => (),
        Payload::Normal(EncodedBatch(bytes)) => {
            writer.raw(bytes);
        }
        Payload::Membership(membership) => {
            writer.membership(membership);
        }
    }
    writer.finish()
}

/// The inverse of [`record_of_entry`].
pub(crate) fn entry_of_record(index: u64, record: Bytes) -> Result<Entry, Malformed> {
    let mut reader = Reader::new("log entry", record);
    if reader.u8()? != ENTRY_VERSION {
        return Err(reader.malformed());
    }
    let kind = reader.u8()?;
    let log_id = LogId::new(CommittedLeaderId::new(reader.u64()?), index);
    let payload = match kind {
        BLANK => reader.finish(Payload::Blank)?,
        BATCH => Payload::Normal(EncodedBatch(reader.rest())),
        MEMBERSHIP => {
            let membership = reader.membership()?;
            reader.finish(Payload::Membership(membership))?
        }
        _ => return Err(reader.malformed()),
    };
    Ok(Entry { log_id, payload })
}

/// The term of a record, without decoding the rest.
pub(crate) fn log_id_of_record(index: u64, record: &[u8]) -> Result<LogId, Malformed> {
    let malformed = Malformed { what: "log entry" };
    let term = record.get(2..10).and_then(|term| term.try_into().ok()).ok_or(malformed)?;
    Ok(LogId::new(CommittedLeaderId::new(u64::from_be_bytes(term)), index))
}

/// A value as a message of its own.
pub(crate) fn encode(write: impl FnOnce(&mut Writer)) -> Bytes {
    let mut writer = Writer::default();
    write(&mut writer);
    writer.finish()
}

/// Which entry was applied last, for the ledger's store to keep.
pub(crate) fn encode_log_id(log_id: &LogId) -> Bytes {
    encode(|writer| {
        writer.log_id(log_id);
    })
}

/// The inverse of [`encode_log_id`].
pub(crate) fn decode_log_id(bytes: Bytes) -> Result<LogId, Malformed> {
    let mut reader = Reader::new("log id", bytes);
    let log_id = reader.log_id()?;
    reader.finish(log_id)
}

/// The membership in force, for the ledger's store to keep.
pub(crate) fn encode_membership(stored: &StoredMembership) -> Bytes {
    encode(|writer| {
        writer.stored_membership(stored);
    })
}

/// What the ledger's store kept.
pub(crate) fn decode_mark(mark: AppliedMark) -> Result<SnapshotMeta, Malformed> {
    let last_log_id = mark.position.map(|bytes| decode_log_id(bytes.into())).transpose()?;
    let last_membership = match mark.membership {
        None => StoredMembership::default(),
        Some(bytes) => {
            let mut reader = Reader::new("membership", bytes.into());
            let stored = reader.stored_membership()?;
            reader.finish(stored)?
        }
    };
    Ok(SnapshotMeta { last_log_id, last_membership })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn membership() -> Membership {
        let address = |id: u64| MemberAddress {
            address: format!("127.0.0.1:{id}"),
            name: format!("dhcp-{id}"),
            witness: id == 3,
        };
        let nodes: BTreeMap<u64, MemberAddress> = (1..5).map(|id| (id, address(id))).collect();
        let configs = vec![BTreeSet::from([1, 2]), BTreeSet::from([1, 2, 3])];
        Membership::new(configs, nodes).expect("every voter has an address")
    }

    #[test]
    fn entries_survive_the_way_through_bytes() {
        let check = |payload: Payload| {
            let entry = Entry { log_id: LogId::new(CommittedLeaderId::new(9), 77), payload };
            let record = record_of_entry(&entry);
            assert_eq!(log_id_of_record(77, &record).expect("decodes"), entry.log_id);
            assert_eq!(entry_of_record(77, record.clone()).expect("decodes"), entry);
            for len in 0..record.len().min(10) {
                assert!(entry_of_record(77, record.slice(..len)).is_err(), "cut to {len}");
            }
        };
        check(Payload::Blank);
        check(Payload::Normal(EncodedBatch(Bytes::from_static(b"anything"))));
        check(Payload::Membership(membership()));
    }

    fn mark(meta: &SnapshotMeta) -> AppliedMark {
        AppliedMark {
            position: meta.last_log_id.as_ref().map(|id| encode_log_id(id).to_vec()),
            membership: Some(encode_membership(&meta.last_membership).to_vec()),
        }
    }

    #[test]
    fn the_applied_mark_survives_the_way_through_bytes() {
        let check = |meta: SnapshotMeta| {
            assert_eq!(decode_mark(mark(&meta)).expect("decodes"), meta);
        };
        check(SnapshotMeta::default());
        let log_id = Some(LogId::new(CommittedLeaderId::new(3), 5));
        let last_membership = StoredMembership::new(log_id, membership());
        check(SnapshotMeta { last_log_id: log_id, last_membership });
        assert_eq!(decode_mark(AppliedMark::default()), Ok(SnapshotMeta::default()));
    }

    #[test]
    fn bytes_too_many_or_too_few_are_refused() {
        let whole = encode_membership(&StoredMembership::new(None, membership())).to_vec();
        let check = |bytes: Vec<u8>| {
            let mark = AppliedMark { position: None, membership: Some(bytes) };
            assert!(decode_mark(mark).is_err());
        };
        for len in 0..whole.len() {
            check(whole[..len].to_vec());
        }
        check([&whole[..], &[0]].concat());
    }
}
