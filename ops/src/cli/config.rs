//! `leasehold config`: network.toml, which all members share.

use super::caller::{Caller, Member};
use super::text_diff::diff;
use crate::api::dto;
use crate::config;
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check a file, without a member
    Check {
        /// network.toml, or a member.toml with --member
        file: PathBuf,
        /// The file is a member.toml
        #[arg(long)]
        member: bool,
    },
    /// Show what a file would change
    Diff(FileArguments),
    /// Put a file in force on all members
    Apply(FileArguments),
    /// Print the file that is in force
    Show(Member),
}

#[derive(Debug, Args)]
pub(crate) struct FileArguments {
    /// network.toml
    file: PathBuf,
    #[command(flatten)]
    member: Member,
}

pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::Check { file, member: true } => {
            config::member(&file.display().to_string(), &read(&file)?)?;
            println!("{}: good", file.display());
        }
        Command::Check { file, member: false } => {
            let settings = config::network(&file.display().to_string(), &read(&file)?)?;
            println!(
                "{}: good: {} subnets, {} addresses in pools, {} reservations",
                file.display(),
                settings.subnets.len(),
                settings.pools().map(|pool| pool.size()).sum::<u64>(),
                settings.reservations().count()
            );
        }
        Command::Diff(arguments) => {
            let text = checked(&arguments.file)?;
            let running: dto::Config = Caller::new(&arguments.member)?.get("/v1/config")?;
            print!("{}", diff(&running.source, &text));
        }
        Command::Apply(arguments) => {
            let text = checked(&arguments.file)?;
            let caller = Caller::new(&arguments.member)?;
            let running: dto::Config = caller.get("/v1/config")?;
            // Naming the revision that was seen keeps two operators from overwriting each other.
            let path = format!("/v1/config?replaces={}", running.revision);
            let outcome: dto::ConfigOutcome = caller.put_toml(&path, &text)?;
            println!("{}: in force as revision {}", arguments.file.display(), outcome.revision);
        }
        Command::Show(member) => {
            let running: dto::Config = Caller::new(&member)?.get("/v1/config")?;
            print!("{}", running.source);
        }
    }
    Ok(())
}

/// The text of a file that a member would take.
fn checked(file: &Path) -> Result<String> {
    let text = read(file)?;
    config::network(&file.display().to_string(), &text)?;
    Ok(text)
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}
