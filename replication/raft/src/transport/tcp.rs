//! # Frames over TCP, with or without mutual TLS
//!
//! A frame is `length u32 | crc32c u32 | version u8 | kind u8 | sequence u64 | body`; the length counts what follows the
//! checksum, and the checksum covers the same. A frame that is too long, damaged, or of a version that is not read here ends the connection.
//!
//! With TLS both sides show a certificate of the cluster's authority. The name in it decides who is who: a member's certificate carries
//! the DNS names `member-<id>` and `leasehold-peer`.

use super::{Broken, CertificateCheck, Connection, Frame, Listener, Transport};
use crate::error::{Malformed, TransportError};
use crate::limits;
use bytes::{Buf, BufMut, BytesMut};
use openraft::base::BoxFuture;
use replication_ledger::{MemberId, Version};
use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use storage::encoding;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Length and checksum.
const PREFIX_LEN: usize = 8;
/// Version, kind, sequence.
const HEADER_LEN: usize = 10;
/// How a TLS record with an alert begins (RFC 8446 section 5.1): all that a peer with TLS has to say to one without. Read as a frame
/// it would be one of 352 MB, which there is not.
const TLS_ALERT: [u8; 2] = [21, 3];
/// The name that every member's certificate carries beside its own.
const ANY_MEMBER: &str = "leasehold-peer";

/// Connections over the operating system's TCP. Needs a tokio runtime.
#[derive(Clone)]
pub struct TcpTransport {
    tls: Option<Tls>,
}

#[derive(Clone)]
struct Tls {
    connector: TlsConnector,
    acceptor: TlsAcceptor,
}

impl TcpTransport {
    /// Without encryption: for loopback, or where the operator said that the network is trusted.
    pub fn plain() -> TcpTransport {
        TcpTransport { tls: None }
    }

    /// With mutual TLS, from PEM texts: this member's certificate (chain), its key, and the authority both sides trust.
    ///
    /// # Errors
    /// If any of them cannot be used.
    pub fn mutual_tls(
        certificate: &str,
        key: &str,
        authority: &str,
    ) -> Result<TcpTransport, TransportError> {
        let unusable = |what: &str, reason: String| TransportError::Tls {
            reason: format!("{what}: {reason}"),
        };
        let certificates = |what: &str, pem: &str| {
            let parsed: Result<Vec<CertificateDer<'static>>, _> =
                CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
            match parsed {
                Ok(list) if !list.is_empty() => Ok(list),
                Ok(_) => Err(unusable(what, "no certificate found".into())),
                Err(error) => Err(unusable(what, error.to_string())),
            }
        };
        let chain = certificates("peer certificate", certificate)?;
        let private = || {
            PrivateKeyDer::from_pem_slice(key.as_bytes())
                .map_err(|error| unusable("peer key", error.to_string()))
        };
        let mut roots = RootCertStore::empty();
        for root in certificates("peer authority", authority)? {
            roots.add(root).map_err(|error| unusable("peer authority", error.to_string()))?;
        }
        let roots = Arc::new(roots);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| unusable("TLS", error.to_string()))?
            .with_root_certificates(Arc::clone(&roots))
            .with_client_auth_cert(chain.clone(), private()?)
            .map_err(|error| unusable("peer certificate and key", error.to_string()))?;
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .build()
            .map_err(|error| unusable("peer authority", error.to_string()))?;
        let server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| unusable("TLS", error.to_string()))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, private()?)
            .map_err(|error| unusable("peer certificate and key", error.to_string()))?;
        let tls = Tls {
            connector: TlsConnector::from(Arc::new(client)),
            acceptor: TlsAcceptor::from(Arc::new(server)),
        };
        Ok(TcpTransport { tls: Some(tls) })
    }
}

