//! `/v1/cluster/partner-down`: what it would mean to assert that the others are down, and doing so.

use super::Api;
use super::cluster::read;
use super::dto::{PartnerDown, PartnerDownCase};
use super::error::ApiError;
use super::tokens::CallerName;
use crate::events;
use crate::replica::Replica;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::{Extension, Json};

pub(super) async fn show<R: Replica>(
    State(api): State<Api<R>>,
) -> Result<Json<PartnerDownCase>, ApiError> {
    Ok(Json(PartnerDownCase::of(&api.replica.partner_down_case()?)))
}

/// The body names the case that was shown: another one by now is refused.
pub(super) async fn assert<R: Replica>(
    State(api): State<Api<R>>,
    Extension(caller): Extension<CallerName>,
    body: Result<Json<PartnerDown>, JsonRejection>,
) -> Result<Json<PartnerDownCase>, ApiError> {
    let Json(confirmed) = read(body)?;
    let case = api.replica.partner_down_case()?;
    let PartnerDown { epoch, lossy, entries_behind } = confirmed;
    api.replica.assert_partner_down(epoch, lossy, entries_behind).await?;
    let what = "cluster partner-down";
    tracing::warn!(event = events::ADMIN_CHANGE, caller = caller.0, what, epoch, lossy);
    Ok(Json(PartnerDownCase::of(&case)))
}
