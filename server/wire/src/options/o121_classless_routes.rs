//! Option 121, Classless Static Route (RFC 3442).

use std::net::Ipv4Addr;

use crate::error::DecodeReason;
use crate::reader::Reader;

/// One route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClasslessRoute {
    /// The destination; bits beyond the width are zero.
    pub destination: Ipv4Addr,
    /// Bits of the destination's mask, 0 to 32.
    pub width: u8,
    /// The router; 0.0.0.0 means that the destination is on the link.
    pub router: Ipv4Addr,
}

impl ClasslessRoute {
    /// A route with the destination's bits beyond the width cleared; `None` if the width exceeds
    /// 32.
    pub fn new(destination: Ipv4Addr, width: u8, router: Ipv4Addr) -> Option<Self> {
        let mask = mask_of(width)?;
        let destination = Ipv4Addr::from(u32::from(destination) & mask);
        Some(Self { destination, width, router })
    }

    /// Appends the route as it stands in the option.
    pub fn encode(&self, out: &mut Vec<u8>) {
        // [O-35] width, then only the octets of the destination that the width reaches.
        let significant = usize::from(self.width.min(32)).div_ceil(8);
        out.push(self.width.min(32));
        out.extend_from_slice(&self.destination.octets()[..significant]);
        out.extend_from_slice(&self.router.octets());
    }
}

/// The routes of one option.
#[derive(Debug, Clone)]
pub struct ClasslessRoutes<'a>(Reader<'a>);

impl<'a> ClasslessRoutes<'a> {
    /// Decodes the value, all of it.
    ///
    /// # Errors
    /// `OptionLength` if it is empty or ends within a route, `OptionValue` if a width exceeds 32.
    pub fn decode(value: &'a [u8]) -> Result<Self, DecodeReason> {
        let mut rest = Reader::new(value);
        if rest.is_empty() {
            return Err(DecodeReason::OptionLength);
        }
        while !rest.is_empty() {
            read_route(&mut rest)?;
        }
        Ok(Self(Reader::new(value)))
    }
}

impl Iterator for ClasslessRoutes<'_> {
    type Item = ClasslessRoute;

    fn next(&mut self) -> Option<ClasslessRoute> {
        // `decode` has seen every route; the only failure left is the end.
        read_route(&mut self.0).ok()
    }
}

fn read_route(reader: &mut Reader<'_>) -> Result<ClasslessRoute, DecodeReason> {
    let width = reader.u8().ok_or(DecodeReason::OptionLength)?;
    let mask = mask_of(width).ok_or(DecodeReason::OptionValue)?;
    let significant = reader.take(usize::from(width).div_ceil(8));
    let significant = significant.ok_or(DecodeReason::OptionLength)?;
    let mut octets = [0; 4];
    octets[..significant.len()].copy_from_slice(significant);
    let destination = Ipv4Addr::from(u32::from_be_bytes(octets) & mask);
    let router = reader.address().ok_or(DecodeReason::OptionLength)?;
    Ok(ClasslessRoute { destination, width, router })
}

fn mask_of(width: u8) -> Option<u32> {
    match width {
        0 => Some(0),
        1..=32 => Some(u32::MAX << (32 - width)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

    fn check(destination: [u8; 4], width: u8, significant: &[u8]) {
        let route = ClasslessRoute::new(destination.into(), width, ROUTER).expect("width");
        let mut out = Vec::new();
        route.encode(&mut out);
        assert_eq!(out, [&[width], significant, &[192, 0, 2, 1]].concat());
        let decoded: Vec<_> = ClasslessRoutes::decode(&out).expect("valid").collect();
        assert_eq!(decoded, [route]);
    }

    #[test]
    fn destinations_are_those_of_rfc_3442s_table() {
        // proves [O-35]
        check([0, 0, 0, 0], 0, &[]);
        check([10, 0, 0, 0], 8, &[10]);
        check([10, 0, 0, 0], 24, &[10, 0, 0]);
        check([10, 17, 0, 0], 16, &[10, 17]);
        check([10, 27, 129, 0], 24, &[10, 27, 129]);
        check([10, 229, 0, 128], 25, &[10, 229, 0, 128]);
        check([10, 198, 122, 47], 32, &[10, 198, 122, 47]);
    }

    #[test]
    fn bits_beyond_the_width_are_cleared() {
        let value = [9, 10, 255, 192, 0, 2, 1];
        let routes: Vec<_> = ClasslessRoutes::decode(&value).expect("valid").collect();
        assert_eq!(routes[0].destination, Ipv4Addr::new(10, 128, 0, 0));
    }

    #[test]
    fn a_faulty_route_refuses_all() {
        for (value, reason) in [
            (&[][..], DecodeReason::OptionLength),
            (&[33, 1, 2, 3, 4, 5, 1, 1, 1, 1], DecodeReason::OptionValue),
            (&[8, 10, 1, 1, 1], DecodeReason::OptionLength),
            (&[0, 1, 1, 1, 1, 24, 10], DecodeReason::OptionLength),
        ] {
            assert_eq!(ClasslessRoutes::decode(value).err(), Some(reason), "{value:?}");
        }
    }
}
