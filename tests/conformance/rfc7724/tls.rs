//! RFC 7724 §8.1 in secure mode: DHCPTLS or TLS from the start, both ends with certificates.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use anyhow::{Context, Result, anyhow, ensure};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;
use tests::packet::{Packet, kind, option};
use tests::requestor::{Key, active_query, bulk_query, tls_request};
use tests::stream::{Connection, Framing};
use tests::wait::PATIENCE;

use crate::rfc7724::{CONNECTION_ACTIVE, ends_without_data, until_status, until_told};
use crate::site::{Site, client, status};

const SERVER: &str = "dhcp-a.example";
/// The name that requestors of 127.0.6.0/24 must have.
const REQUESTOR: &str = "cmts-1.example";

type Secured = Connection<StreamOwned<ClientConnection, TcpStream>>;

/// An authority and what it signs.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok(Authority(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// Certificate and key of `name`, as PEM.
    fn issue(&self, name: &str) -> Result<(String, String)> {
        let key = KeyPair::generate()?;
        let params = CertificateParams::new(vec![name.to_owned()])?;
        Ok((params.signed_by(&key, &self.0)?.pem(), key.serialize_pem()))
    }
}

struct Lab {
    site: Site,
    authority: Authority,
    _folder: TempDir,
}

fn start() -> Result<Lab> {
    let authority = Authority::new()?;
    let folder = TempDir::new()?;
    let (certificate, key) = authority.issue(SERVER)?;
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
    write("server.pem", &certificate)?;
    write("server.key", &key)?;
    write("ca.pem", &authority.0.pem())?;
    let path = |name: &str| Path::display(&folder.path().join(name)).to_string();
    let member = format!(
        "\n[leasequery.tls]\ncertificate = \"{}\"\nkey = \"{}\"\nclient_ca = \"{}\"\n",
        path("server.pem"),
        path("server.key"),
        path("ca.pem")
    );
    let network = format!(
        "max_connections = 100\nmax_connections_per_requestor = 100\ntold_options = [\"61\"]\n\n\
         [leasequery.active]\nenabled = true\nidle_timeout = \"1s\"\n\n\
         [[leasequery.requestor]]\nprefix = \"127.0.6.0/24\"\ncertificate_name = \"{REQUESTOR}\"\n"
    );
    let site = Site::start_configured(&network, &member)?;
    Ok(Lab { site, authority, _folder: folder })
}

static LAB: LazyLock<Result<Lab>> = LazyLock::new(start);

fn lab() -> Result<&'static Lab> {
    LAB.as_ref().map_err(|error| anyhow!("no server: {error:#}"))
}

/// A TLS configuration that trusts the lab's authority; with this certificate and key, if any.
fn config(identity: Option<&(String, String)>) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(lab()?.authority.0.pem().as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    Ok(match identity {
        Some((certificate, key)) => builder.with_client_auth_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes())?],
            PrivateKeyDer::from_pem_slice(key.as_bytes())?,
        )?,
        None => builder.with_no_client_auth(),
    })
}

/// TLS on an open stream: the handshake is done when the first octets go through.
fn secure(stream: TcpStream, config: ClientConfig) -> Result<Secured> {
    let name = ServerName::try_from(SERVER)?;
    let session = ClientConnection::new(Arc::new(config), name)?;
    Ok(Connection::over(StreamOwned::new(session, stream), Framing::Two))
}

fn from(source: Ipv4Addr) -> Result<Connection> {
    lab()?.site.open_from(source, Framing::Two)
}

/// Asks for TLS with a DHCPTLS and takes it.
fn upgraded(source: Ipv4Addr, config: ClientConfig) -> Result<Secured> {
    let mut connection = from(source)?;
    let xid = connection.ask(&tls_request().with(option::CLIENT_ID, b"ignored".to_vec()))?;
    let reply = connection.expect_message()?;
    ensure!((reply.xid, reply.kind()) == (xid, kind::TLS), "{reply:?}");
    ensure!(status(&reply).is_none(), "{reply:?}");
    secure(connection.into_stream()?, config)
}

