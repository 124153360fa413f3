//! # Blocks in use: intents survive a crash [AV-Q8]
//!
//! **Problem.** A member proposes binds from its own free space and crashes before it knows what became of them. Some may be
//! committed by the others without being in its log. If it then served alone, it could give those addresses away again.
//!
//! **Model.** Its space is seen in blocks of 256 addresses of one VPN. Before the first bind from a block is proposed, the block is marked
//! on disk: one sync for a block, not for a bind. What is found marked at a start is *barred*.
//!
//! **Rules.** No free address of a barred block is handed out until this member is back in quorum mode: by then its log
//! holds everything that was committed, and its earlier session can commit nothing more. Then the marks begin anew.
//!
//! **Hazards.** A crash between mark and proposal bars a block for nothing, which is harmless. Marks are removed unsynced: an
//! old one that comes back bars too much, never too little. A store that refuses a write drops its callback, so what waits
//! for a mark is kept here as well: whoever proposed is told in every case.

use crate::codec::{self, Reader};
use bytes::Bytes;
use parking_lot::Mutex;
use replication_ledger::{Command, LedgerView, VpnAddress, VpnRange};
use std::collections::BTreeSet;
use std::sync::Arc;
use storage::{LogStore, StorageError};

/// Mark: the blocks in use.
const BLOCKS: &str = "blocks";
const BLOCK_BITS: u32 = 8;

/// Called with whether the marks are durable.
type OnMarked = Box<dyn FnOnce(bool) + Send>;

/// The blocks that this member has proposed binds from.
pub(crate) struct Blocks {
    log: Arc<dyn LogStore>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Found marked at the start, and not yet forgotten.
    barred: BTreeSet<u64>,
    /// Marked, or about to be.
    wanted: BTreeSet<u64>,
    /// Known to be on disk.
    durable: BTreeSet<u64>,
    /// Counts the returns to quorum mode, so that a mark from before one does not count after it.
    epoch: u64,
}

impl Blocks {
    /// Reads which blocks were in use before the start.
    ///
    /// # Errors
    /// If the mark cannot be read.
    pub(crate) fn load(log: Arc<dyn LogStore>) -> Result<Blocks, StorageError> {
        let barred = match log.mark(BLOCKS)? {
            Some(bytes) => {
                decode(bytes).ok_or(StorageError::Corrupt { what: "the mark of blocks in use" })?
            }
            None => BTreeSet::new(),
        };
        let wanted = barred.clone();
        let state = State { barred, wanted, ..State::default() };
        Ok(Blocks { log, state: Arc::new(Mutex::new(state)) })
    }

    /// The blocks that these commands take free addresses from and that are not marked yet.
    pub(crate) fn unmarked(&self, commands: &[Command], view: &impl LedgerView) -> BTreeSet<u64> {
        let state = self.state.lock();
        let fresh = commands.iter().filter_map(|command| match command {
            Command::Bind(bind) => Some(bind.address),
            _ => None,
        });
        fresh
            .filter(|address| !state.durable.contains(&block_of(*address)))
            .filter(|address| view.is_free(*address))
            .map(block_of)
            .collect()
    }

    /// Marks blocks on disk and then calls `on_marked`, on a thread that must not be held up; at once if the disk refuses.
    pub(crate) fn mark(&self, blocks: BTreeSet<u64>, on_marked: OnMarked) {
        let (value, epoch) = {
            let mut state = self.state.lock();
            state.wanted.extend(&blocks);
            (encode(&state.wanted), state.epoch)
        };
        let state = Arc::clone(&self.state);
        let waiting = Arc::new(Mutex::new(Some(on_marked)));
        let waiting_for_disk = Arc::clone(&waiting);
        let on_durable = Box::new(move |outcome: Result<(), StorageError>| {
            let marked = {
                let mut state = state.lock();
                // Forgotten meanwhile, the mark may be gone from the disk again.
                let marked = outcome.is_ok() && state.epoch == epoch;
                if marked {
                    state.durable.extend(blocks);
                }
                marked
            };
            tell(&waiting_for_disk, marked);
        });
        if let Err(error) = self.log.put_mark(BLOCKS, value, Some(on_durable)) {
            tracing::error!(event = "blocks_not_marked", %error);
            // The store has dropped its callback; whoever proposed waits all the same.
            tell(&waiting, false);
        }
    }

