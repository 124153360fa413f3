//! `leasehold cluster drain` and `undrain`: emptying a member so that it can be stopped, and bringing it back.

use super::caller::{Caller, Member};
use super::cluster::explain;
use crate::api::dto;
use crate::config::value::{display_duration, duration};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::time::{Duration, Instant};

/// How often the member is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Which member is meant, and who is asked.
#[derive(Debug, Args)]
struct Whom {
    /// Which member; the one that is asked if it is not given
    #[arg(value_name = "ID")]
    id: Option<u64>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    member: Member,
}

#[derive(Debug, Args)]
pub(crate) struct DrainArguments {
    /// How long to wait until it can be stopped; 0s does not wait, and it goes on by itself
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    wait: u32,
    #[command(flatten)]
    whom: Whom,
}

#[derive(Debug, Args)]
pub(crate) struct UndrainArguments {
    #[command(flatten)]
    whom: Whom,
}

pub(crate) fn drain(arguments: &DrainArguments) -> Result<()> {
    let caller = Caller::new(&arguments.whom.member)?;
    let cluster: dto::Cluster = caller.get("/v1/cluster")?;
    let id = arguments.whom.id.unwrap_or(cluster.member);
    explain(
        arguments.whom.yes,
        &format!(
            "Member {id} gives its clients, its free addresses and the leadership to the others, so \
             that it can be stopped. It goes on\nreplicating, and renewing what clients ask of \
             it, until then. If the others would be no quorum without it (a pair), it\nstops \
             voting, and serves nobody should it lose them. `cluster undrain {id}` brings it back."
        ),
    )?;
    let body = dto::Whom { member: Some(id) };
    let cluster: dto::Cluster = caller.post("/v1/cluster/drain", &body)?;
    if arguments.wait == 0 {
        println!("member {id} is being drained: {}", progress_of(&cluster, id)?);
        return Ok(());
    }
    wait_until_drained(&caller, id, Duration::from_secs(arguments.wait.into()))?;
    println!("member {id} is drained and can be stopped; `cluster undrain {id}` brings it back");
    Ok(())
}

pub(crate) fn undrain(arguments: &UndrainArguments) -> Result<()> {
    let caller = Caller::new(&arguments.whom.member)?;
    let cluster: dto::Cluster = caller.get("/v1/cluster")?;
    let id = arguments.whom.id.unwrap_or(cluster.member);
    explain(
        arguments.whom.yes,
        &format!(
            "Member {id} votes again when it has caught up, and gets its share of the clients and \
             of the free addresses."
        ),
    )?;
    let body = dto::Whom { member: Some(id) };
    let _: dto::Cluster = caller.post("/v1/cluster/undrain", &body)?;
    println!("member {id} is back; clients and free addresses move to it by themselves");
    Ok(())
}

fn wait_until_drained(caller: &Caller, id: u64, patience: Duration) -> Result<()> {
    let until = Instant::now() + patience;
    let mut said = String::new();
    loop {
        let looked: Result<dto::Cluster> = caller.get("/v1/cluster");
        let now = looked.and_then(|cluster| progress_of(&cluster, id));
        let text = match now {
            Ok(text) if text == DONE => return Ok(()),
            Ok(text) => text,
            Err(error) if Instant::now() >= until || error.is::<GivenUp>() => return Err(error),
            Err(error) => format!("{error:#}"),
        };
        if Instant::now() >= until {
            let waited = display_duration(patience.as_secs());
            bail!(
                "member {id} cannot be stopped yet after {waited}: {text}; the drain goes on by \
                 itself, `cluster status` shows how far it is"
            );
        }
        if text != said {
            eprintln!("member {id}: {text}");
            said = text;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

const DONE: &str = "done";

/// The drain is over, and not because it is done.
#[derive(Debug, thiserror::Error)]
#[error(
    "member {0} is drained no more: somebody brought it back, or no other server was left to \
     serve; its log and the leader's have the reason"
)]
struct GivenUp(u64);

fn progress_of(cluster: &dto::Cluster, id: u64) -> Result<String> {
    let member = cluster.members.iter().find(|member| member.id == id);
    let member = member.with_context(|| format!("there is no member {id} any more"))?;
    let drain = member.drain.as_ref().ok_or(GivenUp(id))?;
    Ok(text(drain))
}

/// What a drain waits for, as people read it.
pub(crate) fn text(drain: &dto::Drain) -> String {
    let waits = [
        (drain.leads, "it still leads".to_owned()),
        (drain.buckets > 0, format!("{} of 256 shares of clients to move", drain.buckets)),
        (drain.owned_addresses > 0, format!("{} addresses to let go", drain.owned_addresses)),
        (drain.moving_addresses > 0, format!("{} addresses on their way", drain.moving_addresses)),
        (drain.unsettled_members > 0, format!("{} members to settle", drain.unsettled_members)),
        (drain.vote_needed, "no quorum without it yet".to_owned()),
    ];
    let first = waits.into_iter().find(|(waits, _)| *waits).map(|(_, text)| text);
    first.unwrap_or_else(|| DONE.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_says_the_next_thing_that_it_waits_for() {
        let done = dto::Drain {
            done: true,
            leads: false,
            buckets: 0,
            owned_addresses: 0,
            moving_addresses: 0,
            unsettled_members: 0,
            vote_needed: false,
        };
        let check = |drain: dto::Drain, expected: &str| assert_eq!(text(&drain), expected);
        check(done, "done");
        check(dto::Drain { vote_needed: true, ..done }, "no quorum without it yet");
        check(dto::Drain { unsettled_members: 1, ..done }, "1 members to settle");
        check(
            dto::Drain { moving_addresses: 2, vote_needed: true, ..done },
            "2 addresses on their way",
        );
        check(
            dto::Drain { owned_addresses: 3, moving_addresses: 2, ..done },
            "3 addresses to let go",
        );
        check(
            dto::Drain { buckets: 4, owned_addresses: 3, ..done },
            "4 of 256 shares of clients to move",
        );
        check(dto::Drain { leads: true, buckets: 4, ..done }, "it still leads");
    }
}
