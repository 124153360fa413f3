//! The network of the lab: a namespace for each member, one for relay agents and requestors, one
//! that is the switch between them. Nothing of it touches the machine's own network.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tests::cluster::Cluster;
use tests::member::{Member, Places, Role};
use tests::netns::Namespace;

/// RFC 2131 §4.1.
const DHCP_PORT: u16 = 67;
const PEER_PORT: u16 = 6747;
const ADMIN_PORT: u16 = 6780;

/// Where relay agents and requestors are.
const CLIENTS: &str = "clients";
const SWITCH: &str = "switch";

/// The namespaces of one cluster; they end with this value, or with the mount namespace they are in.
pub(crate) struct Lab {
    members: Vec<u64>,
}

impl Lab {
    /// Makes the namespaces of so many members.
    pub(crate) fn up(members: u64) -> Result<Self> {
        let lab = Lab { members: (1..=members).collect() };
        let mut script = String::new();
        for place in lab.places() {
            script += &format!("ip netns add {place}\nip -n {place} link set lo up\n");
        }
        script += "ip -n switch link add bridge type bridge\nip -n switch link set bridge up\n";
        for place in lab.places().iter().filter(|place| *place != SWITCH) {
            script += &format!(
                "ip -n switch link add {place} type veth peer name eth0 netns {place}\n\
                 ip -n switch link set {place} master bridge up\nip -n {place} link set eth0 up\n"
            );
        }
        for id in &lab.members {
            script += &format!(
                "ip -n {0} addr add {1}/24 dev eth0\nip -n {0} route add 10.16.0.0/12 via 192.0.2.21\n",
                place(*id),
                address(*id)
            );
        }
        script += "ip -n clients addr add 192.0.2.21/24 dev eth0\n";
        for number in 1..=4 {
            script += &format!("ip -n clients addr add {}/32 dev eth0\n", relay(number).ip());
        }
        shell(&script)?;
        Ok(lab)
    }

    fn places(&self) -> Vec<String> {
        let fixed = [SWITCH, CLIENTS].map(str::to_owned);
        fixed.into_iter().chain(self.members.iter().map(|id| place(*id))).collect()
    }

    /// The members that live in it, `servers` of them servers, the others witnesses; none is started.
    pub(crate) fn cluster(&self, servers: u64) -> Result<Cluster> {
        let mut folder = TempDir::with_prefix_in("leasehold-availability.", "/var/tmp")?;
        if std::env::var_os("LEASEHOLD_KEEP").is_some() {
            folder.disable_cleanup(true);
            println!("kept: {}", folder.path().display());
        }
        let mut members = Vec::new();
        for id in self.members.iter().copied() {
            let places = Places {
                dhcp: SocketAddrV4::new(address(id), DHCP_PORT),
                peer: SocketAddrV4::new(address(id), PEER_PORT),
                admin: SocketAddrV4::new(Ipv4Addr::LOCALHOST, ADMIN_PORT),
                leasequery: SocketAddrV4::new(address(id), DHCP_PORT),
            };
            let role = if id <= servers { Role::Server } else { Role::Witness };
            let mut member = Member::new(folder.path().join(place(id)), id, role, places)?;
            member.live_in(Namespace::named(&place(id)));
            members.push(member);
        }
        Ok(Cluster::of(members, folder, DHCP_PORT))
    }

    /// Where relay agents and requestors are.
    pub(crate) fn clients(&self) -> Namespace {
        Namespace::named(CLIENTS)
    }

    /// Takes a member's cable out.
    pub(crate) fn cut(&self, id: u64) -> Result<()> {
        shell(&format!("ip -n switch link set {} down", place(id)))
    }

    /// Puts a member's cable back.
    pub(crate) fn plug(&self, id: u64) -> Result<()> {
        shell(&format!("ip -n switch link set {} up", place(id)))
    }

    /// From now on a member hears nothing from these other ones; clients it hears.
    pub(crate) fn deafen(&self, id: u64, to: &[u64]) -> Result<()> {
        let from: Vec<String> = to.iter().map(|id| address(*id).to_string()).collect();
        let rules = format!(
            "table ip lab {{\n chain heard {{\n type filter hook input priority 0\n \
             ip saddr {{ {} }} drop\n }}\n}}\n",
            from.join(", ")
        );
        shell(&format!("nsenter --net=/run/netns/{} nft -f - <<'RULES'\n{rules}RULES", place(id)))
    }

    /// The members other than this one.
    pub(crate) fn others(&self, id: u64) -> Vec<u64> {
        self.members.iter().copied().filter(|other| *other != id).collect()
    }

    /// Every member hears every other one again.
    pub(crate) fn hear_all(&self) -> Result<()> {
        self.members.iter().try_for_each(|id| {
            shell(&format!("nsenter --net=/run/netns/{} nft flush ruleset", place(*id)))
        })
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for place in self.places() {
            if let Err(error) = shell(&format!("ip netns del {place}")) {
                eprintln!("{error:#}");
            }
        }
    }
}

fn place(id: u64) -> String {
    format!("m{id}")
}

/// The address of a member.
pub(crate) fn address(id: u64) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, id as u8)
}

/// Where relay agent `number` (1 to 4) is.
pub(crate) fn relay(number: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 16, 0, 1 + number), DHCP_PORT)
}

/// Runs a script that stops at the first failure.
pub(crate) fn shell(script: &str) -> Result<()> {
    let mut command = Command::new("sh");
    command.args(["-euc", script]).stdin(Stdio::null());
    let output = command.output().context("no shell")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{script}: {errors}");
    Ok(())
}
