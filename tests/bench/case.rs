//! The servers that are measured, and the lab they run in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::measure::Measure;

/// A server or a group of them, with everything that shapes its work.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    driver: &'static str,
    mode: &'static str,
    /// What stands behind an ACK.
    pub(crate) durability: &'static str,
    /// Whether both servers of the group answer, so that relay agents send to both.
    all_answer: bool,
    pub(crate) leasequery: bool,
}

const CASES: [Case; 8] = [
    Case {
        name: "leasehold-single",
        driver: "leasehold",
        mode: "single",
        durability: "synced",
        all_answer: false,
        leasequery: true,
    },
    Case {
        name: "leasehold-pair",
        driver: "leasehold",
        mode: "pair",
        durability: "synced on both",
        all_answer: true,
        leasequery: true,
    },
    Case {
        name: "leasehold-pair-witness",
        driver: "leasehold",
        mode: "witness",
        durability: "synced on two of three",
        all_answer: true,
        leasequery: true,
    },
    Case {
        name: "kea-single",
        driver: "kea",
        mode: "single",
        durability: "written, not synced",
        all_answer: false,
        leasequery: false,
    },
    Case {
        name: "kea-hot-standby",
        driver: "kea",
        mode: "hot-standby",
        durability: "written on both, not synced",
        all_answer: false,
        leasequery: false,
    },
    Case {
        name: "isc-single",
        driver: "isc",
        mode: "single",
        durability: "synced",
        all_answer: false,
        leasequery: true,
    },
    Case {
        name: "isc-failover",
        driver: "isc",
        mode: "failover",
        durability: "synced on one, the other later",
        all_answer: true,
        leasequery: true,
    },
    Case {
        name: "null-server",
        driver: "null",
        mode: "",
        durability: "nothing: it forgets",
        all_answer: false,
        leasequery: true,
    },
];

impl Case {
    /// Whether the server has what the measure asks for.
    pub(crate) fn knows(&self, measure: Measure) -> bool {
        self.leasequery || !measure.is_leasequery()
    }

    /// Ours, or a peer's.
    pub(crate) fn is_ours(&self) -> bool {
        self.driver == "leasehold"
    }

    /// Whether it keeps what it promises: the null server does not.
    pub(crate) fn is_real(&self) -> bool {
        self.driver != "null"
    }

    /// Which servers the load is sent to, in the generator's words.
    pub(crate) fn to(&self) -> &'static str {
        if self.all_answer { "all" } else { "first" }
    }

    fn program(&self) -> &'static str {
        match self.driver {
            "kea" => "kea-dhcp4",
            "isc" => "dhcpd",
            "null" => "leasehold-load",
            _ => "leasehold",
        }
    }
}

/// Every case whose program is here; says of the others what they lack.
pub(crate) fn all(lab: &Lab) -> Result<Vec<Case>> {
    let mut here = Vec::new();
    for case in CASES {
        let found = match case.driver {
            "leasehold" => lab.leasehold.is_file(),
            "null" => lab.load.is_file(),
            _ => on_path(case.program()),
        };
        match found {
            true => here.push(case),
            false => {
                eprintln!("leasehold-bench: no {}: {} is missing", case.name, case.program());
            }
        }
    }
    ensure!(!here.is_empty(), "no server to measure is installed");
    Ok(here)
}

fn on_path(program: &str) -> bool {
    ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin", "/sbin"]
        .iter()
        .any(|folder| Path::new(folder).join(program).is_file())
}

/// The network namespaces; they and all that runs in them end with this value.
pub(crate) struct Lab {
    name: String,
    scripts: PathBuf,
    state: PathBuf,
    leasehold: PathBuf,
    load: PathBuf,
}

impl Lab {
    /// Makes the namespaces.
    pub(crate) fn up(state: &Path) -> Result<Self> {
        let own = std::env::current_exe().context("current executable")?;
        let folder = own.parent().context("no folder")?;
        let leasehold = std::env::var_os("LEASEHOLD_BIN")
            .map_or_else(|| folder.join("leasehold"), PathBuf::from);
        let lab = Lab {
            // One name for every run: `up` takes away what a killed run left.
            name: "lhbench".to_owned(),
            scripts: Path::new(env!("CARGO_MANIFEST_DIR")).join("namespaces"),
            state: state.to_owned(),
            leasehold,
            load: folder.join("leasehold-load"),
        };
        fs::create_dir_all(state).with_context(|| format!("cannot make {}", state.display()))?;
        lab.script("up")?;
        Ok(lab)
    }