/// Ensures that an active query on this connection is told about a new client.
fn is_served<S: Read + Write>(connection: &mut Connection<S>) -> Result<()> {
    connection.ask(&active_query())?;
    until_status(connection, CONNECTION_ACTIVE)?;
    let (relay, client) = (lab()?.site.first_link()?, client());
    let class = |packet: Packet| packet.with(option::VENDOR_CLASS, b"a class".to_vec());
    let offer = relay.exchange(&class(client.discover()), PATIENCE)?;
    let address = relay.exchange(&class(client.request_offered(&offer)), PATIENCE)?.yiaddr;
    let told = until_told(connection, kind::LEASEACTIVE, address)?;
    ensure!(told.option(option::CLIENT_ID) == client.client_id, "{told:?}");
    // The class was asked for and is not on the list of what may be told.
    ensure!(told.option(option::VENDOR_CLASS).is_none(), "{told:?}");
    Ok(())
}

const ANYBODY: Ipv4Addr = Ipv4Addr::LOCALHOST;
const NAMED: Ipv4Addr = Ipv4Addr::new(127, 0, 6, 1);

// proves
// proves
// proves
// proves
#[test]
fn a_requestor_with_a_certificate_is_served_after_dhcptls_and_from_the_start() -> Result<()> {
    let lab = lab()?;
    let identity = lab.authority.issue("anybody.example")?;
    is_served(&mut upgraded(ANYBODY, config(Some(&identity))?)?)?;
    is_served(&mut secure(from(ANYBODY)?.into_stream()?, config(Some(&identity))?)?)?;
    let named = lab.authority.issue(REQUESTOR)?;
    is_served(&mut upgraded(NAMED, config(Some(&named))?)?)
}

/// Ensures that the handshake, or what comes right after it, fails.
fn is_refused(connection: Result<Secured>, what: &str) -> Result<()> {
    let outcome = connection.and_then(|mut connection| {
        connection.ask(&active_query())?;
        ends_without_data(&mut connection)?;
        connection.expect_close()
    });
    // Refused is: an alert, or a close without a single binding.
    match outcome {
        Ok(()) => Ok(()),
        Err(error) => {
            let text = format!("{error:#}");
            ensure!(!text.contains("ciaddr"), "{what}: served: {text}");
            ensure!(!text.contains("os error 11"), "{what}: neither served nor refused: {text}");
            Ok(())
        }
    }
}

// proves
// proves
#[test]
fn a_certificate_that_is_missing_foreign_or_of_another_name_is_refused() -> Result<()> {
    let lab = lab()?;
    let foreign = Authority::new()?.issue(REQUESTOR)?;
    let other_name = lab.authority.issue("cmts-2.example")?;
    is_refused(upgraded(ANYBODY, config(None)?), "none")?;
    is_refused(upgraded(ANYBODY, config(Some(&foreign))?), "of another authority")?;
    is_refused(upgraded(NAMED, config(Some(&other_name))?), "of another name")?;
    is_refused(secure(from(ANYBODY)?.into_stream()?, config(None)?), "none, from the start")
}

// proves
#[test]
fn an_active_query_without_tls_is_not_served() -> Result<()> {
    let mut connection = from(ANYBODY)?;
    connection.ask(&active_query())?;
    ends_without_data(&mut connection)
}

// proves
#[test]
fn what_is_no_handshake_after_dhcptls_closes_the_connection() -> Result<()> {
    let mut connection = from(ANYBODY)?;
    connection.ask(&tls_request())?;
    connection.expect_message()?;
    connection.send(&Framing::Two.frame(&active_query().encode()))?;
    // A TLS alert may come first.
    let said = connection.octets(1 << 16).context("neither an alert nor a close")?;
    ensure!(said.len() < 64, "{said:?}");
    Ok(())
}

// proves
#[test]
fn a_bulk_query_may_be_asked_over_tls_too() -> Result<()> {
    let lab = lab()?;
    let client = client();
    client.obtain(&lab.site.first_link()?)?;
    let identity = lab.authority.issue("anybody.example")?;
    let mut connection = upgraded(ANYBODY, config(Some(&identity))?)?;
    let messages = connection.exchange(&bulk_query(&Key::Mac(client.mac)))?;
    ensure!(messages.len() == 2, "{messages:?}");
    Ok(())
}
