//! The commands: parse, call one function, map to an exit status. A file per command.
//!
//! Exit status: 0 done, 1 refused or failed, 2 wrong usage (clap's own); `leasequery` adds 3, nobody knows.

mod backup;
mod caller;
mod cluster;
mod config;
mod demo;
mod drain;
mod lease;
mod leasequery;
mod names;
mod output;
mod partner_down;
mod serve;
mod text_diff;

pub(crate) use caller::Caller;

use crate::error::chain;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// A highly available DHCPv4 server.
#[derive(Debug, Parser)]
#[command(name = "leasehold", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one member
    Serve(serve::Arguments),
    /// Run a pair and a witness on loopback and send clients through them
    Demo(demo::Arguments),
    /// Show and change the members
    #[command(subcommand)]
    Cluster(cluster::Command),
    /// Check, compare, apply and show network.toml
    #[command(subcommand)]
    Config(config::Command),
    /// Show and end leases
    #[command(subcommand)]
    Lease(lease::Command),
    /// Show what DNS should say of addresses
    #[command(subcommand)]
    Names(names::Command),
    /// Ask DHCP servers who has what, and tell which answer is newer
    Leasequery(Box<leasequery::Arguments>),
}

/// Runs the command of this process's arguments.
pub fn run() -> ExitCode {
    // Nothing else installs one before, and a second one would be the same.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let done = match Cli::parse().command {
        Command::Serve(arguments) => serve::run(arguments),
        Command::Demo(arguments) => demo::run(arguments),
        Command::Cluster(command) => cluster::run(command),
        Command::Config(command) => config::run(command),
        Command::Lease(command) => lease::run(command),
        Command::Names(command) => names::run(command),
        Command::Leasequery(arguments) => {
            return leasequery::run(*arguments).unwrap_or_else(|error| failed(&error));
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    // One line per cause of the error would hide which belongs to which.
    eprintln!("leasehold: {}", chain(error.as_ref()));
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    #[test]
    fn the_definition_of_the_arguments_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn commands_are_parsed_as_the_manual_writes_them() {
        let check = |line: &str, expected: Result<(), ErrorKind>| {
            let words = std::iter::once("leasehold").chain(line.split(' '));
            let found = Cli::try_parse_from(words).map(|_| ()).map_err(|error| error.kind());
            assert_eq!(found, expected, "{line}");
        };
        check("serve --config member.toml", Ok(()));
        check("serve", Err(ErrorKind::MissingRequiredArgument));
        check("demo --exit-after 20s --clients 50 --kill-leader", Ok(()));
        check("demo --exit-after soon", Err(ErrorKind::ValueValidation));
        check("cluster init --admin http://127.0.0.1:6780", Ok(()));
        check("cluster join --peer 127.0.0.1:6747 --token x", Ok(()));
        check("cluster join --token x", Err(ErrorKind::MissingRequiredArgument));
        check("cluster status --output json", Ok(()));
        check("cluster status --output xml", Err(ErrorKind::InvalidValue));
        check("cluster partner-down --yes", Ok(()));
        check("cluster partner-down --check", Ok(()));
        check("cluster remove 3 --yes", Ok(()));
        check("cluster remove", Err(ErrorKind::MissingRequiredArgument));
        check("cluster transfer --to 2", Ok(()));
        check("cluster drain", Ok(()));
        check("cluster drain 2 --wait 30s --yes", Ok(()));
        check("cluster drain 2 --wait forever", Err(ErrorKind::ValueValidation));
        check("cluster undrain 2", Ok(()));
        check("lease conflicts --output csv", Ok(()));
        check("cluster backup file", Ok(()));
        check("cluster restore file --check", Ok(()));
        check("cluster restore file --config member.toml --longest-lease 12h --yes", Ok(()));
        check("cluster restore file", Err(ErrorKind::MissingRequiredArgument));
        check("config check network.toml", Ok(()));
        check("config diff network.toml --token-file t", Ok(()));
        check("config apply network.toml", Ok(()));
        check("config show", Ok(()));
        check("lease list --state active --remote-id x --output csv", Ok(()));
        check("lease list --vpn red --ip 10.0.0.1", Ok(()));
        check("lease show 10.0.0.1", Ok(()));
        check("lease show 10.0.0.1 --vpn 0x00000500000001", Ok(()));
        check("lease release 10.0.0.1 --vpn red --yes", Ok(()));
        check("lease show ten", Err(ErrorKind::ValueValidation));
        check("lease release 10.0.0.1 --yes", Ok(()));
        check("names list --waiting --output csv", Ok(()));
        check("lease burn", Err(ErrorKind::InvalidSubcommand));
    }
}
