//! RFC 6926: DHCPv4 Bulk Leasequery.

mod section_6_1;
mod section_6_2;
mod section_8_1;
mod section_8_2;
mod section_8_3;
mod section_8_4;
mod section_8_5;

use std::sync::LazyLock;

use anyhow::Result;
use tests::packet::Packet;
use tests::requestor::{Key, bulk_query};
use tests::stream::Framing;

use crate::site::{Shared, Site};

/// Many connections: the tests run side by side. Requestors of 127.0.4.0/24 may ask by hardware
/// address only.
static SITE: Shared = LazyLock::new(|| {
    Site::start(
        r#"max_connections = 500
max_connections_per_requestor = 500

[[leasequery.requestor]]
prefix = "127.0.4.0/24"
queries = ["mac"]
"#,
    )
});

/// The defaults of the documents but for the times, which tests wait for.
static LIMITED: Shared =
    LazyLock::new(|| Site::start("rfc_data_timeout = \"1s\"\nfirst_query_timeout = \"1s\"\n"));

pub(crate) fn site() -> Result<&'static Site> {
    crate::site::of(&SITE)
}

/// The whole answer to one bulk query by this key.
fn answer(key: &Key) -> Result<Vec<Packet>> {
    site()?.ask(Framing::Two, &bulk_query(key))
}
