//! What the suites of this crate share: members over any transport and any disk, and a load that can be checked.

#![allow(dead_code, unreachable_pub, reason = "each suite uses a part of it")]

pub mod simulated;

use openraft::AsyncRuntime;
use parking_lot::Mutex;
use replication_ledger::{
    Bind, ClientKey, Command, HardwareAddress, LedgerView, MemberId, Mode, NameWish, Outcome,
    Prefix, Role, Settings, Subnet, Vpn, VpnAddress, VpnNumber, VpnRange,
};
use replication_raft::{
    Cluster, DiskLedger, Foundations, MemberOptions, ProductionCluster, ProposeError,
    StateMachineStore, SystemClock, TokioRuntime,
};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use storage::RocksLogStore;

/// Longer than anything here may take on a busy machine; only a failing test waits for so long.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The first address of the pools that [`configure`] makes.
pub const FIRST: u32 = 0x0a14_0000;
/// Their size.
pub const POOL_LEN: u32 = 1 << 16;

pub fn options(id: u64, role: Role, listen: &str) -> MemberOptions {
    MemberOptions {
        id: MemberId(id),
        name: format!("dhcp-{id}"),
        role,
        listen: listen.to_owned(),
        advertise: String::new(),
        server_identifier: Some(Ipv4Addr::new(192, 0, 2, 1)),
    }
}

/// A member on this machine's disk and network.
pub async fn start_on_disk(
    id: u64,
    role: Role,
    listen: &str,
    data_dir: &Path,
) -> ProductionCluster {
    let transport = Arc::new(replication_raft::transport::tcp::TcpTransport::plain());
    let foundations = Foundations {
        log: Arc::new(open_log(&data_dir.join("log")).await),
        ledger: Arc::new(DiskLedger::open(data_dir).expect("opens")),
        transport,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemClock),
    };
    Cluster::<TokioRuntime, DiskLedger>::start(options(id, role, listen), foundations)
        .await
        .expect("starts")
}

/// A member that was stopped a moment ago may still hold its directory.
async fn open_log(path: &Path) -> RocksLogStore {
    let opened = Mutex::new(None);
    until::<TokioRuntime>("the log opens", || {
        *opened.lock() = RocksLogStore::open(path).ok();
        opened.lock().is_some()
    })
    .await;
    opened.into_inner().expect("it was opened")
}

/// Waits until something holds, and says what if it never does.
pub async fn until<RT: AsyncRuntime>(what: &str, holds: impl Fn() -> bool + Send) {
    let polled = async move {
        while !holds() {
            RT::sleep(Duration::from_millis(2)).await;
        }
    };
    if RT::timeout(PATIENCE, polled).await.is_err() {
        panic!("in vain: {what}");
    }
}

/// Joins a started member to the cluster of `at`, and waits until it votes and is in quorum mode.
pub async fn join<RT: AsyncRuntime, S: StateMachineStore>(
    at: &Cluster<RT, S>,
    newcomer: &Cluster<RT, S>,
) {
    let token = at.mint_join_token().expect("belongs to a cluster");
    newcomer.join(at.peer_address(), &token).await.expect("joins");
    in_quorum(newcomer).await;
}

pub async fn in_quorum<RT: AsyncRuntime, S: StateMachineStore>(member: &Cluster<RT, S>) {
    let mode = member.wait_for_mode(|mode| mode == Mode::Quorum, PATIENCE).await;
    assert_eq!(mode, Mode::Quorum, "{:#?}", member.status());
}

/// A VPN in which the same addresses are leased as in the global one.
pub fn red() -> Vpn {
    Vpn::named(b"\0red"[..].into())
}

fn pool_of(vpn: VpnNumber) -> VpnRange {
    VpnRange { vpn, first: FIRST.into(), last: (FIRST + POOL_LEN - 1).into() }
}

