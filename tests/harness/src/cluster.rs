//! A cluster of real processes on loopback: each member has an address of its own in 127.0.0.0/8,
//! all share one DHCP port, and so do the relay agents that tests play: no privilege is needed, and
//! several clusters can run at once.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::path::Path;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::client::Relay;
use crate::member::{Member, Places, Role, claim_port, free_tcp_port};
use crate::wait;

/// The network that clusters serve if a test gives none: a /12 of addresses behind the relay
/// agents [`relay_address`] gives, everybody on loopback may ask about leases.
pub const NETWORK: &str = r#"
[lease]
default = "2h"

[options]
domain-name-servers = ["10.16.0.53"]

[[subnet]]
prefix = "10.16.0.0/12"
pools = ["10.16.1.0-10.31.255.0"]
relays = ["127.0.1.1", "127.0.1.2", "127.0.1.3"]
options = { routers = ["10.16.0.1"] }

[leasequery]
permitted = ["127.0.0.0/8"]
"#;

/// A running cluster; its processes end with it, and its folder unless `LEASEHOLD_KEEP` is set.
pub struct Cluster {
    /// In the order of their ids: the servers, then the witness.
    pub members: Vec<Member>,
    folder: TempDir,
    dhcp_port: u16,
}

impl Cluster {
    /// Starts `servers` servers and, if `witness`, one witness, joins them into one cluster and
    /// applies [`NETWORK`]; returns once every member is ready.
    ///
    /// # Errors
    /// A member or a command failed; the message says which and why.
    pub fn start(servers: u64, witness: bool) -> Result<Self> {
        Self::start_with(servers, witness, NETWORK)
    }

