//! The first frame of each side: who I am, whom I expect, and what my clocks say.

use super::{Connection, Frame, Lane, kind};
use crate::codec::{self, Reader};
use crate::error::{ClusterId, HandshakeRefusal, Malformed, TransportError};
use bytes::Bytes;
use replication_ledger::{MemberId, Role, Version};
use storage::encoding;

/// Which history a member belongs to. Members of different lineages exchange no Raft messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lineage {
    /// Drawn at `cluster init`.
    pub cluster: ClusterId,
    /// Counts partner-down assertions.
    pub epoch: u64,
    /// Drawn with the epoch.
    pub draw: u128,
}

/// What a peer's clocks said when it wrote a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerClock {
    /// Nanoseconds since 1970.
    pub wall_nanos: u64,
    /// Nanoseconds since the machine started, suspend included.
    pub boot_nanos: u64,
}

/// How a member introduces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The first and the last version that the sender can do with. What is first is in force where it comes from.
    pub versions: (Version, Version),
    /// What the connection is for.
    pub lane: Lane,
    /// The sender's lineage; none while it belongs to no cluster.
    pub lineage: Option<Lineage>,
    /// The sender.
    pub member: MemberId,
    /// Whom the sender expects; none when it joins.
    pub target: Option<MemberId>,
    /// The sender's role.
    pub role: Role,
    /// The sender's clocks.
    pub clock: PeerClock,
}

impl Hello {
    fn encode(&self) -> Bytes {
        codec::encode(|writer| {
            let (first, last) = self.versions;
            writer.u16(first.0.into()).u16(last.0.into()).u8(self.lane.code());
            writer.option(self.lineage, |writer, lineage| {
                lineage.write(writer);
            });
            writer.u64(self.member.0).option(self.target, |writer, target| {
                writer.u64(target.0);
            });
            writer.bool(self.role == Role::Witness);
            writer.u64(self.clock.wall_nanos).u64(self.clock.boot_nanos);
        })
    }

    fn decode(
        body: Bytes,
        in_force: Version,
    ) -> Result<Result<Hello, HandshakeRefusal>, Malformed> {
        let mut reader = Reader::new("hello", body);
        let version = |number: u16| Version(u8::try_from(number).unwrap_or(u8::MAX));
        let versions @ (first, last) = (version(reader.u16()?), version(reader.u16()?));
        if first > *encoding::readable().end() || last < in_force {
            // What follows may look different in another version.
            return Ok(Err(HandshakeRefusal::WrongVersion));
        }
        let lane = Lane::from_code(reader.u8()?).ok_or(reader.malformed())?;
        let lineage = reader.option(Lineage::read)?;
        let member = MemberId(reader.u64()?);
        let target = reader.option(Reader::u64)?.map(MemberId);
        let role = if reader.bool()? { Role::Witness } else { Role::Server };
        let clock = PeerClock { wall_nanos: reader.u64()?, boot_nanos: reader.u64()? };
        reader.finish(Ok(Hello { versions, lane, lineage, member, target, role, clock }))
    }
}

impl Lineage {
    pub(crate) fn write(self, writer: &mut codec::Writer) {
        writer.u128(self.cluster.0).u64(self.epoch).u128(self.draw);
    }

    pub(crate) fn read(reader: &mut Reader) -> Result<Lineage, Malformed> {
        let cluster = ClusterId(reader.u128()?);
        Ok(Lineage { cluster, epoch: reader.u64()?, draw: reader.u128()? })
    }
}

