//! `/v1/leases`: what is promised to whom.

use super::dto::{Lease, LeasePage};
use super::error::ApiError;
use super::tokens::CallerName;
use super::{Api, commit};
use crate::config::value;
use crate::events;
use crate::replica::{RelaySubOption, Replica};
use crate::usage::{SCAN_LEN, following};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use replication_ledger::{
    Binding, BindingState, ClientKey, Command, HardwareAddress, LedgerView, Octets, Outcome,
    Prefix, Refusal, Timestamp,
};
use serde::Deserialize;
use std::net::Ipv4Addr;

/// Bindings on one page if the caller does not say.
const PAGE_LEN: usize = 100;
/// The most bindings on one page.
const PAGE_LEN_MAX: usize = 10_000;

/// What to list, as the caller writes it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LeaseQuery {
    ip: Option<String>,
    mac: Option<String>,
    client_id: Option<String>,
    remote_id: Option<String>,
    circuit_id: Option<String>,
    subscriber_id: Option<String>,
    relay_id: Option<String>,
    subnet: Option<String>,
    state: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

/// What to list. Everything that is given must hold.
#[derive(Clone, Debug, Default)]
struct Filter {
    ip: Option<Ipv4Addr>,
    hardware: Option<HardwareAddress>,
    client: Option<ClientKey>,
    sub_options: Vec<(RelaySubOption, Octets)>,
    subnet: Option<Prefix>,
    state: Option<BindingState>,
}

