//! What only the leader can do, and how another member asks for it and hears what came of it.

use crate::codec::{self, Reader};
use crate::error::{Malformed, ReplicationError};
use crate::types::MemberAddress;
use bytes::Bytes;
use replication_ledger::{MemberId, Role};
use std::net::Ipv4Addr;
use storage::encoding;

/// A member that asks to be taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Newcomer {
    pub(crate) member: MemberId,
    pub(crate) address: MemberAddress,
    pub(crate) server_identifier: Option<Ipv4Addr>,
}

impl Newcomer {
    pub(crate) fn role(&self) -> Role {
        if self.address.witness { Role::Witness } else { Role::Server }
    }

    pub(crate) fn write(&self, writer: &mut codec::Writer) {
        writer.u64(self.member.0).member_address(&self.address);
        writer.option(self.server_identifier, |writer, address| {
            writer.u32(address.to_bits());
        });
    }

    pub(crate) fn read(reader: &mut Reader) -> Result<Newcomer, Malformed> {
        let member = MemberId(reader.u64()?);
        let address = reader.member_address()?;
        let server_identifier = reader.option(Reader::u32)?.map(Ipv4Addr::from_bits);
        Ok(Newcomer { member, address, server_identifier })
    }
}

/// What only the leader can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Admit(Newcomer),
    Remove(MemberId),
    Transfer(MemberId),
    Drain(MemberId),
    Undrain(MemberId),
}

impl Operation {
    pub(crate) fn encode(&self) -> Bytes {
        codec::encode(|writer| match self {
            Operation::Admit(newcomer) => newcomer.write(writer.u8(0)),
            Operation::Remove(member) => {
                writer.u8(1).u64(member.0);
            }
            Operation::Transfer(member) => {
                writer.u8(2).u64(member.0);
            }
            Operation::Drain(member) => {
                writer.u8(3).u64(member.0);
            }
            Operation::Undrain(member) => {
                writer.u8(4).u64(member.0);
            }
        })
    }

    pub(crate) fn decode(body: Bytes) -> Result<Operation, Malformed> {
        let mut reader = Reader::new("operation", body);
        let operation = match reader.u8()? {
            0 => Operation::Admit(Newcomer::read(&mut reader)?),
            1 => Operation::Remove(MemberId(reader.u64()?)),
            2 => Operation::Transfer(MemberId(reader.u64()?)),
            3 => Operation::Drain(MemberId(reader.u64()?)),
            4 => Operation::Undrain(MemberId(reader.u64()?)),
            _ => return Err(reader.malformed()),
        };
        reader.finish(operation)
    }

    pub(crate) fn what(&self) -> &'static str {
        match self {
            Operation::Admit(_) => "taking in the member",
            Operation::Remove(_) => "removing the member",
            Operation::Transfer(_) => "handing over the leadership",
            Operation::Drain(_) => "draining the member",
            Operation::Undrain(_) => "bringing the member back",
        }
    }
}

/// Errors that make sense at another member, by code; others travel as text.
pub(crate) fn encode_result<T>(
    result: &Result<T, ReplicationError>,
    write: impl FnOnce(&mut codec::Writer, &T),
) -> Bytes {
    codec::encode(|writer| {
        let error = match result {
            Ok(value) => {
                return write(writer.u8(0), value);
            }
            Err(error) => error,
        };
        match error {
            ReplicationError::NotLeader { leader } => {
                writer.u8(1).option(*leader, |writer, leader| {
                    writer.u64(leader.0);
                });
            }
            ReplicationError::MemberIdUsed { member } => {
                writer.u8(2).u64(member.0);
            }
            ReplicationError::BadToken => {
                writer.u8(3);
            }
            ReplicationError::NoSuchMember { member } => {
                writer.u8(4).u64(member.0);
            }
            ReplicationError::NotCaughtUp { member, entries_behind } => {
                writer.u8(5).u64(member.0).u64(*entries_behind);
            }
            ReplicationError::Refused { refusal } => {
                writer.u8(6).bytes(&encoding::encode(refusal));
            }
            ReplicationError::ChangeInProgress => {
                writer.u8(7);
            }
            ReplicationError::LastVoter => {
                writer.u8(8);
            }
            ReplicationError::NoQuorum { .. } => {
                writer.u8(9);
            }
            ReplicationError::NotInitialized => {
                writer.u8(10);
            }
            ReplicationError::NotInContact { member } => {
                writer.u8(11).u64(member.0);
            }
            ReplicationError::DrainedWitness { member } => {
                writer.u8(12).u64(member.0);
            }
            ReplicationError::Drained { member } => {
                writer.u8(13).u64(member.0);
            }
            ReplicationError::ClockInDoubt { member } => {
                writer.u8(14).u64(member.0);
            }
            other => {
                writer.u8(255).text(&other.to_string());
            }
        }
    })
}

