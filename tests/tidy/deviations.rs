//! Requirements that nothing here fulfils, and why. The groups named are complete: each of their IDs stands at the code or here.

/// Groups of `docs/RULES.md` of which every ID has an answer: both leasequery drafts, RFC 4388, 6148, 6926 and 7724.
pub(crate) const COMPLETE_GROUPS: &[&str] = &["D", "L", "Q", "M", "B", "A"];

/// ID and reason.
pub(crate) const DEVIATIONS: &[(&str, &str)] = &[
    (
        "D-14",
        "A relay agent's: it puts the Relay-ID into what it relays. Leasehold relays nothing.",
    ),
    ("D-15", "A relay agent's: it makes and keeps its DUID."),
    (
        "L-11",
        "The caller of the requestor chooses the key; the command takes whichever it is given.",
    ),
    ("L-13", "An access concentrator's: it knows which subnets are attached to its interfaces."),
    (
        "L-16",
        "An access concentrator's: it caches answers. A run of the requestor asks once and ends.",
    ),
    (
        "L-41",
        "Optional. Nothing configured says where a device without DHCP is attached, so there is nothing to make up.",
    ),
    ("M-12", "An access concentrator's: see L-16."),
    ("Q-04", "The caller of the requestor chooses the key; see L-11."),
    ("Q-06", "An access concentrator's: see L-16."),
];
