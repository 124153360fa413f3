//! Secure mode: who is trusted, who we are, and how TLS begins on a connection (RFC 7724 section 7.2).

use super::error::RequestorError;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, IpAddr, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

/// When TLS begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsStart {
    /// After a DHCPTLS from each end, in the first messages of the connection (RFC 7724).
    #[default]
    Upgrade,
    /// At once, on a port that speaks nothing else.
    Immediate,
}

/// Secure mode.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// Whom to trust, and who we are.
    pub config: Arc<ClientConfig>,
    /// When it begins.
    pub start: TlsStart,
    /// The name that a server's certificate must have; none is its address.
    pub server_name: Option<ServerName<'static>>,
}

impl TlsSettings {
    /// The name that the certificate of this server must have.
    pub(super) fn name_of(&self, server: Ipv4Addr) -> ServerName<'static> {
        let address = || ServerName::IpAddress(IpAddr::V4(server.octets().into()));
        self.server_name.clone().unwrap_or_else(address)
    }
}

/// A client that trusts the authority in the file `ca`, and shows the certificate if there is one, with its key.
///
/// # Errors
/// A file cannot be read or used; the error names the argument.
pub fn client_config(
    ca: &Path,
    identity: Option<(&Path, &Path)>,
) -> Result<Arc<ClientConfig>, RequestorError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("--ca", ca)? {
        roots.add(certificate).map_err(|error| unusable("--ca", ca, error.to_string()))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable("--ca", ca, error.to_string()))?
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates("--certificate", certificate)?;
            let private = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| unusable("--key", key, error.to_string()))?;
            builder
                .with_client_auth_cert(chain, private)
                .map_err(|error| unusable("--certificate", certificate, error.to_string()))?
        }
    };
    Ok(Arc::new(config))
}

fn certificates(
    flag: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, RequestorError> {
    let read: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).and_then(|certificates| certificates.collect());
    let read = read.map_err(|error| unusable(flag, path, error.to_string()))?;
    match read.is_empty() {
        true => Err(unusable(flag, path, "it has no certificate".to_owned())),
        false => Ok(read),
    }
}

fn unusable(flag: &'static str, path: &Path, reason: String) -> RequestorError {
    RequestorError::File { flag, path: path.to_owned(), reason }
}
