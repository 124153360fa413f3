//! Certificates and keys from files, each fault with the key of member.toml that names the file.

use crate::config::TlsFiles;
use crate::error::ServeError;
use replication_raft::TransportError;
use replication_raft::transport::tcp::TcpTransport;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use server_net::{LeasequeryTls, TlsFileError};
use std::path::Path;
use std::sync::Arc;

/// The way to the other members: with mutual TLS if files are named.
///
/// # Errors
/// A file cannot be read or used.
pub(crate) fn peer_transport(files: Option<&TlsFiles>) -> Result<TcpTransport, ServeError> {
    let Some(files) = files else { return Ok(TcpTransport::plain()) };
    let certificate = read("peer.tls.certificate", &files.certificate)?;
    let key = read("peer.tls.key", &files.key)?;
    let authority = match &files.authority {
        Some(path) => read("peer.tls.ca", path)?,
        None => String::new(),
    };
    TcpTransport::mutual_tls(&certificate, &key, &authority).map_err(|error| {
        let reason = match error {
            TransportError::Tls { reason } => reason,
            other => other.to_string(),
        };
        unusable("peer.tls", &files.certificate, reason)
    })
}

/// The admin API's side of TLS.
///
/// # Errors
/// A file cannot be read or used.
pub(crate) fn admin_server(files: &TlsFiles) -> Result<Arc<ServerConfig>, ServeError> {
    let certificate_key = "admin.tls.certificate";
    let text = read(certificate_key, &files.certificate)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let certificates = certificates
        .map_err(|error| unusable(certificate_key, &files.certificate, error.to_string()))?;
    let key_key = "admin.tls.key";
    let text = read(key_key, &files.key)?;
    let private = PrivateKeyDer::from_pem_slice(text.as_bytes())
        .map_err(|error| unusable(key_key, &files.key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, private))
        .map(Arc::new)
        .map_err(|error| unusable("admin.tls", &files.certificate, error.to_string()))
}

/// Leasequery's side of TLS: requestors show certificates of the authority.
///
/// # Errors
/// A file cannot be read or used.
pub(crate) fn leasequery_server(files: &TlsFiles) -> Result<LeasequeryTls, ServeError> {
    let (certificate_key, key_key) = ("leasequery.tls.certificate", "leasequery.tls.key");
    let authority_key = "leasequery.tls.client_ca";
    let certificate = read(certificate_key, &files.certificate)?;
    let key = read(key_key, &files.key)?;
    let (authority, authority_file) = match &files.authority {
        Some(path) => (read(authority_key, path)?, path),
        None => (String::new(), &files.certificate),
    };
    LeasequeryTls::from_pem(&certificate, &key, &authority).map_err(|error| {
        let (key, path) = match &error {
            TlsFileError::Key { .. } => (key_key, &files.key),
            TlsFileError::ClientAuthority { .. } => (authority_key, authority_file),
            _ => (certificate_key, &files.certificate),
        };
        unusable(key, path, error.to_string())
    })
}

fn read(key: &'static str, path: &Path) -> Result<String, ServeError> {
    std::fs::read_to_string(path).map_err(|source| ServeError::Unreadable {
        key,
        path: path.to_owned(),
        source,
    })
}

fn unusable(key: &'static str, path: &Path, reason: String) -> ServeError {
    ServeError::Certificate { key, path: path.to_owned(), reason }
}