impl Transport for TcpTransport {
    fn connect(
        &self,
        address: &str,
        expected: Option<MemberId>,
    ) -> BoxFuture<'static, Result<Connection, TransportError>> {
        let (tls, address) = (self.tls.clone(), address.to_owned());
        Box::pin(async move {
            let failed = |source: io::Error| TransportError::Connect {
                address: address.clone(),
                source: Arc::new(source),
            };
            let stream = TcpStream::connect(&address).await.map_err(failed)?;
            tune(&stream).map_err(failed)?;
            let Some(tls) = tls else { return Ok(run(stream, None)) };
            let name = expected.map_or(ANY_MEMBER.to_owned(), member_name);
            let name = ServerName::try_from(name)
                .map_err(|error| TransportError::Tls { reason: error.to_string() })?;
            let stream = tls.connector.connect(name, stream).await.map_err(failed)?;
            // The name was checked while connecting.
            Ok(run(stream, None))
        })
    }

    fn listen(&self, address: &str) -> BoxFuture<'static, Result<Listener, TransportError>> {
        let (tls, address) = (self.tls.clone(), address.to_owned());
        Box::pin(async move {
            let failed = |source: io::Error| TransportError::Listen {
                address: address.clone(),
                source: Arc::new(source),
            };
            let listener = TcpListener::bind(&address).await.map_err(failed)?;
            let local = listener.local_addr().map_err(failed)?;
            let (sender, connections) = mpsc::channel(limits::CONNECTION_QUEUE_FRAMES);
            tokio::spawn(accept(listener, tls, sender));
            Ok(Listener { address: local.to_string(), connections })
        })
    }
}

fn member_name(member: MemberId) -> String {
    format!("member-{member}")
}

fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(stream);
    socket.set_tcp_user_timeout(Some(limits::TCP_USER_TIMEOUT))?;
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(1))
        .with_interval(Duration::from_secs(1));
    socket.set_tcp_keepalive(&keepalive)
}

async fn accept(listener: TcpListener, tls: Option<Tls>, sender: mpsc::Sender<Connection>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = sender.closed() => return,
        };
        let (stream, _) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or a connection that was reset before we took it: others may still come.
                tracing::warn!(event = "peer_accept_failed", %error);
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (tls, sender) = (tls.clone(), sender.clone());
        tokio::spawn(async move {
            match secure(stream, tls).await {
                // The listener may have been dropped meanwhile.
                Ok(connection) => drop(sender.send(connection).await),
                Err(error) => tracing::warn!(event = "peer_connection_failed", %error),
            }
        });
    }
}

async fn secure(stream: TcpStream, tls: Option<Tls>) -> io::Result<Connection> {
    tune(&stream)?;
    let Some(tls) = tls else { return Ok(run(stream, None)) };
    let accepting = tls.acceptor.accept(stream);
    let stream = tokio::time::timeout(limits::CONNECT_DEADLINE, accepting).await??;
    let certificates = stream.get_ref().1.peer_certificates();
    let leaf = certificates.and_then(<[_]>::first).cloned().map(CertificateDer::into_owned);
    let check: CertificateCheck =
        Arc::new(move |member| leaf.as_ref().is_some_and(|leaf| is_for(leaf, member)));
    Ok(run(stream, Some(check)))
}

fn is_for(certificate: &CertificateDer<'_>, member: MemberId) -> bool {
    let parsed = ParsedCertificate::try_from(certificate);
    let name = ServerName::try_from(member_name(member));
    matches!((parsed, name), (Ok(parsed), Ok(name)) if verify_server_name(&parsed, &name).is_ok())
}

fn run<S>(stream: S, certificate: Option<CertificateCheck>) -> Connection
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (reader, writer) = tokio::io::split(stream);
    let (outgoing, to_write) = mpsc::channel(limits::CONNECTION_QUEUE_FRAMES);
    let (read, incoming) = mpsc::channel(limits::CONNECTION_QUEUE_FRAMES);
    // When the writer ends, because nobody can send any more or the socket broke, the reader must not go on.
    let (writing, written) = oneshot::channel::<()>();
    let broken = Broken::default();
    let breaking = Arc::clone(&broken);
    tokio::spawn(async move {
        let failed = write_frames(writer, to_write).await.err();
        tracing::trace!(event = "peer_writer_ended", ?failed);
        drop(writing);
    });
    tokio::spawn(async move {
        tokio::select! {
            biased;
            ended = read_frames(reader, read, &breaking) => {
                if let Err(error) = ended {
                    tracing::debug!(event = "peer_connection_ended", %error);
                }
            }
            _ = written => (),
        }
    });
    Connection { outgoing, incoming, certificate, broken }
}

