//! Availability suite: real processes, each in a network namespace of its own, under real load,
//! while hosts hang and die, cables come out and clocks jump.
//!
//! Problem. The simulations prove the rules; this proves that the processes follow them, on a real
//! kernel, with real sockets, files and signals.
//!
//! Model.   Each story makes a lab of namespaces, a cluster in it and clients behind relay agents in
//! another namespace. It lets faults happen to members, waits until service went on as it must,
//! heals, and in the end compares every ACK that ever arrived with all members.
//!
//! Rules.   Demanded in the end, always: no address was promised to two clients at once, no promise is
//! missing on any member, all members list the same, octet for octet, no journal holds anything, and
//! no merge met a conflict (docs/PROMISES.md).
//!
//! Hazards. Stories run one after another: they share two cores with their own load. The whole suite
//! runs in a mount and a network namespace that end with it, so that nothing of it is left behind
//! however it ends; its child processes ask the kernel to end with it.
//!
//! Absent.  Power loss and drifting clocks: the simulations have them. Bounds on time: see
//! `tests/bench/failover.sh`.
//!
//! Usage: `availability [--list] [TEXT...]`: the stories whose names contain one of the texts. With
//! `LEASEHOLD_LONG=1` also those that take minutes. Needs root; says so and ends well without.

mod fault;
mod lab;
mod scarce;
mod sides;
mod stage;
mod stories;
mod vpns;

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::Result;

/// Set in the environment of the process that is in namespaces of its own.
const INSIDE: &str = "LEASEHOLD_AVAILABILITY_INSIDE";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (flags, texts): (Vec<String>, Vec<String>) =
        arguments.into_iter().partition(|argument| argument.starts_with('-'));
    let long = std::env::var_os("LEASEHOLD_LONG").is_some();
    let mut chosen = stories::all(long);
    chosen.retain(|story| {
        texts.is_empty() || texts.iter().any(|text| story.name.contains(text.as_str()))
    });
    if flags.iter().any(|flag| flag == "--list") {
        chosen.iter().for_each(|story| println!("{}", story.name));
        return ExitCode::SUCCESS;
    }
    match inside() {
        Ok(true) => tell(&chosen),
        Ok(false) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("availability: {error:#}");
            ExitCode::from(1)
        }
    }
}

/// Whether this process is in namespaces of its own; if it is not yet, it starts again inside some.
fn inside() -> Result<bool> {
    if std::env::var_os(INSIDE).is_some() {
        lab::shell("mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns")?;
        return Ok(true);
    }
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED availability: network namespaces need root");
        return Ok(false);
    }
    let namespaces = ["--mount", "--net", "--propagation", "private"];
    let probe = Command::new("unshare").args(namespaces).arg("true").status();
    if !probe.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED availability: this machine does not permit namespaces");
        return Ok(false);
    }
    let mut again = Command::new("unshare");
    again.args(namespaces).arg("--").arg(std::env::current_exe()?);
    Err(again.args(std::env::args_os().skip(1)).env(INSIDE, "1").exec().into())
}

fn tell(chosen: &[stories::Story]) -> ExitCode {
    let mut failed = 0;
    for story in chosen {
        let start = Instant::now();
        let result = (story.play)();
        let took = start.elapsed().as_secs_f64();
        match result {
            Ok(()) => println!("ok    {} ({took:.1} s)", story.name),
            Err(error) => {
                failed += 1;
                println!("FAIL  {} ({took:.1} s): {error:#}", story.name);
            }
        }
    }
    println!("availability: {} stories, {failed} failed", chosen.len());
    // A text that no story has in its name must not pass for a success.
    let good = failed == 0 && !chosen.is_empty();
    if good { ExitCode::SUCCESS } else { ExitCode::from(1) }
}
