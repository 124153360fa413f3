//! What the executor needs of the member that it runs in.

use replication_ledger::{Command, LedgerView, Mode};
use replication_raft::{Cluster, StateMachineStore, TokioRuntime};
use std::future::Future;

/// The ledger's names, as one member sees them.
pub trait NameRegister: Send + Sync + 'static {
    /// The ledger, borrowed for one look.
    type View<'a>: LedgerView;

    /// True while this member leads and hears a quorum: nobody else does updates then.
    fn leads(&self) -> bool;

    /// Looks at what is applied. Nothing is applied meanwhile, so `look` is quick.
    fn with_view<R>(&self, look: impl for<'a> FnOnce(&Self::View<'a>) -> R) -> R;

    /// Proposes commands and waits until they are applied here, or that can not be known.
    fn propose(&self, commands: Vec<Command>) -> impl Future<Output = ()> + Send;
}

impl<S: StateMachineStore> NameRegister for Cluster<TokioRuntime, S> {
    type View<'a> = S::Table;

    fn leads(&self) -> bool {
        self.leader() == Some(self.member_id()) && matches!(self.mode(), Mode::Quorum | Mode::Sole)
    }

    fn with_view<R>(&self, look: impl for<'a> FnOnce(&S::Table) -> R) -> R {
        look(&self.view())
    }

    async fn propose(&self, commands: Vec<Command>) {
        let (teller, told) = tokio::sync::oneshot::channel();
        // Whoever waited may be gone; the commands stand all the same. What is not known to be committed is done again.
        self.propose_many(commands, Box::new(move |outcomes| drop(teller.send(outcomes))));
        let _ = told.await;
    }
}
