//! What a caller is told when something is not done: RFC 9457 problem documents.
//!
//! The text for the caller and the text for the log are two things: a failure inside is logged with its whole cause, and the
//! caller learns that it happened.

use crate::api::dto::{ProblemDocument, ProblemLine};
use crate::api::tokens::Permission;
use crate::config::InvalidFile;
use crate::error::chain;
use crate::events;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use replication_ledger::Refusal;
use replication_raft::{ErrorClass, ProposeError, ReplicationError};
use thiserror::Error;

/// Why a call was not done.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ApiError {
    /// No token, or one that nobody has.
    #[error("a valid token is required; send `Authorization: Bearer …` from the token file")]
    Unauthorized,
    /// The token may not do this.
    #[error("this token may {held}, and this call needs {needed}")]
    Forbidden {
        /// What the token may do.
        held: Permission,
        /// What the call needs.
        needed: Permission,
    },
    /// A browser was led here under another name than loopback's.
    #[error("without tokens this address answers only as localhost, and was called `{host}`")]
    ForeignHost {
        /// The name it was called by.
        host: String,
    },
    /// The call makes no sense.
    #[error("{reason}")]
    BadRequest {
        /// What is wrong and what to send.
        reason: String,
    },
    /// There is no such thing.
    #[error("there is no {what}")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// A configuration with problems; nothing changed.
    #[error("the configuration is refused and what runs goes on: {0}")]
    Invalid(InvalidFile),
    /// The ledger refused the change.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// The change may or may not have been committed.
    #[error(transparent)]
    Propose(#[from] ProposeError),
    /// The cluster refused or failed.
    #[error(transparent)]
    Replication(#[from] ReplicationError),
}

impl ApiError {
    /// Status and the last part of the type.
    fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            ApiError::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            ApiError::Forbidden { .. } => (StatusCode::FORBIDDEN, "forbidden"),
            ApiError::ForeignHost { .. } => (StatusCode::MISDIRECTED_REQUEST, "foreign-host"),
            ApiError::BadRequest { .. } => (StatusCode::BAD_REQUEST, "bad-request"),
            ApiError::NotFound { .. } => (StatusCode::NOT_FOUND, "not-found"),
            ApiError::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-configuration"),
            ApiError::Refused(_) => (StatusCode::CONFLICT, "refused"),
            ApiError::Propose(_) => (StatusCode::SERVICE_UNAVAILABLE, "not-committed"),
            ApiError::Replication(error) => match error.class() {
                ErrorClass::Retry => (StatusCode::SERVICE_UNAVAILABLE, "try-again"),
                ErrorClass::Redirect(_) => (StatusCode::MISDIRECTED_REQUEST, "not-leader"),
                ErrorClass::Refuse => (StatusCode::CONFLICT, "refused"),
                ErrorClass::Fatal => (StatusCode::INTERNAL_SERVER_ERROR, "failed"),
            },
        }
    }

    /// What the caller gets to read.
    pub fn document(&self) -> ProblemDocument {
        let (status, kind) = self.kind();
        let detail = match self {
            _ if status == StatusCode::INTERNAL_SERVER_ERROR => {
                "the member failed; its log has the cause".to_owned()
            }
            ApiError::Propose(error @ (ProposeError::Overloaded | ProposeError::Stopping)) => {
                format!("{error}; nothing was changed, try again or ask another member")
            }
            ApiError::Propose(error) => {
                format!("{error}; the change may still happen, look before trying again")
            }
            other => chain(other),
        };
        let leader = match self {
            ApiError::Replication(ReplicationError::NotLeader { leader }) => leader.map(|id| id.0),
            _ => None,
        };
        let problems = match self {
            ApiError::Invalid(file) => file
                .problems
                .iter()
                .map(|problem| ProblemLine {
                    line: problem.line,
                    key: problem.key.clone(),
                    reason: problem.reason.clone(),
                })
                .collect(),
            _ => Vec::new(),
        };
        ProblemDocument {
            kind: format!("urn:leasehold:problem:{kind}"),
            title: kind.replace('-', " "),
            status: status.as_u16(),
            detail,
            leader,
            problems,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, _) = self.kind();
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(event = events::ADMIN_FAILED, cause = chain(&self));
        }
        let mut response = (status, Json(self.document())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
