//! Talking to the admin API of a member.

use crate::api::dto::ProblemDocument;
use crate::api::secret_of;
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::time::Duration;
use ureq::http::{Method, Request, Response};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// A member that has not answered by then will not; joining waits for a log to be caught up.
const ANSWER_DEADLINE: Duration = Duration::from_secs(60);
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// The longest answer that is read, in octets.
const ANSWER_LEN_MAX: u64 = 256 << 20;

/// Which member to talk to, and as whom.
#[derive(Debug, Clone, Args)]
pub(crate) struct Member {
    /// Admin address of a member
    #[arg(
        long,
        value_name = "URL",
        env = "LEASEHOLD_ADMIN",
        default_value = "http://127.0.0.1:6780"
    )]
    admin: String,
    /// File with a token, or a member's tokens.toml
    #[arg(long, value_name = "FILE", env = "LEASEHOLD_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// PEM file of the authority of the member's certificate
    #[arg(long, value_name = "FILE", env = "LEASEHOLD_CA")]
    ca: Option<PathBuf>,
}

/// A connection to one member.
pub(crate) struct Caller {
    agent: ureq::Agent,
    base: String,
    token: Option<String>,
}

impl Caller {
    /// From the arguments of a command.
    pub(crate) fn new(member: &Member) -> Result<Caller> {
        let token = member.token_file.as_ref().map(|path| -> Result<String> {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("--token-file: cannot read {}", path.display()))?;
            secret_of(&text).with_context(|| format!("--token-file: {} is empty", path.display()))
        });
        let base = member.admin.trim_end_matches('/').to_owned();
        if !base.starts_with("http://") && !base.starts_with("https://") {
            bail!("--admin: `{base}` must begin with http:// or https://");
        }
        let roots = member.ca.as_ref().map(|path| -> Result<RootCerts> {
            let text = std::fs::read(path)
                .with_context(|| format!("--ca: cannot read {}", path.display()))?;
            let certificates: Vec<Certificate<'static>> = parse_pem(&text)
                .filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                })
                .collect();
            if certificates.is_empty() {
                bail!("--ca: {} has no certificate", path.display());
            }
            Ok(RootCerts::from(certificates))
        });
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_DEADLINE))
            .timeout_global(Some(ANSWER_DEADLINE));
        match roots.transpose()? {
            Some(roots) => {
                config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
            }
            None if base.starts_with("https://") => {
                bail!("--ca: missing; name the authority that signed the certificate of {base}")
            }
            None => {}
        }
        Ok(Caller { agent: config.build().into(), base, token: token.transpose()? })
    }

    /// To a member on this machine.
    pub(crate) fn local(base: &str) -> Result<Caller> {
        Caller::new(&Member { admin: base.to_owned(), token_file: None, ca: None })
    }

    /// Reads something.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.decode(self.call(Method::GET, path, "text/plain", String::new())?)
    }

    /// Copies something as it is, however long it takes. Returns its length in octets.
    pub(crate) fn copy(&self, path: &str, to: &mut impl std::io::Write) -> Result<u64> {
        let response = self.call_within(None, Method::GET, path, "text/plain", String::new())?;
        let mut body = response.into_body().into_reader();
        std::io::copy(&mut body, to).with_context(|| format!("{} stopped in the middle", self.base))
    }

    /// Whether a call is answered with success, whatever the answer is.
    pub(crate) fn probe(&self, path: &str) -> Result<()> {
        self.call(Method::GET, path, "text/plain", String::new()).map(drop)
    }

    /// Asks for something to be done.
    pub(crate) fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        let body = serde_json::to_string(body).context("the request cannot be written as JSON")?;
        self.decode(self.call(Method::POST, path, "application/json", body)?)
    }

    /// Replaces something by a TOML text.
    pub(crate) fn put_toml<T: DeserializeOwned>(&self, path: &str, text: &str) -> Result<T> {
        self.decode(self.call(Method::PUT, path, "text/toml", text.to_owned())?)
    }

    /// Ends something.
    pub(crate) fn delete(&self, path: &str) -> Result<()> {
        self.call(Method::DELETE, path, "text/plain", String::new()).map(drop)
    }

    fn call(
        &self,
        method: Method,
        path: &str,
        media_type: &str,
        body: String,
    ) -> Result<Response<ureq::Body>> {
        self.call_within(Some(ANSWER_DEADLINE), method, path, media_type, body)
    }

    fn call_within(
        &self,
        deadline: Option<Duration>,
        method: Method,
        path: &str,
        media_type: &str,
        body: String,
    ) -> Result<Response<ureq::Body>> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("content-type", media_type);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(body).with_context(|| {
            format!("--admin: `{}` is not a URL such as http://127.0.0.1:6780", self.base)
        })?;
        let request = self.agent.configure_request(request).timeout_global(deadline).build();
        let response = self.agent.run(request).map_err(|error| {
            anyhow!(
                "no answer from {}: {error}; check --admin and that `leasehold serve` runs there",
                self.base
            )
        })?;
        match response.status().is_success() {
            true => Ok(response),
            false => Err(self.refused(response)),
        }
    }

    fn refused(&self, mut response: Response<ureq::Body>) -> anyhow::Error {
        let status = response.status();
        let document: Result<ProblemDocument, _> = response.body_mut().read_json();
        let Ok(document) = document else {
            return anyhow!(
                "{} answered {status}; is it the admin address of a member?",
                self.base
            );
        };
        let mut text = format!("{}: {}", self.base, document.detail);
        if let Some(leader) = document.leader {
            text.push_str(&format!("; ask member {leader} with --admin"));
        }
        anyhow!(text)
    }

    fn decode<T: DeserializeOwned>(&self, mut response: Response<ureq::Body>) -> Result<T> {
        response.body_mut().with_config().limit(ANSWER_LEN_MAX).read_json().with_context(|| {
            format!("{} answered something else; is it another version?", self.base)
        })
    }
}

