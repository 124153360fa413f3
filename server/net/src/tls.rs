//! TLS of leasequery connections: whose certificates count, and one DHCP message per record.
//!
//! The private key and the authority are this member's own files; who may ask is in the settings that all members share.

use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use server_wire::Framing;
use std::future::poll_fn;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The first octet of a TLS connection: a record of type handshake (RFC 8446 §5.1).
///
/// As the first octet of a framed message it would announce more than 5600 octets, which no query has.
pub(crate) const HANDSHAKE_RECORD: u8 = 0x16;

/// What secures leasequery connections: this member's certificate, and the authority that requestors' certificates must
/// be from.
#[derive(Clone)]
pub struct LeasequeryTls(TlsAcceptor);

/// Which of the files can not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFileError {
    /// The certificate chain of this member.
    #[error("the certificate can not be used: {reason}")]
    Certificate {
        /// What is wrong with it.
        reason: String,
    },
    /// The private key of this member, by itself or with the certificate.
    #[error("the private key can not be used: {reason}")]
    Key {
        /// What is wrong with it.
        reason: String,
    },
    /// The authority of the requestors.
    #[error("the requestors' authority can not be used: {reason}")]
    ClientAuthority {
        /// What is wrong with it.
        reason: String,
    },
}

impl LeasequeryTls {
    /// Mutual TLS 1.2 or 1.3 from PEM texts: this member's certificate chain, its key, the authority of the requestors.
    ///
    /// # Errors
    /// One of them can not be used.
    // Without a certificate of this authority no handshake succeeds. RFC 7525: nothing below TLS 1.2, and rustls
    // has neither compression, renegotiation nor the cipher suites that it forbids.
    pub fn from_pem(
        certificate: &str,
        key: &str,
        client_authority: &str,
    ) -> Result<LeasequeryTls, TlsFileError> {
        let unusable = |reason: String| TlsFileError::Certificate { reason };
        let chain = certificates(certificate).map_err(unusable)?;
        let private = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|error| TlsFileError::Key { reason: error.to_string() })?;
        let untrusted = |reason: String| TlsFileError::ClientAuthority { reason };
        let mut roots = RootCertStore::empty();
        for root in certificates(client_authority).map_err(untrusted)? {
            roots.add(root).map_err(|error| untrusted(error.to_string()))?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|error| untrusted(error.to_string()))?;
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(error.to_string()))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, private)
            .map_err(|error| TlsFileError::Key { reason: error.to_string() })?;
        Ok(LeasequeryTls(TlsAcceptor::from(Arc::new(config))))
    }
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match parsed {
        Ok(list) if list.is_empty() => Err("no certificate found".to_owned()),
        Ok(list) => Ok(list),
        Err(error) => Err(error.to_string()),
    }
}

/// A connection, with or without TLS.
pub(crate) enum Stream {
    Plain(TcpStream),
    Secured(Box<TlsStream<TcpStream>>),
}

/// Octets on their way into a connection.
#[derive(Default)]
pub(crate) struct Outgoing {
    /// Whole framed messages, filled by a session.
    pub(crate) octets: Vec<u8>,
    taken: usize,
}

impl Stream {
    /// The server's side of the handshake. It has no time limit of its own.
    pub(crate) async fn secure(stream: TcpStream, tls: &LeasequeryTls) -> io::Result<Stream> {
        let secured = tls.0.accept(stream).await?;
        Ok(Stream::Secured(Box::new(secured)))
    }

    /// True if the requestor's certificate has this DNS name.
    pub(crate) fn certificate_has(&self, name: &str) -> bool {
        let Stream::Secured(stream) = self else { return false };
        let certificates = stream.get_ref().1.peer_certificates();
        let leaf = certificates.and_then(<[_]>::first).map(ParsedCertificate::try_from);
        match (leaf, ServerName::try_from(name)) {
            (Some(Ok(leaf)), Ok(name)) => verify_server_name(&leaf, &name).is_ok(),
            _ => false,
        }
    }

    /// Octets that have come; 0 when the requestor's end is closed.
    pub(crate) fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(match self {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, &mut buffer),
            Stream::Secured(stream) => Pin::new(stream).poll_read(context, &mut buffer),
        })?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Gives the connection what it takes of `outgoing`. Ready with true when it took everything, with false when it took
    /// something.
    pub(crate) fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        outgoing: &mut Outgoing,
        framing: Framing,
    ) -> Poll<io::Result<bool>> {
        match self {
            Stream::Plain(stream) => {
                let left = &outgoing.octets[outgoing.taken..];
                if left.is_empty() {
                    outgoing.clear();
                    return Poll::Ready(Ok(true));
                }
                let taken = ready!(Pin::new(stream).poll_write(context, left))?;
                if taken == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                outgoing.taken += taken;
                let all = outgoing.taken == outgoing.octets.len();
                if all {
                    outgoing.clear();
                }
                Poll::Ready(Ok(all))
            }
            Stream::Secured(stream) => {
                outgoing.encrypt(stream, framing)?;
                ready!(Pin::new(stream).poll_flush(context))?;
                Poll::Ready(Ok(true))
            }
        }
    }

    /// Tells the requestor that nothing more comes.
    pub(crate) async fn finish(&mut self) -> io::Result<()> {
        poll_fn(|context| match self {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Secured(stream) => Pin::new(stream).poll_shutdown(context),
        })
        .await
    }

    /// What was not sent is forgotten by the system as soon as the connection is dropped.
    pub(crate) fn abandon(&self) {
        let socket = match self {
            Stream::Plain(stream) => stream,
            Stream::Secured(stream) => stream.get_ref().0,
        };
        // A socket that refuses this is gone already.
        let _ = socket.set_zero_linger();
    }
}

impl Outgoing {
    pub(crate) fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    fn clear(&mut self) {
        self.octets.clear();
        self.taken = 0;
    }

    /// Moves everything into the connection's records.
    // RFC 7724 §5.1: one DHCP message per TLS record. Each is written by itself, and is shorter than a record may be.
    fn encrypt(&mut self, stream: &mut TlsStream<TcpStream>, framing: Framing) -> io::Result<()> {
        let connection = stream.get_mut().1;
        // Its own limit would cut messages; `octets` is bounded, and is not filled again before all of it has left.
        connection.set_buffer_limit(None);
        for message in framed_messages(&self.octets, framing) {
            connection.writer().write_all(message)?;
        }
        self.clear();
        Ok(())
    }
}

/// The messages of a buffer, each with its prefix.
fn framed_messages(octets: &[u8], framing: Framing) -> impl Iterator<Item = &[u8]> {
    let mut left = octets;
    std::iter::from_fn(move || {
        let size = left.first_chunk::<2>()?;
        let len = framing.prefix_len() + usize::from(u16::from_be_bytes(*size));
        let (message, rest) = left.split_at(len.min(left.len()));
        left = rest;
        Some(message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_cut_where_its_messages_end() {
        let check = |framing: Framing| {
            let bodies = [vec![1; 300], vec![2; 240], vec![3; 700]];
            let mut octets = Vec::new();
            for body in &bodies {
                framing.frame(&mut octets, |buffer| buffer.extend(body)).expect("short enough");
            }
            let messages: Vec<_> = framed_messages(&octets, framing).collect();
            assert_eq!(messages.concat(), octets);
            let found: Vec<_> =
                messages.iter().map(|m| m[framing.prefix_len()..].to_vec()).collect();
            assert_eq!(found, bodies);
        };
        check(Framing::TwoOctet);
        check(Framing::FourOctet);
    }
}