pub(crate) fn decode_result<T>(
    body: Bytes,
    read: impl FnOnce(&mut Reader) -> Result<T, Malformed>,
) -> Result<T, ReplicationError> {
    let mut reader = Reader::new("result", body);
    let error = match reader.u8()? {
        0 => {
            let value = read(&mut reader)?;
            return Ok(reader.finish(value)?);
        }
        1 => ReplicationError::NotLeader { leader: reader.option(Reader::u64)?.map(MemberId) },
        2 => ReplicationError::MemberIdUsed { member: MemberId(reader.u64()?) },
        3 => ReplicationError::BadToken,
        4 => ReplicationError::NoSuchMember { member: MemberId(reader.u64()?) },
        5 => ReplicationError::NotCaughtUp {
            member: MemberId(reader.u64()?),
            entries_behind: reader.u64()?,
        },
        6 => {
            let refusal = encoding::decode(&reader.bytes()?, "refusal")?;
            ReplicationError::Refused { refusal }
        }
        7 => ReplicationError::ChangeInProgress,
        8 => ReplicationError::LastVoter,
        9 => ReplicationError::NoQuorum { what: "the request" },
        10 => ReplicationError::NotInitialized,
        11 => ReplicationError::NotInContact { member: MemberId(reader.u64()?) },
        12 => ReplicationError::DrainedWitness { member: MemberId(reader.u64()?) },
        13 => ReplicationError::Drained { member: MemberId(reader.u64()?) },
        14 => ReplicationError::ClockInDoubt { member: MemberId(reader.u64()?) },
        _ => ReplicationError::Stopped { reason: reader.text()? },
    };
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use replication_ledger::Refusal;

    #[test]
    fn operations_arrive_as_they_were() {
        let address = MemberAddress { address: "a:1".into(), name: "b".into(), witness: true };
        let newcomer = Newcomer {
            member: MemberId(5),
            address,
            server_identifier: Some([10, 0, 0, 1].into()),
        };
        let check = |operation: Operation| {
            assert_eq!(Operation::decode(operation.encode()), Ok(operation));
        };
        check(Operation::Admit(newcomer));
        check(Operation::Remove(MemberId(3)));
        check(Operation::Transfer(MemberId(4)));
        check(Operation::Drain(MemberId(5)));
        check(Operation::Undrain(MemberId(6)));
    }

    #[test]
    fn refusals_keep_their_text_on_the_way() {
        let check = |error: ReplicationError| {
            let text = error.to_string();
            let bytes = encode_result(&Err::<(), _>(error), |_, ()| ());
            let arrived = decode_result(bytes, |_| Ok(())).expect_err("it was an error");
            assert_eq!(arrived.to_string(), text);
        };
        check(ReplicationError::NotLeader { leader: Some(MemberId(2)) });
        check(ReplicationError::MemberIdUsed { member: MemberId(2) });
        check(ReplicationError::BadToken);
        check(ReplicationError::NoSuchMember { member: MemberId(9) });
        check(ReplicationError::NotCaughtUp { member: MemberId(2), entries_behind: 7 });
        check(ReplicationError::Refused { refusal: Refusal::LastServer });
        check(ReplicationError::ChangeInProgress);
        check(ReplicationError::LastVoter);
        check(ReplicationError::NotInitialized);
        check(ReplicationError::NotInContact { member: MemberId(4) });
        check(ReplicationError::DrainedWitness { member: MemberId(3) });
        check(ReplicationError::Drained { member: MemberId(1) });
        check(ReplicationError::ClockInDoubt { member: MemberId(1) });
    }
}
