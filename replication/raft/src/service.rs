//! # The listening side: what peers ask, and what they get
//!
//! Every connection is judged by its hello and then serves one lane. Entries go to openraft in the order in which they arrive;
//! control requests are independent of one another, so a vote that waits for the disk does not hold up a heartbeat.

use crate::codec::{self, Reader};
use crate::error::{HandshakeRefusal, TransportError};
use crate::limits;
use crate::member::Member;
use crate::messages;
use crate::metrics;
use crate::parcel_bytes;
use crate::rpc::Introduce;
use crate::state_machine::{SnapshotSpool, StateMachineStore};
use crate::transport::{Connection, Frame, Hello, Lane, Listener, kind, refuse, welcome};
use crate::types::{Snapshot, Types};
use bytes::{Buf, Bytes};
use futures_util::{StreamExt, stream};
use openraft::raft::AppendEntriesRequest;
use openraft::{AsyncRuntime, Instant};
use replication_ledger::Version;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::mpsc;

/// What a request comes to; the error is told to the peer as text.
type Answer = Result<Bytes, String>;

impl<RT: AsyncRuntime, S: StateMachineStore> Member<RT, S> {
    /// Task: takes connections until the member stops.
    pub(crate) async fn serve(self: Arc<Self>, mut listener: Listener) {
        while let Some(connection) = self.unless_stopped(listener.connections.recv()).await {
            drop(RT::spawn(Arc::clone(&self).serve_connection(connection)));
        }
    }

    async fn serve_connection(self: Arc<Self>, mut connection: Connection) {
        // Whose disk failed is as good as gone: the others take over its clients, as they do when it is down.
        if self.failed.load(Ordering::Acquire) {
            return;
        }
        let welcomed = RT::timeout(
            limits::CONNECT_DEADLINE,
            welcome(&mut connection, self.identity.version()),
        )
        .await;
        let hello = match welcomed {
            Ok(Ok(hello)) => hello,
            Ok(Err(TransportError::Refused(refusal))) => return refused(refusal, None),
            // Somebody who is no member, or who went away.
            Ok(Err(error)) => return tracing::debug!(event = "peer_hello_failed", %error),
            Err(_) => return,
        };
        if let Err(refusal) = self.identity.judge(&hello, connection.certificate.as_ref()) {
            refused(refusal, Some(&hello));
            // It may be gone already.
            return drop(refuse(&connection, refusal).await);
        }
        let ours = self.identity.hello(hello.lane, Some(hello.member));
        if connection.accept(&ours).await.is_err() {
            return;
        }
        match hello.lane {
            Lane::Replication => self.serve_entries(connection).await,
            Lane::Bulk => self.serve_snapshots(connection).await,
            Lane::Control | Lane::Forward | Lane::Join => {
                self.serve_requests(hello.lane, connection).await;
            }
        }
    }

    async fn serve_requests(self: Arc<Self>, lane: Lane, mut connection: Connection) {
        let mut last_heartbeat: Option<RT::Instant> = None;
        while let Some(frame) = self.unless_failed(connection.incoming.recv()).await {
            if frame.kind == kind::APPEND {
                let now = RT::Instant::now();
                if let Some(last) = last_heartbeat.replace(now) {
                    metrics::heartbeat_after(now - last);
                }
            }
            let outgoing = connection.outgoing.clone();
            let member = Arc::clone(&self);
            drop(RT::spawn(async move {
                let asked = Asked::by(&frame);
                let answer = match lane {
                    Lane::Join => member.answer_join(frame).await,
                    _ => member.answer(frame).await,
                };
                // The peer may have gone away.
                drop(outgoing.send(asked.answer(answer)).await);
            }));
        }
    }

    async fn answer_join(self: Arc<Self>, frame: Frame) -> Answer {
        match frame.kind {
            kind::JOIN => self.admit_with_token(frame.body).await,
            kind::RETURN => self.receive_returned(frame.body).await,
            _ => Err("only a join may be asked for on this connection".to_owned()),
        }
    }

