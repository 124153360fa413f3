//! # One member, from its parts
//!
//! **Rules.** What can be refused is refused before anything is written: sockets, tokens and certificates first, then the
//! data directory, then replication, and DHCP last. Stopping goes the other way round: the leadership is handed over while
//! everything still runs, then DHCP ends, then replication, and the admin API tells about it until the end. Every part
//! has a deadline; what misses it is abandoned, which is what a crash would do and loses nothing.

use crate::api::{self, Api, Tokens};
use crate::config::{DhcpConfig, LeasequeryConfig, MemberConfig};
use crate::data_directory::DataDirectory;
use crate::error::ServeError;
use crate::events;
use crate::pem;
use crate::running::Running;
use metrics_exporter_prometheus::PrometheusHandle;
use replication_ledger::Version;
use replication_raft::{
    Cluster, DiskLedger, Foundations, MemberOptions, ReplicationError, SystemClock, TransportError,
};
use server_net::{
    LeasequeryListeners, LeasequeryRunning, LeasequeryTls, ListenError, Listeners, NetConfig,
    OfferTable, Service,
};
use server_rules::leasequery::SessionFacts;
use server_rules::{MemberFacts, OfferLimits};
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use storage::{RocksLogStore, StorageError};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long each part has to stop.
const STOP_DEADLINE: Duration = Duration::from_secs(5);
/// How long the search for a new leader may hold up the end.
const HAND_OVER_DEADLINE: Duration = Duration::from_secs(1);
/// Samples of histograms are gathered up so often, or they would pile up while nobody asks for them.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);
const LEADER_WATCH_INTERVAL: Duration = Duration::from_millis(250);

/// Why a member has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to.
    Stopped,
    /// It has to be started again at once: a new epoch begins with its start.
    Again,
}

/// Runs one member until `stop` is done, or it has to be started again.
///
/// # Errors
/// What keeps it from starting, or from going on.
pub async fn serve(
    config: MemberConfig,
    metrics: PrometheusHandle,
    stop: impl Future<Output = ()> + Send,
) -> Result<Ended, ServeError> {
    let admin = bind_admin(config.admin.listen).await?;
    let tokens = read_tokens(&config)?;
    let admin_tls = config.admin.tls.as_ref().map(pem::admin_server).transpose()?;
    let transport = pem::peer_transport(config.peer.tls.as_ref())?;
    let listeners = config.dhcp.as_ref().map(bind_dhcp).transpose()?;
    let leasequery = Leasequery::open(&config.leasequery)?;
    pretend_version();
    let directory = DataDirectory::open(&config.data_dir, config.id)?;
    let (log, ledger) = open_stores(directory.path()).await?;
    let foundations = Foundations {
        log: Arc::new(log),
        ledger: Arc::new(ledger),
        transport: Arc::new(transport),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemClock),
    };
    let cluster = Cluster::start(options(&config), foundations).await.map_err(peer_port)?;
    let running = Running(cluster);
    let (packets, requestors) = match (listeners, &config.dhcp) {
        (Some(listeners), Some(dhcp)) => {
            let packets = serve_dhcp(&config, dhcp, listeners, &running)?;
            let me = SessionFacts { id: config.id, server_identifier: dhcp.server_id };
            let requestors = leasequery.map(|leasequery| leasequery.serve(me, &running));
            (Some(packets), requestors.transpose()?)
        }
        _ => (None, None),
    };
    let (stop_admin, stopping) = watch::channel(false);
    let api = Api { replica: running.clone(), metrics: metrics.clone(), tokens: Arc::new(tokens) };
    let admin = serve_admin(admin, admin_tls, api, stopping)?;
    server_dns::describe();
    let names = server_dns::Executor::new(Arc::new(running.0.clone()));
    let watchers = [
        tokio::spawn(keep_metrics(metrics)),
        tokio::spawn(watch_leader(running.clone())),
        tokio::spawn(names.run()),
    ];
    let version = env!("CARGO_PKG_VERSION");
    let member = config.id;
    tracing::info!(event = events::STARTED, %member, version, admin = %config.admin.listen);
    let ended = tokio::select! {
        () = stop => Ended::Stopped,
        () = running.0.wants_restart() => Ended::Again,
    };
    tracing::info!(event = events::STOPPING, %member);
    stop_in_order(running, packets, requestors, admin, stop_admin).await;
    watchers.iter().for_each(JoinHandle::abort);
    drop(directory);
    tracing::info!(event = events::STOPPED, %member);
    Ok(ended)
}

