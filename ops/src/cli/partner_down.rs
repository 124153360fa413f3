//! `leasehold cluster partner-down`: going on with this member alone, because the others are gone.

use super::caller::{Caller, Member};
use super::cluster::confirm;
use crate::api::dto;
use crate::config::value::display_duration;
use anyhow::Result;
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct PartnerDownArguments {
    /// Show what it would mean, and do nothing
    #[arg(long)]
    check: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    member: Member,
}

pub(crate) fn run(arguments: &PartnerDownArguments) -> Result<()> {
    let caller = Caller::new(&arguments.member)?;
    let cluster: dto::Cluster = caller.get("/v1/cluster")?;
    if cluster.mode == "sole" {
        println!("member {} serves alone already: nothing to do", cluster.member);
        return Ok(());
    }
    let case: dto::PartnerDownCase = caller.get("/v1/cluster/partner-down")?;
    let consequences = consequences(cluster.member, &case);
    if arguments.check {
        println!("{consequences}");
        return Ok(());
    }
    confirm(arguments.yes, &consequences)?;
    let (epoch, lossy) = (case.epoch, case.lossy);
    let body = dto::PartnerDown { epoch, lossy, entries_behind: case.entries_behind };
    let _: dto::PartnerDownCase = caller.post("/v1/cluster/partner-down", &body)?;
    println!(
        "member {} starts again and begins epoch {epoch} alone; `cluster status` shows mode sole \
         when it serves",
        cluster.member
    );
    Ok(())
}

/// What will happen, in an operator's words.
fn consequences(me: u64, case: &dto::PartnerDownCase) -> String {
    let names = case.others.iter().map(|other| match other.heard_seconds_ago {
        Some(seconds) => format!("member {} (last heard {seconds} s ago)", other.id),
        None => format!("member {} (not heard since this one started)", other.id),
    });
    let names = names.collect::<Vec<_>>().join(", ");
    let wait = display_duration(case.wait_seconds);
    let mut text = format!(
        "You assert that {names} will not serve anybody any more: SWITCHED OFF, not only out of \
         reach. Member {me} begins\nepoch {} as the only voter and serves in full. What the others \
         owned or may have extended stays unused for {wait}.\nIf one of them still serves, two \
         clients can get one address; the conflict is shown when it comes back.\nThe others can \
         not come back as they are: each hands over what it promised and joins under a new id.",
        case.epoch
    );
    if case.lossy {
        text.push_str(&format!(
            "\nLOSSY: this was more than a pair, so the others may have promised what member {me} \
             never saw. It was last known to\nbe {} log entries behind. Until the wait is over an \
             address whose lease has ended goes to nobody, not even its last client.",
            case.entries_behind
        ));
    }
    if case.authority_over {
        text.push_str(&format!(
            "\nThe authority of member {me} had run out: until the wait is over it renews only what \
             it promises from now on, and gives\nno new client an address."
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_is_told_what_the_case_is() {
        let case = dto::PartnerDownCase {
            epoch: 3,
            others: vec![dto::Unheard { id: 2, heard_seconds_ago: Some(70) }],
            lossy: false,
            authority_over: false,
            entries_behind: 0,
            wait_seconds: 3660,
        };
        let check = |case: &dto::PartnerDownCase, words: &[&str], absent: &[&str]| {
            let text = consequences(1, case);
            words.iter().for_each(|word| assert!(text.contains(word), "{word}: {text}"));
            absent.iter().for_each(|word| assert!(!text.contains(word), "{word}: {text}"));
        };
        let plain = ["member 2 (last heard 70 s ago)", "epoch 3", "SWITCHED OFF"];
        check(&case, &plain, &["LOSSY", "authority"]);
        let lossy = dto::PartnerDownCase { lossy: true, entries_behind: 17, ..case.clone() };
        check(&lossy, &["LOSSY", "17 log entries behind"], &["authority"]);
        let over = dto::PartnerDownCase { authority_over: true, ..lossy };
        check(&over, &["LOSSY", "authority of member 1 had run out"], &[]);
    }
}
