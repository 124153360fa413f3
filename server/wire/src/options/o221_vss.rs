//! Option 221 and relay agent sub-option 151, Virtual Subnet Selection (RFC 6607 section 3).

use crate::error::DecodeReason;
use crate::reader::Reader;

/// The VPN a message speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Vss<'a> {
    /// Type 0: a name in NVT ASCII, without a NUL at the end.
    Name(&'a [u8]),
    /// Type 1: a VPN-ID of RFC 2685, seven octets.
    VpnId(&'a [u8; 7]),
    /// Type 254: every VPN, in bulk leasequeries (RFC 6926 section 6.2.9).
    All,
    /// Type 255: the global, default VPN.
    Global,
    /// A type nobody has assigned.
    Unassigned {
        /// 2 to 253.
        vss_type: u8,
        /// What follows it.
        information: &'a [u8],
    },
}

const TYPE_NAME: u8 = 0;
const TYPE_VPN_ID: u8 = 1;
const TYPE_ALL: u8 = 254;
const TYPE_GLOBAL: u8 = 255;

impl<'a> Vss<'a> {
    /// Decodes the value of the option or of the sub-option.
    ///
    /// # Errors
    /// `OptionLength`: empty; a VPN-ID of other than seven octets; information after type 254 or
    /// 255, where the length must be 1.
    pub fn decode(value: &'a [u8]) -> Result<Self, DecodeReason> {
        let mut reader = Reader::new(value);
        let vss_type = reader.u8().ok_or(DecodeReason::OptionLength)?;
        let information = reader.rest();
        match (vss_type, information) {
            (TYPE_NAME, name) => Ok(Self::Name(name)),
            (TYPE_VPN_ID, id) => {
                id.try_into().map(Self::VpnId).map_err(|_| DecodeReason::OptionLength)
            }
            (TYPE_ALL, []) => Ok(Self::All),
            (TYPE_GLOBAL, []) => Ok(Self::Global),
            (TYPE_ALL | TYPE_GLOBAL, _) => Err(DecodeReason::OptionLength),
            (vss_type, information) => Ok(Self::Unassigned { vss_type, information }),
        }
    }

    /// Appends the value.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (vss_type, information) = self.parts();
        out.push(vss_type);
        out.extend_from_slice(information);
    }

    /// Type and information.
    pub fn parts(&self) -> (u8, &'a [u8]) {
        match *self {
            Self::Name(name) => (TYPE_NAME, name),
            Self::VpnId(id) => (TYPE_VPN_ID, id),
            Self::All => (TYPE_ALL, &[]),
            Self::Global => (TYPE_GLOBAL, &[]),
            Self::Unassigned { vss_type, information } => (vss_type, information),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &[u8], expected: Result<Vss<'_>, DecodeReason>) {
        assert_eq!(Vss::decode(value), expected, "{value:?}");
        if let Ok(vss) = expected {
            let mut out = Vec::new();
            vss.encode(&mut out);
            assert_eq!(out, value);
        }
    }

    #[test]
    fn types_and_lengths_are_those_of_rfc_6607() {
        check(&[0, b'a', b'b'], Ok(Vss::Name(b"ab")));
        check(&[0], Ok(Vss::Name(b"")));
        check(&[1, 1, 2, 3, 4, 5, 6, 7], Ok(Vss::VpnId(&[1, 2, 3, 4, 5, 6, 7])));
        check(&[1, 1, 2, 3, 4, 5, 6], Err(DecodeReason::OptionLength));
        check(&[254], Ok(Vss::All));
        check(&[255], Ok(Vss::Global));
        check(&[255, 0], Err(DecodeReason::OptionLength));
        check(&[254, 0], Err(DecodeReason::OptionLength));
        check(&[77, 1], Ok(Vss::Unassigned { vss_type: 77, information: &[1] }));
        check(&[], Err(DecodeReason::OptionLength));
    }
}
