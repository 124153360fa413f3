//! The members of the demonstration: processes of this very program, on loopback with unprivileged ports.

use crate::cli::Caller;
use anyhow::{Context, Result, bail};
use replication_ledger::Role;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A member that does not answer by then will not.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// A member that has not stopped by then is killed.
const STOP_DEADLINE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

/// One member as a process.
pub(super) struct Process {
    /// Its id.
    pub(super) id: u64,
    /// Its name.
    pub(super) name: &'static str,
    /// Server or witness.
    pub(super) role: Role,
    /// Where it serves DHCP; a witness does not.
    pub(super) dhcp: SocketAddrV4,
    /// Where the others reach it.
    pub(super) peer: SocketAddrV4,
    /// Where the operator reaches it.
    pub(super) admin: SocketAddrV4,
    log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts a member with an empty data directory below `directory`.
    pub(super) fn start(
        directory: &Path,
        id: u64,
        name: &'static str,
        role: Role,
    ) -> Result<Process> {
        let home = directory.join(name);
        fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
        // 127.0.0.0/8 is this machine's: every server gets an identifier of its own. Two members and a witness fit.
        let address = Ipv4Addr::new(127, 0, 0, 1 + id as u8);
        let dhcp = SocketAddrV4::new(address, free_dhcp_port(address)?);
        let peer = SocketAddrV4::new(Ipv4Addr::LOCALHOST, free_tcp_port(0)?);
        let admin = SocketAddrV4::new(Ipv4Addr::LOCALHOST, free_tcp_port(6779 + id as u16)?);
        let config = home.join("member.toml");
        fs::write(&config, member_toml(id, name, role, dhcp, peer, admin))
            .with_context(|| format!("cannot write {}", config.display()))?;
        let log = home.join("log");
        let events =
            File::create(&log).with_context(|| format!("cannot make {}", log.display()))?;
        let program = std::env::current_exe().context("this program does not know its own file")?;
        let child = Command::new(&program)
            .args(["serve", "--stop-with-stdin", "--config"])
            .arg(&config)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(events)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Process { id, name, role, dhcp, peer, admin, log, child })
    }

    /// Waits until it answers.
    pub(super) fn await_alive(&mut self, stop: &AtomicBool) -> Result<Caller> {
        let caller = Caller::local(&format!("http://{}", self.admin))?;
        self.await_answer(&caller, "/livez", stop)?;
        Ok(caller)
    }

    /// Waits until it serves.
    pub(super) fn await_ready(&mut self, stop: &AtomicBool) -> Result<()> {
        let caller = Caller::local(&format!("http://{}", self.admin))?;
        self.await_answer(&caller, "/readyz", stop)
    }

    fn await_answer(&mut self, caller: &Caller, path: &str, stop: &AtomicBool) -> Result<()> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().context("a child cannot be watched")? {
                let log = fs::read_to_string(&self.log).unwrap_or_default();
                bail!("{} ended with {status}:\n{log}", self.name);
            }
            let Err(error) = caller.probe(path) else { return Ok(()) };
            if stop.load(Ordering::Relaxed) {
                bail!("interrupted");
            }
            if began.elapsed() > START_DEADLINE {
                let log = self.log.display();
                return Err(error.context(format!("{} is not up; see {log}", self.name)));
            }
            std::thread::sleep(POLL);
        }
    }

    /// Kills it with SIGKILL.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.child.kill().with_context(|| format!("cannot kill {}", self.name))?;
        self.child.wait().map(drop).with_context(|| format!("cannot wait for {}", self.name))
    }

    /// Its name and admin address, unless it was killed.
    pub(super) fn admin_if_alive(&mut self) -> Option<(&'static str, SocketAddrV4)> {
        matches!(self.child.try_wait(), Ok(None)).then_some((self.name, self.admin))
    }

    /// Asks it to stop.
    fn ask_to_stop(&mut self) {
        drop(self.child.stdin.take());
    }

    fn await_stopped(&mut self) {
        let began = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if began.elapsed() > STOP_DEADLINE {
                let _ = self.kill();
                return;
            }
            std::thread::sleep(POLL);
        }
    }
}

/// The members, and the directory that goes with them.
pub(super) struct Members {
    /// In the order of their ids.
    pub(super) processes: Vec<Process>,
    directory: PathBuf,
}

impl Members {
    /// No members, in a new directory.
    pub(super) fn new() -> Result<Members> {
        let name = format!("leasehold-demo-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        Ok(Members { processes: Vec::new(), directory })
    }

    /// One more.
    pub(super) fn start(&mut self, id: u64, name: &'static str, role: Role) -> Result<()> {
        self.processes.push(Process::start(&self.directory, id, name, role)?);
        Ok(())
    }

    /// The servers.
    pub(super) fn servers(&self) -> impl Iterator<Item = &Process> {
        self.processes.iter().filter(|process| process.role == Role::Server)
    }
}

/// No process and no file is left behind.
impl Drop for Members {
    fn drop(&mut self) {
        self.processes.iter_mut().for_each(Process::ask_to_stop);
        self.processes.iter_mut().for_each(Process::await_stopped);
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// This port if nobody has it, else one that nobody has now.
fn free_tcp_port(wanted: u16) -> Result<u16> {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, wanted))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .context("loopback has no free port")?;
    Ok(socket.local_addr().context("a socket without address")?.port())
}

/// A port that has neither a datagram socket nor a listening one: DHCP and leasequery over TCP share theirs.
fn free_dhcp_port(address: Ipv4Addr) -> Result<u16> {
    /// Ports that are tried.
    const ATTEMPTS: u32 = 20;
    for _ in 0..ATTEMPTS {
        let socket =
            UdpSocket::bind((address, 0)).with_context(|| format!("{address} has no free port"))?;
        let port = socket.local_addr().context("a socket without address")?.port();
        if TcpListener::bind((address, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("{address} has no port that is free for datagrams and connections")
}

fn member_toml(
    id: u64,
    name: &str,
    role: Role,
    dhcp: SocketAddrV4,
    peer: SocketAddrV4,
    admin: SocketAddrV4,
) -> String {
    let role_name = role.as_str();
    let dhcp_section = match role {
        Role::Server => {
            format!(
                "\n[dhcp]\nlisten = [\"{dhcp}\"]\nserver_id = \"{}\"\n\n[leasequery]\n\
                 listen_tcp = [\"{dhcp}\"]\n",
                dhcp.ip()
            )
        }
        Role::Witness => String::new(),
    };
    format!(
        "[member]\nid = {id}\nname = \"{name}\"\ndata_dir = \"data\"\nrole = \"{role_name}\"\n\
         {dhcp_section}\n[peer]\nlisten = \"{peer}\"\n\n[admin]\nlisten = \"{admin}\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_members_are_good() {
        let socket = |port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        for role in [Role::Server, Role::Witness] {
            let text = member_toml(1, "a", role, socket(1), socket(2), socket(3));
            let config = crate::config::member("m.toml", &text).expect("it is good");
            assert_eq!((config.role, config.dhcp.is_some()), (role, role == Role::Server));
        }
    }
}
