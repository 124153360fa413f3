//! # The admin API
//!
//! **Model.** A file per noun; [`dto`] has the JSON shapes, [`error`] the problem documents. Any member answers any call:
//! reads from its own applied state, writes by a proposal that goes to the leader.
//!
//! **Rules.** Who may call what stands in [`router`] and nowhere else. No handler holds the state's lock across a wait or a
//! long walk.

mod backup;
mod cluster;
mod config;
mod conflicts;
mod dashboard;
pub mod dto;
mod dto_conflicts;
mod dto_epoch;
mod dto_names;
mod error;
mod health;
mod leases;
mod listener;
mod names;
mod partner_down;
mod subnets;
mod tokens;

pub use error::ApiError;
pub use listener::{Listener, serve};
pub use tokens::{CallerName, Permission, Tokens, secret_of};

use crate::replica::Replica;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use metrics_exporter_prometheus::PrometheusHandle;
use replication_ledger::{Command, Outcome, Timestamp};
use replication_raft::{ProposeError, ReplicationError};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// The longest body, in octets: a configuration of some hundred thousand reservations.
const BODY_LEN_MAX: usize = 32 << 20;

/// What every handler has.
#[derive(Clone)]
pub struct Api<R> {
    /// The member.
    pub replica: R,
    /// What was counted.
    pub metrics: PrometheusHandle,
    /// Who may call what.
    pub tokens: Arc<Tokens>,
}

impl<R> Api<R> {
    /// The wall clock, for remaining times.
    fn now(&self) -> Timestamp {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // 64 bits of milliseconds last for half a thousand million years.
        Timestamp(since_1970.as_millis() as u64)
    }
}

/// Every route with what it takes to call it.
pub fn router<R: Replica>(api: Api<R>) -> Router {
    let tokens = api.tokens.clone();
    let needs = |permission: Permission, methods: MethodRouter<Api<R>>| {
        let gate = Gate { tokens: tokens.clone(), permission };
        methods.route_layer(from_fn_with_state(gate, admit))
    };
    use Permission::{Admin, Operate, Read};
    Router::new()
        .route("/", get(dashboard::show))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz::<R>))
        .route("/metrics", needs(Read, get(health::metrics::<R>)))
        .route("/v1/cluster", needs(Read, get(cluster::show::<R>)))
        .route("/v1/cluster/init", needs(Admin, post(cluster::init::<R>)))
        .route("/v1/cluster/token", needs(Admin, post(cluster::token::<R>)))
        .route("/v1/cluster/join", needs(Admin, post(cluster::join::<R>)))
        .route("/v1/cluster/transfer", needs(Operate, post(cluster::transfer::<R>)))
        .route("/v1/cluster/partner-down", needs(Read, get(partner_down::show::<R>)))
        .route("/v1/cluster/partner-down", needs(Admin, post(partner_down::assert::<R>)))
        .route("/v1/cluster/drain", needs(Operate, post(cluster::drain::<R>)))
        .route("/v1/cluster/undrain", needs(Operate, post(cluster::undrain::<R>)))
        .route("/v1/cluster/backup", needs(Admin, get(backup::send::<R>)))
        .route("/v1/cluster/remove", needs(Admin, post(cluster::remove::<R>)))
        .route("/v1/leases", needs(Read, get(leases::list::<R>)))
        .route("/v1/leases/{ip}", needs(Read, get(leases::show::<R>)))
        .route("/v1/leases/{ip}", needs(Operate, axum::routing::delete(leases::release::<R>)))
        .route("/v1/conflicts", needs(Read, get(conflicts::list::<R>)))
        .route("/v1/names", needs(Read, get(names::list::<R>)))
        .route("/v1/subnets", needs(Read, get(subnets::list::<R>)))
        .route("/v1/config", needs(Read, get(config::show::<R>)))
        .route("/v1/config", needs(Admin, axum::routing::put(config::put::<R>)))
        .layer(DefaultBodyLimit::max(BODY_LEN_MAX))
        .fallback(no_route)
        .with_state(api)
}

#[derive(Clone)]
struct Gate {
    tokens: Arc<Tokens>,
    permission: Permission,
}

async fn admit(
    State(gate): State<Gate>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let (name, permission) = gate.tokens.admit(request.headers(), gate.permission)?;
    request.extensions_mut().insert(name);
    request.extensions_mut().insert(permission);
    Ok(next.run(request).await)
}

async fn no_route(request: Request) -> ApiError {
    ApiError::NotFound { what: format!("{} here", request.uri().path()) }
}

/// Commits one command.
async fn commit<R: Replica>(api: &Api<R>, command: Command) -> Result<Outcome, ApiError> {
    if api.replica.status().cluster.is_none() {
        return Err(ApiError::Replication(ReplicationError::NotInitialized));
    }
    let mut outcomes = api.replica.propose(vec![command]).await?;
    // One outcome per command is what `propose` promises; a member that breaks it is past helping this caller.
    outcomes.pop().ok_or(ApiError::Propose(ProposeError::Stopping))
}

#[cfg(test)]
mod tests;
