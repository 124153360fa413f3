//! A cursor over octets that can not be read past their end.

use std::net::Ipv4Addr;

/// Reads big-endian values in order. Every read answers `None` at the end of the octets and then
/// leaves the position where it was.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    octets: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// A cursor at the first of `octets`.
    pub const fn new(octets: &'a [u8]) -> Self {
        Self { octets, offset: 0 }
    }

    /// Octets read so far.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Octets left.
    pub const fn remaining(&self) -> usize {
        self.octets.len() - self.offset
    }

    /// Whether everything has been read.
    pub const fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// The next `len` octets.
    pub fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let end = self.offset.checked_add(len)?;
        let taken = self.octets.get(self.offset..end)?;
        self.offset = end;
        Some(taken)
    }

    /// All octets left.
    pub fn rest(&mut self) -> &'a [u8] {
        let rest = self.octets.get(self.offset..).unwrap_or_default();
        self.offset = self.octets.len();
        rest
    }

    /// The next `N` octets as an array.
    pub fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let taken = self.octets.get(self.offset..)?.first_chunk::<N>()?;
        self.offset += N;
        Some(taken)
    }

    /// The next octet.
    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[octet]| *octet)
    }

    /// The next two octets.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(|octets| u16::from_be_bytes(*octets))
    }

    /// The next four octets.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(|octets| u32::from_be_bytes(*octets))
    }

    /// The next four octets as an address.
    pub fn address(&mut self) -> Option<Ipv4Addr> {
        self.array::<4>().map(|octets| Ipv4Addr::from(*octets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_past_the_end_answers_none_and_moves_nothing() {
        let mut reader = Reader::new(&[1, 2, 3, 4, 5]);
        assert_eq!(reader.u16(), Some(0x0102));
        assert_eq!(reader.u32(), None);
        assert_eq!(reader.take(usize::MAX), None);
        assert_eq!(reader.offset(), 2);
        assert_eq!(reader.take(3), Some(&[3, 4, 5][..]));
        assert!(reader.is_empty());
        assert_eq!(reader.u8(), None);
        assert_eq!(reader.rest(), &[] as &[u8]);
    }

    #[test]
    fn values_are_big_endian() {
        let mut reader = Reader::new(&[192, 0, 2, 1, 0, 0, 1, 0, 9]);
        assert_eq!(reader.address(), Some(Ipv4Addr::new(192, 0, 2, 1)));
        assert_eq!(reader.u32(), Some(256));
        assert_eq!(reader.rest(), &[9]);
    }
}
