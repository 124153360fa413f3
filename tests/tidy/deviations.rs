//! Requirements that nothing here fulfils, and why. The groups named are complete: each of their IDs stands at the code or here.

/// Groups of `docs/RULES.md` of which every ID has an answer: both leasequery drafts, RFC 4388, 6148, 6926 and 7724; RFC 2131 and
/// BOOTP; the options of relay agents and clients.
pub(crate) const COMPLETE_GROUPS: &[&str] = &["D", "L", "Q", "M", "B", "A", "H", "O"];

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
    ("O-09", "A relay agent's: see D-14."),
    (
        "O-22",
        "No relay agent that is to be had sends sub-option 8, so there is nothing to try it against. Where the way between relay agents and \
         servers is not the site's own it is a tunnel's to protect; leasequeries have option 90.",
    ),
    ("O-23", "See O-22."),
    (
        "O-44",
        "No client of today has option 90: RFC 3118 wants a key of its own in each before it can ask for an address. What is authenticated \
         is leasequery.",
    ),
    ("O-45", "See O-44."),
    (
        "O-61",
        "Nothing here wants a client to renew before its time, so no FORCERENEW is sent. It would need what O-44 says, or RFC 6704.",
    ),
    ("Q-04", "The caller of the requestor chooses the key; see L-11."),
    ("Q-06", "An access concentrator's: see L-16."),
];
