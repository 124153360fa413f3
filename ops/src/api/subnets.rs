//! `/v1/subnets`: how much of every pool is used.

use super::Api;
use super::dto::{Pool, Subnet};
use crate::config::vpn_text;
use crate::replica::Replica;
use crate::usage::{PoolUsage, usage};
use axum::Json;
use axum::extract::State;
use replication_ledger::{BindingState, LedgerView};

pub(super) async fn list<R: Replica>(State(api): State<Api<R>>) -> Json<Vec<Subnet>> {
    let replica = api.replica.clone();
    let counted = tokio::task::spawn_blocking(move || usage(&replica)).await;
    let pools = match counted {
        Ok(pools) => pools,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    };
    Json(api.replica.read(|view| {
        let subnets = view.globals().settings.subnets.iter();
        let shown = subnets.map(|subnet| Subnet {
            vpn: vpn_text(&subnet.vpn),
            prefix: subnet.prefix.to_string(),
            network: subnet.network.clone(),
            reservations: subnet.reservations.len() as u64,
            pools: pools
                .iter()
                .filter(|pool| subnet.range().contains(pool.pool.first_address()))
                .map(show)
                .collect(),
        });
        shown.collect()
    }))
}

fn show(usage: &PoolUsage) -> Pool {
    let states = BindingState::ALL.iter().zip(usage.states);
    Pool {
        range: usage.pool.addresses().to_string(),
        size: usage.pool.size(),
        states: states.map(|(state, count)| (state.as_str().to_owned(), count)).collect(),
        free: usage.free.iter().map(|(id, count)| (id.to_string(), *count)).collect(),
    }
}
