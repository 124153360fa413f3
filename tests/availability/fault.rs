//! What happens to a member, and how it ends.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::cluster::Cluster;
use tests::member::Member;
use tests::wait;

use crate::lab::{Lab, shell};

/// A fault of one member's process, host or network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL.
    Kill,
    /// SIGSTOP, later SIGCONT: the host hangs.
    Hang,
    /// Its cable is out.
    Cut,
    /// It and the others do not hear each other; clients reach all.
    Split,
    /// The others do not hear it.
    Mute,
    /// It does not hear the others.
    Deaf,
    /// Its cable is out and in again, many times.
    Flap,
    /// Its wall clock is stepped by so many seconds, and later stepped back.
    ClockStep(i64),
    /// Its disk has no room.
    FullDisk,
    /// Each sync of its disk takes so long.
    SlowDisk(Duration),
}

/// How long a flapping cable is out or in, in turn; milliseconds.
const FLAPS: [u64; 10] = [300, 700, 1500, 300, 900, 1300, 400, 1100, 1200, 500];

/// The file system of a disk that is going to be full; each member needs about a third of it.
const SMALL_DISK: &str = "size=192m";

impl Fault {
    /// Whether the member answers clients while the fault lasts, as far as the fault itself goes.
    pub(crate) fn leaves_it_serving(self) -> bool {
        !matches!(self, Fault::Kill | Fault::Hang | Fault::Cut | Fault::Flap | Fault::FullDisk)
    }

    /// Whether the member loses the others.
    pub(crate) fn isolates(self) -> bool {
        matches!(self, Fault::Cut | Fault::Split | Fault::Mute | Fault::Deaf)
    }

    /// Makes ready, before its first start, a member that this will happen to.
    pub(crate) fn prepare(self, member: &mut Member, library: &Path) -> Result<()> {
        match self {
            Fault::FullDisk => {
                let disk = member.data_dir();
                fs::create_dir_all(&disk)?;
                shell(&format!("mount -t tmpfs -o {SMALL_DISK} tmpfs {}", disk.display()))
            }
            Fault::ClockStep(_) | Fault::SlowDisk(_) => {
                let host = host_file(member);
                fs::write(&host, [0; 16])?;
                member.set_environment("LD_PRELOAD", &library.display().to_string());
                member.set_environment("FAULTY_HOST", &host.display().to_string());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Lets it happen to member `id`; a flapping cable has flapped when this returns.
    pub(crate) fn strike(self, lab: &Lab, cluster: &mut Cluster, id: u64) -> Result<()> {
        let others = lab.others(id);
        let member = &mut cluster.members[id as usize - 1];
        match self {
            Fault::Kill => member.kill(),
            Fault::Hang => member.pause(),
            Fault::Cut => lab.cut(id),
            Fault::Split => {
                others.iter().try_for_each(|other| lab.deafen(*other, &[id]))?;
                lab.deafen(id, &others)
            }
            Fault::Mute => others.iter().try_for_each(|other| lab.deafen(*other, &[id])),
            Fault::Deaf => lab.deafen(id, &others),
            Fault::Flap => {
                for pair in FLAPS.chunks(2) {
                    lab.cut(id)?;
                    wait::hold(Duration::from_millis(pair[0]));
                    lab.plug(id)?;
                    wait::hold(Duration::from_millis(pair[1]));
                }
                Ok(())
            }
            Fault::ClockStep(seconds) => turn(member, 0, seconds),
            Fault::FullDisk => fill(&member.data_dir()),
            Fault::SlowDisk(each) => turn(member, 8, each.as_micros() as i64),
        }
    }

    /// Ends it.
    pub(crate) fn heal(self, lab: &Lab, cluster: &mut Cluster, id: u64) -> Result<()> {
        let member = &mut cluster.members[id as usize - 1];
        match self {
            Fault::Kill => member.start(),
            Fault::Hang => member.resume(),
            Fault::Cut | Fault::Flap => lab.plug(id),
            Fault::Split | Fault::Mute | Fault::Deaf => lab.hear_all(),
            Fault::ClockStep(_) => turn(member, 0, 0),
            Fault::SlowDisk(_) => turn(member, 8, 0),
            Fault::FullDisk => {
                fs::remove_file(filler(&member.data_dir()))?;
                // It may have ended by itself; it does not notice that there is room again.
                member.kill()?;
                member.start()
            }
        }
    }
}

fn host_file(member: &Member) -> PathBuf {
    member.config_path().with_file_name("host")
}

/// Sets one of the two numbers of a member's host file.
fn turn(member: &Member, at: u64, value: i64) -> Result<()> {
    let file = File::options().write(true).open(host_file(member))?;
    file.write_all_at(&value.to_ne_bytes(), at).context("cannot write the host file")
}

fn filler(disk: &Path) -> PathBuf {
    disk.join("filler")
}

/// Takes all that is left of a disk, to the last octet.
fn fill(disk: &Path) -> Result<()> {
    let file = File::create(filler(disk))?;
    let (block, mut at) = ([0; 1 << 16], 0);
    for length in [block.len(), 1] {
        while let Ok(written @ 1..) = file.write_at(&block[..length], at) {
            at += written as u64;
        }
    }
    Ok(())
}

/// Builds the library that makes a host faulty.
pub(crate) fn build_library(folder: &Path) -> Result<PathBuf> {
    let (source, library) = (folder.join("faulty_host.c"), folder.join("faulty_host.so"));
    fs::write(&source, include_str!("faulty_host.c"))?;
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O2", "-o"]).arg(&library).arg(&source);
    let output = compiler.output().context("no C compiler")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(library)
}
