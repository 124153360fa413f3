//! One member as a process: its configuration file, its commands, its endpoints, its end.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::check::{Lease, Listing};
use crate::netns::Namespace;
use crate::{process, wait};

/// What a member does in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Serves DHCP.
    Server,
    /// Votes and stores, serves no DHCP.
    Witness,
}

/// Where a member listens.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    /// DHCP and leasequery over UDP.
    pub dhcp: SocketAddrV4,
    /// The other members.
    pub peer: SocketAddrV4,
    /// API, `/metrics`, probes.
    pub admin: SocketAddrV4,
    /// Leasequery over TCP.
    pub leasequery: SocketAddrV4,
}

/// A member and, while it runs, its process.
pub struct Member {
    /// `member.id`.
    pub id: u64,
    /// `member.name`.
    pub name: String,
    /// `member.role`.
    pub role: Role,
    /// Where it listens.
    pub places: Places,
    folder: PathBuf,
    environment: BTreeMap<String, String>,
    namespace: Option<Namespace>,
    child: Option<Child>,
}

/// The `leasehold` binary: `LEASEHOLD_BIN`, or the one beside the running test in the target
/// folder.
///
/// # Errors
/// There is none: the message says how to build it.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("LEASEHOLD_BIN") {
        return Ok(path.into());
    }
    let own = std::env::current_exe().context("current executable")?;
    own.ancestors()
        .skip(1)
        .map(|folder| folder.join("leasehold"))
        .find(|path| path.is_file())
        .with_context(|| {
            format!(
                "no leasehold beside {}; build it (cargo build --release -p ops) or set \
                     LEASEHOLD_BIN",
                own.display()
            )
        })
}

