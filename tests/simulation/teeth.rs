//! Each rule broken on purpose: the simulation must notice.

use crate::traces::Story;
use crate::{Run, number};
use replication_ledger::teeth::{Tooth, break_rule};

/// Seeds until a broken rule must have been noticed.
const SEEDS_MAX: u64 = 4_000;

/// What shows soonest that a rule is broken: a directed story, or the ordinary run if there is none.
fn shown_by(tooth: Tooth) -> Option<Story> {
    match tooth {
        Tooth::BarredIgnored | Tooth::OwnUnknownIgnored => Some(Story::CrashBeforeOutcome),
        Tooth::EchoToLaggard => Some(Story::ReturnFarBehind),
        Tooth::FreeBeforeOver => Some(Story::HastyFree),
        Tooth::FreeUnsettled => Some(Story::HastyLeader),
        Tooth::GrantUnsettled => Some(Story::DisownForgotten),
        Tooth::JournalUnsynced => Some(Story::PowerLossAlone),
        Tooth::JournalForgottenEarly => Some(Story::PowerLossAfterMerge),
        Tooth::LostLeaderAnchors | Tooth::EchoToLost => Some(Story::LostLeads),
        Tooth::StaleSessionTaken => Some(Story::QueuedOverIsolation),
        Tooth::TailGains => Some(Story::TailSurvives),
        Tooth::LateReleaseTaken => Some(Story::LateRelease),
        Tooth::EchoOfOtherBoot => Some(Story::EchoAfterReboot),
        Tooth::NarrowingIgnored => Some(Story::RestartAlone),
        Tooth::LostAtOnce | Tooth::RemovedAtOnce => Some(Story::RemovedAlone),
        Tooth::ReservedAtOnce => Some(Story::ReservedWhileAway),
        Tooth::AckBeforeCommit => Some(Story::TailSurvives),
        Tooth::ImageHalfTaken => Some(Story::ImageInterrupted),
        Tooth::PauseUnnoticed | Tooth::RestartUnbounded => Some(Story::DownThenAlone),
        Tooth::PartnerDownAtOnce => Some(Story::AssertedOverJournal),
        Tooth::ConflictHidden => Some(Story::FalselyAsserted),
        Tooth::LossInPair => Some(Story::PairMeets),
        Tooth::LossyRevives | Tooth::LossyEarly => Some(Story::LossyRecovery),
        _ => None,
    }
}

/// The first seed that notices.
fn noticed_by(tooth: Tooth) -> Option<(u64, String)> {
    break_rule(Some(tooth));
    let story = shown_by(tooth);
    let noticed = (1..=number("TEETH_SEEDS", SEEDS_MAX))
        .find_map(|seed| Run { seed, story }.play(false).failure.map(|why| (seed, why)));
    break_rule(None);
    noticed
}

/// `TEETH_ONLY` chooses one, `TEETH_SEEDS` how long to look for it.
#[test]
fn every_rule_that_is_broken_on_purpose_is_noticed() {
    let only = std::env::var("TEETH_ONLY").ok();
    let mut unnoticed = Vec::new();
    for tooth in Tooth::ALL {
        if only.as_ref().is_some_and(|only| *only != format!("{tooth:?}")) {
            continue;
        }
        let begun = std::time::Instant::now();
        match noticed_by(tooth) {
            Some((seed, why)) => {
                let seconds = begun.elapsed().as_secs_f64();
                println!(
                    "{tooth:?}: seed {seed}, {seconds:.2} s: {}",
                    why.lines().next().unwrap_or_default()
                );
            }
            None => {
                println!("{tooth:?}: not noticed");
                unnoticed.push(tooth);
            }
        }
    }
    assert_eq!(unnoticed, [], "the simulation does not notice that these are broken");
}
