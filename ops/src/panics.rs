//! What a panic means: in one packet's decision, the loss of that packet; in what all members must agree on, the end of
//! this process.
//!
//! A broken invariant in replication or storage leaves memory that nothing vouches for. The process ends at once, as if
//! killed: what is durable is whole, a supervisor starts it again, and the others go on meanwhile.

use crate::events;
use std::panic::PanicHookInfo;

/// Source paths whose panics end the process: our own crates as the compiler names them, and openraft.
const FATAL: [&str; 3] = ["replication/", "storage/", "/openraft-"];
/// The exit status of a broken invariant; systemd restarts on any but 0.
const STATUS: i32 = 70;

/// Says what happened, in the log's format, and ends the process where it must.
pub(crate) fn install() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let reason = reason(panic);
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        tracing::error!(event = events::INVARIANT_BROKEN, location, reason, thread);
        if is_fatal(&location) {
            std::process::exit(STATUS);
        }
    }));
}

fn reason<'p>(panic: &'p PanicHookInfo<'_>) -> &'p str {
    let payload = panic.payload();
    let formatted = || payload.downcast_ref::<String>().map(String::as_str);
    payload.downcast_ref::<&str>().copied().or_else(formatted).unwrap_or("no reason given")
}

fn is_fatal(location: &str) -> bool {
    FATAL.iter().any(|path| location.starts_with(path) || location.contains(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_members_must_agree_on_ends_the_process() {
        let check = |location: &str, fatal: bool| {
            assert_eq!(is_fatal(location), fatal, "{location}");
        };
        check("replication/ledger/src/apply.rs:5:1", true);
        check("storage/src/table.rs:9:9", true);
        check(
            "/home/x/registry/openraft-0.10.0-alpha.37/src/progress/entry/update.rs:104:13",
            true,
        );
        check("server/rules/src/messages/request.rs:4:4", false);
        check("ops/src/api/leases.rs:4:4", false);
    }
}
