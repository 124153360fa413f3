//! `/v1/leases`: what is promised to whom.

use super::dto::{Lease, LeasePage};
use super::error::ApiError;
use super::tokens::CallerName;
use super::{Api, commit};
use crate::config::{number_of_vpn, value, vpn_address, vpn_of_number};
use crate::events;
use crate::replica::{RelaySubOption, Replica};
use crate::usage::{SCAN_LEN, following};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use replication_ledger::{
    AddressRange, Binding, BindingState, ClientKey, Command, HardwareAddress, LedgerView, Octets,
    Outcome, Refusal, Timestamp, VpnAddress, VpnNumber,
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
    vpn: Option<String>,
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
    vpn: Option<VpnNumber>,
    ip: Option<Ipv4Addr>,
    hardware: Option<HardwareAddress>,
    client: Option<ClientKey>,
    sub_options: Vec<(RelaySubOption, Octets)>,
    subnet: Option<AddressRange>,
    state: Option<BindingState>,
}

/// In which VPN the address of a path is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VpnQuery {
    vpn: Option<String>,
}

pub(super) async fn list<R: Replica>(
    State(api): State<Api<R>>,
    query: Result<Query<LeaseQuery>, QueryRejection>,
) -> Result<Json<LeasePage>, ApiError> {
    let Query(query) = query.map_err(|error| ApiError::BadRequest { reason: error.body_text() })?;
    let limit = query.limit.unwrap_or(PAGE_LEN).clamp(1, PAGE_LEN_MAX);
    let vpn = query.vpn.as_deref().map(|text| meant_vpn(&api, text)).transpose()?;
    let (filter, after) = parse(query, vpn).map_err(|reason| ApiError::BadRequest { reason })?;
    let first = after.map_or(Some(VpnAddress::FIRST), following);
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
    query: Result<Query<VpnQuery>, QueryRejection>,
) -> Result<Json<Lease>, ApiError> {
    let address = meant(&api, &ip, query)?;
    let now = api.now();
    let lease = api
        .replica
        .read(|view| view.binding(address).map(|binding| Lease::of(binding, view.globals(), now)));
    lease.map(Json).ok_or_else(|| no_lease(&api, address))
}

pub(super) async fn release<R: Replica>(
    State(api): State<Api<R>>,
    Extension(caller): Extension<CallerName>,
    Path(ip): Path<String>,
    query: Result<Query<VpnQuery>, QueryRejection>,
) -> Result<StatusCode, ApiError> {
    let address = meant(&api, &ip, query)?;
    match commit(&api, Command::Reset { address }).await? {
        Outcome::Refused(Refusal::NoSuchBinding) => Err(no_lease(&api, address)),
        Outcome::Refused(refusal) => Err(ApiError::Refused(refusal)),
        Outcome::Bound { .. } | Outcome::Done { .. } | Outcome::Merged(_) => {
            tracing::info!(event = events::ADMIN_CHANGE, caller = caller.0, what = "lease release", %address);
            Ok(StatusCode::NO_CONTENT)
        }
    }
}

fn meant<R: Replica>(
    api: &Api<R>,
    ip: &str,
    query: Result<Query<VpnQuery>, QueryRejection>,
) -> Result<VpnAddress, ApiError> {
    let Query(query) = query.map_err(|error| ApiError::BadRequest { reason: error.body_text() })?;
    let ip = value::address(ip).map_err(|reason| ApiError::BadRequest { reason })?;
    let vpn = meant_vpn(api, &query.vpn.unwrap_or_default())?;
    Ok(VpnAddress { vpn, ip })
}

fn meant_vpn<R: Replica>(api: &Api<R>, text: &str) -> Result<VpnNumber, ApiError> {
    let number = api.replica.read(|view| number_of_vpn(view.globals(), text));
    number.map_err(|unknown| ApiError::NotFound { what: unknown.to_string() })
}

fn no_lease<R: Replica>(api: &Api<R>, address: VpnAddress) -> ApiError {
    let vpn = api.replica.read(|view| vpn_of_number(view.globals(), address.vpn));
    let vpn = vpn.map(|vpn| format!(" in VPN {vpn}")).unwrap_or_default();
    ApiError::NotFound { what: format!("active lease of {}{vpn}", address.ip) }
}

