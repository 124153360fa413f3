//! RFC 4703 section 5 as a table: what is asked of a zone's server, and what follows from its answer.
//!
//! Every request can be sent again without harm, whatever came of it before: its prerequisites say what must be the case. So a
//! transaction that was cut off anywhere is begun anew.

use crate::dhcid::dhcid;
use crate::update::{Change, Prerequisite, RecordType, Update};
use domain::base::iana::Rcode;
use replication_ledger::ClientNaming;
use std::net::Ipv4Addr;

/// One UPDATE request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Section 5.3.1: the name, if nobody has it.
    Claim,
    /// Section 5.3.2: the name again, if it is this client's.
    Renew,
    /// Section 5.5: the client's address.
    RemoveAddress,
    /// Section 5.5: the name, if no address is left.
    RemoveName,
    /// Section 5.4: the pointer.
    SetPointer,
    /// Section 5.5: the pointer, if it leads to this name.
    RemovePointer,
}

/// What follows from an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another request.
    Ask(Request),
    /// DNS is as it should be.
    Done,
    /// The name is somebody else's.
    Taken,
    /// The server will not, and says why.
    Denied,
}

impl Request {
    /// What its answer means.
    // [O-69] What is not expected here ends the attempt: a server that does not want to is not asked in other words.
    pub(crate) fn next(self, answer: Rcode) -> Next {
        use Request::{Claim, RemoveAddress, RemoveName, RemovePointer, Renew, SetPointer};
        match (self, answer) {
            (Claim | Renew | SetPointer, Rcode::NOERROR) => Next::Done,
            (Claim, Rcode::YXDOMAIN) => Next::Ask(Renew),
            // It went away in between.
            (Renew, Rcode::NXDOMAIN) => Next::Ask(Claim),
            // [O-65] No DHCID, or another one: whoever wrote the name keeps it.
            (Renew, Rcode::NXRRSET) => Next::Taken,
            (RemoveAddress, Rcode::NOERROR) => Next::Ask(RemoveName),
            (RemoveName | RemovePointer, Rcode::NOERROR) => Next::Done,
            // [O-67] The name is not this client's any more, or it has another address: it stays.
            (RemoveAddress | RemovePointer, Rcode::NXRRSET | Rcode::NXDOMAIN) => Next::Done,
            (RemoveName, Rcode::YXRRSET | Rcode::NXRRSET | Rcode::NXDOMAIN) => Next::Done,
            _ => Next::Denied,
        }
    }

    /// The request about this naming of an address, to a server of the zone with this name.
    pub(crate) fn update(self, zone: &[u8], naming: &ClientNaming, address: Ipv4Addr) -> Update {
        let ClientNaming { client, naming } = naming;
        let (name, ttl) = (&naming.name[..], naming.ttl_seconds);
        let a = || (RecordType::A, address.octets().to_vec());
        let owned = || (RecordType::Dhcid, dhcid(client, name).to_vec());
        let pointer = || (RecordType::Ptr, name.to_vec());
        let reverse = reverse_name(address);
        let mut update = Update::of(zone);
        match self {
            // [O-63] Only if the name does not exist at all; the address and whose it is come together.
            Request::Claim => {
                update.requires(name, Prerequisite::NotInUse);
                update.changes(name, Change::Add(ttl, a()));
                update.changes(name, Change::Add(ttl, owned()));
            }
            // [O-64] Only if it exists and is this client's; its address takes the place of any other.
            Request::Renew => {
                update.requires(name, Prerequisite::InUse);
                update.requires(name, Prerequisite::Has(owned()));
                update.changes(name, Change::RemoveAll(RecordType::A));
                update.changes(name, Change::Add(ttl, a()));
            }
            Request::RemoveAddress => {
                update.requires(name, Prerequisite::Has(owned()));
                update.changes(name, Change::Remove(a()));
            }
            Request::RemoveName => {
                update.requires(name, Prerequisite::Has(owned()));
                update.requires(name, Prerequisite::HasNo(RecordType::A));
                update.requires(name, Prerequisite::HasNo(RecordType::Aaaa));
                update.changes(name, Change::RemoveAll(RecordType::Any));
            }
            // [O-66] The address is one client's at a time, so whatever was there before goes.
            Request::SetPointer => {
                update.changes(&reverse, Change::RemoveAll(RecordType::Ptr));
                update.changes(&reverse, Change::Add(ttl, pointer()));
            }
            // [O-68] Only if it leads to the name that is to go.
            Request::RemovePointer => {
                update.requires(&reverse, Prerequisite::Has(pointer()));
                update.changes(&reverse, Change::RemoveAll(RecordType::Any));
            }
        }
        update
    }
}

/// The name of an address in in-addr.arpa (RFC 1035 section 3.5), in wire format.
pub(crate) fn reverse_name(address: Ipv4Addr) -> Vec<u8> {
    let mut name = Vec::with_capacity(30);
    for octet in address.octets().iter().rev() {
        let label = octet.to_string();
        // At most three digits.
        name.push(label.len() as u8);
        name.extend_from_slice(label.as_bytes());
    }
    name.extend_from_slice(b"\x07in-addr\x04arpa\0");
    name
}

#[cfg(test)]
#[path = "procedure_tests.rs"]
mod tests;
