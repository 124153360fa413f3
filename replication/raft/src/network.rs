//! # openraft's network traits on links
//!
//! Entries go down the replication lane, several messages at a time, and are confirmed in order. Heartbeats, votes and
//! hand-overs take the control lane, snapshots the bulk lane: none waits behind another. Only one stream at a time uses the
//! replication lane: a follower takes a new stream for the end of the one before, and two that took turns would be
//! handled out of order.

use crate::codec;
use crate::error::TransportError;
use crate::limits;
use crate::messages;
use crate::rpc::{Introduce, Link, Pending};
use crate::state_machine::blocking;
use crate::transport::{Lane, Transport, kind};
use crate::types::{MemberAddress, Snapshot, SnapshotData, Types, Vote};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use openraft::async_runtime::Select2;
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{
    NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable,
};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2, stream_append_sequential};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{AsyncRuntime, Instant, OptionalSend, RPCTypes};
use parking_lot::Mutex;
use replication_ledger::MemberId;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The links to every peer. Clones share them.
pub(crate) struct Peers<RT: AsyncRuntime> {
    inner: Arc<PeersInner<RT>>,
}

struct PeersInner<RT: AsyncRuntime> {
    transport: Arc<dyn Transport>,
    introduce: Arc<dyn Introduce>,
    peers: Mutex<BTreeMap<u64, Arc<Peer<RT>>>>,
}

/// The links to one peer.
pub(crate) struct Peer<RT: AsyncRuntime> {
    lanes: [(Lane, Link<RT>); 4],
    next_stream: AtomicU64,
}

impl<RT: AsyncRuntime> Clone for Peers<RT> {
    fn clone(&self) -> Self {
        Peers { inner: Arc::clone(&self.inner) }
    }
}

impl<RT: AsyncRuntime> Peers<RT> {
    pub(crate) fn new(transport: Arc<dyn Transport>, introduce: Arc<dyn Introduce>) -> Peers<RT> {
        Peers { inner: Arc::new(PeersInner { transport, introduce, peers: Mutex::default() }) }
    }

    /// The links to a peer, which lives at this address from now on.
    pub(crate) fn peer(&self, id: u64, address: &str) -> Arc<Peer<RT>> {
        let mut peers = self.inner.peers.lock();
        let peer = peers.entry(id).or_insert_with(|| {
            let link = |lane| {
                let (transport, introduce) =
                    (Arc::clone(&self.inner.transport), Arc::clone(&self.inner.introduce));
                (lane, Link::new(transport, introduce, lane, Some(MemberId(id)), address))
            };
            let lanes = Lane::BETWEEN_MEMBERS.map(link);
            Arc::new(Peer { lanes, next_stream: AtomicU64::new(1) })
        });
        for (_, link) in &peer.lanes {
            link.set_address(address);
        }
        Arc::clone(peer)
    }

    pub(crate) fn transport(&self) -> Arc<dyn Transport> {
        Arc::clone(&self.inner.transport)
    }

    /// Drops every connection.
    pub(crate) fn close(&self) {
        for (_, peer) in std::mem::take(&mut *self.inner.peers.lock()) {
            peer.lanes.iter().for_each(|(_, link)| link.give_up());
        }
    }
}

impl<RT: AsyncRuntime> Peer<RT> {
    pub(crate) fn link(&self, lane: Lane) -> &Link<RT> {
        let found = self.lanes.iter().find(|(own, _)| *own == lane);
        // A peer is made with every lane between members; the join lane leads to no peer, and control serves as well.
        found.map_or(&self.lanes[1].1, |(_, link)| link)
    }
}

/// One openraft task's way to one peer.
pub(crate) struct Network<RT: AsyncRuntime> {
    peer: Arc<Peer<RT>>,
    target: u64,
    /// True for the task that replicates; heartbeats and snapshots have clients of their own.
    replicates: bool,
}

impl<RT: AsyncRuntime> RaftNetworkFactory<Types<RT>> for Peers<RT> {
    type Network = Network<RT>;

    async fn new_client(&mut self, target: u64, node: &MemberAddress) -> Network<RT> {
        Network { peer: self.peer(target, &node.address), target, replicates: true }
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &MemberAddress) -> Network<RT> {
        Network { replicates: false, ..self.new_client(target, node).await }
    }