impl Member {
    /// A member with a configuration file in `folder`, not yet started.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn new(folder: PathBuf, id: u64, role: Role, places: Places) -> Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let name = format!("m{id}");
        let (environment, namespace) = (BTreeMap::new(), None);
        let member = Member { id, name, role, places, folder, environment, namespace, child: None };
        fs::write(member.config_path(), member.config()).context("cannot write member.toml")?;
        Ok(member)
    }

    /// Appends to `member.toml` of a member that was not started yet; its last section is
    /// `[leasequery]`, if it is a server.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn configure(&self, lines: &str) -> Result<()> {
        let text = self.config() + lines;
        fs::write(self.config_path(), text).context("cannot write member.toml")
    }

    /// Resident octets of the running process (`VmRSS`).
    ///
    /// # Errors
    /// It does not run.
    pub fn resident_octets(&self) -> Result<u64> {
        let child = self.child.as_ref().with_context(|| format!("{} is down", self.name))?;
        process::resident_octets(child.id())
    }

    /// `member.toml`.
    pub fn config_path(&self) -> PathBuf {
        self.folder.join("member.toml")
    }

    /// Adds sections to `member.toml`, for the next start.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn extend_config(&self, sections: &str) -> Result<()> {
        let text = fs::read_to_string(self.config_path())?;
        fs::write(self.config_path(), format!("{text}\n{sections}"))
            .context("cannot write member.toml")
    }

    /// Sets a variable in the environment of the member's next starts.
    pub fn set_environment(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// From its next start on the member lives in a network namespace, and so does whatever is asked
    /// of it.
    pub fn live_in(&mut self, namespace: Namespace) {
        self.namespace = Some(namespace);
    }

    /// The member's data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn config(&self) -> String {
        let Places { dhcp, peer, admin, leasequery } = self.places;
        let (role, id, name) = (self.role, self.id, &self.name);
        let data_dir = self.data_dir();
        let data_dir = data_dir.display();
        let role_text = if role == Role::Server { "server" } else { "witness" };
        // Peers speak in the clear only where nobody else is: on loopback, or in a lab of namespaces.
        let peer_line = if peer.ip().is_loopback() { "" } else { "insecure = true\n" };
        let mut text = format!(
            "[member]\nid = {id}\nname = \"{name}\"\ndata_dir = \"{data_dir}\"\n\
             role = \"{role_text}\"\n\n[peer]\nlisten = \"{peer}\"\nadvertise = \"{peer}\"\n\
             {peer_line}\n\
             [admin]\nlisten = \"{admin}\"\n"
        );
        if role == Role::Server {
            let server_id = dhcp.ip();
            text += &format!(
                "\n[dhcp]\nlisten = [\"{dhcp}\"]\nserver_id = \"{server_id}\"\n\n\
                 [leasequery]\nlisten_tcp = [\"{leasequery}\"]\n"
            );
        }
        text
    }

    /// Starts the process and waits until its probe says that it lives.
    ///
    /// # Errors
    /// It ended or did not come up; the message has the end of its log.
    pub fn start(&mut self) -> Result<()> {
        self.start_with(&self.config_path())?;
        let live = wait::until("live member", wait::PATIENCE, || {
            if self.exit_status().is_some() {
                return Some(false);
            }
            matches!(self.get("/livez"), Ok((200, _))).then_some(true)
        });
        if live.unwrap_or(false) { Ok(()) } else { bail!("{}", self.last_words()) }
    }

    /// Starts the process with a configuration file of the caller's and does not wait.
    ///
    /// # Errors
    /// The binary cannot be started.
    pub fn start_with(&mut self, config: &Path) -> Result<()> {
        ensure!(self.child.is_none(), "{} runs already", self.name);
        let log = File::options().create(true).append(true).open(self.log_path())?;
        let errors = log.try_clone()?;
        let mut program: Vec<PathBuf> = match &self.namespace {
            Some(namespace) => namespace.prefix().map(PathBuf::from).to_vec(),
            None => Vec::new(),
        };
        program.push(binary()?);
        let child = process::spawn(&program[0], |command| {
            command
                .args(&program[1..])
                .args(["serve", "--config"])
                .arg(config)
                .envs(&self.environment);
            command.stdin(Stdio::null()).stdout(log).stderr(errors);
        });
        self.child = Some(child.context("cannot start leasehold")?);
        Ok(())
    }

    /// The process's exit status, once it has ended by itself.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().ok().flatten()
    }

    /// Whether a process of this member was started and not taken away.
    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// What the process printed, all runs together.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The end of the log, for the message of a failed test.
    pub fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(20)..].join("\n");
        format!("the last words of {}:\n{tail}", self.name)
    }

    /// SIGKILL, and waits until the process is gone.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().with_context(|| format!("{} is down", self.name))?;
        child.kill().context("cannot kill")?;
        child.wait().context("cannot wait")?;
        Ok(())
    }

    /// SIGTERM, and waits until the process has ended by itself.
    ///
    /// # Errors
    /// It does not run, or does not end in time.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        let status = wait::until("graceful end", wait::PATIENCE, || self.exit_status())?;
        self.child = None;
        Ok(status)
    }

    /// SIGSTOP: the host hangs.
    ///
    /// # Errors
    /// It does not run.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// SIGCONT: the host goes on.
    ///
    /// # Errors
    /// It does not run.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let child = self.child.as_ref().with_context(|| format!("{} is down", self.name))?;
        kill(Pid::from_raw(child.id() as i32), signal).context("cannot send a signal")
    }

    /// The base of the member's admin API.
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.places.admin)
    }

    /// Asks the admin API: status and body.
    ///
    /// # Errors
    /// Nobody answers.
    pub fn get(&self, path: &str) -> Result<(u16, String)> {
        match &self.namespace {
            Some(namespace) => namespace.run(|| self.get_from_here(path)),
            None => self.get_from_here(path),
        }
    }

    fn get_from_here(&self, path: &str) -> Result<(u16, String)> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(5)))
            .http_status_as_error(false)
            .build()
            .into();
        let mut answer = agent.get(format!("{}{path}", self.admin_url())).call()?;
        let body = answer.body_mut().read_to_string()?;
        Ok((answer.status().as_u16(), body))
    }

    /// Whether it says that it serves; a witness, that it is in contact with a quorum.
    pub fn is_ready(&self) -> bool {
        matches!(self.get("/readyz"), Ok((200, _)))
    }

    /// The value of a metric, the sum over all label sets that contain every text of `labels`;
    /// `None` if no such line is there.
    ///
    /// # Errors
    /// Nobody answers, or a line is not in Prometheus' text format.
    pub fn metric(&self, name: &str, labels: &[&str]) -> Result<Option<f64>> {
        let (status, text) = self.get("/metrics")?;
        ensure!(status == 200, "/metrics: {status}");
        metric_in(&text, name, labels)
    }

    /// Runs one command of the binary against this member.
    ///
    /// # Errors
    /// The binary cannot be run; its own failure is in the output.
    pub fn command(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = match &self.namespace {
            Some(namespace) => {
                let mut command = namespace.command();
                command.arg(binary()?);
                command
            }
            None => Command::new(binary()?),
        };
        command.args(arguments).env("LEASEHOLD_ADMIN", self.admin_url());
        command.stdin(Stdio::null()).output().context("cannot run leasehold")
    }

    /// Runs one command that must succeed and returns what it printed.
    ///
    /// # Errors
    /// It did not; the message has its standard error.
    pub fn succeed(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command(arguments)?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "leasehold {}: {errors}", arguments.join(" "));
        String::from_utf8(output.stdout).context("not UTF-8")
    }

    /// Every lease the member lists.
    ///
    /// # Errors
    /// The command fails, or prints no JSON array of leases.
    pub fn leases(&self) -> Result<Listing> {
        let text = self.succeed(&["lease", "list", "--output", "json"])?;
        let leases: Vec<Lease> = serde_json::from_str(&text).context("lease list")?;
        Ok(Listing { member: self.name.clone(), leases })
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if self.child.is_some() {
            // Nothing can be done about a failure here, and the kernel ends the child with us.
            let _ = self.kill();
        }
        if std::thread::panicking() {
            eprintln!("{}", self.last_words());
        }
    }
}