async fn bind_admin(address: SocketAddr) -> Result<TcpListener, ServeError> {
    let key = "admin.listen";
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| ServeError::Listen { key, address, source })
}

fn read_tokens(config: &MemberConfig) -> Result<Tokens, ServeError> {
    let Some(path) = &config.admin.token_file else { return Ok(Tokens::open()) };
    let key = "admin.token_file";
    let text = std::fs::read_to_string(path).map_err(|source| ServeError::Unreadable {
        key,
        path: path.clone(),
        source,
    })?;
    Tokens::parse(path, &text).map_err(|reason| ServeError::Tokens { reason })
}

fn bind_dhcp(dhcp: &DhcpConfig) -> Result<Listeners, ServeError> {
    server_net::describe();
    let net = NetConfig {
        listen: dhcp.listen.clone(),
        interfaces: dhcp.interfaces.clone(),
        ..NetConfig::default()
    };
    Listeners::bind(&net).map_err(|error| match error {
        ListenError::Bind { address, source } => {
            ServeError::Listen { key: "dhcp.listen", address: SocketAddr::V4(address), source }
        }
        ListenError::PacketSocket { .. } | ListenError::Interfaces { .. } => {
            ServeError::Interfaces(error)
        }
        other => ServeError::Dhcp(other),
    })
}

/// Leasequery over TCP, bound and not yet served.
struct Leasequery {
    listeners: LeasequeryListeners,
    tls: Option<LeasequeryTls>,
}

impl Leasequery {
    /// None if no address is configured.
    fn open(config: &LeasequeryConfig) -> Result<Option<Leasequery>, ServeError> {
        if config.listen_tcp.is_empty() {
            return Ok(None);
        }
        let tls = config.tls.as_ref().map(pem::leasequery_server).transpose()?;
        let bound = LeasequeryListeners::bind(&config.listen_tcp);
        let listeners = bound.map_err(|error| match error {
            ListenError::Bind { address, source } => {
                let (key, address) = ("leasequery.listen_tcp", SocketAddr::V4(address));
                ServeError::Listen { key, address, source }
            }
            other => ServeError::Leasequery(other),
        })?;
        Ok(Some(Leasequery { listeners, tls }))
    }

    fn serve(self, me: SessionFacts, running: &Running) -> Result<LeasequeryRunning, ServeError> {
        let archive = running.0.clone();
        server_net::run_leasequery(self.listeners, archive, me, self.tls)
            .map_err(ServeError::Leasequery)
    }
}

/// For the tests of rolling upgrades (docs/decisions/0007): a member of a release that differs in nothing but its version.
fn pretend_version() {
    let given = std::env::var("LEASEHOLD_PRETEND_VERSION").ok();
    if let Some(version) = given.and_then(|text| text.parse().ok()) {
        storage::encoding::pretend_newest(Version(version));
        tracing::warn!(event = events::VERSION_PRETENDED, version);
    }
}