    async fn new_snapshot_client(&mut self, target: u64, node: &MemberAddress) -> Network<RT> {
        Network { replicates: false, ..self.new_client(target, node).await }
    }
}

type RpcError<RT> = RPCError<Types<RT>>;
type StreamItem<RT> = Result<StreamAppendResult<Types<RT>>, RpcError<RT>>;

impl<RT: AsyncRuntime> Network<RT> {
    async fn control(
        &self,
        kind: u8,
        action: RPCTypes,
        body: Bytes,
        option: &RPCOption,
    ) -> Result<Bytes, RpcError<RT>> {
        let deadline = option.hard_ttl();
        let answer = self.peer.link(Lane::Control).call(kind, body, deadline).await;
        answer.map_err(|error| self.rpc_error(action, deadline, &error))
    }

    fn rpc_error(
        &self,
        action: RPCTypes,
        timeout: Duration,
        error: &TransportError,
    ) -> RpcError<RT> {
        match error {
            TransportError::Timeout => {
                let target = self.target;
                RPCError::Timeout(Timeout { action, id: target, target, timeout })
            }
            TransportError::Closed => RPCError::Network(NetworkError::new(error)),
            _ => RPCError::Unreachable(Unreachable::new(error)),
        }
    }

    async fn send_snapshot(
        &self,
        vote: Vote,
        mut snapshot: SnapshotData,
    ) -> Result<SnapshotResponse<Types<RT>>, StreamingError<Types<RT>>> {
        let link = self.peer.link(Lane::Bulk);
        let deadline = limits::SNAPSHOT_CHUNK_DEADLINE;
        let call = async |kind: u8, body: Bytes| {
            let answer = link.call(kind, body, deadline).await;
            answer.map_err(|error| {
                StreamingError::from(self.rpc_error(RPCTypes::InstallSnapshot, deadline, &error))
            })
        };
        let unreadable =
            |error: std::io::Error| StreamingError::Unreachable(Unreachable::new(&error));
        call(kind::SNAPSHOT_BEGIN, Bytes::new()).await?;
        let mut prepared = false;
        loop {
            let read = blocking::<RT, _>(move || {
                let prepare = if prepared { Ok(()) } else { snapshot.prepare().map(drop) };
                let chunk = prepare.and_then(|()| snapshot.next_chunk());
                (snapshot, chunk)
            });
            let (again, chunk) = read.await.map_err(unreadable)?;
            (snapshot, prepared) = (again, true);
            match chunk.map_err(unreadable)? {
                Some(chunk) => drop(call(kind::SNAPSHOT_CHUNK, chunk).await?),
                None => break,
            }
        }
        let end = codec::encode(|writer| {
            writer.vote(&vote);
        });
        let answer = call(kind::SNAPSHOT_END, end).await?;
        let mut reader = codec::Reader::new("snapshot response", answer);
        let malformed = |error| StreamingError::Network(NetworkError::new(&error));
        let vote = reader.vote().map_err(malformed)?;
        reader.finish(SnapshotResponse::new(vote)).map_err(malformed)
    }
}

