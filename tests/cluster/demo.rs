//! `leasehold demo`, the first thing that anybody runs.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tests::member::binary;
use tests::process;

use crate::machine_alone;

#[test]
fn the_demonstration_shows_what_it_promises() -> Result<()> {
    let _machine = machine_alone();
    let child = process::spawn(&binary()?, |command| {
        command.args(["demo", "--clients", "200", "--kill-leader", "--exit-after", "20s"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    })?;
    let output = child.wait_with_output().context("cannot wait")?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for words in [
        "of a pair and a witness",
        "200 served",
        "by dhcp-a: LeaseActive",
        "by dhcp-b: LeaseActive",
        "(SIGKILL), which led",
        "every client kept its address",
        "leasehold lease list",
    ] {
        ensure!(said.contains(words), "{words:?} is not in:\n{said}");
    }
    Ok(())
}