/// A value as part of a URL's query.
pub(crate) fn escape(text: &str) -> String {
    let plain = |octet: &u8| octet.is_ascii_alphanumeric() || b"-._~:".contains(octet);
    let mut escaped = String::with_capacity(text.len());
    for octet in text.as_bytes() {
        match plain(octet) {
            true => escaped.push(char::from(*octet)),
            false => escaped.push_str(&format!("%{octet:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Listener, serve};
    use crate::config::TlsFiles;
    use axum::Router;
    use axum::routing::get;
    use std::path::Path;

    fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
        let path = directory.join(name);
        std::fs::write(&path, text).expect("a temporary file is writable");
        path
    }

    /// A server whose only answer is 7; its address, its certificate.
    fn start(runtime: &tokio::runtime::Runtime, directory: &Path) -> (String, PathBuf) {
        let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])
            .expect("a key can be drawn");
        let certificate = write(directory, "certificate.pem", &issued.cert.pem());
        let key = write(directory, "key.pem", &issued.signing_key.serialize_pem());
        let files = TlsFiles { certificate: certificate.clone(), key, authority: None };
        let config = crate::pem::admin_server(&files).expect("the files are good");
        let router = Router::new().route("/seven", get(|| async { axum::Json(7) }));
        let port = runtime.block_on(async {
            let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let port = socket.local_addr().expect("it is bound").port();
            let listener = Listener::tls(socket, config).expect("it has an address");
            tokio::spawn(serve(listener, router, std::future::pending()));
            port
        });
        (format!("https://localhost:{port}"), certificate)
    }

    #[test]
    fn tls_is_spoken_with_whom_the_authority_signed_for_and_nobody_else() {
        // Another test may have been first; the provider is the same.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (admin, certificate) = start(&runtime, directory.path());
        let elsewhere = tempfile::tempdir().expect("a temporary directory");
        let (_, stranger) = start(&runtime, elsewhere.path());
        let call = |ca: Option<PathBuf>| -> Result<u8> {
            Caller::new(&Member { admin: admin.clone(), token_file: None, ca })?.get("/seven")
        };
        assert_eq!(call(Some(certificate)).expect("it is trusted"), 7);
        let refused = call(Some(stranger)).expect_err("it is not trusted").to_string();
        assert!(refused.starts_with(&format!("no answer from {admin}: ")), "{refused}");
        let missing = call(None).expect_err("no authority is named").to_string();
        assert_eq!(
            missing,
            format!("--ca: missing; name the authority that signed the certificate of {admin}")
        );
    }

    #[test]
    fn wrong_addresses_and_files_are_named() {
        let check = |admin: &str, token_file: Option<&str>, expected: &str| {
            let token_file = token_file.map(PathBuf::from);
            let member = Member { admin: admin.to_owned(), token_file, ca: None };
            let error = Caller::new(&member).and_then(|caller| caller.probe("/livez"));
            assert_eq!(format!("{:#}", error.expect_err("it must fail")), expected);
        };
        check("localhost", None, "--admin: `localhost` must begin with http:// or https://");
        check(
            "http://127.0.0.1:1",
            Some("/nowhere/token"),
            "--token-file: cannot read /nowhere/token: No such file or directory (os error 2)",
        );
        check(
            "http://127.0.0.1:1",
            None,
            "no answer from http://127.0.0.1:1: io: Connection refused (os error 111); check \
             --admin and that `leasehold serve` runs there",
        );
        assert_eq!(escape("a b&c/é"), "a%20b%26c%2F%C3%A9");
    }
}
