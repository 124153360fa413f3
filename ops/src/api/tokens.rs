//! Who may call what.
//!
//! The token file is TOML: `[[token]]` with `name`, `role` (`read`, `operate` or `admin`) and `secret`. Each role may do
//! what those before it may. The file is read when the member starts.

use crate::api::error::ApiError;
use axum::http::{HeaderMap, header};
use serde::Deserialize;
use std::fmt;
use std::path::Path;

/// Secrets shorter than this can be guessed.
const SECRET_LEN_MIN: usize = 16;

/// What a token may do, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Look.
    Read,
    /// Change leases and who leads.
    Operate,
    /// Change members and the configuration.
    Admin,
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Permission::Read => "read",
            Permission::Operate => "operate",
            Permission::Admin => "admin",
        })
    }
}

/// What the caller may do at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallerPermission(pub Permission);

/// Who calls, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerName(pub String);

/// The tokens of one member.
#[derive(Debug, Default)]
pub struct Tokens {
    /// None: everybody who can connect may do everything, which only loopback allows.
    tokens: Option<Vec<Token>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    name: String,
    role: Permission,
    secret: String,
}

/// A secret is never written anywhere.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("name", &self.name).field("role", &self.role).finish()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenFile {
    #[serde(default)]
    token: Vec<Token>,
}

impl Tokens {
    /// Everybody may do everything.
    pub fn open() -> Tokens {
        Tokens { tokens: None }
    }

    /// Reads the text of a token file.
    ///
    /// # Errors
    /// What is wrong with it, for the operator; never a secret.
    pub fn parse(path: &Path, text: &str) -> Result<Tokens, String> {
        let file: TokenFile = toml::from_str(text).map_err(|error| {
            let octets = text.as_bytes().iter().take(error.span().map_or(0, |span| span.start));
            let line = 1 + octets.filter(|octet| **octet == b'\n').count();
            format!("{}:{line}: {}", path.display(), error.message())
        })?;
        for token in &file.token {
            if token.secret.len() < SECRET_LEN_MIN {
                return Err(format!(
                    "{}: token.secret: the secret of `{}` has fewer than {SECRET_LEN_MIN} \
                     characters; take one from `openssl rand -hex 32`",
                    path.display(),
                    token.name
                ));
            }
        }
        if file.token.is_empty() {
            return Err(format!("{}: token: the file has no [[token]]", path.display()));
        }
        Ok(Tokens { tokens: Some(file.token) })
    }

    /// Decides about one call.
    ///
    /// # Errors
    /// No such token, or one that may not do this.
    pub fn admit(
        &self,
        headers: &HeaderMap,
        needed: Permission,
    ) -> Result<(CallerName, CallerPermission), ApiError> {
        let Some(tokens) = &self.tokens else {
            refuse_foreign_host(headers)?;
            let name = CallerName("anybody on this machine".to_owned());
            return Ok((name, CallerPermission(Permission::Admin)));
        };
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or(ApiError::Unauthorized)?;
        let token = tokens
            .iter()
            .find(|token| equal(token.secret.as_bytes(), given.trim().as_bytes()))
            .ok_or(ApiError::Unauthorized)?;
        match token.role >= needed {
            true => Ok((CallerName(token.name.clone()), CallerPermission(token.role))),
            false => Err(ApiError::Forbidden { held: token.role, needed }),
        }
    }
}

/// The secret to send: that of the strongest token of a token file, or the whole text if it is not one.
pub fn secret_of(text: &str) -> Option<String> {
    let strongest = toml::from_str::<TokenFile>(text)
        .ok()
        .and_then(|file| file.token.into_iter().max_by_key(|token| token.role));
    let secret = strongest.map_or_else(|| text.trim().to_owned(), |token| token.secret);
    Some(secret).filter(|secret| !secret.is_empty())
}

/// A web page in a browser on this machine can make its own name lead to loopback. It cannot hide that name.
fn refuse_foreign_host(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else {
        return Ok(());
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    match name == "localhost" || address.parse::<std::net::IpAddr>().is_ok() {
        true => Ok(()),
        false => Err(ApiError::ForeignHost { host: host.to_owned() }),
    }
}

/// Takes the same time wherever the first difference is.
fn equal(secret: &[u8], given: &[u8]) -> bool {
    let pairs = secret.iter().zip(given);
    let different = pairs.fold(0, |different, (one, other)| different | (one ^ other));
    std::hint::black_box(different) == 0 && secret.len() == given.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "[[token]]\nname = \"prometheus\"\nrole = \"read\"\n\
        secret = \"0123456789abcdef\"\n[[token]]\nname = \"anna\"\nrole = \"admin\"\n\
        secret = \"fedcba9876543210\"\n";

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().expect("a header value"))])
    }

    #[test]
    fn a_token_may_do_what_its_role_says_and_no_more() {
        let tokens = Tokens::parse(Path::new("t"), FILE).expect("it is well formed");
        let check = |value: &str, needed, expected: Result<&str, &str>| {
            let found = tokens.admit(&headers(header::AUTHORIZATION, value), needed);
            let found = found.map(|(name, _)| name.0).map_err(|error| error.to_string());
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{value}");
        };
        let unknown =
            Err("a valid token is required; send `Authorization: Bearer …` from the token file");
        check("Bearer 0123456789abcdef", Permission::Read, Ok("prometheus"));
        check("Bearer fedcba9876543210", Permission::Operate, Ok("anna"));
        check(
            "Bearer 0123456789abcdef",
            Permission::Operate,
            Err("this token may read, and this call needs operate"),
        );
        check("Bearer 0123456789abcde", Permission::Read, unknown);
        check("Bearer 0123456789abcdef0", Permission::Read, unknown);
        check("Bearer ", Permission::Read, unknown);
        check("Basic 0123456789abcdef", Permission::Read, unknown);
        assert!(tokens.admit(&HeaderMap::new(), Permission::Read).is_err());
    }

    #[test]
    fn without_tokens_only_the_names_of_this_machine_are_answered() {
        let check = |host: &str, admitted: bool| {
            let found = Tokens::open().admit(&headers(header::HOST, host), Permission::Admin);
            assert_eq!(found.is_ok(), admitted, "{host}");
        };
        check("127.0.0.1:6780", true);
        check("localhost:6780", true);
        check("[::1]:6780", true);
        check("evil.example", false);
        check("evil.example:6780", false);
    }

    #[test]
    fn a_secret_comes_from_a_token_file_or_stands_alone() {
        assert_eq!(secret_of(FILE).as_deref(), Some("fedcba9876543210"));
        assert_eq!(secret_of("0123456789abcdef\n").as_deref(), Some("0123456789abcdef"));
        assert_eq!(secret_of("\n"), None);
    }

    #[test]
    fn a_bad_token_file_is_refused_without_showing_a_secret() {
        let check = |text: &str, expected: &str| {
            let error = Tokens::parse(Path::new("t.toml"), text).expect_err(text);
            assert_eq!(error, expected);
        };
        check("", "t.toml: token: the file has no [[token]]");
        check(
            "[[token]]\nname = \"a\"\nrole = \"read\"\nsecret = \"short\"",
            "t.toml: token.secret: the secret of `a` has fewer than 16 characters; take one from \
             `openssl rand -hex 32`",
        );
        check(
            "[[token]]\nname = \"a\"\nrole = \"king\"\nsecret = \"0123456789abcdef\"",
            "t.toml:3: unknown variant `king`, expected one of `read`, `operate`, `admin`",
        );
    }
}
