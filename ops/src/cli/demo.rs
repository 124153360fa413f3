//! `leasehold demo`: everything on loopback.

use crate::config::value::duration;
use crate::demo::{self, Plan};
use anyhow::Result;
use clap::Args;
use std::time::Duration;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// End by itself, with status 0 only if every client was served
    #[arg(long, value_name = "DURATION", value_parser = whole_seconds)]
    exit_after: Option<Duration>,
    /// Clients behind the relay
    #[arg(long, value_name = "N", default_value_t = 200,
          value_parser = clap::value_parser!(u32).range(1..=50_000))]
    clients: u32,
    /// Kill the leader with SIGKILL once every client is served, and let all of them renew
    #[arg(long)]
    kill_leader: bool,
}

fn whole_seconds(text: &str) -> Result<Duration, String> {
    duration(text).map(|seconds| Duration::from_secs(seconds.into()))
}

pub(crate) fn run(arguments: Arguments) -> Result<()> {
    demo::run(&Plan {
        exit_after: arguments.exit_after,
        clients: arguments.clients,
        kill_leader: arguments.kill_leader,
    })
}
