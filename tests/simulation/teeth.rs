//! Each rule broken on purpose: the simulation must notice.

use crate::run;
use replication_ledger::teeth::{Tooth, break_rule};

/// Seeds until a broken rule must have been noticed.
const SEEDS_MAX: u64 = 1_500;

/// Rules whose breach shows within that many seeds. Those of [`Tooth::ALL`] that are not here need traces that chance comes upon
/// less often; `TEETH_ALL=1` looks for them too and says what it found.
const NOTICED: &[Tooth] = &[
    Tooth::AnchorIgnored,
    Tooth::ConflictHidden,
    Tooth::EchoOfOtherBoot,
    Tooth::EchoToLost,
    Tooth::EchoUnconfirmed,
    Tooth::IsolatedFreesReleased,
    Tooth::IsolatedRenewsEnded,
    Tooth::LossInPair,
    Tooth::LossyEarly,
    Tooth::LossyRevives,
    Tooth::MergeDropsPromise,
    Tooth::MergedReleaseEndsOthers,
    Tooth::MergeTwice,
    Tooth::NarrowingIgnored,
    Tooth::NotOwnerBinds,
    Tooth::OwnUnknownIgnored,
    Tooth::PartnerDownAtOnce,
    Tooth::PauseUnnoticed,
    Tooth::PromiseTooLong,
    Tooth::RestartUnbounded,
    Tooth::ReturnBeforeMerged,
    Tooth::SettledWhileAway,
];

/// The first seed that notices.
fn noticed_by(tooth: Tooth) -> Option<(u64, String)> {
    break_rule(Some(tooth));
    let noticed = (1..=crate::number("TEETH_SEEDS", SEEDS_MAX))
        .find_map(|seed| run(seed, false).failure.map(|why| (seed, why)));
    break_rule(None);
    noticed
}

#[test]
fn every_rule_that_is_broken_on_purpose_is_noticed() {
    let all = std::env::var_os("TEETH_ALL").is_some();
    let mut unnoticed = Vec::new();
    for tooth in Tooth::ALL.into_iter().filter(|tooth| all || NOTICED.contains(tooth)) {
        match noticed_by(tooth) {
            Some((seed, why)) => {
                println!("{tooth:?}: seed {seed}: {}", why.lines().next().unwrap_or_default());
            }
            None => {
                println!("{tooth:?}: not noticed");
                if NOTICED.contains(&tooth) {
                    unnoticed.push(tooth);
                }
            }
        }
    }
    assert_eq!(unnoticed, [], "the simulation does not notice that these are broken");
}
