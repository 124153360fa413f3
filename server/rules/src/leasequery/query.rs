//! One internal question and answer for all dialects.

use replication_ledger::{Binding, ClientKey, HardwareAddress};
use std::net::Ipv4Addr;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// Who has this address?
    Address(Ipv4Addr),
    /// What does this hardware address have?
    Hardware(HardwareAddress),
    /// What does the client with this identifier have?
    ClientIdentifier(ClientKey),
}

impl Query {
    /// The lower-case label used in metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Query::Address(_) => "ip",
            Query::Hardware(_) => "mac",
            Query::ClientIdentifier(_) => "client_id",
        }
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding<'v> {
    /// The address is not managed here, or nobody holds anything by this key.
    Unknown,
    /// The address is managed here and nobody holds it.
    Unassigned(Ipv4Addr),
    /// Somebody holds it.
    Active(Lease<'v>),
}

/// A lease that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease<'v> {
    /// The binding with the newest client-last-transaction-time.
    pub binding: &'v Binding,
    /// Every address that the client holds, newest transaction first, if it holds several and was asked for by name.
    pub associated: Vec<Ipv4Addr>,
}

impl Finding<'_> {
    /// The lower-case label used in metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Finding::Unknown => "unknown",
            Finding::Unassigned(_) => "unassigned",
            Finding::Active(_) => "active",
        }
    }
}
