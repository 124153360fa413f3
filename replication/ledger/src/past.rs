//! How a ledger is read as it was at one moment, while the present moves on.
//!
//! A bulk leasequery is answered from one state however long its requestor takes. It walks the present records, which
//! are in memory, and asks a [`PastView`] only for those that changed since: a record whose
//! [`Binding::changed_index`] is not above [`PastView::index`] is as it was.

use crate::{Binding, HardwareAddress, Octets};
use std::fmt;
use std::net::Ipv4Addr;

/// What records are found by besides their address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum BindingKey {
    /// htype and chaddr.
    Hardware(HardwareAddress),
    /// Client identifier (option 61), its value whole.
    ClientIdentifier(Octets),
    /// Agent Remote ID (RFC 3046 §3.2) of the stored option 82.
    RemoteId(Octets),
    /// Relay-ID (RFC 6925) of the stored option 82.
    RelayId(Octets),
}

impl BindingKey {
    /// True if the record has this key.
    pub fn matches(&self, binding: &Binding) -> bool {
        match self {
            BindingKey::Hardware(hardware) => binding.hardware == *hardware,
            BindingKey::ClientIdentifier(identifier) => {
                binding.client.identifier() == Some(&identifier[..])
            }
            BindingKey::RemoteId(value) => binding.relay_sub_option(2) == Some(&value[..]),
            BindingKey::RelayId(value) => binding.relay_sub_option(12) == Some(&value[..]),
        }
    }
}

/// The state as it was when it was taken. Holding it costs no memory for records that were not read yet.
pub trait PastView: Send + 'static {
    /// The log index whose state this is.
    fn index(&self) -> u64;

    /// The record of an address, if it had been given out.
    ///
    /// # Errors
    /// The past can not be read any more.
    fn binding(&self, address: Ipv4Addr) -> Result<Option<Binding>, PastLost>;

    /// Addresses of records with this key, ascending, beginning after `after`, at most `limit`, whatever their state.
    ///
    /// # Errors
    /// The past can not be read any more.
    fn addresses(
        &self,
        key: &BindingKey,
        after: Option<Ipv4Addr>,
        limit: usize,
    ) -> Result<Vec<Ipv4Addr>, PastLost>;

    /// True if a record has or ever had this identifier. Asked for Remote-IDs and Relay-IDs.
    ///
    /// # Errors
    /// The past can not be read any more.
    fn knows(&self, key: &BindingKey) -> Result<bool, PastLost>;
}

/// The past can not be read any more: its disk failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastLost {
    /// What the store said.
    pub reason: String,
}

impl fmt::Display for PastLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the state as it was can not be read: {}", self.reason)
    }
}

impl std::error::Error for PastLost {}
