//! RFC 6148: DHCPv4 Leasequery by Relay Agent Remote ID.

mod section_4_3;

use std::sync::LazyLock;

use anyhow::Result;

use crate::site::{Shared, Site};

/// Shared with the suite of draft-ietf-dhc-leasequery-01. Requestors of 127.0.6.0/24 speak that
/// draft under the message type of RFC 4388.
pub(crate) static SITE: Shared = LazyLock::new(|| {
    Site::start("\n[[leasequery.requestor]]\nprefix = \"127.0.6.0/24\"\ndialect = \"draft\"\n")
});

fn site() -> Result<&'static Site> {
    crate::site::of(&SITE)
}
