//! # One requestor's flood does not become everybody's
//!
//! **Problem.** RFC 4388 section 7: a server must not be brought down by a flood of leasequeries. One socket serves clients
//! and requestors; what one of them sends faster than we answer fills its buffer, and everybody waits behind it.
//!
//! **Model.** [`BATCH_LEN_MAX`] datagrams at once, many times in a row, is a backlog. While there is one, a requestor has at most
//! [`LEASEQUERIES_OF_ONE_MAX`] queries of a batch answered; the others are dropped, which costs little, so that the buffer
//! empties and clients and other requestors do not wait.
//!
//! **Rules.** Nothing is dropped while a requestor is alone: then nobody waits for it. A concentrator that has lost its tables
//! has 100 to 200 queries outstanding (RFC 4388 section 6.6), which is no backlog of [`BATCHES_OF_BACKLOG`] batches.
//!
//! **Hazards.** giaddr can be forged, so that a flood has many requestors: those that are not permitted cost a drop anyway.

use crate::limits::{
    BATCH_LEN_MAX, BATCHES_OF_BACKLOG, BATCHES_OF_COMPANY, LEASEQUERIES_OF_ONE_MAX,
};
use server_rules::DropReason;
use server_wire::MessageType;
use std::net::Ipv4Addr;

/// What one receiving thread has seen lately.
#[derive(Debug, Default)]
pub(crate) struct FloodGuard {
    /// Full batches in a row.
    backlog: u32,
    /// Batches for which a client, or a second requestor, still counts as present.
    company: u32,
    /// The requestor that spoke last.
    last: Option<Ipv4Addr>,
    /// Queries of this batch by requestor, while there is a backlog.
    answered: Vec<(Ipv4Addr, u32)>,
}

impl FloodGuard {
    /// A batch of so many datagrams begins.
    pub(crate) fn begin(&mut self, len: usize) {
        self.backlog = if len < BATCH_LEN_MAX { 0 } else { self.backlog.saturating_add(1) };
        self.company = self.company.saturating_sub(1);
        self.answered.clear();
    }

    /// A message of this type, from this requestor if it is a leasequery.
    ///
    /// # Errors
    /// It is one query too many.
    // In a flood each gets its share.
    pub(crate) fn admit(
        &mut self,
        message_type: MessageType,
        giaddr: Ipv4Addr,
    ) -> Result<(), DropReason> {
        if !matches!(message_type, MessageType::LeaseQuery | MessageType::DraftLeaseQuery) {
            self.company = BATCHES_OF_COMPANY;
        } else if !self.may_answer(giaddr) {
            return Err(DropReason::QueryFlood);
        }
        Ok(())
    }

    fn may_answer(&mut self, requestor: Ipv4Addr) -> bool {
        if self.last.replace(requestor).is_some_and(|last| last != requestor) {
            self.company = BATCHES_OF_COMPANY;
        }
        if self.backlog < BATCHES_OF_BACKLOG || self.company == 0 {
            return true;
        }
        let known = self.answered.iter().position(|(known, _)| *known == requestor);
        let place = known.unwrap_or_else(|| {
            self.answered.push((requestor, 0));
            self.answered.len() - 1
        });
        let (_, count) = &mut self.answered[place];
        *count += 1;
        *count <= LEASEQUERIES_OF_ONE_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOODER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

    /// How many of a batch's queries are answered: of the flooder's, which fill it, and of the other's.
    fn batch(guard: &mut FloodGuard, len: usize, client: bool, others: usize) -> (usize, usize) {
        guard.begin(len);
        if client {
            assert_eq!(guard.admit(MessageType::Discover, FLOODER), Ok(()));
        }
        let mut answered = |count, giaddr| {
            (0..count).filter(|_| guard.admit(MessageType::LeaseQuery, giaddr).is_ok()).count()
        };
        (answered(len, FLOODER), answered(others, OTHER))
    }

    fn backlog() -> FloodGuard {
        let mut guard = FloodGuard::default();
        for _ in 0..BATCHES_OF_BACKLOG {
            assert_eq!(batch(&mut guard, BATCH_LEN_MAX, false, 0), (BATCH_LEN_MAX, 0));
        }
        guard
    }

    // proves
    #[test]
    fn a_flood_leaves_room_for_clients_and_other_requestors() {
        let share = LEASEQUERIES_OF_ONE_MAX as usize;
        let mut guard = backlog();
        assert_eq!(batch(&mut guard, BATCH_LEN_MAX, true, 0), (share, 0));
        assert_eq!(batch(&mut guard, BATCH_LEN_MAX, false, 0), (share, 0), "not long ago");
        let mut guard = backlog();
        assert_eq!(batch(&mut guard, BATCH_LEN_MAX, false, 3), (BATCH_LEN_MAX, 3));
        assert_eq!(batch(&mut guard, BATCH_LEN_MAX, false, 3), (share, 3), "another is there");
    }

    // proves
    #[test]
    fn whoever_is_alone_or_does_not_flood_is_answered() {
        let mut guard = backlog();
        assert_eq!(batch(&mut guard, BATCH_LEN_MAX, false, 0), (BATCH_LEN_MAX, 0));
        let most = BATCH_LEN_MAX - 1;
        assert_eq!(batch(&mut guard, most, true, 0), (most, 0), "the backlog is gone");
        // A restart's burst, with clients about.
        for _ in 1..BATCHES_OF_BACKLOG {
            assert_eq!(batch(&mut guard, BATCH_LEN_MAX, true, 0), (BATCH_LEN_MAX, 0));
        }
        // The client was there long ago.
        for _ in 0..BATCHES_OF_COMPANY {
            batch(&mut guard, BATCH_LEN_MAX, false, 0);
        }
        assert_eq!(batch(&mut guard, BATCH_LEN_MAX, false, 0), (BATCH_LEN_MAX, 0));
    }
}
