//! draft-ietf-dhc-leasequery-01 (March 2001): DHCP Leasequery before RFC 4388, with the configured
//! default numbers for what the draft left open.

mod section_6_3;
mod section_6_4;

use anyhow::Result;

use crate::site::Site;

/// The RESERVATION flag at its default place (§6.1).
const RESERVATION: u16 = 0x4000;

fn site() -> Result<&'static Site> {
    crate::site::of(&crate::rfc6148::SITE)
}
