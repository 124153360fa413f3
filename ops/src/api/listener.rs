//! The admin API's socket, with TLS if it is configured.
//!
//! Handshakes run beside one another, so that a caller that never finishes its own does not keep others out.

use axum::Router;
use rustls::ServerConfig;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A caller that has not finished its TLS handshake by then is left.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
/// Handshakes and accepted connections that wait to be served.
const WAITING_MAX: usize = 64;

/// A bound socket.
pub enum Listener {
    /// Loopback.
    Plain(TcpListener),
    /// Everywhere else.
    Tls(TlsListener),
}

/// A bound socket whose connections speak TLS.
pub struct TlsListener {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    local: SocketAddr,
}

impl Listener {
    /// Without encryption.
    pub fn plain(socket: TcpListener) -> Listener {
        Listener::Plain(socket)
    }

    /// With TLS. Must be called within a runtime.
    ///
    /// # Errors
    /// If the socket does not know its address.
    pub fn tls(socket: TcpListener, config: Arc<ServerConfig>) -> io::Result<Listener> {
        let local = socket.local_addr()?;
        let (done, ready) = mpsc::channel(WAITING_MAX);
        tokio::spawn(accept(socket, TlsAcceptor::from(config), done));
        Ok(Listener::Tls(TlsListener { ready, local }))
    }
}

/// Ends when the listener is dropped.
async fn accept(
    socket: TcpListener,
    acceptor: TlsAcceptor,
    done: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    // A place in the channel is taken before the connection is, so there are never more handshakes than places.
    while let Ok(place) = done.clone().reserve_owned().await {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = done.closed() => return,
        };
        // Out of file descriptors, or the caller is gone already: the next one may do better.
        let Ok((stream, from)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let handshake = acceptor.accept(stream);
        tokio::spawn(async move {
            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_DEADLINE, handshake).await {
                place.send((stream, from));
            }
        });
    }
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // The accepting task ends only after this listener; if it died there is nothing to accept any more.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}

/// Serves until `stop` is done and the calls under way are answered.
///
/// # Errors
/// If the socket fails.
pub async fn serve(
    listener: Listener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    match listener {
        Listener::Plain(socket) => axum::serve(socket, router).with_graceful_shutdown(stop).await,
        Listener::Tls(socket) => axum::serve(socket, router).with_graceful_shutdown(stop).await,
    }
}
