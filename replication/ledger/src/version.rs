//! The version in which members write what others read (docs/decisions/0007).

use serde::{Deserialize, Serialize};

/// A version of everything that is on disk and between members. The cluster has one, which its log raises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version(pub u8);

impl Version {
    /// Where every cluster begins, and the oldest that can be read.
    pub const FIRST: Version = Version(5);
}

impl Default for Version {
    fn default() -> Self {
        Version::FIRST
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
