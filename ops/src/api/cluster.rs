//! `/v1/cluster`: who the members are, and changing that.

use super::Api;
use super::dto::{Cluster, HandedOver, Join, JoinToken, Joined, Transferred, Whom};
use super::error::ApiError;
use super::tokens::CallerName;
use crate::events;
use crate::replica::Replica;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::{Extension, Json};
use replication_ledger::{LedgerView, MemberId};
use replication_raft::ReplicationError;

pub(super) async fn show<R: Replica>(State(api): State<Api<R>>) -> Json<Cluster> {
    let status = api.replica.status();
    Json(api.replica.read(|view| {
        let globals = view.globals();
        let free = |member| {
            let pools = globals.settings.pools();
            pools.map(|pool| view.free_count(MemberId(member), pool)).sum::<u64>()
        };
        Cluster::of(&status, globals, free)
    }))
}

pub(super) async fn init<R: Replica>(
    State(api): State<Api<R>>,
    Extension(caller): Extension<CallerName>,
) -> Result<Json<Cluster>, ApiError> {
    api.replica.init().await?;
    tracing::info!(event = events::ADMIN_CHANGE, caller = caller.0, what = "cluster init");
    Ok(show(State(api)).await)
}

pub(super) async fn token<R: Replica>(
    State(api): State<Api<R>>,
    Extension(caller): Extension<CallerName>,
) -> Result<Json<JoinToken>, ApiError> {
    let token = api.replica.token().await?;
    tracing::info!(event = events::ADMIN_CHANGE, caller = caller.0, what = "cluster token");
    Ok(Json(JoinToken { token }))
}

pub(super) async fn join<R: Replica>(
    State(api): State<Api<R>>,
    Extension(caller): Extension<CallerName>,
    body: Result<Json<Join>, JsonRejection>,
) -> Result<Json<Joined>, ApiError> {
    let Json(join) = read(body)?;
    let handed_over = api.replica.join(join.peer.clone(), join.token).await?;
    let peer = join.peer;
    tracing::info!(event = events::ADMIN_CHANGE, caller = caller.0, what = "cluster join", peer);
    let Json(cluster) = show(State(api)).await;
    let handed_over = handed_over.map(|handed| HandedOver::of(&handed));
    Ok(Json(Joined { cluster, handed_over }))
}

pub(super) async fn transfer<R: Replica>(
    State(api): State<Api<R>>,
    Extension(caller): Extension<CallerName>,
    body: Result<Json<Whom>, JsonRejection>,
) -> Result<Json<Transferred>, ApiError> {
    let Json(whom) = read(body)?;
    let leader = api.replica.transfer(whom.member.map(MemberId)).await?;
    let what = "cluster transfer";
    tracing::info!(event = events::ADMIN_CHANGE, caller = caller.0, what, %leader);
    Ok(Json(Transferred { leader: leader.0 }))
}

pub(super) async fn drain<R: Replica>(
    State(api): State<Api<R>>,
    Extension(caller): Extension<CallerName>,
    body: Result<Json<Whom>, JsonRejection>,
) -> Result<Json<Cluster>, ApiError> {
    let member = whom_or_me(&api, body)?;
    api.replica.drain(member).await?;
    let what = "cluster drain";
    tracing::info!(event = events::ADMIN_CHANGE, caller = caller.0, what, %member);
    Ok(show(State(api)).await)
}

pub(super) async fn undrain<R: Replica>(
    State(api): State<Api<R>>,
    Extension(caller): Extension<CallerName>,
    body: Result<Json<Whom>, JsonRejection>,
) -> Result<Json<Cluster>, ApiError> {
    let member = whom_or_me(&api, body)?;
    api.replica.undrain(member).await?;
    let what = "cluster undrain";
    tracing::info!(event = events::ADMIN_CHANGE, caller = caller.0, what, %member);
    Ok(show(State(api)).await)
}

/// The member that is meant: the one that is asked, if none is named.
fn whom_or_me<R: Replica>(
    api: &Api<R>,
    body: Result<Json<Whom>, JsonRejection>,
) -> Result<MemberId, ApiError> {
    let status = api.replica.status();
    if status.cluster.is_none() {
        return Err(ApiError::Replication(ReplicationError::NotInitialized));
    }
    let Json(whom) = read(body)?;
    Ok(whom.member.map_or(status.member, MemberId))
}

pub(super) async fn remove<R: Replica>(
    State(api): State<Api<R>>,
    Extension(caller): Extension<CallerName>,
    body: Result<Json<Whom>, JsonRejection>,
) -> Result<Json<Cluster>, ApiError> {
    let Json(whom) = read(body)?;
    let member = whom.member.map(MemberId).ok_or_else(|| ApiError::BadRequest {
        reason: "member: missing; say which member to remove".to_owned(),
    })?;
    api.replica.remove(member).await?;
    let what = "cluster remove";
    tracing::info!(event = events::ADMIN_CHANGE, caller = caller.0, what, %member);
    Ok(show(State(api)).await)
}

pub(super) fn read<T>(body: Result<Json<T>, JsonRejection>) -> Result<Json<T>, ApiError> {
    body.map_err(|error| ApiError::BadRequest { reason: error.body_text() })
}