fn parse(
    query: LeaseQuery,
    vpn: Option<VpnNumber>,
) -> Result<(Filter, Option<VpnAddress>), String> {
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
        vpn,
        ip: read("ip", query.ip, value::address)?,
        hardware: read("mac", query.mac, value::mac)?,
        client: read("client_id", query.client_id, client)?,
        sub_options,
        subnet: read("subnet", query.subnet, value::prefix)?.map(|prefix| prefix.range()),
        state: read("state", query.state, state)?,
    };
    Ok((filter, read("after", query.after, vpn_address)?))
}

impl Filter {
    fn admits(&self, binding: &Binding) -> bool {
        self.vpn.is_none_or(|vpn| vpn == binding.address.vpn)
            && self.ip.is_none_or(|ip| ip == binding.address.ip)
            && self.hardware.is_none_or(|hardware| hardware == binding.hardware)
            && self.client.as_ref().is_none_or(|client| *client == binding.client)
            && self.subnet.is_none_or(|subnet| subnet.contains(binding.address.ip))
            && self.state.is_none_or(|state| state == binding.state)
            && self
                .sub_options
                .iter()
                .all(|(which, octets)| binding.relay_sub_option(which.code()) == Some(&octets[..]))
    }

    /// The first place from `at` on where a binding can lie that is admitted.
    fn place_from(&self, at: VpnAddress) -> Option<VpnAddress> {
        let all = AddressRange { first: Ipv4Addr::UNSPECIFIED, last: Ipv4Addr::BROADCAST };
        let one = self.ip.map(|ip| AddressRange { first: ip, last: ip });
        let range = one.or(self.subnet).unwrap_or(all);
        let place = if range.last < at.ip {
            // The same addresses may be in each VPN.
            VpnAddress { vpn: VpnNumber(at.vpn.0.checked_add(1)?), ip: range.first }
        } else {
            VpnAddress { vpn: at.vpn, ip: at.ip.max(range.first) }
        };
        match self.vpn {
            Some(vpn) if place.vpn < vpn => Some(VpnAddress { vpn, ip: range.first }),
            Some(vpn) if vpn < place.vpn => None,
            _ => Some(place),
        }
    }

    /// The few addresses that can match, in order, if a key of the filter leads to them.
    fn candidates<R: Replica>(&self, replica: &R) -> Result<Option<Vec<VpnAddress>>, ApiError> {
        if self.ip.is_some() {
            // The walk over the VPNs is short.
            return Ok(None);
        }
        let mut found: Vec<VpnAddress> = if let Some(client) = &self.client {
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
    first: VpnAddress,
    limit: usize,
    now: Timestamp,
) -> Result<LeasePage, ApiError> {
    // With the address of each, which is what the next page goes on from.
    let mut leases = Vec::new();
    match filter.candidates(replica)? {
        Some(candidates) => {
            for chunk in candidates.chunks(SCAN_LEN) {
                replica.read(|view| {
                    let bindings = chunk.iter().filter_map(|address| view.binding(*address));
                    let admitted = bindings.filter(|b| b.address >= first && filter.admits(b));
                    leases.extend(admitted.map(|b| (b.address, Lease::of(b, view.globals(), now))));
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
    let next = leases.last().filter(|_| more).map(|(address, _)| address.to_string());
    Ok(LeasePage { leases: leases.into_iter().map(|(_, lease)| lease).collect(), next })
}

fn scan<R: Replica>(
    replica: &R,
    filter: &Filter,
    first: VpnAddress,
    limit: usize,
    now: Timestamp,
    leases: &mut Vec<(VpnAddress, Lease)>,
) {
    let mut next = filter.place_from(first);
    while let Some(from) = next {
        next = replica.read(|view| {
            let mut last = None;
            for (position, binding) in view.bindings_from(from).take(SCAN_LEN).enumerate() {
                if leases.len() > limit {
                    return None;
                }
                match filter.place_from(binding.address) {
                    Some(place) if place == binding.address => {}
                    elsewhere => return elsewhere,
                }
                if filter.admits(binding) {
                    leases.push((binding.address, Lease::of(binding, view.globals(), now)));
                }
                last = (position + 1 == SCAN_LEN).then_some(binding.address);
            }
            last.and_then(following)
        });
    }
}