/// One subnet with one pool, in the global VPN and in [`red`].
pub async fn configure<RT: AsyncRuntime, S: StateMachineStore>(member: &Cluster<RT, S>) {
    let pools = [Vpn::GLOBAL, red()].map(|vpn| pool_of(vpn.number()));
    let prefix = Prefix { address: FIRST.into(), len: 16 };
    let subnet = Subnet { pools: vec![pools[0].addresses()], ..Subnet::new(prefix) };
    let of_red = Subnet { vpn: red(), ..subnet.clone() };
    let settings = Settings { revision: 1, subnets: vec![subnet, of_red], ..Settings::default() };
    let configure = Command::Configure { replaces_revision: 0, settings: Box::new(settings) };
    let outcome = member.propose(configure).await.expect("a quorum takes it");
    assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
    let me = member.member_id();
    let owns = |pool: &VpnRange| member.view().free_count(me, *pool) > 0;
    until::<RT>("owns a part of both pools", || pools.iter().all(owns)).await;
}

/// A bind of some address that this member owns to the client with this number.
pub fn bind(client: u32, address: VpnAddress) -> Command {
    let octets = client.to_be_bytes();
    let hardware = HardwareAddress::new(1, &[2, 0, octets[0], octets[1], octets[2], octets[3]]);
    Command::Bind(Box::new(Bind {
        address,
        client: ClientKey::from_hardware(&hardware),
        hardware,
        lease_seconds: 3600,
        reservation: None,
        giaddr: Ipv4Addr::new(10, 20, 0, 1),
        relay_agent_information: vec![1, 4, 1, 2, 3, 4].into(),
        host_name: Vec::new().into(),
        vendor_class_identifier: Vec::new().into(),
        classes: Default::default(),
        names: NameWish::Unsaid,
    }))
}

/// Addresses that this member owns, ascending: as many of the global VPN as of [`red`], which are the same ones, or one more.
pub fn owned<RT: AsyncRuntime, S: StateMachineStore>(
    member: &Cluster<RT, S>,
    count: usize,
) -> Vec<VpnAddress> {
    let view = member.view();
    let me = replication_ledger::Holder::Owned(member.member_id());
    let of = |vpn: VpnNumber, count: usize| -> Vec<VpnAddress> {
        let parts = view.globals().holders.within(pool_of(vpn)).filter(|(_, holder)| *holder == me);
        let addresses = parts.flat_map(|(part, _)| u32::from(part.first)..=u32::from(part.last));
        let addresses = addresses.map(|ip| VpnAddress { vpn, ip: ip.into() });
        addresses.filter(|address| view.is_free(*address)).take(count).collect()
    };
    let (global, red) = (count.div_ceil(2), count / 2);
    [of(VpnNumber::GLOBAL, global), of(self::red().number(), red)].concat()
}

/// What was told to clients: the address of each client that got one.
#[derive(Clone, Default)]
pub struct Told(Arc<Mutex<BTreeMap<u32, VpnAddress>>>);

impl Told {
    pub fn count(&self) -> usize {
        self.0.lock().len()
    }

    /// Proposes the bind and notes what a client would have been told. `after` runs when the outcome is known.
    pub fn propose<RT: AsyncRuntime, S: StateMachineStore>(
        &self,
        member: &Cluster<RT, S>,
        client: u32,
        address: VpnAddress,
        after: impl FnOnce(Result<Outcome, ProposeError>) + Send + 'static,
    ) {
        let told = self.clone();
        let on_outcome = move |mut outcomes: Vec<Result<Outcome, ProposeError>>| {
            let outcome = outcomes.pop().expect("one outcome per command");
            if let Ok(Outcome::Bound { .. }) = outcome {
                told.0.lock().insert(client, address);
            }
            after(outcome);
        };
        member.propose_many(vec![bind(client, address)], Box::new(on_outcome));
    }

    /// What is missing at a member of everything that was told.
    pub fn missing_at<RT: AsyncRuntime, S: StateMachineStore>(
        &self,
        member: &Cluster<RT, S>,
    ) -> Vec<(u32, VpnAddress)> {
        let view = member.view();
        let told = self.0.lock();
        let is_missing = |(client, address): &(&u32, &VpnAddress)| {
            let Command::Bind(expected) = bind(**client, **address) else { return true };
            view.binding(**address).is_none_or(|binding| binding.client != expected.client)
        };
        told.iter().filter(is_missing).map(|(client, address)| (*client, *address)).collect()
    }

    /// Waits until a member holds everything that was told.
    pub async fn all_at<RT: AsyncRuntime, S: StateMachineStore>(&self, member: &Cluster<RT, S>) {
        until::<RT>("everything told is at every member", || self.missing_at(member).is_empty())
            .await;
    }
}
