//! The second half of a promise's way: outcomes in, datagrams out.

use crate::dispatch::{Outbox, Waiting};
use crate::limits::{STOP_CHECK_EVERY, STOP_WAIT_MAX};
use crate::metrics::Tally;
use crate::promiser::Promiser;
use crate::reply_address::ReplyAddress;
use crate::service::Service;
use crate::ways::{Way, Ways};
use replication_ledger::{Outcome, VpnAddress};
use server_rules::{Answer, DropReason, answer};
use server_wire::MessageType;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

/// The outcomes of one batch.
pub(crate) struct Completed<E> {
    /// By which its datagrams came.
    pub(crate) way: Way,
    pub(crate) acks: Vec<u8>,
    pub(crate) waiting: Vec<Waiting>,
    pub(crate) outcomes: Vec<Result<Outcome, E>>,
    /// When its datagrams were taken.
    pub(crate) received_at: Instant,
}

/// Sends what may leave, until everybody has stopped and nothing is awaited any more.
pub(crate) fn transmit<P: Promiser>(
    service: &Service<P>,
    ways: &Ways,
    completed: &Receiver<Completed<P::Error>>,
    stop: &AtomicBool,
) {
    let (mut outbox, mut tally) = (Outbox::default(), Tally::default());
    let mut give_up_at = None;
    loop {
        match completed.recv_timeout(STOP_CHECK_EVERY) {
            Ok(batch) => {
                finish(service, ways, &batch, &mut outbox, &mut tally);
                ways.send(batch.way, &outbox, batch.received_at, &mut tally);
                outbox.clear();
                tally.flush();
                service.settled(batch.waiting.len());
            }
            Err(RecvTimeoutError::Timeout) if stop.load(Ordering::Acquire) => {
                let give_up_at = *give_up_at.get_or_insert_with(|| Instant::now() + STOP_WAIT_MAX);
                if service.promises_in_flight() == 0 || Instant::now() >= give_up_at {
                    return;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Judges every outcome and fills the outbox.
fn finish<P: Promiser>(
    service: &Service<P>,
    ways: &Ways,
    batch: &Completed<P::Error>,
    outbox: &mut Outbox,
    tally: &mut Tally,
) {
    let unanswered = batch.waiting.len().saturating_sub(batch.outcomes.len());
    tally.dropped_many(DropReason::NotProposed, unanswered as u64);
    let mut offers = service.offers.lock();
    for (waiting, outcome) in batch.waiting.iter().zip(&batch.outcomes) {
        let Ok(outcome) = outcome else {
            // The outcome is unknown: the client asks again, and its hold runs out by itself.
            tally.dropped(DropReason::NotProposed);
            continue;
        };
        let (pending, octets, ack_to, nak_to) = match waiting {
            Waiting::Ack { pending, octets, ack_to, nak_to } => (pending, octets, ack_to, nak_to),
            Waiting::Record { declined } => {
                report(*declined, outcome, tally);
                continue;
            }
        };
        // Committed or refused, the ledger knows better than the hold from here on.
        offers.settle(pending.address);
        let ack = &batch.acks[octets.clone()];
        let start = outbox.octets.len();
        let put = |to: &ReplyAddress, message_type| {
            ways.path(batch.way, *to).map(|path| (path, message_type))
        };
        let leaves = match answer(pending, outcome, ack, &mut outbox.octets) {
            Answer::Ack => {
                outbox.octets.extend_from_slice(ack);
                put(ack_to, pending.reply_type())
            }
            Answer::Nak => put(nak_to, Some(MessageType::Nak)),
            Answer::Drop(reason) => Err(reason),
        };
        match leaves {
            Ok((path, message_type)) => outbox.post(start, path, message_type),
            Err(reason) => tally.dropped(reason),
        }
    }
}

/// What an operator should know of a release or a decline.
fn report(declined: Option<VpnAddress>, outcome: &Outcome, tally: &mut Tally) {
    match (declined, outcome) {
        (_, Outcome::Refused(refusal)) => tally.dropped(DropReason::Refused(*refusal)),
        (Some(address), _) => {
            tracing::warn!(%address, "dhcp.decline: a client found its address in use");
        }
        (None, _) => {}
    }
}