fn metric_in(text: &str, name: &str, labels: &[&str]) -> Result<Option<f64>> {
    let mut sum = None;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some(rest) = line.strip_prefix(name) else { continue };
        if !rest.starts_with(['{', ' ']) || !labels.iter().all(|label| rest.contains(label)) {
            continue;
        }
        let value = rest.rsplit(' ').next().unwrap_or_default();
        let value: f64 = value.parse().with_context(|| format!("not a metric: {line}"))?;
        sum = Some(sum.unwrap_or(0.0) + value);
    }
    Ok(sum)
}

/// Ports that this process gave out: tests run side by side, and one that is given back is soon
/// taken again.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// Notes a port as given out; false if it was already.
pub fn claim_port(port: u16) -> bool {
    GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port)
}

/// A loopback address and port nobody listens on, and which no other test of this process gets.
///
/// # Errors
/// No port is free.
pub fn free_tcp_port(address: Ipv4Addr) -> Result<SocketAddrV4> {
    loop {
        let listener = std::net::TcpListener::bind((address, 0)).context("no free port")?;
        let port = listener.local_addr()?.port();
        if claim_port(port) {
            return Ok(SocketAddrV4::new(address, port));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_summed_over_the_labels_asked_for() {
        let text = "# TYPE drops counter\ndrops{reason=\"short\"} 2\ndrops{reason=\"cookie\"} 3\n\
                    drops_other 9\nplain 1.5\n";
        let check = |name, labels: &[&str], expected| {
            assert_eq!(metric_in(text, name, labels).expect("metrics"), expected, "{name}");
        };
        check("drops", &[], Some(5.0));
        check("drops", &["reason=\"short\""], Some(2.0));
        check("drops", &["reason=\"none\""], None);
        check("plain", &[], Some(1.5));
        assert!(metric_in("plain x", "plain", &[]).is_err());
    }
}