    async fn answer(self: Arc<Self>, frame: Frame) -> Answer {
        let body = frame.body;
        match frame.kind {
            kind::APPEND => {
                let request = messages::read_append(Reader::new("append request", body));
                let answer = self.raft.append_entries(request.map_err(text)?).await;
                Ok(messages::encode_append_response(&answer.map_err(text)?))
            }
            kind::VOTE => {
                let request = messages::decode_vote_request(body).map_err(text)?;
                let answer = self.raft.vote(request).await.map_err(text)?;
                Ok(messages::encode_vote_response(&answer))
            }
            kind::PRE_VOTE => {
                let request = messages::decode_vote_request(body).map_err(text)?;
                let answer = self.raft.pre_vote(request).await.map_err(text)?;
                Ok(messages::encode_vote_response(&answer))
            }
            kind::TRANSFER => {
                let request = messages::decode_transfer(body).map_err(text)?;
                let answer = self.raft.handle_transfer_leader(request).await.map_err(text)?;
                Ok(messages::encode_transfer_response(&answer))
            }
            kind::PING => {
                let theirs = crate::contact::Report::decode(body).map_err(text)?;
                // Whoever was removed while it was connected connects again, and is told so.
                if self.identity.has_removed(theirs.member) {
                    return Err(HandshakeRefusal::NotMember.to_string());
                }
                self.anchor.heard(theirs.member, theirs.stamp, theirs.echo);
                self.contact.asked_by(theirs);
                Ok(self.report_to(theirs.member).encode())
            }
            kind::FORWARD => {
                let parcels = parcel_bytes::decode_forwarded(body).map_err(text)?;
                let taken = self.take_forwarded(parcels);
                Ok(Bytes::from_static(if taken { &[1] } else { &[0] }))
            }
            kind::OPERATE => self.operate_for_peer(body).await,
            _ => Err("unknown request".to_owned()),
        }
    }

    /// Entries come in streams: a peer begins a new one when the one before ended with a conflict or a new leader.
    async fn serve_entries(self: Arc<Self>, mut connection: Connection) {
        let mut current: Option<EntryStream<RT>> = None;
        while let Some(mut frame) = self.unless_failed(connection.incoming.recv()).await {
            if frame.kind != kind::APPEND_STREAM || frame.body.len() < 8 {
                return;
            }
            let asked = Asked::by(&frame);
            let id = frame.body.get_u64();
            let request = match messages::read_append(Reader::new("append request", frame.body)) {
                Ok(request) => request,
                Err(error) => return tracing::warn!(event = "peer_entries_malformed", %error),
            };
            if let Some(before) = current.take_if(|entries| entries.id != id) {
                before.end().await;
            }
            let entries = current
                .get_or_insert_with(|| self.start_entry_stream(id, connection.outgoing.clone()));
            let asked_sent = entries.asked.send(asked).await;
            if asked_sent.is_ok() {
                // A stream that ended with a conflict takes no more; the peer knows already.
                drop(entries.requests.send(request).await);
            }
        }
    }

    fn start_entry_stream(&self, id: u64, outgoing: mpsc::Sender<Frame>) -> EntryStream<RT> {
        let (requests, to_append) = mpsc::channel(limits::APPENDS_IN_FLIGHT_MAX * 2);
        let (asked, mut to_answer) = mpsc::channel::<Asked>(limits::APPENDS_IN_FLIGHT_MAX * 4);
        let input = stream::unfold(to_append, async |mut requests: mpsc::Receiver<_>| {
            requests.recv().await.map(|request| (request, requests))
        });
        let raft = self.raft.clone();
        let answering = RT::spawn(async move {
            let results = raft.stream_append(Box::pin(input));
            let mut results = std::pin::pin!(results);
            while let Some(result) = results.next().await {
                let Some(asked) = to_answer.recv().await else { return };
                let answer = result.map_err(text);
                let answer = answer.map(|result| messages::encode_stream_result(&result));
                if outgoing.send(asked.answer(answer)).await.is_err() {
                    return;
                }
            }
        });
        EntryStream { id, requests, asked, answering }
    }