/// The connecting side: introduces itself and hears who answers, or why nobody does.
pub(crate) async fn greet(
    connection: &mut Connection,
    hello: &Hello,
) -> Result<Hello, TransportError> {
    send(connection, kind::HELLO, hello.encode()).await?;
    let frame = connection.incoming.recv().await.ok_or_else(|| connection.ended())?;
    match frame.kind {
        kind::HELLO => Ok(Hello::decode(frame.body, hello.versions.0)??),
        kind::REFUSAL => {
            let mut reader = Reader::new("refusal", frame.body);
            let code = reader.u8()?;
            let refusal = HandshakeRefusal::from_code(code).ok_or(reader.malformed())?;
            Err(refusal.into())
        }
        _ => Err(Malformed { what: "hello" }.into()),
    }
}

/// The listening side: hears who is there. Whoever speaks another version is refused right here.
pub(crate) async fn welcome(
    connection: &mut Connection,
    in_force: Version,
) -> Result<Hello, TransportError> {
    let frame = connection.incoming.recv().await.ok_or_else(|| connection.ended())?;
    if frame.kind != kind::HELLO {
        return Err(Malformed { what: "hello" }.into());
    }
    match Hello::decode(frame.body, in_force)? {
        Ok(hello) => Ok(hello),
        Err(refusal) => {
            refuse(connection, refusal).await?;
            Err(refusal.into())
        }
    }
}

impl Connection {
    /// The listening side: answers a hello that fits.
    pub(crate) async fn accept(&self, hello: &Hello) -> Result<(), TransportError> {
        send(self, kind::HELLO, hello.encode()).await
    }
}

/// The listening side: says why not.
pub(crate) async fn refuse(
    connection: &Connection,
    refusal: HandshakeRefusal,
) -> Result<(), TransportError> {
    send(connection, kind::REFUSAL, Bytes::copy_from_slice(&[refusal.code()])).await
}

async fn send(connection: &Connection, kind: u8, body: Bytes) -> Result<(), TransportError> {
    // How a hello and a refusal look does not depend on the version.
    let frame = Frame { kind, version: Version::FIRST, sequence: 0, body };
    connection.outgoing.send(frame).await.map_err(|_| TransportError::Closed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        Hello {
            versions: (Version(5), Version(6)),
            lane: Lane::Forward,
            lineage: Some(Lineage { cluster: ClusterId(7), epoch: 1, draw: 9 }),
            member: MemberId(3),
            target: Some(MemberId(4)),
            role: Role::Witness,
            clock: PeerClock { wall_nanos: 5, boot_nanos: 6 },
        }
    }

    #[test]
    fn a_hello_arrives_as_it_was() {
        let newest = *encoding::readable().end();
        let hello = || Hello { versions: (newest, Version(newest.0 + 1)), ..hello() };
        let decode = |body| Hello::decode(body, Version::FIRST);
        assert_eq!(decode(hello().encode()), Ok(Ok(hello())));
        let joining = Hello { lineage: None, target: None, lane: Lane::Join, ..hello() };
        assert_eq!(decode(joining.encode()), Ok(Ok(joining)));
        for len in 0..hello().encode().len() {
            assert!(decode(hello().encode().slice(..len)).is_err(), "cut to {len}");
        }
    }

    #[test]
    fn whoever_cannot_read_what_is_written_is_refused_whatever_follows() {
        let newest = encoding::readable().end().0;
        let check = |first: u8, last: u8, in_force: u8, fits: bool| {
            let body = Bytes::copy_from_slice(&[0, first, 0, last, 0xff]);
            let decoded = Hello::decode(body, Version(in_force));
            let refused = decoded == Ok(Err(HandshakeRefusal::WrongVersion));
            assert_eq!(refused, !fits, "{first} to {last}, {in_force} in force");
        };
        check(1, 2, newest, false);
        check(newest + 1, newest + 5, newest, false);
        check(newest, newest + 5, newest, true);
        // A program that reads all that this one reads, but not what is in force.
        check(newest - 1, newest, newest + 1, false);
        let far = Bytes::from_static(&[1, 0, 1, 0, 0xff]);
        assert_eq!(Hello::decode(far, Version::FIRST), Ok(Err(HandshakeRefusal::WrongVersion)));
    }
}
