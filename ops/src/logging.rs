//! The form of what is written to standard error.

use crate::config::{LogConfig, LogFormat};
use crate::error::ServeError;
use tracing_subscriber::EnvFilter;

/// Writes events from now on, in this form. The environment variable `LEASEHOLD_LOG` overrides the level.
///
/// # Errors
/// If it was called before in this process.
pub fn install(config: &LogConfig) -> Result<(), ServeError> {
    let filter = EnvFilter::try_from_env("LEASEHOLD_LOG")
        .unwrap_or_else(|_| EnvFilter::new(config.level.clone()));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let installed = match config.format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    };
    installed.map_err(|_| ServeError::InstalledTwice { what: "the writer of events" })
}
