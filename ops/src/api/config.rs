//! `/v1/config`: what all members share.

use super::dto::{Config, ConfigOutcome};
use super::error::ApiError;
use super::tokens::{CallerName, CallerPermission, Permission};
use super::{Api, commit};
use crate::config;
use crate::events;
use crate::replica::Replica;
use axum::extract::rejection::{QueryRejection, StringRejection};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::{Extension, Json};
use replication_ledger::{Command, LedgerView, Outcome};
use serde::Deserialize;

/// What a text is called in problems; the caller knows the name of its file.
const FILE: &str = "network.toml";

/// How to treat a new configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PutQuery {
    /// Only check it.
    #[serde(default)]
    dry_run: bool,
    /// The revision that the caller saw; the newest if it does not say.
    replaces: Option<u64>,
}

/// Secrets are for those who may set them.
pub(super) async fn show<R: Replica>(
    State(api): State<Api<R>>,
    Extension(CallerPermission(permission)): Extension<CallerPermission>,
) -> Json<Config> {
    let (revision, source) = api.replica.read(|view| {
        let settings = &view.globals().settings;
        (settings.revision, settings.source.clone())
    });
    let source = match permission {
        Permission::Admin => source,
        Permission::Read | Permission::Operate => config::without_secrets(&source),
    };
    Json(Config { revision, source })
}

pub(super) async fn put<R: Replica>(
    State(api): State<Api<R>>,
    Extension(caller): Extension<CallerName>,
    query: Result<Query<PutQuery>, QueryRejection>,
    headers: HeaderMap,
    body: Result<String, StringRejection>,
) -> Result<Json<ConfigOutcome>, ApiError> {
    let Query(query) = query.map_err(|error| ApiError::BadRequest { reason: error.body_text() })?;
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.and_then(|value| value.split(';').next()).map(str::trim);
    if !matches!(media_type, Some("text/toml" | "application/toml")) {
        let reason = "send network.toml as the body with Content-Type: text/toml".to_owned();
        return Err(ApiError::BadRequest { reason });
    }
    let text = body.map_err(|error| ApiError::BadRequest { reason: error.body_text() })?;
    let settings = config::network(FILE, &text).map_err(ApiError::Invalid)?;
    let revision = api.replica.read(|view| view.globals().settings.revision);
    if query.dry_run {
        return Ok(Json(ConfigOutcome { revision, applied: false }));
    }
    let replaces_revision = query.replaces.unwrap_or(revision);
    let command = Command::Configure { replaces_revision, settings: Box::new(settings) };
    match commit(&api, command).await? {
        Outcome::Refused(refusal) => Err(ApiError::Refused(refusal)),
        Outcome::Bound { .. } | Outcome::Done { .. } | Outcome::Merged(_) => {
            let revision = replaces_revision + 1;
            let what = "config apply";
            tracing::info!(event = events::ADMIN_CHANGE, caller = caller.0, what, revision);
            Ok(Json(ConfigOutcome { revision, applied: true }))
        }
    }
}
