//! Option 90, Authentication (RFC 3118 section 2): its parts. Nothing is verified here.

use crate::error::DecodeReason;
use crate::reader::Reader;

/// Protocol 0: a token in clear text (RFC 3118 section 4).
pub const PROTOCOL_TOKEN: u8 = 0;
/// Protocol 1: delayed authentication (RFC 3118 section 5).
pub const PROTOCOL_DELAYED: u8 = 1;
/// Algorithm 1 of protocol 1: HMAC-MD5.
pub const ALGORITHM_HMAC_MD5: u8 = 1;
/// Replay detection method 0: a counter that only increases.
pub const RDM_COUNTER: u8 = 0;

/// The value of option 90.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authentication<'a> {
    /// What the rest means.
    pub protocol: u8,
    /// How the code was made.
    pub algorithm: u8,
    /// Replay detection method.
    pub rdm: u8,
    /// Replay detection value.
    pub replay: u64,
    /// Depends on the protocol; empty in DHCPDISCOVER and DHCPINFORM.
    pub information: &'a [u8],
}

impl<'a> Authentication<'a> {
    /// Decodes the value.
    ///
    /// # Errors
    /// `OptionLength` if it has less than 11 octets.
    pub fn decode(value: &'a [u8]) -> Result<Self, DecodeReason> {
        let mut reader = Reader::new(value);
        let short = DecodeReason::OptionLength;
        Ok(Self {
            protocol: reader.u8().ok_or(short)?,
            algorithm: reader.u8().ok_or(short)?,
            rdm: reader.u8().ok_or(short)?,
            replay: reader.array().map(|octets| u64::from_be_bytes(*octets)).ok_or(short)?,
            information: reader.rest(),
        })
    }

    /// Appends the value.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.protocol, self.algorithm, self.rdm]);
        out.extend_from_slice(&self.replay.to_be_bytes());
        out.extend_from_slice(self.information);
    }

    /// Secret identifier and message authentication code, if this is delayed authentication with
    /// HMAC-MD5 and carries them (RFC 3118 section 5.2).
    pub fn delayed(&self) -> Option<(u32, &'a [u8; 16])> {
        if (self.protocol, self.algorithm) != (PROTOCOL_DELAYED, ALGORITHM_HMAC_MD5) {
            return None;
        }
        let mut reader = Reader::new(self.information);
        let parts = (reader.u32()?, reader.array()?);
        reader.is_empty().then_some(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixed_part_is_eleven_octets() {
        let discover = [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 9];
        let decoded = Authentication::decode(&discover).expect("complete");
        assert_eq!((decoded.replay, decoded.information, decoded.delayed()), (9, &[][..], None));
        assert_eq!(Authentication::decode(&discover[..10]), Err(DecodeReason::OptionLength));
    }

    #[test]
    fn delayed_authentication_has_secret_and_code() {
        let information = [&[0, 0, 0, 5][..], &[7; 16]].concat();
        let authentication = Authentication {
            protocol: PROTOCOL_DELAYED,
            algorithm: ALGORITHM_HMAC_MD5,
            rdm: RDM_COUNTER,
            replay: 1,
            information: &information,
        };
        let mut out = Vec::new();
        authentication.encode(&mut out);
        assert_eq!(out.len(), 31);
        let decoded = Authentication::decode(&out).expect("complete");
        assert_eq!(decoded.delayed(), Some((5, &[7; 16])));
    }
}