    async fn serve_snapshots(self: Arc<Self>, mut connection: Connection) {
        let mut spool: Option<Box<dyn SnapshotSpool>> = None;
        while let Some(frame) = self.unless_failed(connection.incoming.recv()).await {
            let asked = Asked::by(&frame);
            let answer = match frame.kind {
                kind::SNAPSHOT_BEGIN => match self.ledger.spool() {
                    // One that was interrupted goes away with its spool: transfers start over.
                    Ok(new) => {
                        spool = Some(new);
                        Ok(Bytes::new())
                    }
                    Err(error) => Err(text(error)),
                },
                kind::SNAPSHOT_CHUNK => match &mut spool {
                    Some(spool) => spool.write(frame.body).map(|()| Bytes::new()).map_err(text),
                    None => Err("no snapshot was begun".to_owned()),
                },
                kind::SNAPSHOT_END => self.install(spool.take(), frame.body).await,
                _ => Err("unknown request".to_owned()),
            };
            if let Err(reason) = &answer {
                tracing::warn!(event = "snapshot_refused", reason);
            }
            let answer = asked.answer(answer);
            if connection.outgoing.send(answer).await.is_err() {
                return;
            }
        }
    }

    async fn install(&self, spool: Option<Box<dyn SnapshotSpool>>, body: Bytes) -> Answer {
        let mut reader = Reader::new("snapshot end", body);
        let vote = reader.vote().map_err(text)?;
        reader.finish(()).map_err(text)?;
        let spool = spool.ok_or("no snapshot was begun")?;
        let mut snapshot = spool.finish().map_err(text)?;
        let mark = snapshot.prepare().map_err(text)?;
        let meta = codec::decode_mark(mark).map_err(text)?;
        tracing::info!(event = "snapshot_arrived", last = ?meta.last_log_id);
        let snapshot = Snapshot { meta, snapshot };
        let answer = self.raft.install_full_snapshot(vote, snapshot).await.map_err(text)?;
        Ok(codec::encode(|writer| {
            writer.vote(&answer.vote);
        }))
    }
}

/// Entries on their way into openraft, and the numbers under which they are confirmed.
struct EntryStream<RT: AsyncRuntime> {
    id: u64,
    requests: mpsc::Sender<AppendEntriesRequest<Types<RT>>>,
    asked: mpsc::Sender<Asked>,
    answering: RT::JoinHandle<()>,
}

impl<RT: AsyncRuntime> EntryStream<RT> {
    /// Waits until everything that came before is handled: the next stream must not overtake this one.
    async fn end(self) {
        let EntryStream { requests, asked, answering, .. } = self;
        drop((requests, asked));
        if let Err(error) = answering.await {
            tracing::error!(event = "peer_entries_failed", %error);
        }
    }
}

/// What an answer has to say of its question. It is written as the question was: that its sender can read.
#[derive(Clone, Copy)]
struct Asked {
    version: Version,
    sequence: u64,
}

impl Asked {
    fn by(frame: &Frame) -> Asked {
        Asked { version: frame.version, sequence: frame.sequence }
    }

    fn answer(self, answer: Answer) -> Frame {
        let Asked { version, sequence } = self;
        match answer {
            Ok(body) => Frame { kind: kind::ANSWER, version, sequence, body },
            Err(reason) => Frame { kind: kind::FAILURE, version, sequence, body: reason.into() },
        }
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn refused(refusal: HandshakeRefusal, hello: Option<&Hello>) {
    metrics::peer_refused(refusal);
    let member = hello.map(|hello| hello.member.0);
    tracing::warn!(event = "peer_refused", member, reason = %refusal);
}
