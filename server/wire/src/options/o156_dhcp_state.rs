//! Option 156, dhcp-state (RFC 6926 section 6.2.7), and the bit of option 157, data-source.

/// State of an address as a leasequery reply tells it. The numbers 2 to 6 are those of the
/// failover draft's binding-status; 1, 7 and 8 are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum DhcpState {
    /// Free for this server to give.
    Available = 1,
    /// Leased.
    Active = 2,
    /// The lease ran out.
    Expired = 3,
    /// The client released it.
    Released = 4,
    /// Not usable: declined, or found in use.
    Abandoned = 5,
    /// Freed by an outside agent.
    Reset = 6,
    /// Free for another server to give.
    Remote = 7,
    /// A change of state is under way between servers.
    Transitioning = 8,
}

/// Option 157, least significant bit: the information came from another server
/// (RFC 6926 section 6.2.8). The other bits are ignored.
pub const DATA_SOURCE_REMOTE: u8 = 1;

impl DhcpState {
    /// Every state in the order of the numbers.
    pub const ALL: [DhcpState; 8] = [
        Self::Available,
        Self::Active,
        Self::Expired,
        Self::Released,
        Self::Abandoned,
        Self::Reset,
        Self::Remote,
        Self::Transitioning,
    ];

    /// The state with this number.
    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_states_are_one_to_one() {
        for state in DhcpState::ALL {
            assert_eq!(DhcpState::from_u8(state as u8), Some(state));
        }
        assert_eq!(DhcpState::from_u8(0), None);
        assert_eq!(DhcpState::from_u8(9), None);
    }
}
