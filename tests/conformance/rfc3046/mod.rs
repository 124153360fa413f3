//! RFC 3046: DHCP Relay Agent Information Option.

mod section_2_2;