    /// True if this address, should it be free, must not be handed out by this member alone [AV-Q8].
    pub(crate) fn is_barred(&self, address: VpnAddress) -> bool {
        self.state.lock().barred.contains(&block_of(address))
    }

    /// Every barred block.
    pub(crate) fn barred_ranges(&self) -> Vec<VpnRange> {
        let state = self.state.lock();
        state.barred.iter().map(|block| range_of(*block)).collect()
    }

    /// This member is back in quorum mode: what it proposed before is decided.
    // [AV-Q8] Until here no free address of a marked block was handed out.
    pub(crate) fn forget(&self) {
        let mut state = self.state.lock();
        let epoch = state.epoch + 1;
        *state = State { epoch, ..State::default() };
        drop(state);
        if let Err(error) = self.log.put_mark(BLOCKS, encode(&BTreeSet::new()), None) {
            tracing::error!(event = "blocks_not_forgotten", %error);
        }
    }
}

/// Tells whoever waits, the first time only.
fn tell(waiting: &Mutex<Option<OnMarked>>, marked: bool) {
    let on_marked = waiting.lock().take();
    if let Some(on_marked) = on_marked {
        on_marked(marked);
    }
}

/// Blocks are numbered by the bits of their addresses, so none is of two VPNs.
fn block_of(address: VpnAddress) -> u64 {
    address.to_bits() >> BLOCK_BITS
}

fn range_of(block: u64) -> VpnRange {
    let first = block << BLOCK_BITS;
    let VpnAddress { ip: last, .. } = VpnAddress::from_bits(first | !(u64::MAX << BLOCK_BITS));
    let VpnAddress { vpn, ip: first } = VpnAddress::from_bits(first);
    VpnRange { vpn, first, last }
}

fn encode(blocks: &BTreeSet<u64>) -> Bytes {
    codec::encode(|writer| {
        writer.u64(blocks.len() as u64);
        for block in blocks {
            writer.u64(*block);
        }
    })
}

