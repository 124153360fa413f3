//! # server-net: the sockets of DHCP
//!
//! **Problem.** Datagrams come by the hundred thousand, most of the answers need a commit first, and no thread may wait for
//! one.
//!
//! **Model.** One thread per listening address, and one per interface with direct clients, takes datagrams in batches. For each batch it looks at the ledger once,
//! decides every message, sends the replies that are ready in one call, and proposes the commands of the rest in one
//! call, with their DHCPACKs encoded and kept. When the outcomes are there they go to one transmitting thread,
//! which sends what may leave. A datagram's whole way is in `dispatch.rs`.
//!
//! **Rules.** A DHCPACK leaves only after its outcome [AV-Q1]; `server-rules` judges it. Replies leave from the
//! address and port that the request came to.
//!
//! **Hazards.** A panic over one message must not end the service: the batch is dropped and the thread goes on. Outcomes
//! may never come: promises in flight are capped, and stopping does not wait for ever. Sockets fail per datagram,
//! not per batch: what one client's address does must not hurt the others.
//!
//! **Absent on purpose.** What messages mean, who may have what, where the state is kept.

mod direct_link;
mod dispatch;
mod echo;
mod error;
mod flood;
mod frame;
mod interfaces;
mod leasequery_connection;
mod leasequery_tcp;
pub mod limits;
mod link_watch;
mod metrics;
mod pace;
mod packet_socket;
mod prober;
mod promiser;
mod rate;
mod receive;
mod reply_address;
mod service;
mod tls;
mod transmit;
mod udp;
mod ways;

pub use error::ListenError;
pub use leasequery_tcp::{LeasequeryListeners, LeasequeryRunning, run_leasequery};
pub use metrics::describe;
pub use promiser::{Archive, OnOutcomes, Promiser};
pub use rate::Rates;
pub use service::{OfferTable, Service};
pub use tls::{LeasequeryTls, TlsFileError};
pub use udp::{Listeners, NetConfig, Running, run};
