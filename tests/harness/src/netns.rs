//! Network namespaces as places: a program or a piece of this process runs inside one.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use nix::sched::{CloneFlags, setns};

/// A network namespace that has a name (`ip netns add NAME`).
#[derive(Clone, Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// The namespace of this name; nothing is made.
    pub fn named(name: &str) -> Self {
        Namespace { name: name.to_owned() }
    }

    /// Where the kernel's handle of it stands.
    pub fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.name)
    }

    /// The beginning of a command that becomes a program inside: its name and arguments follow.
    pub fn prefix(&self) -> [String; 3] {
        ["nsenter".to_owned(), format!("--net={}", self.path().display()), "--".to_owned()]
    }

    /// A command whose program, added as its next argument, runs inside.
    pub fn command(&self) -> Command {
        let [program, place, end] = self.prefix();
        let mut command = Command::new(program);
        command.args([place, end]);
        command
    }

    /// Runs `work` on a thread of its own inside: sockets that it makes belong there for ever.
    ///
    /// # Errors
    /// There is no such namespace, this process may not enter it, or the work itself failed.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                self.enter()?;
                work()
            });
            inside.join().map_err(|_| anyhow!("work inside {} panicked", self.name))?
        })
    }

    /// Moves the calling thread, and no other, into the namespace.
    ///
    /// # Errors
    /// As [`Namespace::run`].
    pub fn enter(&self) -> Result<()> {
        let path = self.path();
        let handle = File::open(&path).with_context(|| format!("no {}", path.display()))?;
        setns(handle, CloneFlags::CLONE_NEWNET)
            .with_context(|| format!("cannot enter {}", self.name))
    }
}
