//! What one log entry holds.

use crate::{Command, MemberId, Session, Stamp};
use serde::{Deserialize, Serialize};

/// The commands that one member sent together, and the unit in which their outcomes go back to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel {
    /// The member that proposes these commands.
    pub member: MemberId,
    /// Its session when it sent them [AV-Q3].
    pub session: Session,
    /// Its own count of parcels, by which it recognises the outcome.
    pub sequence: u64,
    /// In the order in which they are applied.
    pub commands: Vec<Command>,
}

/// One log entry: the leader's time and the parcels that it packed together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// When the leader proposed it [AV-Q6].
    pub stamp: Stamp,
    /// In the order in which they are applied.
    pub parcels: Vec<Parcel>,
}
