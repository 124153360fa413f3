//! Option 53: the values of DHCP Message Type, each with the document that defines it.

/// What a DHCP message is (RFC 2132 section 9.6 and its successors).
///
/// The last six were never given numbers; [`CodePoints`](crate::CodePoints) holds theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MessageType {
    /// 1, RFC 2132 section 9.6.
    Discover,
    /// 2, RFC 2132 section 9.6.
    Offer,
    /// 3, RFC 2132 section 9.6.
    Request,
    /// 4, RFC 2132 section 9.6.
    Decline,
    /// 5, RFC 2132 section 9.6.
    Ack,
    /// 6, RFC 2132 section 9.6.
    Nak,
    /// 7, RFC 2132 section 9.6.
    Release,
    /// 8, RFC 2132 section 9.6.
    Inform,
    /// 9, RFC 3203 section 4.
    ForceRenew,
    /// 10, RFC 4388 section 6.1.
    LeaseQuery,
    /// 11, RFC 4388 section 6.1.
    LeaseUnassigned,
    /// 12, RFC 4388 section 6.1.
    LeaseUnknown,
    /// 13, RFC 4388 section 6.1.
    LeaseActive,
    /// 14, RFC 6926 section 6.2.1.
    BulkLeaseQuery,
    /// 15, RFC 6926 section 6.2.1.
    LeaseQueryDone,
    /// 16, RFC 7724 section 5.2.1.
    ActiveLeaseQuery,
    /// 17, RFC 7724 section 5.2.1.
    LeaseQueryStatus,
    /// 18, RFC 7724 section 5.2.1.
    Tls,
    /// DHCPLEASEDATA, draft-dtv-dhc-dhcpv4-bulk-leasequery-00 section 7.2; no number assigned.
    DraftLeaseData,
    /// DHCPLEASEDONE, draft-dtv-dhc-dhcpv4-bulk-leasequery-00 section 7.2; no number assigned.
    DraftLeaseDone,
    /// DHCPLEASEQUERYFAIL, draft-dtv-dhc-dhcpv4-bulk-leasequery-00 section 7.2; no number assigned.
    DraftLeaseQueryFail,
    /// DHCPLEASEQUERY, draft-ietf-dhc-leasequery-01 section 6.1; no number assigned.
    DraftLeaseQuery,
    /// DHCPKNOWN, draft-ietf-dhc-leasequery-01 section 6.1; no number assigned.
    DraftKnown,
    /// DHCPUNKNOWN, draft-ietf-dhc-leasequery-01 section 6.1; no number assigned.
    DraftUnknown,
}

use MessageType as T;

impl MessageType {
    /// Every type: the assigned ones in the order of their numbers, then those of the drafts.
    pub const ALL: [MessageType; 24] = [
        T::Discover,
        T::Offer,
        T::Request,
        T::Decline,
        T::Ack,
        T::Nak,
        T::Release,
        T::Inform,
        T::ForceRenew,
        T::LeaseQuery,
        T::LeaseUnassigned,
        T::LeaseUnknown,
        T::LeaseActive,
        T::BulkLeaseQuery,
        T::LeaseQueryDone,
        T::ActiveLeaseQuery,
        T::LeaseQueryStatus,
        T::Tls,
        T::DraftLeaseData,
        T::DraftLeaseDone,
        T::DraftLeaseQueryFail,
        T::DraftLeaseQuery,
        T::DraftKnown,
        T::DraftUnknown,
    ];

    /// Numbers 1 to this one are assigned, without a gap.
    pub const ASSIGNED_MAX: u8 = 18;

    /// The type with this assigned number; `None` for a number that IANA has not assigned.
    /// The drafts' types are found with
    /// [`CodePoints::message_type`](crate::CodePoints::message_type).
    pub const fn from_u8(number: u8) -> Option<Self> {
        if number == 0 || number > Self::ASSIGNED_MAX {
            return None;
        }
        Some(Self::ALL[number as usize - 1])
    }

    /// The assigned number; `None` for the drafts' types.
    pub const fn number(self) -> Option<u8> {
        let number = self as u8 + 1;
        if number <= Self::ASSIGNED_MAX { Some(number) } else { None }
    }

    /// The type as a metric label: lower case, one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            T::Discover => "discover",
            T::Offer => "offer",
            T::Request => "request",
            T::Decline => "decline",
            T::Ack => "ack",
            T::Nak => "nak",
            T::Release => "release",
            T::Inform => "inform",
            T::ForceRenew => "forcerenew",
            T::LeaseQuery => "leasequery",
            T::LeaseUnassigned => "leaseunassigned",
            T::LeaseUnknown => "leaseunknown",
            T::LeaseActive => "leaseactive",
            T::BulkLeaseQuery => "bulkleasequery",
            T::LeaseQueryDone => "leasequerydone",
            T::ActiveLeaseQuery => "activeleasequery",
            T::LeaseQueryStatus => "leasequerystatus",
            T::Tls => "tls",
            T::DraftLeaseData => "draft_leasedata",
            T::DraftLeaseDone => "draft_leasedone",
            T::DraftLeaseQueryFail => "draft_leasequeryfail",
            T::DraftLeaseQuery => "draft_leasequery",
            T::DraftKnown => "draft_known",
            T::DraftUnknown => "draft_unknown",
        }
    }
}

impl std::fmt::Display for MessageType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assigned_numbers_and_types_are_one_to_one() {
        for number in 0..=u8::MAX {
            match MessageType::from_u8(number) {
                Some(message_type) => assert_eq!(message_type.number(), Some(number)),
                None => assert!(number == 0 || number > 18, "{number} is assigned"),
            }
        }
    }

    #[test]
    fn numbers_are_those_of_the_documents() {
        let rows = [
            (1, T::Discover),
            (6, T::Nak),
            (9, T::ForceRenew),
            (10, T::LeaseQuery),
            (13, T::LeaseActive),
            (14, T::BulkLeaseQuery),
            (15, T::LeaseQueryDone),
            (16, T::ActiveLeaseQuery),
            (17, T::LeaseQueryStatus),
            (18, T::Tls),
        ];
        for (number, message_type) in rows {
            assert_eq!(MessageType::from_u8(number), Some(message_type));
        }
    }

    #[test]
    fn labels_are_distinct_and_lower_case() {
        for (index, message_type) in MessageType::ALL.iter().enumerate() {
            let label = message_type.as_str();
            assert_eq!(label, label.to_lowercase());
            assert!(MessageType::ALL[..index].iter().all(|other| other.as_str() != label));
        }
    }
}
