//! Parcels on the way to the leader: encoded once, where they are proposed, and opaque until they are applied.

use crate::codec::{self, Reader};
use crate::error::Malformed;
use bytes::Bytes;
use replication_ledger::Parcel;
use storage::encoding;

/// A parcel and how many commands it has.
#[derive(Clone, Debug)]
pub(crate) struct EncodedParcel {
    pub(crate) bytes: Bytes,
    pub(crate) commands_len: usize,
}

impl AsRef<[u8]> for EncodedParcel {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

pub(crate) fn encode_parcel(parcel: &Parcel) -> EncodedParcel {
    let bytes = Bytes::from(encoding::encode_parcel(parcel));
    EncodedParcel { bytes, commands_len: parcel.commands.len() }
}

pub(crate) fn encode_forwarded(parcels: &[EncodedParcel]) -> Bytes {
    codec::encode(|writer| {
        writer.list(parcels.iter(), |writer, parcel| {
            writer.u32(u32::try_from(parcel.commands_len).unwrap_or(u32::MAX)).bytes(&parcel.bytes);
        });
    })
}

pub(crate) fn decode_forwarded(bytes: Bytes) -> Result<Vec<EncodedParcel>, Malformed> {
    let mut reader = Reader::new("forwarded parcels", bytes);
    let parcels = reader.list(|reader| {
        let commands_len = usize::try_from(reader.u32()?).map_err(|_| reader.malformed())?;
        Ok(EncodedParcel { commands_len, bytes: reader.bytes()? })
    })?;
    reader.finish(parcels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use replication_ledger::{Command, MemberId, Session};
    use std::net::Ipv4Addr;

    fn parcel(sequence: u64) -> Parcel {
        let commands = vec![Command::Reset { address: Ipv4Addr::new(10, 0, 0, 1) }; 3];
        Parcel { member: MemberId(2), session: Session(4), sequence, commands }
    }

    #[test]
    fn forwarded_parcels_arrive_as_they_were() {
        let sent = [encode_parcel(&parcel(1)), encode_parcel(&parcel(2))];
        let bytes = encode_forwarded(&sent);
        let received = decode_forwarded(bytes.clone()).expect("decodes");
        assert_eq!(received.len(), sent.len());
        for (sent, received) in sent.iter().zip(&received) {
            assert_eq!((&sent.bytes, sent.commands_len), (&received.bytes, received.commands_len));
        }
        for len in 0..bytes.len() {
            assert!(decode_forwarded(bytes.slice(..len)).is_err(), "cut to {len}");
        }
    }
}