    /// Our program.
    pub(crate) fn leasehold(&self) -> &Path {
        &self.leasehold
    }

    fn script(&self, verb: &str) -> Result<()> {
        let status = Command::new(self.scripts.join("lab.sh"))
            .arg(verb)
            .env("LAB", &self.name)
            .status()
            .context("cannot run lab.sh")?;
        ensure!(status.success(), "lab.sh {verb} failed");
        Ok(())
    }

    fn folder(&self, case: &Case) -> PathBuf {
        self.state.join(case.name)
    }

    fn driver(&self, case: &Case, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.scripts.join(format!("servers/{}.sh", case.driver)));
        command
            .args(arguments)
            .env("LAB", &self.name)
            .env("STATE", self.folder(case))
            .env("MODE", case.mode)
            .env("LEASEHOLD_BIN", &self.leasehold)
            .env("LOAD_BIN", &self.load)
            .stdin(Stdio::null());
        command
    }

    /// Runs one verb of the case's driver.
    pub(crate) fn drive(&self, case: &Case, arguments: &[&str]) -> Result<()> {
        let mut driver = self.driver(case, arguments);
        let status = driver.stdout(Stdio::null()).status().context("cannot run a driver")?;
        ensure!(status.success(), "{}.sh {} failed", case.driver, arguments.join(" "));
        Ok(())
    }

    /// Runs one verb of the case's driver and returns what it printed.
    pub(crate) fn ask(&self, case: &Case, arguments: &[&str]) -> Result<String> {
        let output = self.driver(case, arguments).output().context("cannot run a driver")?;
        ensure!(output.status.success(), "{}.sh {} failed", case.driver, arguments.join(" "));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Takes a place's cable out of the switch, or puts it in.
    pub(crate) fn cable(&self, place: &str, plugged: bool) -> Result<()> {
        let state = if plugged { "up" } else { "down" };
        let (switch, port) = (format!("{}-switch", self.name), format!("{place}-eth0"));
        let status =
            Command::new("ip").args(["-n", &switch, "link", "set", &port, state]).status()?;
        ensure!(status.success(), "cannot set {port} {state}");
        Ok(())
    }

    /// Starts a case without any lease; it stops when the value is dropped.
    pub(crate) fn start<'a>(&'a self, case: &'a Case) -> Result<Running<'a>> {
        fs::create_dir_all(self.folder(case))?;
        let running = Running { lab: self, case };
        self.drive(case, &["fresh"])?;
        Ok(running)
    }

    /// The generator inside its namespace.
    pub(crate) fn generator(&self) -> Command {
        self.inside("load")
    }

    /// The generator's program beside the first server: what it asks that one goes over loopback.
    pub(crate) fn beside_server(&self) -> Command {
        self.inside("server1")
    }

    fn inside(&self, place: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &format!("{}-{place}", self.name)]).arg(&self.load);
        command
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Err(error) = self.script("down") {
            eprintln!("leasehold-bench: {error:#}");
        }
    }
}

/// A case that serves.
pub(crate) struct Running<'a> {
    lab: &'a Lab,
    case: &'a Case,
}

impl Running<'_> {
    /// A file of the case's own.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.lab.folder(self.case).join(name)
    }

    /// The servers that relay agents send to, ADDRESS:PORT.
    pub(crate) fn targets(&self) -> Result<Vec<String>> {
        let text = fs::read_to_string(self.file("targets")).context("no targets")?;
        Ok(text.lines().map(|address| format!("{address}:67")).collect())
    }

    /// The processes: name and id.
    pub(crate) fn processes(&self) -> Result<Vec<(String, u32)>> {
        let text = fs::read_to_string(self.file("pids")).context("no pids")?;
        text.lines()
            .map(|line| match line.split_once(' ') {
                Some((name, id)) => Ok((name.to_owned(), id.parse()?)),
                None => bail!("pids: {line:?}"),
            })
            .collect()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.lab.drive(self.case, &["stop"]) {
            eprintln!("leasehold-bench: {error:#}");
        }
    }
}
