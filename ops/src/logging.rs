//! The form of what is written to standard error.

use crate::config::{LogConfig, LogFormat};
use crate::error::ServeError;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Replication tells every step of every vote at the level of ordinary events, and warns several times a second of a member that is
/// not there, of which there is an event of ours. It is asked to when its name is given.
const QUIET: &str = "openraft";

/// Writes events from now on, in this form. The environment variable `LEASEHOLD_LOG` overrides the level.
///
/// # Errors
/// If it was called before in this process.
pub fn install(config: &LogConfig) -> Result<(), ServeError> {
    let level = std::env::var("LEASEHOLD_LOG").ok().filter(|level| !level.is_empty());
    let filter = filter(level.as_deref().unwrap_or(&config.level));
    let stderr = std::io::stderr;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    let installed = match config.format {
        LogFormat::Text => builder.with_target(false).with_ansi(stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    };
    installed.map_err(|_| ServeError::InstalledTwice { what: "the writer of events" })
}

fn filter(level: &str) -> EnvFilter {
    match level.contains(QUIET) {
        true => EnvFilter::new(level),
        false => EnvFilter::new(format!("{level},{QUIET}=error")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replication_is_quiet_unless_it_is_asked() {
        let check = |level: &str, expected: &[&str]| {
            let directives = filter(level).to_string();
            let mut found: Vec<&str> = directives.split(',').collect();
            found.sort();
            assert_eq!(found, expected, "{level}");
        };
        check("info", &["info", "openraft=error"]);
        check("debug,openraft=info", &["debug", "openraft=info"]);
    }
}