impl<RT: AsyncRuntime> RaftNetworkV2<Types<RT>> for Network<RT> {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types<RT>>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types<RT>>, RpcError<RT>> {
        let body = codec::encode(|writer| messages::write_append(writer, &rpc));
        let answer = self.control(kind::APPEND, RPCTypes::AppendEntries, body, &option).await?;
        messages::decode_append_response::<RT>(answer)
            .map_err(|error| RPCError::Network(NetworkError::new(&error)))
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, StreamItem<RT>>, RpcError<RT>>>
    where
        S: Stream<Item = AppendEntriesRequest<Types<RT>>> + OptionalSend + Unpin + 'static,
    {
        if !self.replicates {
            // A heartbeat is a stream of one request: by `append_entries` it takes the control lane.
            return stream_append_sequential(self, input, option);
        }
        let stream_id = self.peer.next_stream.fetch_add(1, Ordering::Relaxed);
        let appending =
            Appending { network: self, input: Some(input), stream_id, in_flight: VecDeque::new() };
        let results = stream::unfold(Some(appending), |state| async {
            let mut appending = state?;
            let item = appending.next().await?;
            let goes_on = matches!(item, Ok(Ok(_)));
            Some((item, goes_on.then_some(appending)))
        });
        let results: BoxStream<'s, StreamItem<RT>> = Box::pin(results);
        Box::pin(async move { Ok(results) })
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Types<RT>>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types<RT>>, RpcError<RT>> {
        let body = messages::encode_vote_request(&rpc);
        let answer = self.control(kind::VOTE, RPCTypes::Vote, body, &option).await?;
        messages::decode_vote_response::<RT>(answer)
            .map_err(|error| RPCError::Network(NetworkError::new(&error)))
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<Types<RT>>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types<RT>>, RpcError<RT>> {
        let body = messages::encode_vote_request(&rpc);
        let answer = self.control(kind::PRE_VOTE, RPCTypes::Vote, body, &option).await?;
        messages::decode_vote_response::<RT>(answer)
            .map_err(|error| RPCError::Network(NetworkError::new(&error)))
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types<RT>>, StreamingError<Types<RT>>> {
        let sending = self.send_snapshot(vote, snapshot.snapshot);
        match RT::select2(cancel, sending).await {
            Select2::First(closed) => Err(closed.into()),
            Select2::Second(sent) => sent,
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types<RT>>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types<RT>>, RpcError<RT>> {
        let body = messages::encode_transfer(&request);
        let answer = self.control(kind::TRANSFER, RPCTypes::TransferLeader, body, &option).await?;
        messages::decode_transfer_response::<RT>(answer)
            .map_err(|error| RPCError::Network(NetworkError::new(&error)))
    }
}

/// A stream of entries under way. Requests and confirmations are driven by one task, because openraft must be able to
/// drop both at once: its request stream holds a lock while it waits.
struct Appending<'s, RT: AsyncRuntime, S> {
    network: &'s Network<RT>,
    /// None when openraft has nothing more to send.
    input: Option<S>,
    stream_id: u64,
    in_flight: VecDeque<(RT::Instant, Pending<RT>)>,
}

impl<RT, S> Appending<'_, RT, S>
where
    RT: AsyncRuntime,
    S: Stream<Item = AppendEntriesRequest<Types<RT>>> + OptionalSend + Unpin,
{
    /// The next confirmation, sending requests meanwhile. None at the end.
    async fn next(&mut self) -> Option<StreamItem<RT>> {
        loop {
            let may_send = self.in_flight.len() < limits::APPENDS_IN_FLIGHT_MAX;
            let input = self.input.as_mut().filter(|_| may_send);
            let waits = !self.in_flight.is_empty();
            if !waits && input.is_none() {
                return None;
            }
            let confirmation = async {
                match self.in_flight.front_mut() {
                    Some((sent_at, pending)) => {
                        let until = *sent_at + limits::APPEND_DEADLINE;
                        RT::timeout_at(until, pending.wait()).await
                    }
                    None => std::future::pending().await,
                }
            };
            let request = async {
                match input {
                    Some(input) => input.next().await,
                    None => std::future::pending().await,
                }
            };
            match RT::select2(confirmation, request).await {
                Select2::First(answer) => {
                    self.in_flight.pop_front();
                    return Some(self.result(answer.unwrap_or(Err(TransportError::Timeout))));
                }
                Select2::Second(None) => self.input = None,
                Select2::Second(Some(request)) => {
                    if let Err(error) = self.send(request).await {
                        return Some(Err(error));
                    }
                }
            }
        }
    }

    async fn send(&mut self, request: AppendEntriesRequest<Types<RT>>) -> Result<(), RpcError<RT>> {
        let body = codec::encode(|writer| {
            writer.u64(self.stream_id);
            messages::write_append(writer, &request);
        });
        let link = self.network.peer.link(Lane::Replication);
        match link.send(kind::APPEND_STREAM, body).await {
            Ok(pending) => {
                self.in_flight.push_back((RT::Instant::now(), pending));
                Ok(())
            }
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn result(&self, answer: Result<Bytes, TransportError>) -> StreamItem<RT> {
        let answer = answer.map_err(|error| self.failed(&error))?;
        messages::decode_stream_result::<RT>(answer).map_err(|error| self.failed(&error.into()))
    }

    fn failed(&self, error: &TransportError) -> RpcError<RT> {
        if matches!(error, TransportError::Timeout) {
            self.network.peer.link(Lane::Replication).give_up();
        }
        self.network.rpc_error(RPCTypes::AppendEntries, limits::APPEND_DEADLINE, error)
    }
}
