//! Numbers that the drafts left unassigned: defaults, settable.
//!
//! Both leasequery drafts say "to be assigned". The defaults keep clear of everything IANA has
//! assigned: message types from 230 up, options from the private range 224 to 254 (RFC 3942). Where
//! a draft's option became an RFC's under the same name, the RFC's number is the default.

use crate::message_type::MessageType;
use crate::options::registry::OptionCode;

/// The settable numbers. Both ends of a connection that speaks a draft have to agree on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodePoints {
    /// DHCPLEASEDATA of the 2008 bulk leasequery draft, section 7.2.
    pub lease_data: u8,
    /// DHCPLEASEDONE of the 2008 bulk leasequery draft, section 7.2.
    pub lease_done: u8,
    /// DHCPLEASEQUERYFAIL of the 2008 bulk leasequery draft, section 7.2.
    pub lease_query_fail: u8,
    /// DHCPLEASEQUERY of draft-ietf-dhc-leasequery-01, section 6.1.
    pub lease_query: u8,
    /// DHCPKNOWN of draft-ietf-dhc-leasequery-01, section 6.1.
    pub known: u8,
    /// DHCPUNKNOWN of draft-ietf-dhc-leasequery-01, section 6.1.
    pub unknown: u8,
    /// The RESERVATION bit in `flags`, draft-ietf-dhc-leasequery-01 section 6.1: its figure draws
    /// it beside BROADCAST and its text leaves the position open.
    pub flag_reservation: u16,
    /// Option client-last-transaction-time as draft-ietf-dhc-leasequery-01 section 6.8.1 has it.
    pub client_last_transaction_time: OptionCode,
    /// Option associated-ip as draft-ietf-dhc-leasequery-01 section 6.8.2 has it.
    pub associated_ip: OptionCode,
    /// Option client-requested-host-name, draft-ietf-dhc-leasequery-01 section 6.8.3.
    pub client_requested_host_name: OptionCode,
    /// Option STATUS_CODE of the 2008 bulk leasequery draft, section 7.4.1.
    pub status_code: OptionCode,
}

impl Default for CodePoints {
    fn default() -> Self {
        Self {
            lease_data: 230,
            lease_done: 231,
            lease_query_fail: 232,
            lease_query: 233,
            known: 234,
            unknown: 235,
            // [L-02] beside BROADCAST, as the draft's figure draws it.
            flag_reservation: 0x4000,
            // [L-03] two of the three became RFC 4388's.
            client_last_transaction_time: OptionCode::CLIENT_LAST_TRANSACTION_TIME,
            associated_ip: OptionCode::ASSOCIATED_IP,
            client_requested_host_name: OptionCode(233),
            status_code: OptionCode(234),
        }
    }
}

impl CodePoints {
    /// The type with this number: assigned, or one of the drafts' as set here.
    pub fn message_type(&self, number: u8) -> Option<MessageType> {
        MessageType::from_u8(number).or_else(|| {
            self.draft_types()
                .into_iter()
                .find(|(draft, _)| *draft == number)
                .map(|(_, message_type)| message_type)
        })
    }

    /// The number to send for a type.
    pub fn number(&self, message_type: MessageType) -> u8 {
        match message_type {
            // [L-01] the drafts' types have no number but the one set here.
            MessageType::DraftLeaseData => self.lease_data,
            MessageType::DraftLeaseDone => self.lease_done,
            MessageType::DraftLeaseQueryFail => self.lease_query_fail,
            MessageType::DraftLeaseQuery => self.lease_query,
            MessageType::DraftKnown => self.known,
            MessageType::DraftUnknown => self.unknown,
            // The discriminants of the assigned types are their numbers less one.
            assigned => assigned as u8 + 1,
        }
    }

    /// The first message type whose number is assigned to another or given to another here; `None`
    /// if all differ. A type shared with RFC 4388's own DHCPLEASEQUERY is such a clash too: the two
    /// dialects could not be told apart.
    pub fn clash(&self) -> Option<MessageType> {
        let types = self.draft_types();
        types.iter().enumerate().find_map(|(index, (number, message_type))| {
            let taken = *number == 0
                || MessageType::from_u8(*number).is_some()
                || types[..index].iter().any(|(earlier, _)| earlier == number);
            taken.then_some(*message_type)
        })
    }

    fn draft_types(&self) -> [(u8, MessageType); 6] {
        [
            (self.lease_data, MessageType::DraftLeaseData),
            (self.lease_done, MessageType::DraftLeaseDone),
            (self.lease_query_fail, MessageType::DraftLeaseQueryFail),
            (self.lease_query, MessageType::DraftLeaseQuery),
            (self.known, MessageType::DraftKnown),
            (self.unknown, MessageType::DraftUnknown),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_number_that_leads_back_to_it() {
        // proves [L-01]
        let code_points = CodePoints::default();
        for message_type in MessageType::ALL {
            let number = code_points.number(message_type);
            assert_eq!(code_points.message_type(number), Some(message_type));
        }
        assert_eq!(code_points.message_type(0), None);
        assert_eq!(code_points.message_type(200), None);
        assert_eq!(code_points.clash(), None);
    }

    #[test]
    fn draft_options_are_unknown_to_iana_or_the_same_as_the_rfcs() {
        // proves [L-02] [L-03]
        let code_points = CodePoints::default();
        assert_eq!(code_points.flag_reservation & crate::FLAG_BROADCAST, 0);
        assert_eq!(code_points.flag_reservation.count_ones(), 1);
        for code in [code_points.client_requested_host_name, code_points.status_code] {
            assert!(code.definition().is_none());
        }
        assert_eq!(code_points.client_last_transaction_time, OptionCode(91));
        assert_eq!(code_points.associated_ip, OptionCode(92));
    }

    #[test]
    fn a_clash_names_the_type() {
        let assigned = CodePoints { known: 14, ..CodePoints::default() };
        assert_eq!(assigned.clash(), Some(MessageType::DraftKnown));
        let twice = CodePoints { unknown: 230, ..CodePoints::default() };
        assert_eq!(twice.clash(), Some(MessageType::DraftUnknown));
    }
}
