//! What goes wrong with sockets and threads.

use std::io;
use std::net::SocketAddrV4;

/// Why this member can not listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Replies leave from the address that a request came to, so it must be one host's.
    #[error("cannot listen on {address}: it is not a unicast address of one host")]
    NotUnicast {
        /// What was configured.
        address: SocketAddrV4,
    },
    /// The port is taken or privileged, or the address is not this machine's.
    #[error("cannot listen on {address}")]
    Bind {
        /// What was configured.
        address: SocketAddrV4,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Direct clients can be answered by packet sockets only.
    #[error(
        "no packet socket for the interfaces of direct clients; run as root, or with the capabilities \
         CAP_NET_RAW and CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities=; else setcap)"
    )]
    PacketSocket {
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Interfaces can not be followed.
    #[error("cannot find out about network interfaces")]
    Interfaces {
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start the thread {name}")]
    Thread {
        /// Which.
        name: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}
