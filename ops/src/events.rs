//! The events that a member writes: stable names for people's searches and alarms.
//!
//! The crates below have theirs beside the code that emits them. A name is never given another meaning. Each has one paragraph for the operator in [`EVENTS`].

/// The member runs.
pub const STARTED: &str = "member_started";
/// The member was told to stop.
pub const STOPPING: &str = "member_stopping";
/// The member has stopped.
pub const STOPPED: &str = "member_stopped";
/// The member could not start or go on.
pub const FAILED: &str = "member_failed";
/// Another member leads, or none.
pub const LEADER_CHANGED: &str = "leader_changed";
/// An operator changed something through the admin API.
pub const ADMIN_CHANGE: &str = "admin_change";
/// The admin API could not do what it was asked, through no fault of the caller.
pub const ADMIN_FAILED: &str = "admin_failed";
/// A part of member.toml has no effect in this version.
pub const NOT_SERVED: &str = "not_served";
/// Something that cannot happen did.
pub const INVARIANT_BROKEN: &str = "invariant_broken";
/// A part did not stop in time.
pub const STOP_OVERDUE: &str = "stop_overdue";

/// Every event and what it means to an operator.
pub const EVENTS: &[(&str, &str)] = &[
    (
        STARTED,
        "The member has opened its data directory and listens on all its addresses. Whether it \
         serves is said by mode_changed.",
    ),
    (STOPPING, "A signal asked the member to stop. It hands the leadership over and drains."),
    (STOPPED, "The member has stopped in order. Without this line it was killed."),
    (FAILED, "The member stops because of the error given. What the error names must be mended."),
    (LEADER_CHANGED, "Another member orders the log from now on. Frequent changes mean trouble."),
    (ADMIN_CHANGE, "Who changed what through the admin API."),
    (ADMIN_FAILED, "A call of the admin API failed inside; the text has the whole cause."),
    (NOT_SERVED, "A key of member.toml that this version checks and does not act on."),
    (
        INVARIANT_BROKEN,
        "A defect. If it lies in replication or storage the process ends at once with status 70, as if \
         killed; what is durable is whole. Keep the line and report it.",
    ),
    (STOP_OVERDUE, "A part of the member did not stop within its deadline and was abandoned."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_one_name_and_a_text() {
        for (position, (name, text)) in EVENTS.iter().enumerate() {
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
            assert!(text.ends_with('.'), "{name}");
            assert!(EVENTS[..position].iter().all(|(other, _)| other != name), "{name}");
        }
    }
}
