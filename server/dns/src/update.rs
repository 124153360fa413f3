//! DNS UPDATE messages (RFC 2136) before they are signed.

use domain::base::iana::{Class, Opcode, Rtype};
use domain::base::message_builder::{AdditionalBuilder, MessageBuilder, PushError};
use domain::base::name::{Name, NameError};
use domain::base::rdata::{LongRecordData, UnknownRecordData};

/// Types of records that clients have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordType {
    /// An address.
    A,
    /// An address of IPv6.
    Aaaa,
    /// Whose name it is (RFC 4701).
    Dhcid,
    /// The name of an address.
    Ptr,
    /// All types.
    Any,
}

impl RecordType {
    fn number(self) -> Rtype {
        match self {
            RecordType::A => Rtype::A,
            RecordType::Aaaa => Rtype::AAAA,
            RecordType::Dhcid => Rtype::DHCID,
            RecordType::Ptr => Rtype::PTR,
            RecordType::Any => Rtype::ANY,
        }
    }
}

/// A record's type and data.
pub(crate) type Data = (RecordType, Vec<u8>);

/// What must be the case (RFC 2136 section 2.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Prerequisite {
    /// Name is in use (2.4.4).
    InUse,
    /// Name is not in use (2.4.5).
    NotInUse,
    /// RRset exists, value dependent (2.4.2).
    Has(Data),
    /// RRset does not exist (2.4.3).
    HasNo(RecordType),
}

/// What is changed (RFC 2136 section 2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Add to an RRset (2.5.1), with its time to live in seconds.
    Add(u32, Data),
    /// Delete an RRset (2.5.2), or all RRsets from a name (2.5.3).
    RemoveAll(RecordType),
    /// Delete an RR from an RRset (2.5.4).
    Remove(Data),
}

/// An update of one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Update {
    zone: Vec<u8>,
    prerequisites: Vec<(Vec<u8>, Prerequisite)>,
    changes: Vec<(Vec<u8>, Change)>,
}

/// A name or its data is none. What the ledger holds is well formed, so this is a defect or a damaged ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name is not one of DNS")]
pub(crate) struct Malformed;

impl From<NameError> for Malformed {
    fn from(_: NameError) -> Malformed {
        Malformed
    }
}

impl From<PushError> for Malformed {
    fn from(_: PushError) -> Malformed {
        Malformed
    }
}

impl From<LongRecordData> for Malformed {
    fn from(_: LongRecordData) -> Malformed {
        Malformed
    }
}

impl Update {
    /// Of the zone with this name, in wire format; empty so far.
    pub(crate) fn of(zone: &[u8]) -> Update {
        Update { zone: zone.to_vec(), prerequisites: Vec::new(), changes: Vec::new() }
    }

    pub(crate) fn requires(&mut self, name: &[u8], prerequisite: Prerequisite) {
        self.prerequisites.push((name.to_vec(), prerequisite));
    }

    pub(crate) fn changes(&mut self, name: &[u8], change: Change) {
        self.changes.push((name.to_vec(), change));
    }

    /// The message with this id, to be signed.
    pub(crate) fn message(&self, id: u16) -> Result<AdditionalBuilder<Vec<u8>>, Malformed> {
        let mut builder = MessageBuilder::new_vec();
        builder.header_mut().set_id(id);
        builder.header_mut().set_opcode(Opcode::UPDATE);
        let mut zone = builder.question();
        zone.push((Name::from_slice(&self.zone)?, Rtype::SOA, Class::IN))?;
        let mut prerequisites = zone.answer();
        for (name, prerequisite) in &self.prerequisites {
            let (class, record_type, data) = match prerequisite {
                Prerequisite::InUse => (Class::ANY, RecordType::Any, &[][..]),
                Prerequisite::NotInUse => (Class::NONE, RecordType::Any, &[][..]),
                Prerequisite::Has((record_type, data)) => (Class::IN, *record_type, &data[..]),
                Prerequisite::HasNo(record_type) => (Class::NONE, *record_type, &[][..]),
            };
            let data = UnknownRecordData::from_octets(record_type.number(), data)?;
            prerequisites.push((Name::from_slice(name)?, class, 0, data))?;
        }
        let mut changes = prerequisites.authority();
        for (name, change) in &self.changes {
            let (class, ttl, record_type, data) = match change {
                Change::Add(ttl, (record_type, data)) => (Class::IN, *ttl, *record_type, &data[..]),
                Change::RemoveAll(record_type) => (Class::ANY, 0, *record_type, &[][..]),
                Change::Remove((record_type, data)) => (Class::NONE, 0, *record_type, &data[..]),
            };
            let data = UnknownRecordData::from_octets(record_type.number(), data)?;
            changes.push((Name::from_slice(name)?, class, ttl, data))?;
        }
        Ok(changes.additional())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Octet by octet as RFC 2136 section 2 has it.
    #[test]
    fn an_update_is_encoded_as_the_rfc_has_it() {
        let mut update = Update::of(b"\x01z\0");
        update.requires(b"\x01a\x01z\0", Prerequisite::InUse);
        update.requires(b"\x01a\x01z\0", Prerequisite::NotInUse);
        update.requires(b"\x01a\x01z\0", Prerequisite::Has((RecordType::Dhcid, vec![7])));
        update.requires(b"\x01a\x01z\0", Prerequisite::HasNo(RecordType::Aaaa));
        update.changes(b"\x01a\x01z\0", Change::Add(600, (RecordType::A, vec![10, 0, 0, 1])));
        update.changes(b"\x01a\x01z\0", Change::RemoveAll(RecordType::Any));
        update.changes(b"\x01a\x01z\0", Change::Remove((RecordType::A, vec![10, 0, 0, 1])));
        let name = b"\x01a\x01z\0";
        let record = |fixed: [u8; 10], data: &[u8]| [&name[..], &fixed, data].concat();
        let expected = [
            // id, opcode 5, one zone, four prerequisites, three updates.
            vec![0x12, 0x34, 0x28, 0, 0, 1, 0, 4, 0, 3, 0, 0],
            b"\x01z\0\x00\x06\x00\x01".to_vec(),
            record([0, 255, 0, 255, 0, 0, 0, 0, 0, 0], &[]),
            record([0, 255, 0, 254, 0, 0, 0, 0, 0, 0], &[]),
            record([0, 49, 0, 1, 0, 0, 0, 0, 0, 1], &[7]),
            record([0, 28, 0, 254, 0, 0, 0, 0, 0, 0], &[]),
            record([0, 1, 0, 1, 0, 0, 2, 88, 0, 4], &[10, 0, 0, 1]),
            record([0, 255, 0, 255, 0, 0, 0, 0, 0, 0], &[]),
            record([0, 1, 0, 254, 0, 0, 0, 0, 0, 4], &[10, 0, 0, 1]),
        ];
        let message = update.message(0x1234).expect("well formed");
        assert_eq!(message.as_slice(), expected.concat());
    }

    #[test]
    fn what_is_no_name_makes_no_message() {
        let check = |zone: &[u8], name: &[u8]| {
            let mut update = Update::of(zone);
            update.changes(name, Change::RemoveAll(RecordType::A));
            assert_eq!(update.message(1).map(|message| message.as_slice().len()), Err(Malformed));
        };
        check(b"\x01z", b"\x01a\x01z\0");
        check(b"\x01z\0", b"\x09a\0");
        check(b"\x01z\0", b"");
    }
}
