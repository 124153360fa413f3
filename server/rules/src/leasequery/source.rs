//! Where the answers come from: the ledger as it is, and as it was when a query came.

use replication_ledger::{LedgerView, PastLost, PastView};

/// The ledger as this member knows it.
pub trait LeasequerySource {
    /// The present, borrowed for one look.
    type View<'v>: LedgerView;
    /// One moment of the past.
    type Past: PastView;

    /// Looks at the present. Whoever changes it waits meanwhile, so a look is short: some hundred records, no disk.
    fn with_view<R>(&self, look: impl for<'v> FnOnce(&Self::View<'v>) -> R) -> R;

    /// Holds the state of this moment. The present that [`with_view`](Self::with_view) shows is at least as new.
    ///
    /// # Errors
    /// The store can not be read.
    fn past(&self) -> Result<Self::Past, PastLost>;
}
