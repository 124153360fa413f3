//! Option 212, IPv6 Rapid Deployment on IPv4 Infrastructures (RFC 5969 section 7.1.1).
//!
//! As text: how many bits of the IPv4 address all have in common, the prefix, and the border relays:
//! `8 2001:db8::/32 192.0.2.1`.

use super::structure::{Structure, addresses, push_addresses};
use crate::reader::Reader;
use std::net::Ipv6Addr;

pub(crate) static IPV6_RAPID_DEPLOYMENT: Structure = Structure {
    wanted: "a domain such as `8 2001:db8::/32 192.0.2.1`",
    is_list: false,
    read: |value| {
        let mut reader = Reader::new(value);
        let [mask_len, prefix_len] = [reader.u8()?, reader.u8()?];
        let prefix = Ipv6Addr::from(*reader.array::<16>()?);
        let relays = addresses(reader.rest())?;
        fits(mask_len, prefix_len)?;
        Some(vec![format!("{mask_len} {prefix}/{prefix_len} {relays}")])
    },
    write: |_, text, out| {
        let mut words = text.split_whitespace();
        let mask_len = words.next()?.parse().ok()?;
        let (prefix, prefix_len) = words.next()?.split_once('/')?;
        let (prefix, prefix_len) = (prefix.parse::<Ipv6Addr>().ok()?, prefix_len.parse().ok()?);
        fits(mask_len, prefix_len)?;
        // What is right of the prefix is zero.
        let rest = u128::from(prefix).checked_shl(prefix_len.into()).unwrap_or(0);
        (rest == 0).then_some(())?;
        out.extend([mask_len, prefix_len]);
        out.extend(prefix.octets());
        push_addresses(words, out)
    },
};

/// Prefix and what is left of an IPv4 address go into an IPv6 address.
fn fits(mask_len: u8, prefix_len: u8) -> Option<()> {
    let rest = 32u8.checked_sub(mask_len)?;
    (u16::from(prefix_len) + u16::from(rest) <= 128).then_some(())
}