    /// As [`Cluster::start`], with another network.toml.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn start_with(servers: u64, witness: bool, network: &str) -> Result<Self> {
        Self::start_configured(servers, witness, network, "")
    }

    /// As [`Cluster::start_with`]; `lines` are added to every member.toml.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn start_configured(
        servers: u64,
        witness: bool,
        network: &str,
        lines: &str,
    ) -> Result<Self> {
        let mut cluster = Cluster::unformed(servers, witness)?;
        for member in &mut cluster.members {
            member.configure(lines)?;
            member.start()?;
        }
        cluster.form()?;
        cluster.apply(network)?;
        cluster.wait_ready()?;
        Ok(cluster)
    }

    /// Members with configuration files and places, none of them started.
    ///
    /// # Errors
    /// No folder or no free port.
    pub fn unformed(servers: u64, witness: bool) -> Result<Self> {
        let mut folder = TempDir::new().context("no temporary folder")?;
        if std::env::var_os("LEASEHOLD_KEEP").is_some() {
            folder.disable_cleanup(true);
            eprintln!("kept: {}", folder.path().display());
        }
        let count = servers + u64::from(witness);
        let dhcp_port = free_dhcp_port(count)?;
        let mut members = Vec::new();
        for id in 1..=count {
            let address = Ipv4Addr::new(127, 0, 0, id as u8);
            let places = Places {
                dhcp: SocketAddrV4::new(address, dhcp_port),
                peer: free_tcp_port(address)?,
                admin: free_tcp_port(address)?,
                leasequery: free_tcp_port(address)?,
            };
            let role = if id <= servers { Role::Server } else { Role::Witness };
            let member_folder = folder.path().join(format!("m{id}"));
            members.push(Member::new(member_folder, id, role, places)?);
        }
        Ok(Cluster { members, folder, dhcp_port })
    }

    /// Members that the caller made, none of them started, with the folder that holds theirs and the
    /// port on which they serve DHCP.
    pub fn of(members: Vec<Member>, folder: TempDir, dhcp_port: u16) -> Self {
        Cluster { members, folder, dhcp_port }
    }

    /// `cluster init` on the first member, `cluster join` on each other one.
    ///
    /// # Errors
    /// A command failed.
    pub fn form(&self) -> Result<()> {
        let (first, others) = self.members.split_first().context("no members")?;
        first.succeed(&["cluster", "init"])?;
        for member in others {
            let token = self.join_token()?;
            self.join(member, &token)?;
        }
        Ok(())
    }

    /// A one-time token for one more member, from the first member.
    ///
    /// # Errors
    /// The command failed.
    pub fn join_token(&self) -> Result<String> {
        Ok(self.members[0].succeed(&["cluster", "token"])?.trim().to_owned())
    }

    /// Makes a started member join the first one's cluster.
    ///
    /// # Errors
    /// The command failed.
    pub fn join(&self, member: &Member, token: &str) -> Result<()> {
        let peer = self.members[0].places.peer.to_string();
        member.succeed(&["cluster", "join", "--peer", &peer, "--token", token])?;
        Ok(())
    }

    /// Applies a network.toml through the first member that runs.
    ///
    /// # Errors
    /// The command failed.
    pub fn apply(&self, network: &str) -> Result<()> {
        let path = self.folder.path().join("network.toml");
        std::fs::write(&path, network).context("cannot write network.toml")?;
        let path = path.display().to_string();
        self.running()?.succeed(&["config", "apply", &path])?;
        Ok(())
    }

    /// Waits until every running member is ready.
    ///
    /// # Errors
    /// One is not in time; the message has the end of its log.
    pub fn wait_ready(&self) -> Result<()> {
        for member in self.members.iter().filter(|member| member.is_running()) {
            wait::until("ready member", wait::PATIENCE, || member.is_ready().then_some(()))
                .with_context(|| member.last_words())?;
        }
        Ok(())
    }

    /// The member that leads, as a running member's `/v1/cluster` says; its place in `members`.
    ///
    /// # Errors
    /// None leads in time.
    pub fn leader(&self) -> Result<usize> {
        wait::until("leader", wait::PATIENCE, || {
            self.members.iter().filter(|member| member.is_running()).find_map(|member| {
                let (status, body) = member.get("/v1/cluster").ok()?;
                let body: serde_json::Value = serde_json::from_str(&body).ok()?;
                let id = (status == 200).then(|| body.get("leader")?.as_u64())??;
                let place = self.members.iter().position(|member| member.id == id)?;
                self.members[place].is_running().then_some(place)
            })
        })
    }

    /// Waits until all members have applied the same log: nothing is under way any more.
    ///
    /// # Errors
    /// They have not in time.
    pub fn wait_level(&self) -> Result<()> {
        let mut before = None;
        wait::until("level cluster", wait::PATIENCE, || {
            let applied: Vec<f64> = self
                .members
                .iter()
                .map(|member| member.metric("leasehold_raft_applied_index", &[]).ok().flatten())
                .collect::<Option<_>>()?;
            let level = applied.windows(2).all(|pair| pair[0] == pair[1]);
            // Twice the same: a bind on its way to the log would have moved it.
            let settled = level && before.as_ref() == Some(&applied);
            before = Some(applied);
            settled.then_some(())
        })
    }

    /// The DHCP addresses of the servers.
    pub fn servers(&self) -> Vec<SocketAddrV4> {
        let servers = self.members.iter().filter(|member| member.role == Role::Server);
        servers.map(|member| member.places.dhcp).collect()
    }

    /// The address that relay agent `number` (1 to 3) of the network binds.
    pub fn relay_address(&self, number: u8) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::new(127, 0, 1, number), self.dhcp_port)
    }

    /// A relay agent for scripted clients, sending to one member.
    ///
    /// # Errors
    /// Its address is bound already.
    pub fn relay(&self, number: u8, member: usize) -> Result<Relay> {
        Relay::bind(self.relay_address(number), self.members[member].places.dhcp)
    }

    /// A folder of the cluster's for the test's own files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The end of every member's log, for the message of a failed test.
    pub fn last_words(&self) -> String {
        self.members.iter().map(Member::last_words).collect::<Vec<_>>().join("\n\n")
    }

    fn running(&self) -> Result<&Member> {
        self.members.iter().find(|member| member.is_running()).context("no member runs")
    }
}

/// A UDP port that is free on every member's and every relay agent's address.
fn free_dhcp_port(members: u64) -> Result<u16> {
    let addresses: Vec<Ipv4Addr> = (1..=members as u8)
        .map(|host| Ipv4Addr::new(127, 0, 0, host))
        .chain((1..=3).map(|host| Ipv4Addr::new(127, 0, 1, host)))
        .collect();
    for _ in 0..100 {
        let port = UdpSocket::bind((addresses[0], 0)).context("no free port")?.local_addr()?.port();
        let free = addresses.iter().all(|address| UdpSocket::bind((*address, port)).is_ok());
        if free && claim_port(port) {
            return Ok(port);
        }
    }
    bail!("no UDP port is free on all of {addresses:?}")
}
