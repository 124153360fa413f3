//! RFC 4388: DHCP Leasequery.

mod section_6_4;
