//! Child processes that do not outlive the tests, whatever ends those.
//!
//! Hazard. A test binary may be killed, and a static value is never dropped: children would stay
//! and keep their ports. So each child asks the kernel for SIGKILL when its parent *thread* ends,
//! and one thread that lives as long as the process is the parent of them all.

use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::sync::{LazyLock, Mutex};

use anyhow::Context;

type Order = (Command, Sender<io::Result<Child>>);

static SPAWNER: LazyLock<Mutex<Sender<Order>>> = LazyLock::new(|| {
    let (orders, inbox) = channel::<Order>();
    std::thread::spawn(move || {
        for (mut command, answer) in inbox {
            // Nobody waits for the answer any more only if the test itself was aborted.
            let _ = answer.send(command.spawn());
        }
    });
    Mutex::new(orders)
});

/// Starts `program`, wrapped so that it dies with this process; its process id is the program's.
///
/// # Errors
/// The program, or util-linux's `setpriv`, cannot be started.
pub fn spawn(program: &std::path::Path, prepare: impl FnOnce(&mut Command)) -> io::Result<Child> {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    prepare(&mut command);
    let (answer, result) = channel();
    let gone = |_| io::Error::other("the spawning thread is gone");
    let spawner = SPAWNER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    spawner.send((command, answer)).map_err(gone)?;
    drop(spawner);
    result.recv().map_err(|_| io::Error::other("the spawning thread is gone"))?
}

/// Resident octets of a process: `VmRSS` of `/proc/ID/status`.
///
/// # Errors
/// There is no such process.
pub fn resident_octets(id: u32) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{id}/status")).context("no such process")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().context("VmRSS")?;
    Ok(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_outlives_the_thread_that_asked_for_it() {
        let asked = std::thread::spawn(|| {
            spawn(std::path::Path::new("sleep"), |command| {
                command.arg("1000");
            })
        });
        let mut child = asked.join().expect("joined").expect("spawned");
        let running = child.try_wait().expect("waited").is_none();
        child.kill().expect("killed");
        child.wait().expect("reaped");
        assert!(running);
    }
}
