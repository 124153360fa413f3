//! What the threads of the packet path share.

use crate::limits::PROMISES_IN_FLIGHT_MAX;
use crate::prober::Prober;
use crate::promiser::Promiser;
use crate::rate::Rates;
use parking_lot::{Mutex, MutexGuard, RwLock};
use replication_ledger::{Settings, Timestamp, VpnAddress, VpnRange};
use server_rules::leasequery::ReplayGuard;
use server_rules::{MemberFacts, NetworkIndex, OfferLimits, Offers};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The offers of this member, for its packet path and for whoever moves its free space.
#[derive(Debug)]
pub struct OfferTable(Mutex<Offers>);

impl OfferTable {
    /// No offers yet.
    pub fn new(limits: OfferLimits) -> OfferTable {
        // The hasher's keys are random in every process.
        let seed = RandomState::new().build_hasher().finish();
        OfferTable(Mutex::new(Offers::new(limits).seeded(seed)))
    }

    /// The addresses of a range that are on offer now, ascending: they must not be let go of [AV-Q5]. The rest of it is let go of now, and
    /// nothing of it is offered meanwhile.
    pub fn let_go(&self, range: VpnRange, now: Timestamp) -> Vec<VpnAddress> {
        self.0.lock().let_go(range, now)
    }

    /// True if the address is on offer now.
    pub fn is_held(&self, address: VpnAddress, now: Timestamp) -> bool {
        self.0.lock().is_held(address, now)
    }

    /// Taken after a look at the ledger began, or alone; never before.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Offers> {
        self.0.lock()
    }
}

/// One member's packet path.
pub struct Service<P> {
    pub(crate) promiser: P,
    pub(crate) me: MemberFacts,
    pub(crate) offers: Arc<OfferTable>,
    /// Taken after a look at the ledger began, for authenticated leasequeries only.
    pub(crate) replays: Mutex<ReplayGuard>,
    pub(crate) prober: Prober,
    index: RwLock<Arc<NetworkIndex>>,
    in_flight: AtomicUsize,
    pub(crate) rates: Rates,
}

impl<P: Promiser> Service<P> {
    /// A packet path for this member of this cluster.
    pub fn new(promiser: P, me: MemberFacts, offers: Arc<OfferTable>) -> Service<P> {
        let index = RwLock::new(Arc::new(promiser.with_view(|view| {
            NetworkIndex::new(&replication_ledger::LedgerView::globals(view).settings)
        })));
        Service {
            promiser,
            me,
            offers,
            replays: Mutex::default(),
            prober: Prober::default(),
            index,
            in_flight: AtomicUsize::new(0),
            rates: Rates::default(),
        }
    }

    /// The same with other limits on what one sender may send.
    pub fn with_rates(self, rates: Rates) -> Service<P> {
        Service { rates, ..self }
    }

    /// How many promises wait for their outcome.
    pub fn promises_in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// How many more promises may wait.
    pub(crate) fn room(&self) -> usize {
        PROMISES_IN_FLIGHT_MAX.saturating_sub(self.promises_in_flight())
    }

    pub(crate) fn promised(&self, count: usize) {
        let waiting = self.in_flight.fetch_add(count, Ordering::Relaxed) + count;
        metrics::gauge!("leasehold_dhcp_promises_in_flight").set(waiting as f64);
    }

    pub(crate) fn settled(&self, count: usize) {
        let waiting = self.in_flight.fetch_sub(count, Ordering::Relaxed) - count;
        metrics::gauge!("leasehold_dhcp_promises_in_flight").set(waiting as f64);
    }

    /// The index of these settings, built anew by the first who sees a new revision.
    pub(crate) fn index_of(&self, settings: &Settings) -> Arc<NetworkIndex> {
        let known = Arc::clone(&self.index.read());
        if known.revision() == settings.revision {
            return known;
        }
        let mut index = self.index.write();
        if index.revision() != settings.revision {
            *index = Arc::new(NetworkIndex::new(settings));
        }
        Arc::clone(&index)
    }
}
