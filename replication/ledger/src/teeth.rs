//! Rules that can be broken on purpose, for a simulation that has to notice (tests/simulation/teeth.rs). Two conditions of
//! [`crate::authority`] have no tooth, because others cover them in every case; it is said there why, and they are kept as the rules name them.
//!
//! Without the feature `teeth` (no program of ours is built with it) [`is_broken`] is a constant, and nothing of this is left.

/// One rule that can be broken. What it does stands where it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "teeth"), allow(unreachable_pub, reason = "public with the feature"))]
#[allow(missing_docs, reason = "each is named for the rule that it breaks, and explained there")]
pub enum Tooth {
    AckBeforeCommit,
    AnchorIgnored,
    BarredIgnored,
    ConflictHidden,
    EchoOfOtherBoot,
    EchoToLaggard,
    EchoToLost,
    EchoUnconfirmed,
    FreeBeforeOver,
    FreeUnsettled,
    GrantUnsettled,
    ImageHalfTaken,
    IsolatedFreesReleased,
    IsolatedRenewsEnded,
    JournalForgottenEarly,
    JournalUnsynced,
    LateReleaseTaken,
    LossInPair,
    LossyEarly,
    LossyRevives,
    LostAtOnce,
    LostLeaderAnchors,
    MergeDropsPromise,
    MergedReleaseEndsOthers,
    MergeTwice,
    NamesStay,
    NarrowingIgnored,
    NotOwnerBinds,
    OwnUnknownIgnored,
    PartnerDownAtOnce,
    PauseUnnoticed,
    PromiseTooLong,
    RemovedAtOnce,
    ReservedAtOnce,
    RestartUnbounded,
    ReturnBeforeMerged,
    SettledWhileAway,
    StaleSessionTaken,
    TailGains,
    VpnOfBindingIgnored,
    VpnOfHolderIgnored,
}

#[cfg(feature = "teeth")]
impl Tooth {
    /// Every rule with teeth.
    pub const ALL: [Tooth; 41] = [
        Tooth::AckBeforeCommit,
        Tooth::AnchorIgnored,
        Tooth::BarredIgnored,
        Tooth::ConflictHidden,
        Tooth::EchoOfOtherBoot,
        Tooth::EchoToLaggard,
        Tooth::EchoToLost,
        Tooth::EchoUnconfirmed,
        Tooth::FreeBeforeOver,
        Tooth::FreeUnsettled,
        Tooth::GrantUnsettled,
        Tooth::ImageHalfTaken,
        Tooth::IsolatedFreesReleased,
        Tooth::IsolatedRenewsEnded,
        Tooth::JournalForgottenEarly,
        Tooth::JournalUnsynced,
        Tooth::LateReleaseTaken,
        Tooth::LossInPair,
        Tooth::LossyEarly,
        Tooth::LossyRevives,
        Tooth::LostAtOnce,
        Tooth::LostLeaderAnchors,
        Tooth::MergeDropsPromise,
        Tooth::MergedReleaseEndsOthers,
        Tooth::MergeTwice,
        Tooth::NamesStay,
        Tooth::NarrowingIgnored,
        Tooth::NotOwnerBinds,
        Tooth::OwnUnknownIgnored,
        Tooth::PartnerDownAtOnce,
        Tooth::PauseUnnoticed,
        Tooth::PromiseTooLong,
        Tooth::RemovedAtOnce,
        Tooth::ReservedAtOnce,
        Tooth::RestartUnbounded,
        Tooth::ReturnBeforeMerged,
        Tooth::SettledWhileAway,
        Tooth::StaleSessionTaken,
        Tooth::TailGains,
        Tooth::VpnOfBindingIgnored,
        Tooth::VpnOfHolderIgnored,
    ];
}

#[cfg(feature = "teeth")]
mod switch {
    use super::Tooth;
    use std::cell::Cell;

    thread_local! {
        static BROKEN: Cell<Option<Tooth>> = const { Cell::new(None) };
    }

    /// Breaks one rule in this thread, or mends all.
    pub fn break_rule(tooth: Option<Tooth>) {
        BROKEN.set(tooth);
    }

    /// True if this rule is broken in this thread.
    pub fn is_broken(tooth: Tooth) -> bool {
        BROKEN.get() == Some(tooth)
    }
}

#[cfg(feature = "teeth")]
pub use switch::{break_rule, is_broken};

/// No rule is ever broken.
#[cfg(not(feature = "teeth"))]
#[inline(always)]
pub(crate) const fn is_broken(_tooth: Tooth) -> bool {
    false
}
