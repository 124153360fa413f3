//! What a run tells while it goes on, and what a server's part of it came to.

use super::answer::{Record, ServerIndex};
use super::conversation::Outcome;
use super::error::RequestorError;
use std::net::SocketAddrV4;
use std::time::Duration;
use tokio::sync::mpsc;

/// Something heard of a server.
#[derive(Debug)]
pub enum Event {
    /// Records, in the order they came.
    Records(Vec<Record>),
    /// Something that happened to the connection.
    Notice(ServerIndex, Notice),
}

/// What happens on the way.
#[derive(Debug)]
pub enum Notice {
    /// A connection stands, in clear text or secured.
    Connected {
        /// With TLS.
        secure: bool,
    },
    /// It failed and will be tried again.
    Retrying {
        /// Why.
        error: RequestorError,
        /// After this pause.
        wait: Duration,
    },
    /// Active leasequery: what had been missed has come.
    CaughtUp,
    /// Active leasequery: the server's history did not reach back; a bulk query fills the gap.
    Gap {
        /// Its first second, by the server's clock.
        start_time: Option<u32>,
        /// Its last second, by the server's clock.
        end_time: Option<u32>,
    },
    /// The gap is filled.
    GapFilled,
    /// The gap could not be filled: what changed in it is unknown.
    GapLeft {
        /// Why.
        error: RequestorError,
    },
}

/// What one server's part of a run came to.
#[derive(Debug)]
pub struct ServerReport {
    /// Who.
    pub server: SocketAddrV4,
    /// How the answer to each query ended; nothing if it did not.
    pub outcomes: Vec<Option<Outcome>>,
    /// What kept it from answering everything.
    pub error: Option<RequestorError>,
}

impl ServerReport {
    /// Every query was answered, and none refused.
    pub fn is_complete(&self) -> bool {
        self.error.is_none()
            && self
                .outcomes
                .iter()
                .all(|outcome| !matches!(outcome, None | Some(Outcome::Refused(_))))
    }
}

/// Where events go. When nobody takes them the server is read no further.
pub(super) type Sink = mpsc::Sender<Event>;

/// Records that are handed on together: one hand-over each would cost more than reading them.
pub(super) const BATCH_LEN: usize = 256;
