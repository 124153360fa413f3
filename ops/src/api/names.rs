//! `/v1/names`: what DNS should say, and how far that is done.

use super::Api;
use super::dto::{Name, NamePage};
use super::error::ApiError;
use crate::config::vpn_address;
use crate::replica::Replica;
use crate::usage::{SCAN_LEN, following};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use replication_ledger::{LedgerView, NameEntry, VpnAddress};
use serde::Deserialize;

/// Names on one page if the caller does not say.
const PAGE_LEN: usize = 100;
/// The most names on one page.
const PAGE_LEN_MAX: usize = 10_000;

/// What to list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NameQuery {
    /// Only where something is left to be done.
    #[serde(default)]
    waiting: bool,
    after: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn list<R: Replica>(
    State(api): State<Api<R>>,
    query: Result<Query<NameQuery>, QueryRejection>,
) -> Result<Json<NamePage>, ApiError> {
    let Query(query) = query.map_err(|error| ApiError::BadRequest { reason: error.body_text() })?;
    let limit = query.limit.unwrap_or(PAGE_LEN).clamp(1, PAGE_LEN_MAX);
    let after = query.after.map(|text| vpn_address(&text)).transpose();
    let after = after.map_err(|reason| ApiError::BadRequest { reason })?;
    let first = after.map_or(Some(VpnAddress::FIRST), following);
    let replica = api.replica.clone();
    // A walk over everything if little of it waits.
    let page = tokio::task::spawn_blocking(move || page(&replica, query.waiting, first, limit));
    match page.await {
        Ok(page) => Ok(Json(page)),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

fn page<R: Replica>(
    replica: &R,
    only_waiting: bool,
    first: Option<VpnAddress>,
    limit: usize,
) -> NamePage {
    let (total, waiting) = replica.read(|view| {
        let names = view.names();
        (names.len() as u64, names.waiting_len() as u64)
    });
    let admits = |entry: &NameEntry| !only_waiting || entry.due.is_some();
    // With the address of each, which is what the next page goes on from.
    let (mut names, mut next) = (Vec::new(), first);
    while let Some(from) = next
        && names.len() <= limit
    {
        next = replica.read(|view| {
            let mut last = None;
            for (position, entry) in view.names().from(from).take(SCAN_LEN).enumerate() {
                if admits(entry) {
                    names.push((entry.address, Name::of(entry, view.globals())));
                }
                last = (position + 1 == SCAN_LEN).then_some(entry.address);
            }
            last.and_then(following)
        });
    }
    // One more than asked for shows that there is a next page.
    let more = names.len() > limit;
    names.truncate(limit);
    let next = names.last().filter(|_| more).map(|(address, _)| address.to_string());
    let names = names.into_iter().map(|(_, name)| name).collect();
    NamePage { total, waiting, names, next }
}