/// Opening reads a million bindings: not on a thread that serves.
async fn open_stores(path: &Path) -> Result<(RocksLogStore, DiskLedger), ServeError> {
    let path = path.to_owned();
    let opened = tokio::task::spawn_blocking(move || -> Result<_, StorageError> {
        Ok((RocksLogStore::open(&path.join("log"))?, DiskLedger::open(&path)?))
    });
    match opened.await {
        Ok(stores) => stores.map_err(ServeError::Storage),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

fn options(config: &MemberConfig) -> MemberOptions {
    MemberOptions {
        id: config.id,
        name: config.name.clone(),
        role: config.role,
        listen: config.peer.listen.to_string(),
        advertise: config.peer.advertise.to_string(),
        server_identifier: config.dhcp.as_ref().map(|dhcp| dhcp.server_id),
    }
}

/// Names the key if it was the port.
fn peer_port(error: ReplicationError) -> ServeError {
    if let ReplicationError::Unreachable { address, source } = &error
        && let TransportError::Listen { source, .. } = source
        && let Ok(address) = address.parse()
    {
        // The error of the system is shared and cannot be moved; its kind and text are what there is to say.
        let source = std::io::Error::new(source.kind(), source.to_string());
        return ServeError::Listen { key: "peer.listen", address, source };
    }
    ServeError::Replication(error)
}

fn serve_dhcp(
    config: &MemberConfig,
    dhcp: &DhcpConfig,
    listeners: Listeners,
    running: &Running,
) -> Result<server_net::Running, ServeError> {
    let me = MemberFacts {
        id: config.id,
        server_identifier: dhcp.server_id,
        addresses: listeners.addresses().iter().map(|address| *address.ip()).collect(),
    };
    let offers = Arc::new(OfferTable::new(OfferLimits::default()));
    let (held, clock) = (Arc::clone(&offers), running.clone());
    running.0.set_held(Arc::new(move |range| held.let_go(range, clock.timestamp())));
    let service = Service::new(running.0.clone(), me, offers).with_rates(dhcp.rates);
    server_net::run(listeners, Arc::new(service)).map_err(ServeError::Dhcp)
}

fn serve_admin(
    socket: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    api: Api<Running>,
    mut stopping: watch::Receiver<bool>,
) -> Result<JoinHandle<()>, ServeError> {
    let listener = match tls {
        Some(tls) => api::Listener::tls(socket, tls).map_err(ServeError::Admin)?,
        None => api::Listener::plain(socket),
    };
    let router = api::router(api);
    let stop = async move {
        // The sender is gone only after it has sent.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    Ok(tokio::spawn(async move {
        if let Err(error) = api::serve(listener, router, stop).await {
            tracing::error!(event = events::ADMIN_FAILED, cause = %error);
        }
    }))
}

async fn stop_in_order(
    running: Running,
    packets: Option<server_net::Running>,
    requestors: Option<LeasequeryRunning>,
    admin: JoinHandle<()>,
    stop_admin: watch::Sender<bool>,
) {
    let cluster = &running.0;
    if cluster.leader() == Some(cluster.member_id())
        && let Some(heir) = running.heir()
    {
        within("the hand-over", HAND_OVER_DEADLINE, cluster.transfer_leader(heir)).await;
    }
    let dhcp = tokio::task::spawn_blocking(move || packets.map(server_net::Running::stop));
    let leasequery = tokio::task::spawn_blocking(move || requestors.map(LeasequeryRunning::stop));
    within("DHCP", STOP_DEADLINE, dhcp).await;
    within("leasequery", STOP_DEADLINE, leasequery).await;
    within("replication", STOP_DEADLINE, cluster.stop()).await;
    // Nobody waits for an answer of a receiver that is gone.
    let _ = stop_admin.send(true);
    within("the admin API", STOP_DEADLINE, admin).await;
}

/// Waits for one part, but not for ever.
async fn within<T, E: std::fmt::Display>(
    part: &'static str,
    deadline: Duration,
    stopped: impl Future<Output = Result<T, E>>,
) {
    match tokio::time::timeout(deadline, stopped).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(event = events::STOP_OVERDUE, part, cause = %error),
        Err(_) => tracing::warn!(event = events::STOP_OVERDUE, part, cause = "deadline"),
    }
}

async fn keep_metrics(metrics: PrometheusHandle) {
    let mut ticks = tokio::time::interval(UPKEEP_INTERVAL);
    loop {
        ticks.tick().await;
        metrics.run_upkeep();
    }
}

async fn watch_leader(running: Running) {
    let mut ticks = tokio::time::interval(LEADER_WATCH_INTERVAL);
    let mut known = None;
    loop {
        ticks.tick().await;
        let leader = running.0.leader();
        if leader != known {
            known = leader;
            let leader = leader.map_or("none".to_owned(), |id| id.to_string());
            tracing::info!(event = events::LEADER_CHANGED, leader);
        }
    }
}
