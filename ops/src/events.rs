//! The events that a member writes: stable names for people's searches and alarms.
//!
//! The crates below write theirs beside the code that emits them. A name is never given another meaning. Each has one paragraph
//! for the operator in [`EVENTS`], from which docs/EVENTS.md is made.

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
/// Something that cannot happen did.
pub const INVARIANT_BROKEN: &str = "invariant_broken";
/// A part did not stop in time.
pub const STOP_OVERDUE: &str = "stop_overdue";

/// The member reads versions that its program does not know.
pub const VERSION_PRETENDED: &str = "version_pretended";

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
    (
        INVARIANT_BROKEN,
        "A defect. If it lies in replication or storage the process ends at once with status 70, as if \
         killed; what is durable is whole. Keep the line and report it.",
    ),
    (STOP_OVERDUE, "A part of the member did not stop within its deadline and was abandoned."),
    (
        VERSION_PRETENDED,
        "LEASEHOLD_PRETEND_VERSION is set, which is for tests only: what this member writes may be \
         unreadable to the release that really has that version. Unset it.",
    ),
    // The crates below.
    (
        "mode_changed",
        "What the member may do has changed. Silent with a reason: it answers no DHCP client \
         until that is over.",
    ),
    (
        "contact_lost",
        "The member has heard no leader with a quorum for a second, or was held for lost by the \
         others. It begins a new session.",
    ),
    ("cluster_founded", "`cluster init` made a cluster of this member alone."),
    (
        "member_joined",
        "A member came in with a one-time token. It learns the log first and votes later.",
    ),
    (
        "member_removed",
        "A member was removed for good. What it may have promised is waited for, see `cluster \
         status`.",
    ),
    (
        "drain_begun",
        "A member is to be emptied so that it can be stopped: its clients, its free addresses \
         and the leadership go to the others.",
    ),
    ("drain_done", "A drained member can be stopped; nobody misses it. Said by the leader."),
    (
        "drain_given_up",
        "All other servers are gone while this member was drained, so it serves again. Drain it \
         anew when another one is back.",
    ),
    (
        "flood_begins",
        "A client, a circuit of a relay agent or a relay agent sends more than its rate (`[dhcp.rates]`) and what is too much is dropped; the \
         reason says which. It is told when it begins, and leasehold_dhcp_drops_total counts.",
    ),
    ("undrained", "A drained member gets its share of clients and free addresses again."),
    (
        "voters_reduced",
        "Without the drained members the others would have been no quorum, so these vote no \
         more until they are undrained. They go on replicating.",
    ),
    ("voters_not_reduced", "A drained member still votes, and is needed. It is tried again."),
    ("join_refused", "Somebody asked to join and may not; the reason says why. Nothing changed."),
    ("member_promoted", "A member has caught up and votes from now on."),
    (
        "promotion_failed",
        "A member that has caught up could not be made a voter. It is tried again.",
    ),
    (
        "leadership_handed_over",
        "The member stops, is drained, or has a clock in doubt (the reason says so), and has asked another one to \
         lead. Not done: the others elect one, which takes longer, or it is tried again.",
    ),
    (
        "clock_skewed",
        "The clock of a member and this one's are more than 5 seconds apart; past 60 seconds a \
         member is silent. Mend the time service of the one that is wrong.",
    ),
    (
        "partner_down_automatic",
        "The other server was away for as long as `auto_partner_down` says, and was asserted to be down \
         without anybody asking. Make sure that it is.",
    ),
    (
        "partner_down_not_automatic",
        "`auto_partner_down` was due, but the other member answers on some path. It is tried again.",
    ),
    (
        "version_raised",
        "Every member reads a newer version, and from now on it is written: no member can be set \
         back to the release before. Expected once at the end of a rolling upgrade.",
    ),
    ("clock_agrees", "The clock of a member that was alarmed is near this one's again."),
    (
        "peer_refused",
        "Somebody who connected to the peer port is not let in; the reason says why. Expected \
         while a member of another cluster or lineage is about, else a wrong address.",
    ),
    (
        "peer_connection_failed",
        "A connection to the peer port failed before anybody said who they are: a wrong \
         certificate, or no TLS where it is wanted.",
    ),
    (
        "peer_accept_failed",
        "The system gives no connection to the peer port, mostly for want of file descriptors.",
    ),
    (
        "peer_ping_malformed",
        "A member answered something that is not understood. Compare the versions \
         of both.",
    ),
    (
        "peer_entries_malformed",
        "A member sent log entries that are not understood. Compare the versions \
         of both.",
    ),
    (
        "peer_entries_failed",
        "Taking a stream of log entries ended badly; the leader begins a new one.",
    ),
    (
        "snapshot_arrived",
        "The leader sent the whole ledger because this member was too far behind for its log.",
    ),
    (
        "snapshot_refused",
        "A snapshot could not be taken; the reason says why. The leader begins again.",
    ),
    (
        "replication_failed",
        "The disk failed, mostly because it is full: the error says how. The member is silent, \
         and the others go on without it. Make room, or mend the disk, and restart it.",
    ),
    (
        "journal_merged",
        "What this member promised without a quorum was brought into the log; not done: it is \
         tried again.",
    ),
    (
        "not_promised_alone",
        "Without a quorum this member may not promise what a client asked for; the reason says \
         why. The client hears nothing and asks on.",
    ),
    (
        "partner_down_asserted",
        "An operator asserted here that the others are down. The member starts again and begins \
         a new epoch as its only voter.",
    ),
    (
        "epoch_prepared",
        "The log of the old epoch is applied and closed; the new epoch begins with this member.",
    ),
    ("epoch_begun", "The new epoch's first command is applied: this member serves alone in full."),
    (
        "partner_down_not_applied",
        "The new epoch's first command was not applied yet. It is tried again; nothing is served \
         before it is.",
    ),
    (
        "superseded",
        "The cluster went on without this member in a newer epoch, because an operator asserted \
         that it was down. It is silent for good. Hand over what it promised: `cluster token` at a \
         member of the cluster, `cluster join` with it here.",
    ),
    (
        "handed_over",
        "Everything that this superseded member promised is in the newer epoch now. Stop it, \
         give it an empty data directory and an id that was never used, and let it join.",
    ),
    (
        "return_refused",
        "A superseded member wanted to hand over its promises and may not; the reason says why.",
    ),
    ("session_not_stored", "The disk did not take the new session number. The member is silent."),
    (
        "blocks_not_marked",
        "The disk did not take the mark that must stand before the first lease of a block. \
         Those requests are not answered.",
    ),
    (
        "blocks_not_forgotten",
        "The disk did not take that old marks are over. They bar too much at the next start, \
         never too little.",
    ),
    (
        "address_in_use",
        "Somebody answered at an address that was about to be offered, without having it from \
         here. It is in quarantine if `quarantined` is true; else it was not this member's to give \
         any more, or there is no quorum. Find out who uses it.",
    ),
    (
        "ping_check_impossible",
        "The system gives no ICMP socket, so offers leave without the check that `ping_check` \
         wants until the member starts again. Give it the capability CAP_NET_RAW, or its group to \
         net.ipv4.ping_group_range.",
    ),
    (
        "interface_serving",
        "Clients on the link of this interface are served from now on, in the subnet of its \
         addresses.",
    ),
    (
        "interface_not_serving",
        "Clients on the link of this interface are not served; the reason says why: absent, down, \
         not_ethernet, no_address, or refused by the system for the cause given. It is served as \
         soon as that is over, without a restart.",
    ),
    (
        "interface_addresses_changed",
        "The addresses of this interface changed, and with them perhaps the subnet of the clients \
         on its link.",
    ),
    (
        "interfaces_unknown",
        "The kernel did not tell about interfaces; what was known of them goes on. It is asked \
         again.",
    ),
    (
        "listen_address_absent",
        "An address of `dhcp.listen` is not this machine's yet. It is served as soon as it is, \
         because it may come with one of `dhcp.interfaces`.",
    ),
    (
        "dns_conflict",
        "The name of a client is another client's in DNS, or nobody of this cluster added it, so \
         it stays as it is (RFC 4703). The client has its address all the same. It is tried \
         again after dns.conflict_retry.",
    ),
    (
        "dns_refused",
        "A DNS server does not take an update, or no zone is configured for it; the reason says \
         why: mostly a wrong key, or a zone that permits no updates. It is tried again after a \
         pause that grows up to an hour.",
    ),
    (
        "dns_server_away",
        "No server of the zone answers. What is to be told to it waits in the ledger; it is \
         tried again at least once a minute.",
    ),
    ("dns_server_back", "A server of the zone answers again; what waits is told to it now."),
    (
        "leasequery_thread_panicked",
        "A defect in the leasequery service over TCP; the other services go on. Keep the line \
         and report it.",
    ),
    (
        "leasequery_accept_panicked",
        "A defect in the leasequery service over TCP; the other services go on. Keep the line \
         and report it.",
    ),
    (
        "leasequery_connection_panicked",
        "A defect in one leasequery connection, which is closed; the others go on. Keep the \
         line and report it.",
    ),
    (
        "leasequery_priority_failed",
        "The system does not give the leasequery thread its lower priority; a bulk query may \
         slow DHCP down.",
    ),
    (
        "leasequery_accept_failed",
        "The system gives no leasequery connection, mostly for want of file descriptors. It is \
         tried again.",
    ),
    (
        "leasequery_connections_abandoned",
        "The member stopped while leasequery connections were not at their end; requestors see \
         them closed.",
    ),
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