async fn write_frames(
    mut writer: impl AsyncWrite + Unpin,
    mut frames: mpsc::Receiver<Frame>,
) -> io::Result<()> {
    /// Frames that wait are written together up to this.
    const WRITE_BYTES: usize = 256 << 10;
    let mut buffer = BytesMut::new();
    while let Some(frame) = frames.recv().await {
        put_frame(&mut buffer, &frame);
        while buffer.len() < WRITE_BYTES {
            match frames.try_recv() {
                Ok(frame) => put_frame(&mut buffer, &frame),
                Err(_) => break,
            }
        }
        writer.write_all(&buffer).await?;
        writer.flush().await?;
        buffer.clear();
    }
    writer.shutdown().await
}

fn put_frame(buffer: &mut BytesMut, frame: &Frame) {
    let len = HEADER_LEN + frame.body.len();
    buffer.reserve(PREFIX_LEN + len);
    // Bodies stay far below FRAME_BYTES_MAX, so the length fits.
    buffer.put_u32(u32::try_from(len).unwrap_or(u32::MAX));
    let checksum_at = buffer.len();
    buffer.put_u32(0);
    let covered_at = buffer.len();
    buffer.put_u8(frame.version.0);
    buffer.put_u8(frame.kind);
    buffer.put_u64(frame.sequence);
    buffer.put_slice(&frame.body);
    let checksum = crc32c::crc32c(&buffer[covered_at..]);
    buffer[checksum_at..covered_at].copy_from_slice(&checksum.to_be_bytes());
}

async fn read_frames(
    mut reader: impl AsyncRead + Unpin,
    frames: mpsc::Sender<Frame>,
    broken: &Broken,
) -> Result<(), TransportError> {
    let mut buffer = BytesMut::with_capacity(64 << 10);
    loop {
        while let Some(frame) = take_frame(&mut buffer)? {
            if frames.send(frame).await.is_err() {
                return Ok(());
            }
        }
        buffer.reserve(16 << 10);
        let error = match reader.read_buf(&mut buffer).await {
            Ok(0) if buffer.starts_with(&TLS_ALERT) => io::Error::other("the peer wants TLS"),
            Ok(0) => return Ok(()),
            Ok(_) => continue,
            Err(error) => error,
        };
        // Nobody else sets it.
        drop(broken.set(Arc::new(error)));
        return Ok(());
    }
}

/// The first frame of the buffer if all of it has arrived.
fn take_frame(buffer: &mut BytesMut) -> Result<Option<Frame>, Malformed> {
    const DAMAGED: Malformed = Malformed { what: "frame" };
    let Some((prefix, _)) = buffer.split_first_chunk::<PREFIX_LEN>() else { return Ok(None) };
    let mut prefix = &prefix[..];
    let len = usize::try_from(prefix.get_u32()).map_err(|_| DAMAGED)?;
    let checksum = prefix.get_u32();
    if !(HEADER_LEN..=limits::FRAME_BYTES_MAX).contains(&len) {
        return Err(DAMAGED);
    }
    if buffer.len() < PREFIX_LEN + len {
        buffer.reserve(PREFIX_LEN + len - buffer.len());
        return Ok(None);
    }
    buffer.advance(PREFIX_LEN);
    let mut body = buffer.split_to(len).freeze();
    if crc32c::crc32c(&body) != checksum {
        return Err(DAMAGED);
    }
    let version = Version(body.get_u8());
    if !encoding::readable().contains(&version) {
        return Err(Malformed { what: "version of a frame" });
    }
    let kind = body.get_u8();
    let sequence = body.get_u64();
    Ok(Some(Frame { kind, version, sequence, body }))
}

#[cfg(test)]
#[path = "tcp_tests.rs"]
mod tests;
