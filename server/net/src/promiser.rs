//! What the packet path and leasequery over TCP need of the cluster.

use replication_ledger::{
    Command, LedgerView, MemberId, MemberView, Mode, Outcome, PastLost, PastView, PastWithJournal,
    Timestamp,
};
use replication_raft::{ChangeListener, Cluster, ProposeError, StateMachineStore, TokioRuntime};
use std::fmt::Display;
use std::sync::Arc;

/// Called once with one result per command, in the order of the commands, on any thread: it is quick.
pub type OnOutcomes<E> = Box<dyn FnOnce(Vec<Result<Outcome, E>>) + Send>;

/// A member of a cluster, as its packet path sees it.
pub trait Promiser: Send + Sync + 'static {
    /// The ledger as this member knows it, borrowed for one look.
    type View<'a>: LedgerView;
    /// Why there is no outcome: the commands may or may not have been committed.
    type Error: Display + Send + 'static;

    /// Brings commands to the log. `done` is called when they are committed, applied here and durable in
    /// this member's own log [AV-Q1], or when that can not be known. Does not block.
    fn propose_many(&self, commands: Vec<Command>, done: OnOutcomes<Self::Error>);

    /// Looks at the ledger. Nothing is applied meanwhile, so `look` is quick.
    fn with_view<R>(&self, look: impl for<'a> FnOnce(&Self::View<'a>) -> R) -> R;

    /// What this member may do now.
    fn mode(&self) -> Mode;

    /// The other members that were heard just now and answer clients [AV-Q7].
    fn serving(&self) -> Vec<MemberId>;

    /// This member's clock.
    fn now(&self) -> Timestamp;
}

/// A member of a cluster, as leasequery over TCP sees it.
pub trait Archive: Promiser {
    /// The ledger as it was when it was taken.
    type Past: PastView;

    /// The ledger as it is now, to be read later. Blocks while the disk takes it.
    ///
    /// # Errors
    /// The store can not be read.
    fn past(&self) -> Result<Self::Past, PastLost>;

    /// `listener` is called after every change of what is applied here, on the thread that applies: it is quick.
    fn on_applied(&self, listener: ChangeListener);
}

impl<S: StateMachineStore> Promiser for Cluster<TokioRuntime, S> {
    type View<'a> = MemberView<'a, S::Table>;
    type Error = ProposeError;

    fn propose_many(&self, commands: Vec<Command>, done: OnOutcomes<ProposeError>) {
        Cluster::propose_many(self, commands, done);
    }

    fn with_view<R>(&self, look: impl for<'a> FnOnce(&MemberView<'a, S::Table>) -> R) -> R {
        Cluster::with_view(self, look)
    }

    fn mode(&self) -> Mode {
        Cluster::mode(self)
    }

    fn serving(&self) -> Vec<MemberId> {
        Cluster::serving(self)
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.wall_nanos() / 1_000_000)
    }
}

impl<S: StateMachineStore> Archive for Cluster<TokioRuntime, S> {
    type Past = PastWithJournal<S::Past>;

    fn past(&self) -> Result<Self::Past, PastLost> {
        Cluster::past(self)
    }

    fn on_applied(&self, listener: ChangeListener) {
        Cluster::on_applied(self, listener);
    }
}

impl<P: Promiser> Promiser for Arc<P> {
    type View<'a> = P::View<'a>;
    type Error = P::Error;

    fn propose_many(&self, commands: Vec<Command>, done: OnOutcomes<Self::Error>) {
        self.as_ref().propose_many(commands, done);
    }

    fn with_view<R>(&self, look: impl for<'a> FnOnce(&Self::View<'a>) -> R) -> R {
        self.as_ref().with_view(look)
    }

    fn mode(&self) -> Mode {
        self.as_ref().mode()
    }

    fn serving(&self) -> Vec<MemberId> {
        self.as_ref().serving()
    }

    fn now(&self) -> Timestamp {
        self.as_ref().now()
    }
}

impl<A: Archive> Archive for Arc<A> {
    type Past = A::Past;

    fn past(&self) -> Result<Self::Past, PastLost> {
        self.as_ref().past()
    }

    fn on_applied(&self, listener: ChangeListener) {
        self.as_ref().on_applied(listener);
    }
}
