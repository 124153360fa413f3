//! draft-dtv-dhc-dhcpv4-bulk-leasequery-00 (July 2008): DHCPv4 Bulk Leasequery before RFC 6926, with
//! the configured default numbers for what the draft left open.

mod section_7_1;
mod section_7_2;
mod section_7_3;
mod section_7_4;
mod section_8_6;
mod section_9_1;
mod section_9_4;

use std::sync::LazyLock;

use anyhow::Result;
use tests::packet::Packet;
use tests::requestor::{Key, draft_bulk_query};
use tests::stream::Framing;

use crate::site::{Shared, Site};

/// Requestors of 127.0.4.0/24 may ask by hardware address only; those of 127.0.5.0/24 speak RFC 6926
/// whatever their octets look like, those of 127.0.6.0/24 this draft.
static SITE: Shared = LazyLock::new(|| {
    Site::start(
        r#"max_connections = 500
max_connections_per_requestor = 500

[[leasequery.requestor]]
prefix = "127.0.4.0/24"
queries = ["mac"]

[[leasequery.requestor]]
prefix = "127.0.5.0/24"
dialect = "rfc"

[[leasequery.requestor]]
prefix = "127.0.6.0/24"
dialect = "draft"
"#,
    )
});

static LIMITED: Shared =
    LazyLock::new(|| Site::start("draft_data_timeout = \"1s\"\nfirst_query_timeout = \"1s\"\n"));

pub(crate) fn site() -> Result<&'static Site> {
    crate::site::of(&SITE)
}

/// The whole answer to one query by this key.
fn answer(key: &Key) -> Result<Vec<Packet>> {
    site()?.ask(Framing::Four, &draft_bulk_query(key))
}
