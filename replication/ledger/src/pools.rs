//! What is said about one pool of a subnet, beside its addresses.

use crate::{AddressRange, LeaseSpan, OptionValue};
use serde::{Deserialize, Serialize};

/// How the address for a client that had none here is chosen among the free ones of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Allocation {
    /// The next one after the one given last, and from the beginning again.
    #[default]
    Rotating,
    /// The lowest one.
    Sequential,
    /// One that nobody can foretell.
    Random,
    /// One that nobody ever had, else the one that has been free for longest.
    LeastRecentlyUsed,
}

/// A pool with rules of its own: `[[subnet.pool]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolRules {
    /// Its addresses, those among them that are excluded too.
    pub range: AddressRange,
    /// Only clients of one of these classes get an address of it; places in [`crate::Settings::classes`]. Everybody if it is empty.
    pub classes: Vec<u16>,
    /// Options of whoever has one of its addresses, before those of the subnet. Sorted by code.
    pub options: Vec<OptionValue>,
    /// For how long.
    pub lease: LeaseSpan,
    /// How a new address is chosen.
    pub allocation: Allocation,
}

impl PoolRules {
    /// A pool for everybody about which nothing is said.
    pub fn new(range: AddressRange) -> PoolRules {
        PoolRules {
            range,
            classes: Vec::new(),
            options: Vec::new(),
            lease: LeaseSpan::default(),
            allocation: Allocation::default(),
        }
    }
}
