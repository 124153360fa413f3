//! `leasehold serve`: one member.

use crate::config::{self, LogFormat};
use crate::error::ServeError;
use crate::serve::Ended;
use crate::{events, logging, metrics, panics, serve};
use anyhow::{Context, Result};
use clap::Args;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// member.toml
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Stop when standard input is closed, so that members do not outlive the program that started them
    #[arg(long, hide = true)]
    stop_with_stdin: bool,
}

pub(crate) fn run(arguments: Arguments) -> Result<()> {
    let file = arguments.config.display().to_string();
    let text = std::fs::read_to_string(&arguments.config).map_err(|source| {
        ServeError::Unreadable { key: "--config", path: arguments.config.clone(), source }
    })?;
    let config = config::member(&file, &text)?;
    logging::install(&config.log)?;
    panics::install();
    let json = config.log.format == LogFormat::Json;
    let counted = metrics::install()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no threads can be started")?;
    let served = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("no signals can be caught")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("no signals can be caught")?;
        let stop_with_stdin = arguments.stop_with_stdin;
        let stop = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = stdin_closed(), if stop_with_stdin => {}
            }
        };
        serve::serve(config, counted, stop).await.map_err(anyhow::Error::from)
    });
    // Whatever still runs has missed its deadline.
    runtime.shutdown_background();
    // In text the line that `run` prints says the same.
    if let Err(error) = &served
        && json
    {
        tracing::error!(event = events::FAILED, cause = crate::error::chain(error.as_ref()));
    }
    match served? {
        Ended::Stopped => Ok(()),
        Ended::Again => start_again(),
    }
}

/// The same program with the same arguments in place of this process: nothing of the old run holds a file or a port.
fn start_again() -> Result<()> {
    let program = std::env::current_exe().context("this program does not find itself")?;
    let failed = std::process::Command::new(program).args(std::env::args_os().skip(1)).exec();
    Err(failed).context("the member cannot start itself again; start it by hand")
}

/// Ends when standard input does. The thread that reads it is left behind at exit.
async fn stdin_closed() {
    let (closed, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = closed.send(());
    });
    let _ = told.await;
}
