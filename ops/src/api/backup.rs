//! `/v1/cluster/backup`: the whole ledger as a file. It holds every secret of the configuration, so it is for administrators.

use super::Api;
use super::error::ApiError;
use super::tokens::CallerName;
use crate::events;
use crate::replica::Replica;
use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use replication_raft::ReplicationError;
use std::fs::File;
use std::io::{self, Read};
use tokio::sync::mpsc;

/// What is read of the file at once, in octets.
const CHUNK_LEN: usize = 64 << 10;
/// Chunks that are read before the caller takes them.
const CHUNKS_AHEAD: usize = 4;

pub(super) async fn send<R: Replica>(
    State(api): State<Api<R>>,
    Extension(caller): Extension<CallerName>,
) -> Result<Response, ApiError> {
    let replica = api.replica.clone();
    let made = tokio::task::spawn_blocking(move || replica.backup()).await;
    let file = made.map_err(|error| ReplicationError::Stopped { reason: error.to_string() })??;
    tracing::info!(event = events::ADMIN_CHANGE, caller = caller.0, what = "cluster backup");
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    drop(tokio::task::spawn_blocking(move || read_all(file, &sender)));
    let chunks = stream::unfold(receiver, async |mut receiver: mpsc::Receiver<_>| {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    });
    let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok((kind, Body::from_stream(chunks)).into_response())
}

/// Until the file ends or the caller has gone.
fn read_all(mut file: File, sender: &mpsc::Sender<io::Result<Bytes>>) {
    loop {
        let mut chunk = Vec::with_capacity(CHUNK_LEN);
        let read = (&mut file).take(CHUNK_LEN as u64).read_to_end(&mut chunk);
        let over = !matches!(read, Ok(1..));
        let sent = match read {
            Ok(0) => return,
            Ok(_) => sender.blocking_send(Ok(chunk.into())),
            // The caller sees the connection break, and a file that is not whole.
            Err(error) => sender.blocking_send(Err(error)),
        };
        if over || sent.is_err() {
            return;
        }
    }
}
