//! Option 81, Client FQDN (RFC 4702 section 2).

use crate::error::DecodeReason;
use crate::reader::Reader;

/// Bit S: the server shall (in a reply: will) update the address record.
pub const FLAG_S: u8 = 0x01;
/// Bit O: the server's S differs from the client's. Zero in requests.
pub const FLAG_O: u8 = 0x02;
/// Bit E: the name is in the encoding of RFC 1035 section 3.1; otherwise it is ASCII.
pub const FLAG_E: u8 = 0x04;
/// Bit N: no updates by the server at all.
pub const FLAG_N: u8 = 0x08;

/// The value of option 81.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientFqdn<'a> {
    /// Bits S, O, E and N; the others must be zero and are kept.
    pub flags: u8,
    /// RCODE1, without meaning since RFC 4702.
    pub rcode1: u8,
    /// RCODE2, without meaning since RFC 4702.
    pub rcode2: u8,
    /// The name, in the encoding that bit E tells; may be empty or partial.
    pub domain_name: &'a [u8],
}

impl<'a> ClientFqdn<'a> {
    /// Decodes the value.
    ///
    /// # Errors
    /// `OptionLength` if it has less than three octets.
    pub fn decode(value: &'a [u8]) -> Result<Self, DecodeReason> {
        let mut reader = Reader::new(value);
        let short = DecodeReason::OptionLength;
        Ok(Self {
            flags: reader.u8().ok_or(short)?,
            rcode1: reader.u8().ok_or(short)?,
            rcode2: reader.u8().ok_or(short)?,
            domain_name: reader.rest(),
        })
    }

    /// Appends the value.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.flags, self.rcode1, self.rcode2]);
        out.extend_from_slice(self.domain_name);
    }

    /// The labels of the name in either encoding; `None` if the name is not well formed. A name
    /// without a root at its end is partial, which RFC 4702 section 3.1 allows.
    pub fn labels(&self) -> Option<Vec<&'a [u8]>> {
        if self.flags & FLAG_E == 0 {
            let name = self.domain_name.strip_suffix(b".").unwrap_or(self.domain_name);
            let labels: Vec<_> = name.split(|octet| *octet == b'.').collect();
            return labels.iter().all(|label| !label.is_empty()).then_some(labels);
        }
        let mut labels = Vec::new();
        let mut reader = Reader::new(self.domain_name);
        while let Some(len) = reader.u8() {
            if len == 0 {
                return reader.is_empty().then_some(labels);
            }
            // A longer one would be a compression pointer, which RFC 4702 section 2.3.1 forbids.
            if len > 63 {
                return None;
            }
            labels.push(reader.take(len.into())?);
        }
        Some(labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(flags: u8, name: &[u8], expected: Option<&[&[u8]]>) {
        let value = [&[flags, 0, 0], name].concat();
        let fqdn = ClientFqdn::decode(&value).expect("complete");
        assert_eq!(fqdn.labels().as_deref(), expected, "{name:?}");
        let mut out = Vec::new();
        fqdn.encode(&mut out);
        assert_eq!(out, value);
    }

    #[test]
    fn names_are_read_in_both_encodings() {
        check(FLAG_S, b"host.example.", Some(&[b"host", b"example"]));
        check(FLAG_S, b"host", Some(&[b"host"]));
        check(FLAG_S, b"", None);
        check(FLAG_S | FLAG_E, b"\x04host\x07example\x00", Some(&[b"host", b"example"]));
        check(FLAG_E, b"\x04host", Some(&[b"host"]));
        check(FLAG_E, b"", Some(&[]));
        check(FLAG_E, b"\x05host", None);
        check(FLAG_E, b"\xc0\x00", None);
        check(FLAG_E, b"\x00\x00", None);
        check(0, b"a..b", None);
    }

    #[test]
    fn less_than_three_octets_are_refused() {
        assert_eq!(ClientFqdn::decode(&[1, 2]), Err(DecodeReason::OptionLength));
    }
}
