//! Options 124 and 125, Vendor-Identifying Vendor Class and Vendor-Specific Information
//! (RFC 3925), and relay agent sub-option 9 (RFC 4243): blocks of enterprise number and data.

use crate::error::DecodeReason;
use crate::reader::Reader;

/// The blocks of one option: enterprise number and data, in order.
#[derive(Debug, Clone)]
pub struct VendorBlocks<'a>(Reader<'a>);

impl<'a> VendorBlocks<'a> {
    /// Decodes the value, all of it.
    ///
    /// # Errors
    /// `OptionLength` if it is empty or ends within a block.
    pub fn decode(value: &'a [u8]) -> Result<Self, DecodeReason> {
        let mut rest = Reader::new(value);
        if rest.is_empty() {
            return Err(DecodeReason::OptionLength);
        }
        while !rest.is_empty() {
            read_block(&mut rest).ok_or(DecodeReason::OptionLength)?;
        }
        Ok(Self(Reader::new(value)))
    }

    /// Appends a block; `None`, and nothing appended, if the data exceeds 255 octets.
    pub fn encode_block(enterprise: u32, data: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let len = u8::try_from(data.len()).ok()?;
        out.extend_from_slice(&enterprise.to_be_bytes());
        out.push(len);
        out.extend_from_slice(data);
        Some(())
    }
}

impl<'a> Iterator for VendorBlocks<'a> {
    type Item = (u32, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        read_block(&mut self.0)
    }
}

fn read_block<'a>(reader: &mut Reader<'a>) -> Option<(u32, &'a [u8])> {
    let enterprise = reader.u32()?;
    let len = reader.u8()?;
    Some((enterprise, reader.take(len.into())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_in_order_and_whole() {
        let mut out = Vec::new();
        assert_eq!(VendorBlocks::encode_block(4491, b"abc", &mut out), Some(()));
        assert_eq!(VendorBlocks::encode_block(9, b"", &mut out), Some(()));
        assert_eq!(VendorBlocks::encode_block(9, &[0; 256], &mut out), None);
        let blocks: Vec<_> = VendorBlocks::decode(&out).expect("valid").collect();
        assert_eq!(blocks, [(4491, &b"abc"[..]), (9, &b""[..])]);
        for len in [0, 3, 4, 7, 9, 12] {
            assert_eq!(
                VendorBlocks::decode(&out[..len]).err(),
                Some(DecodeReason::OptionLength),
                "{len}"
            );
        }
    }
}
