//! What the settings say about one requestor's connection.

use super::asked::Failure;
use super::told::ToldOptions;
use replication_ledger::{
    ActiveLeasequerySettings, DraftNumbers, LeasequeryDialect, LeasequeryKind, LeasequerySettings,
};
use std::net::Ipv4Addr;
use std::time::Duration;

/// The settings as far as they concern a connection, taken out once per revision.
#[derive(Clone, Debug)]
pub(crate) struct Rights {
    /// It may ask at all.
    pub(crate) is_permitted: bool,
    /// The dialect that it speaks, if that is not told from the octets.
    pub(crate) dialect: Option<LeasequeryDialect>,
    /// Queries answered at a time.
    pub(crate) queries_max: usize,
    /// The first query has to come within this time.
    pub(crate) first_query_timeout: Duration,
    pub(crate) active: ActiveLeasequerySettings,
    pub(crate) numbers: DraftNumbers,
    pub(crate) told: ToldOptions,
    kinds: Option<Vec<LeasequeryKind>>,
    speaks_rfc: bool,
    speaks_draft: bool,
    rfc_data_timeout: Duration,
    draft_data_timeout: Duration,
}

impl Rights {
    /// What these settings say about this requestor.
    pub(crate) fn of(settings: &LeasequerySettings, requestor: Ipv4Addr) -> Rights {
        let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
        let own = settings.requestor(requestor);
        Rights {
            is_permitted: settings.permits(requestor),
            dialect: own.and_then(|own| own.dialect),
            // [B-55] [D-61] Configurable; none at all would be a connection that waits for nothing.
            queries_max: settings.queries_per_connection_max.max(1) as usize,
            first_query_timeout: seconds(settings.first_query_timeout_seconds),
            active: settings.active.clone(),
            numbers: settings.numbers,
            // What may not be told is not, though it be wanted.
            told: ToldOptions::of(settings),
            kinds: own.and_then(|own| own.queries.clone()),
            speaks_rfc: settings.rfc,
            speaks_draft: settings.draft,
            rfc_data_timeout: seconds(settings.rfc_data_timeout_seconds),
            draft_data_timeout: seconds(settings.draft_data_timeout_seconds),
        }
    }

    /// True if this dialect is switched on.
    pub(crate) fn speaks(&self, dialect: LeasequeryDialect) -> bool {
        match dialect {
            LeasequeryDialect::Rfc => self.speaks_rfc,
            LeasequeryDialect::Draft => self.speaks_draft,
        }
    }

    /// Says whether this may be asked.
    ///
    /// # Errors
    /// It may not.
    // [B-14] [D-55] [D-57] It is told so, rather than cut off.
    pub(crate) fn allow(&self, kind: LeasequeryKind) -> Result<(), Failure> {
        match &self.kinds {
            Some(kinds) if !kinds.contains(&kind) => Err(Failure::NotAllowed),
            _ => Ok(()),
        }
    }

    /// BULK_LQ_DATA_TIMEOUT.
    // [D-58] [B-54] 30 seconds in the draft, 300 in the RFC.
    pub(crate) fn data_timeout(&self, dialect: Option<LeasequeryDialect>) -> Duration {
        match dialect {
            Some(LeasequeryDialect::Draft) => self.draft_data_timeout,
            Some(LeasequeryDialect::Rfc) | None => self.rfc_data_timeout,
        }
    }

    /// ACTIVE_LQ_IDLE_TIMEOUT.
    pub(crate) fn idle_timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.active.idle_timeout_seconds))
    }

    /// ACTIVE_LQ_SEND_TIMEOUT.
    pub(crate) fn active_send_timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.active.send_timeout_seconds))
    }
}
