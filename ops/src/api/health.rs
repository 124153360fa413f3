//! `/livez`, `/readyz`, `/metrics`.

use super::Api;
use crate::metrics;
use crate::replica::Replica;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

/// The process answers, so it lives.
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

/// Only a mode that serves is ready. A witness serves nobody: its readiness says that it is in contact with a quorum.
pub(super) async fn readyz<R: Replica>(State(api): State<Api<R>>) -> (StatusCode, String) {
    let mode = api.replica.mode();
    let status = match mode.serves() {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, format!("{mode}\n"))
}

pub(super) async fn metrics<R: Replica>(State(api): State<Api<R>>) -> impl IntoResponse {
    let replica = api.replica.clone();
    let rendered = tokio::task::spawn_blocking(move || {
        metrics::refresh(&replica);
        api.metrics.render()
    });
    let text = match rendered.await {
        Ok(text) => text,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    };
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}
