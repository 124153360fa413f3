//! `leasehold cluster backup` and `restore`: the whole ledger as a file, and a cluster from it when no member is left.

use super::caller::{Caller, Member};
use super::cluster::confirm;
use crate::config::value::{display_duration, duration};
use crate::config::{self, MemberConfig};
use crate::restore;
use anyhow::{Context, Result, bail};
use clap::Args;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use storage::{BackupSummary, check_backup};

#[derive(Debug, Args)]
pub(crate) struct BackupArguments {
    /// The file to write; it must not be there yet
    file: PathBuf,
    #[command(flatten)]
    member: Member,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArguments {
    /// What `cluster backup` wrote
    file: PathBuf,
    /// member.toml of the member to be made: an id that the cluster never had, an empty data directory
    #[arg(long, value_name = "FILE", required_unless_present = "check")]
    config: Option<PathBuf>,
    /// Only read the file and say what it holds
    #[arg(long)]
    check: bool,
    /// The longest lease that was configured after the backup, if that is longer than in the backup
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    longest_lease: u32,
    /// Renew leases as the backup has them; right only if no client gave up its lease since
    #[arg(long)]
    renew_known_leases: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(crate) fn backup(arguments: &BackupArguments) -> Result<()> {
    let caller = Caller::new(&arguments.member)?;
    let path = &arguments.file;
    if path.exists() {
        bail!("{} is there already; name a new file", path.display());
    }
    let part = part_of(path);
    let written = write_part(&caller, &part).and_then(|()| Ok(check_backup(&part)?));
    let summary = written.inspect_err(|_| {
        // What is left of it is of no use; that it failed is said.
        let _ = std::fs::remove_file(&part);
    })?;
    std::fs::rename(&part, path)
        .with_context(|| format!("cannot rename {} to {}", part.display(), path.display()))?;
    println!("{}: {}", path.display(), describe(&summary));
    println!("it holds the secrets of the configuration: keep it as safe as those");
    Ok(())
}

fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

fn write_part(caller: &Caller, part: &Path) -> Result<()> {
    let failed = || format!("cannot write {}", part.display());
    let mut options = File::options();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(part).with_context(failed)?;
    caller.copy("/v1/cluster/backup", &mut file)?;
    file.sync_all().with_context(failed)
}

fn describe(summary: &BackupSummary) -> String {
    let origin = &summary.origin;
    let taken = jiff::Timestamp::from_second(origin.taken_at_seconds as i64);
    let taken = taken.map_or_else(|_| "at an unknown time".to_owned(), |at| at.to_string());
    format!(
        "cluster {:032x} by member {} on {taken}, up to log entry {}, {} records, version {}",
        origin.cluster, origin.member, summary.index, summary.records, origin.program
    )
}

pub(crate) fn restore(arguments: &RestoreArguments) -> Result<()> {
    let shown = arguments.file.display();
    let summary = check_backup(&arguments.file)
        .with_context(|| format!("{shown} cannot be used as a backup"))?;
    println!("{shown}: {}", describe(&summary));
    let Some(path) = arguments.config.as_ref().filter(|_| !arguments.check) else {
        println!("it is whole");
        return Ok(());
    };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("--config: cannot read {}", path.display()))?;
    let config = config::member(&path.display().to_string(), &text)?;
    restore::check_target(&config)?;
    confirm(arguments.yes, &consequences(&config, arguments))?;
    let (longest, renew) = (arguments.longest_lease, arguments.renew_known_leases);
    let restored = restore::restore(&config, &arguments.file, longest, renew)?;
    let waits = restored.wait_until.seconds().saturating_sub(restore::now().seconds());
    println!(
        "member {} is now the cluster's only one, in epoch {}; it gives nobody a new address for {}",
        config.id,
        restored.epoch,
        display_duration(waits)
    );
    println!("next: `leasehold serve --config {}`, and let new members join", path.display());
    Ok(())
}

fn consequences(config: &MemberConfig, arguments: &RestoreArguments) -> String {
    let id = config.id;
    let data_dir = config.data_dir.display();
    let leases = match arguments.renew_known_leases {
        false => {
            "Until then it renews nothing either: an address may have been given up and given to \
             somebody else since."
        }
        true => {
            "It renews the leases that it knows. If a client gave up its lease since and another \
             got the address,\nboth will have it."
        }
    };
    format!(
        "Member {id} becomes the only member of a new epoch of the cluster, in {data_dir}. LOST is \
         everything since the backup:\nleases, releases and changes of the configuration. All \
         other members are removed: their data is of no more use,\nthey join again under new \
         ids. If one of them still runs, DO NOT RESTORE: use it, or `cluster partner-down`.\n\
         Leases that the backup never saw are waited for: until the longest configured lease has \
         passed no client gets a new\naddress. {leases}"
    )
}
