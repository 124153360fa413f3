//! One internal question and answer for the dialects that are spoken over UDP.

use replication_ledger::{
    Binding, ClientKey, HardwareAddress, LeasequeryKind, Reservation, Subnet, VpnAddress,
};
use std::net::Ipv4Addr;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query<'m> {
    /// Who has this address?
    Address(Ipv4Addr),
    /// What does this hardware address have?
    Hardware(HardwareAddress),
    /// What does the client with this identifier have?
    ClientIdentifier(ClientKey),
    /// What does the client have that is known by both (draft-ietf-dhc-leasequery-01 section 6.3)?
    HardwareAndClientIdentifier(HardwareAddress, ClientKey),
    /// What does the client behind this Agent Remote ID have (RFC 6148)?
    RemoteId(&'m [u8]),
}

impl Query<'_> {
    /// The lower-case label used in metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Query::HardwareAndClientIdentifier(..) => "mac_and_client_id",
            _ => self.kinds()[0].as_str(),
        }
    }

    /// What its sender must be allowed to ask, one at least.
    pub(crate) fn kinds(&self) -> &'static [LeasequeryKind] {
        use LeasequeryKind::{ClientId, Ip, Mac, RemoteId};
        match self {
            Query::Address(_) => &[Ip],
            Query::Hardware(_) => &[Mac],
            Query::ClientIdentifier(_) => &[ClientId],
            Query::HardwareAndClientIdentifier(..) => &[Mac, ClientId],
            Query::RemoteId(_) => &[RemoteId],
        }
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding<'v> {
    /// The address is not managed here, or nobody holds anything by this key.
    Unknown,
    /// The address is managed here and nobody holds it.
    Unassigned(VpnAddress),
    /// Somebody holds it.
    Active(Lease<'v>),
    /// Nobody holds it and this client was the last; found for the draft of 2001 only.
    Past(Lease<'v>),
    /// Nobody ever held it and it is set aside; found for the draft of 2001 only.
    Reserved(&'v Subnet, &'v Reservation),
}

/// A binding that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease<'v> {
    /// The binding with the newest client-last-transaction-time.
    pub binding: &'v Binding,
    /// Every address of the client, newest transaction first, if it has several and was asked for by name.
    pub associated: Vec<VpnAddress>,
}

impl Finding<'_> {
    /// The lower-case label used in metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Finding::Unknown => "unknown",
            Finding::Unassigned(_) => "unassigned",
            Finding::Active(_) => "active",
            Finding::Past(_) => "past",
            Finding::Reserved(..) => "reserved",
        }
    }
}