pub(super) async fn list<R: Replica>(
    State(api): State<Api<R>>,
    query: Result<Query<LeaseQuery>, QueryRejection>,
) -> Result<Json<LeasePage>, ApiError> {
    let Query(query) = query.map_err(|error| ApiError::BadRequest { reason: error.body_text() })?;
    let limit = query.limit.unwrap_or(PAGE_LEN).clamp(1, PAGE_LEN_MAX);
    let (filter, after) = parse(query).map_err(|reason| ApiError::BadRequest { reason })?;
    let first = after.map_or(Some(Ipv4Addr::UNSPECIFIED), following);
    let Some(first) = first else {
        return Ok(Json(LeasePage { leases: Vec::new(), next: None }));
    };
    let now = api.now();
    let replica = api.replica.clone();
    // A rare sub-option or state may mean a walk over everything, and indexes lie on disk.
    let page = tokio::task::spawn_blocking(move || page(&replica, &filter, first, limit, now));
    match page.await {
        Ok(page) => Ok(Json(page?)),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

pub(super) async fn show<R: Replica>(
    State(api): State<Api<R>>,
    Path(ip): Path<String>,
) -> Result<Json<Lease>, ApiError> {
    let address = value::address(&ip).map_err(|reason| ApiError::BadRequest { reason })?;
    let now = api.now();
    let lease = api
        .replica
        .read(|view| view.binding(address).map(|binding| Lease::of(binding, view.globals(), now)));
    lease.map(Json).ok_or_else(|| no_lease(address))
}

pub(super) async fn release<R: Replica>(
    State(api): State<Api<R>>,
    Extension(caller): Extension<CallerName>,
    Path(ip): Path<String>,
) -> Result<StatusCode, ApiError> {
    let address = value::address(&ip).map_err(|reason| ApiError::BadRequest { reason })?;
    match commit(&api, Command::Reset { address }).await? {
        Outcome::Refused(Refusal::NoSuchBinding) => Err(no_lease(address)),
        Outcome::Refused(refusal) => Err(ApiError::Refused(refusal)),
        Outcome::Bound { .. } | Outcome::Done { .. } | Outcome::Merged(_) => {
            tracing::info!(event = events::ADMIN_CHANGE, caller = caller.0, what = "lease release", %address);
            Ok(StatusCode::NO_CONTENT)
        }
    }
}

fn no_lease(address: Ipv4Addr) -> ApiError {
    ApiError::NotFound { what: format!("active lease of {address}") }
}

fn parse(query: LeaseQuery) -> Result<(Filter, Option<Ipv4Addr>), String> {
    fn read<T>(
        key: &str,
        text: Option<String>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        text.map(|text| parse(&text).map_err(|reason| format!("{key}: {reason}"))).transpose()
    }
    let mut sub_options = Vec::new();
    for (key, text, which) in [
        ("circuit_id", query.circuit_id, RelaySubOption::CircuitId),
        ("remote_id", query.remote_id, RelaySubOption::RemoteId),
        ("subscriber_id", query.subscriber_id, RelaySubOption::SubscriberId),
        ("relay_id", query.relay_id, RelaySubOption::RelayId),
    ] {
        sub_options.extend(read(key, text, value::identifier)?.map(|octets| (which, octets)));
    }
    let state = |text: &str| {
        let known = BindingState::ALL.iter().find(|state| state.as_str() == text).copied();
        known.ok_or_else(|| {
            let names: Vec<&str> = BindingState::ALL.iter().map(|state| state.as_str()).collect();
            format!("`{text}` is not a state; known are {}", names.join(", "))
        })
    };
    let client = |text: &str| value::hex(text).map(|octets| ClientKey::from_identifier(&octets));
    let filter = Filter {
        ip: read("ip", query.ip, value::address)?,
        hardware: read("mac", query.mac, value::mac)?,
        client: read("client_id", query.client_id, client)?,
        sub_options,
        subnet: read("subnet", query.subnet, value::prefix)?,
        state: read("state", query.state, state)?,
    };
    Ok((filter, read("after", query.after, value::address)?))
}

impl Filter {
    fn admits(&self, binding: &Binding) -> bool {
        self.ip.is_none_or(|ip| ip == binding.address)
            && self.hardware.is_none_or(|hardware| hardware == binding.hardware)
            && self.client.as_ref().is_none_or(|client| *client == binding.client)
            && self.subnet.is_none_or(|subnet| subnet.contains(binding.address))
            && self.state.is_none_or(|state| state == binding.state)
            && self
                .sub_options
                .iter()
                .all(|(which, octets)| binding.relay_sub_option(which.code()) == Some(&octets[..]))
    }

    /// The few addresses that can match, in order, if a key of the filter leads to them.
    fn candidates<R: Replica>(&self, replica: &R) -> Result<Option<Vec<Ipv4Addr>>, ApiError> {
        if let Some(ip) = self.ip {
            return Ok(Some(vec![ip]));
        }
        let mut found: Vec<Ipv4Addr> = if let Some(client) = &self.client {
            replica.read(|view| view.bindings_of_client(client).map(|b| b.address).collect())
        } else if let Some(hardware) = &self.hardware {
            replica.read(|view| view.bindings_of_hardware(hardware).map(|b| b.address).collect())
        } else if let Some((which, octets)) = self.sub_options.first() {
            replica.addresses_by(*which, octets)?
        } else {
            return Ok(None);
        };
        found.sort();
        Ok(Some(found))
    }
}

fn page<R: Replica>(
    replica: &R,
    filter: &Filter,
    first: Ipv4Addr,
    limit: usize,
    now: Timestamp,
) -> Result<LeasePage, ApiError> {
    let mut leases = Vec::new();
    match filter.candidates(replica)? {
        Some(candidates) => {
            for chunk in candidates.chunks(SCAN_LEN) {
                replica.read(|view| {
                    let bindings = chunk.iter().filter_map(|address| view.binding(*address));
                    let admitted = bindings.filter(|b| b.address >= first && filter.admits(b));
                    leases.extend(admitted.map(|b| Lease::of(b, view.globals(), now)));
                });
                if leases.len() > limit {
                    break;
                }
            }
        }
        None => scan(replica, filter, first, limit, now, &mut leases),
    }
    // One more than asked for shows that there is a next page.
    let more = leases.len() > limit;
    leases.truncate(limit);
    let next = leases.last().filter(|_| more).map(|lease| lease.ip);
    Ok(LeasePage { leases, next })
}

fn scan<R: Replica>(
    replica: &R,
    filter: &Filter,
    first: Ipv4Addr,
    limit: usize,
    now: Timestamp,
    leases: &mut Vec<Lease>,
) {
    let range = filter.subnet.map(|subnet| subnet.range());
    let mut next = Some(range.map_or(first, |range| range.first.max(first)));
    while let Some(from) = next {
        next = replica.read(|view| {
            let mut last = None;
            for (position, binding) in view.bindings_from(from).take(SCAN_LEN).enumerate() {
                if leases.len() > limit || range.is_some_and(|range| binding.address > range.last) {
                    return None;
                }
                if filter.admits(binding) {
                    leases.push(Lease::of(binding, view.globals(), now));
                }
                last = (position + 1 == SCAN_LEN).then_some(binding.address);
            }
            last.and_then(following)
        });
    }
}
