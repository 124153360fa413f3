//! openraft's requests and answers as message bodies.

use crate::codec::{self, Reader, Writer};
use crate::error::Malformed;
use crate::types::{LogId, Types};
use bytes::Bytes;
use openraft::AsyncRuntime;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, StreamAppendError, StreamAppendResult,
    TransferLeaderError, TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};

const DONE: u8 = 0;
const PARTLY: u8 = 1;
const CONFLICT: u8 = 2;
const HIGHER_VOTE: u8 = 3;

pub(crate) fn write_append<RT: AsyncRuntime>(
    writer: &mut Writer,
    request: &AppendEntriesRequest<Types<RT>>,
) {
    writer.vote(&request.vote).option_log_id(request.prev_log_id.as_ref());
    writer.option_log_id(request.leader_commit.as_ref());
    writer.list(request.entries.iter(), |writer, entry| {
        writer.entry(entry);
    });
}

pub(crate) fn read_append<RT: AsyncRuntime>(
    mut reader: Reader,
) -> Result<AppendEntriesRequest<Types<RT>>, Malformed> {
    let vote = reader.vote()?;
    let prev_log_id = reader.option(Reader::log_id)?;
    let leader_commit = reader.option(Reader::log_id)?;
    let entries = reader.list(Reader::entry)?;
    reader.finish(AppendEntriesRequest { vote, prev_log_id, entries, leader_commit })
}

pub(crate) fn encode_append_response<RT: AsyncRuntime>(
    response: &AppendEntriesResponse<Types<RT>>,
) -> Bytes {
    codec::encode(|writer| match response {
        AppendEntriesResponse::Success => {
            writer.u8(DONE);
        }
        AppendEntriesResponse::PartialSuccess(log_id) => {
            writer.u8(PARTLY).option_log_id(log_id.as_ref());
        }
        AppendEntriesResponse::Conflict => {
            writer.u8(CONFLICT);
        }
        AppendEntriesResponse::HigherVote(vote) => {
            writer.u8(HIGHER_VOTE).vote(vote);
        }
    })
}

pub(crate) fn decode_append_response<RT: AsyncRuntime>(
    body: Bytes,
) -> Result<AppendEntriesResponse<Types<RT>>, Malformed> {
    let mut reader = Reader::new("append response", body);
    let response = match reader.u8()? {
        DONE => AppendEntriesResponse::Success,
        PARTLY => AppendEntriesResponse::PartialSuccess(reader.option(Reader::log_id)?),
        CONFLICT => AppendEntriesResponse::Conflict,
        HIGHER_VOTE => AppendEntriesResponse::HigherVote(reader.vote()?),
        _ => return Err(reader.malformed()),
    };
    reader.finish(response)
}

pub(crate) fn encode_stream_result<RT: AsyncRuntime>(
    result: &StreamAppendResult<Types<RT>>,
) -> Bytes {
    codec::encode(|writer| match result {
        Ok(log_id) => {
            writer.u8(DONE).option_log_id(log_id.as_ref());
        }
        Err(StreamAppendError::Conflict(log_id)) => {
            writer.u8(CONFLICT).log_id(log_id);
        }
        Err(StreamAppendError::HigherVote(vote)) => {
            writer.u8(HIGHER_VOTE).vote(vote);
        }
    })
}

pub(crate) fn decode_stream_result<RT: AsyncRuntime>(
    body: Bytes,
) -> Result<StreamAppendResult<Types<RT>>, Malformed> {
    let mut reader = Reader::new("append stream response", body);
    let result = match reader.u8()? {
        DONE => Ok(reader.option(Reader::log_id)?),
        CONFLICT => Err(StreamAppendError::Conflict(reader.log_id()?)),
        HIGHER_VOTE => Err(StreamAppendError::HigherVote(reader.vote()?)),
        _ => return Err(reader.malformed()),
    };
    reader.finish(result)
}

pub(crate) fn encode_vote_request<RT: AsyncRuntime>(request: &VoteRequest<Types<RT>>) -> Bytes {
    codec::encode(|writer| {
        writer.vote(&request.vote).option_log_id(request.last_log_id.as_ref());
        writer.bool(request.leadership_transfer);
    })
}

pub(crate) fn decode_vote_request<RT: AsyncRuntime>(
    body: Bytes,
) -> Result<VoteRequest<Types<RT>>, Malformed> {
    let mut reader = Reader::new("vote request", body);
    let mut request = VoteRequest::new(reader.vote()?, reader.option(Reader::log_id)?);
    request.leadership_transfer = reader.bool()?;
    reader.finish(request)
}

pub(crate) fn encode_vote_response<RT: AsyncRuntime>(response: &VoteResponse<Types<RT>>) -> Bytes {
    codec::encode(|writer| {
        writer.vote(&response.vote).bool(response.vote_granted);
        writer.option_log_id(response.last_log_id.as_ref());
    })
}

pub(crate) fn decode_vote_response<RT: AsyncRuntime>(
    body: Bytes,
) -> Result<VoteResponse<Types<RT>>, Malformed> {
    let mut reader = Reader::new("vote response", body);
    let (vote, granted) = (reader.vote()?, reader.bool()?);
    let last_log_id = reader.option(Reader::log_id)?;
    reader.finish(VoteResponse::new(vote, last_log_id, granted))
}

pub(crate) fn encode_transfer<RT: AsyncRuntime>(
    request: &TransferLeaderRequest<Types<RT>>,
) -> Bytes {
    codec::encode(|writer| {
        writer.vote(request.from_leader()).u64(*request.to_node_id());
        writer.option_log_id(request.last_log_id());
    })
}

pub(crate) fn decode_transfer<RT: AsyncRuntime>(
    body: Bytes,
) -> Result<TransferLeaderRequest<Types<RT>>, Malformed> {
    let mut reader = Reader::new("leader transfer", body);
    let (from, to) = (reader.vote()?, reader.u64()?);
    let last_log_id = reader.option(Reader::log_id)?;
    reader.finish(TransferLeaderRequest::new(from, to, last_log_id))
}

pub(crate) fn encode_transfer_response<RT: AsyncRuntime>(
    response: &TransferLeaderResponse<Types<RT>>,
) -> Bytes {
    fn pair(writer: &mut Writer, expected: &Option<LogId>, actual: &Option<LogId>) {
        writer.option_log_id(expected.as_ref()).option_log_id(actual.as_ref());
    }
    codec::encode(|writer| match response {
        Ok(()) => {
            writer.u8(DONE);
        }
        Err(TransferLeaderError::VoteChanged { expected, actual }) => {
            writer.u8(HIGHER_VOTE).vote(expected).vote(actual);
        }
        Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
            writer.u8(CONFLICT);
            pair(writer, expected, actual);
        }
    })
}

pub(crate) fn decode_transfer_response<RT: AsyncRuntime>(
    body: Bytes,
) -> Result<TransferLeaderResponse<Types<RT>>, Malformed> {
    let mut reader = Reader::new("leader transfer response", body);
    let response = match reader.u8()? {
        DONE => Ok(()),
        HIGHER_VOTE => Err(TransferLeaderError::VoteChanged {
            expected: reader.vote()?,
            actual: reader.vote()?,
        }),
        CONFLICT => Err(TransferLeaderError::LogNotFlushed {
            expected: reader.option(Reader::log_id)?,
            actual: reader.option(Reader::log_id)?,
        }),
        _ => return Err(reader.malformed()),
    };
    reader.finish(response)
}
