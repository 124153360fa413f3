//! # Packing: the leader's side of proposals
//!
//! Parcels from all members wait here. As long as fewer than a handful of entries are under way, whatever waits goes into
//! the next entry, with the leader's stamp. Nothing lingers when the load is low, and entries grow with it, so that one sync
//! of the disks and one round trip serve hundreds of commands.

use crate::parcel_bytes::EncodedParcel;
use crate::{limits, metrics};
use bytes::Bytes;
use parking_lot::Mutex;
use replication_ledger::Stamp;
use std::collections::VecDeque;
use storage::encoding;
use tokio::sync::Notify;

/// Parcels that wait for a place in the log.
#[derive(Default)]
pub(crate) struct Packer {
    state: Mutex<State>,
    /// Raised when there may be something to pack.
    pub(crate) ready: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<EncodedParcel>,
    waiting_commands: usize,
    in_flight: usize,
}

/// The content of one log entry.
pub(crate) struct Packed {
    pub(crate) batch: Bytes,
    pub(crate) parcels: Vec<EncodedParcel>,
}

impl Packer {
    /// Takes parcels, or none of them if too many wait.
    pub(crate) fn push(&self, parcels: Vec<EncodedParcel>) -> bool {
        let mut state = self.state.lock();
        let commands: usize = parcels.iter().map(|parcel| parcel.commands_len).sum();
        if state.waiting_commands + commands > limits::LEADER_QUEUE_COMMANDS_MAX {
            return false;
        }
        state.waiting_commands += commands;
        state.waiting.extend(parcels);
        drop(state);
        self.ready.notify_one();
        true
    }

    /// The next entry, if something waits and not too many are under way. It counts as under way from now on.
    pub(crate) fn pack(&self, stamp: impl FnOnce() -> Stamp) -> Option<Packed> {
        let mut state = self.state.lock();
        if state.in_flight >= limits::ENTRIES_IN_FLIGHT_MAX || state.waiting.is_empty() {
            return None;
        }
        let (mut parcels, mut commands, mut bytes) = (Vec::<EncodedParcel>::new(), 0, 0);
        while let Some(next) = state.waiting.front() {
            let fits = commands + next.commands_len <= limits::ENTRY_COMMANDS_MAX
                && bytes + next.bytes.len() <= limits::ENTRY_BYTES_MAX;
            // One octet says for a whole entry what it is written in.
            let differs = parcels.first().is_some_and(|first| first.version != next.version);
            if differs || !fits && !parcels.is_empty() {
                break;
            }
            commands += next.commands_len;
            bytes += next.bytes.len();
            parcels.extend(state.waiting.pop_front());
        }
        state.waiting_commands -= commands;
        state.in_flight += 1;
        drop(state);
        metrics::entry_packed(commands);
        // The stamp is taken last, so that it is as late as what it covers.
        let version = parcels.first().map(|parcel| parcel.version).unwrap_or_default();
        let batch = encoding::encode_batch_of(version, stamp(), &parcels).into();
        Some(Packed { batch, parcels })
    }

    /// An entry is applied or lost.
    pub(crate) fn finished(&self) {
        self.state.lock().in_flight -= 1;
        self.ready.notify_one();
    }

    /// An entry was not taken although this member leads: its parcels go first next time.
    pub(crate) fn put_back(&self, parcels: Vec<EncodedParcel>) {
        let mut state = self.state.lock();
        for parcel in parcels.into_iter().rev() {
            state.waiting_commands += parcel.commands_len;
            state.waiting.push_front(parcel);
        }
    }

    /// This member does not lead any more: the parcels' own members will send them again.
    pub(crate) fn clear(&self) {
        let mut state = self.state.lock();
        state.waiting.clear();
        state.waiting_commands = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use replication_ledger::{Timestamp, Version};

    fn parcel(commands_len: usize, bytes_len: usize) -> EncodedParcel {
        let bytes = Bytes::from(vec![0; bytes_len]);
        let version = Version::FIRST;
        EncodedParcel { bytes, version, commands_len, names_loss: false }
    }

    fn pack(packer: &Packer) -> Option<usize> {
        packer.pack(|| Stamp::of(Timestamp(1))).map(|packed| packed.parcels.len())
    }

    #[test]
    fn entries_are_filled_up_to_their_caps_and_no_further() {
        let check = |commands_len: usize, bytes_len: usize, expected: usize| {
            let packer = Packer::default();
            assert!(packer.push(vec![parcel(commands_len, bytes_len); 600]));
            assert_eq!(pack(&packer), Some(expected), "{commands_len} commands, {bytes_len} bytes");
        };
        check(1, 10, limits::ENTRY_COMMANDS_MAX);
        check(64, 10, limits::ENTRY_COMMANDS_MAX / 64);
        check(1, limits::ENTRY_BYTES_MAX / 4, 4);
        // A parcel larger than any entry goes alone rather than never.
        check(1, limits::ENTRY_BYTES_MAX * 2, 1);
    }

    #[test]
    fn an_entry_is_written_in_one_version() {
        let packer = Packer::default();
        let versions = [4, 4, 5, 4]
            .map(|version| EncodedParcel { version: Version(version), ..parcel(1, 10) });
        assert!(packer.push(versions.to_vec()));
        let packed = || {
            let packed = packer.pack(Stamp::default)?;
            Some((packed.batch[0], packed.parcels.len()))
        };
        assert_eq!([packed(), packed(), packed()], [Some((4, 2)), Some((5, 1)), Some((4, 1))]);
    }

    #[test]
    fn only_so_many_entries_are_under_way() {
        let packer = Packer::default();
        assert!(packer.push(vec![parcel(limits::ENTRY_COMMANDS_MAX, 10); 9]));
        for _ in 0..limits::ENTRIES_IN_FLIGHT_MAX {
            assert_eq!(pack(&packer), Some(1));
        }
        assert_eq!(pack(&packer), None);
        packer.finished();
        assert_eq!(pack(&packer), Some(1));
    }

    #[test]
    fn a_full_queue_takes_nothing() {
        let packer = Packer::default();
        assert!(packer.push(vec![parcel(limits::LEADER_QUEUE_COMMANDS_MAX, 10)]));
        assert!(!packer.push(vec![parcel(1, 10)]));
        packer.clear();
        assert!(packer.push(vec![parcel(1, 10)]));
    }

    #[test]
    fn what_was_put_back_goes_first() {
        let packer = Packer::default();
        assert!(packer.push(vec![parcel(400, 1), parcel(400, 2)]));
        let first = packer.pack(Stamp::default).expect("something waits");
        packer.put_back(first.parcels);
        packer.finished();
        let again = packer.pack(Stamp::default).expect("something waits");
        assert_eq!(again.parcels[0].bytes.len(), 1);
    }
}
