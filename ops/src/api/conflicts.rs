//! `/v1/conflicts`: addresses that were promised to two clients, which only a false partner-down or a broken clock can do.

use super::Api;
use super::dto::{Conflict, Conflicts};
use crate::replica::Replica;
use axum::Json;
use axum::extract::State;
use replication_ledger::LedgerView;

pub(super) async fn list<R: Replica>(State(api): State<Api<R>>) -> Json<Conflicts> {
    Json(api.replica.read(|view| {
        let globals = view.globals();
        let newest_first = globals.conflict_events.iter().rev();
        let shown = newest_first.map(|conflict| Conflict::of(conflict, globals));
        Conflicts { total: globals.conflicts, conflicts: shown.collect() }
    }))
}