fn decode(bytes: Bytes) -> Option<BTreeSet<u64>> {
    let mut reader = Reader::new("blocks", bytes);
    let count = reader.u64().ok()?;
    let mut blocks = BTreeSet::new();
    for _ in 0..count {
        blocks.insert(reader.u64().ok()?);
    }
    reader.finish(blocks).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use replication_ledger::{
        Bind, ClientKey, HardwareAddress, MapTable, NameWish, Octets, VpnNumber,
    };
    use std::net::Ipv4Addr;
    use storage::faults::FaultyLogStore;
    use storage::memory::MemoryLogStore;

    /// An address; one with `%7` behind it is of that VPN.
    fn ip(text: &str) -> VpnAddress {
        let (ip, vpn) = text.split_once('%').unwrap_or((text, "0"));
        let (ip, vpn) = (ip.parse().expect("an address"), vpn.parse().expect("a number"));
        VpnAddress { vpn: VpnNumber(vpn), ip }
    }

    fn bind(address: &str) -> Command {
        let hardware = HardwareAddress::new(1, &[2, 0, 0, 0, 0, 1]);
        Command::Bind(Box::new(Bind {
            address: ip(address),
            client: ClientKey::from_hardware(&hardware),
            hardware,
            lease_seconds: 60,
            reservation: None,
            giaddr: Ipv4Addr::UNSPECIFIED,
            relay_agent_information: Octets::default(),
            host_name: Octets::default(),
            vendor_class_identifier: Octets::default(),
            classes: Default::default(),
            names: NameWish::Unsaid,
        }))
    }

    // proves [AV-Q8]
    #[test]
    fn a_block_in_use_is_barred_after_a_crash_until_the_member_is_back() {
        let log = Arc::new(MemoryLogStore::manual(Arc::new(|| ())));
        let blocks = Blocks::load(log.clone()).expect("read");
        let view = MapTable::default();
        let fresh = blocks.unmarked(&[bind("10.0.0.7"), bind("10.0.0.9")], &view);
        assert_eq!(fresh.len(), 1, "one mark for a block, not for a bind");
        assert!(!blocks.is_barred(ip("10.0.0.7")));
        let proposed = Arc::new(Mutex::new(None));
        let told = Arc::clone(&proposed);
        blocks.mark(fresh, Box::new(move |marked| *told.lock() = Some(marked)));
        assert_eq!(*proposed.lock(), None, "not before the mark is durable");
        log.sync();
        assert_eq!(*proposed.lock(), Some(true));
        assert!(blocks.unmarked(&[bind("10.0.0.200")], &view).is_empty());
        assert_eq!(blocks.unmarked(&[bind("10.0.1.0"), bind("10.0.0.7%7")], &view).len(), 2);

        let log = Arc::new(log.crash(None));
        let after_crash = Blocks::load(log.clone()).expect("read");
        let barred = |blocks: &Blocks, address: &str| blocks.is_barred(ip(address));
        assert!(barred(&after_crash, "10.0.0.200"));
        assert!(!barred(&after_crash, "10.0.1.0"));
        assert!(!barred(&after_crash, "10.0.0.200%7"), "the same block of another VPN");
        after_crash.forget();
        assert!(!barred(&after_crash, "10.0.0.200"));
        assert_eq!(after_crash.unmarked(&[bind("10.0.0.7")], &view).len(), 1);
        assert!(!barred(&Blocks::load(log).expect("read"), "10.0.0.200"));
    }

    #[test]
    fn a_block_of_a_vpn_is_barred_there_alone() {
        let log = Arc::new(MemoryLogStore::manual(Arc::new(|| ())));
        let blocks = Blocks::load(log.clone()).expect("read");
        let used = [bind("10.0.0.7%7"), bind("255.255.255.9%4294967295")];
        blocks.mark(blocks.unmarked(&used, &MapTable::default()), Box::new(|_| ()));
        log.sync();
        let after_crash = Blocks::load(Arc::new(log.crash(None))).expect("read");
        let range = |first: &str, last: &str| {
            let VpnAddress { vpn, ip: first } = ip(first);
            VpnRange { vpn, first, last: ip(last).ip }
        };
        let last_block = range("255.255.255.0%4294967295", "255.255.255.255");
        assert_eq!(after_crash.barred_ranges(), [range("10.0.0.0%7", "10.0.0.255"), last_block]);
        assert!(
            after_crash.is_barred(ip("10.0.0.200%7")) && after_crash.is_barred(VpnAddress::LAST)
        );
        assert!(!after_crash.is_barred(ip("10.0.0.7")) && !after_crash.is_barred(ip("10.0.0.7%8")));
    }

    #[test]
    fn whoever_waits_for_a_mark_hears_that_the_disk_failed() {
        let check = |what: &str, fail: fn(&FaultyLogStore)| {
            let disk = Arc::new(MemoryLogStore::manual(Arc::new(|| ())));
            let log = Arc::new(FaultyLogStore::new(disk.clone()));
            let blocks = Blocks::load(log.clone()).expect("read");
            let view = MapTable::default();
            let fresh = blocks.unmarked(&[bind("10.0.0.7")], &view);
            fail(&log);
            let told = Arc::new(Mutex::new(Vec::new()));
            let teller = Arc::clone(&told);
            blocks.mark(fresh, Box::new(move |marked| teller.lock().push(marked)));
            disk.sync();
            assert_eq!(*told.lock(), [false], "{what}");
            assert_eq!(blocks.unmarked(&[bind("10.0.0.7")], &view).len(), 1, "{what}");
        };
        check("a write that is refused", |log| log.fail_after(0));
        check("a sync that fails", FaultyLogStore::fail_syncs);
    }
}
