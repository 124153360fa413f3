//! Parcels on the way to the leader: encoded once, where they are proposed, and opaque until they are applied.

use crate::codec::{self, Reader};
use crate::error::Malformed;
use bytes::Bytes;
use replication_ledger::{Command, Parcel, Version};
use storage::encoding;

/// A parcel and what has to be known of it without decoding it.
#[derive(Clone, Debug)]
pub(crate) struct EncodedParcel {
    pub(crate) bytes: Bytes,
    /// What it is written in.
    pub(crate) version: Version,
    pub(crate) commands_len: usize,
    /// A member is lost or removed by it: while it is under way nobody's anchor moves.
    pub(crate) names_loss: bool,
}

impl AsRef<[u8]> for EncodedParcel {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

pub(crate) fn encode_parcel(version: Version, parcel: &Parcel) -> EncodedParcel {
    let bytes = Bytes::from(encoding::encode_parcel(version, parcel));
    let names_loss = parcel.commands.iter().any(|command| {
        matches!(
            command,
            Command::ContactLost { .. } | Command::Remove { .. } | Command::AssertPartnerDown(_)
        )
    });
    EncodedParcel { bytes, version, commands_len: parcel.commands.len(), names_loss }
}

pub(crate) fn encode_forwarded(parcels: &[EncodedParcel]) -> Bytes {
    codec::encode(|writer| {
        writer.list(parcels.iter(), |writer, parcel| {
            let commands_len = u32::try_from(parcel.commands_len).unwrap_or(u32::MAX);
            writer.u8(parcel.version.0).u32(commands_len);
            writer.bool(parcel.names_loss).bytes(&parcel.bytes);
        });
    })
}

pub(crate) fn decode_forwarded(bytes: Bytes) -> Result<Vec<EncodedParcel>, Malformed> {
    let mut reader = Reader::new("forwarded parcels", bytes);
    let parcels = reader.list(|reader| {
        let version = Version(reader.u8()?);
        let commands_len = usize::try_from(reader.u32()?).map_err(|_| reader.malformed())?;
        let names_loss = reader.bool()?;
        Ok(EncodedParcel { version, commands_len, names_loss, bytes: reader.bytes()? })
    })?;
    reader.finish(parcels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use replication_ledger::{MemberId, Session, VpnAddress};

    fn parcel(sequence: u64) -> Parcel {
        let commands = vec![Command::Reset { address: VpnAddress::LAST }; 3];
        Parcel { member: MemberId(2), session: Session(4), sequence, commands }
    }

    #[test]
    fn forwarded_parcels_arrive_as_they_were() {
        let mut loss = parcel(2);
        loss.commands.push(Command::ContactLost { member: MemberId(1) });
        let sent = [encode_parcel(Version(5), &parcel(1)), encode_parcel(Version(6), &loss)];
        assert_eq!(sent.each_ref().map(|parcel| parcel.names_loss), [false, true]);
        let bytes = encode_forwarded(&sent);
        let received = decode_forwarded(bytes.clone()).expect("decodes");
        assert_eq!(received.len(), sent.len());
        for (sent, received) in sent.iter().zip(&received) {
            let parts = |parcel: &EncodedParcel| {
                (parcel.bytes.clone(), parcel.version, parcel.commands_len, parcel.names_loss)
            };
            assert_eq!(parts(sent), parts(received));
        }
        for len in 0..bytes.len() {
            assert!(decode_forwarded(bytes.slice(..len)).is_err(), "cut to {len}");
        }
    }
}
