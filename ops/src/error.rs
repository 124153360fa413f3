//! What can keep a member from starting, each with the key to change and what to do.

use crate::config::InvalidFile;
use replication_ledger::MemberId;
use replication_raft::ReplicationError;
use server_net::ListenError;
use std::net::SocketAddr;
use std::path::PathBuf;
use storage::StorageError;
use thiserror::Error;

/// Why a member does not start or could not go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A file that the operator named cannot be read.
    #[error("cannot read {}; check `{key}` and the rights of the file", path.display())]
    Unreadable {
        /// The key or argument that names it.
        key: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A configuration file with problems.
    #[error(transparent)]
    Config(#[from] InvalidFile),
    /// The data directory cannot be used.
    #[error("cannot use the data directory {}; check `member.data_dir` and its rights", path.display())]
    DataDirectory {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The data directory holds something else.
    #[error(
        "{} is not a data directory of leasehold: it holds {found:?}; set `member.data_dir` to an \
         empty or new directory",
        path.display()
    )]
    ForeignDirectory {
        /// Which.
        path: PathBuf,
        /// What was found in it.
        found: String,
    },
    /// The data directory is another member's.
    #[error(
        "{} is the data directory of member {found}, but `member.id` is {configured}; set one of \
         the two right, an id is never given to another member",
        path.display()
    )]
    OtherMember {
        /// Which.
        path: PathBuf,
        /// Whose.
        found: MemberId,
        /// Who starts.
        configured: MemberId,
    },
    /// The data directory was written by a newer program.
    #[error(
        "{} has format {found}, this program knows formats up to {known}; run the version that \
         wrote it or a newer one",
        path.display()
    )]
    NewerFormat {
        /// Which.
        path: PathBuf,
        /// The format found.
        found: u64,
        /// The newest known one.
        known: u64,
    },
    /// A backup is restored only where nothing is.
    #[error(
        "{} is not empty; a backup is restored into an empty or new directory: move what is there \
         away, or set `member.data_dir` to another one",
        path.display()
    )]
    NotEmpty {
        /// Which.
        path: PathBuf,
    },
    /// A witness holds no addresses, so it cannot be what is left of a cluster.
    #[error("`member.role` is \"witness\"; a backup is restored as a server, witnesses join it")]
    RestoredWitness,
    /// Another process has the data directory.
    #[error("{} is in use by another process; stop that one first", path.display())]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// An address that cannot be listened on.
    #[error("cannot listen on {address} (`{key}`); free the port or change the key")]
    Listen {
        /// The key of member.toml.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Certificates that cannot be used.
    #[error("cannot use {} (`{key}`): {reason}", path.display())]
    Certificate {
        /// The key of member.toml.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A token file that cannot be used.
    #[error("`admin.token_file`: {reason}")]
    Tokens {
        /// What is wrong with it.
        reason: String,
    },
    /// The stores in the data directory cannot be opened.
    #[error("the data directory cannot be opened; check `member.data_dir` and the disk")]
    Storage(#[source] StorageError),
    /// DHCP does not start.
    #[error("DHCP cannot be served; check `dhcp.listen`")]
    Dhcp(#[source] ListenError),
    /// Clients on the links of this machine can not be served.
    #[error("direct clients cannot be served; see `dhcp.interfaces`")]
    Interfaces(#[source] ListenError),
    /// Leasequery over TCP does not start.
    #[error("leasequery cannot be served over TCP; check `leasequery.listen_tcp`")]
    Leasequery(#[source] ListenError),
    /// The admin API does not start.
    #[error("the admin API cannot be served; check `admin.listen`")]
    Admin(#[source] std::io::Error),
    /// Replication does not start or stopped.
    #[error("replication failed")]
    Replication(#[from] ReplicationError),
    /// The recorder of metrics or the writer of events was installed before.
    #[error("{what} can be installed only once in a process")]
    InstalledTwice {
        /// Which.
        what: &'static str,
    },
}

/// An error with everything that caused it, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
