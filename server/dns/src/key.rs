//! Secrets as operators write them and as signatures need them.

use crate::update::Malformed;
use domain::base::name::{Name, ToName};
use domain::tsig::{Algorithm, Key};
use domain::utils::base64;
use replication_ledger::{DnsKey, DnsKeyAlgorithm, Octets};

/// A text is no secret. It does not say which text: that may be most of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not base64, in which tsig-keygen and keymgr print secrets")]
pub struct KeySecretError;

/// The octets of a secret in base64 (RFC 4648 section 4).
///
/// # Errors
/// [`KeySecretError`] if it is not base64, or empty.
pub fn key_secret(text: &str) -> Result<Octets, KeySecretError> {
    match base64::decode::<Vec<u8>>(text) {
        Ok(octets) if !octets.is_empty() => Ok(octets.into()),
        _ => Err(KeySecretError),
    }
}

/// The key as it signs.
pub(crate) fn signing_key(key: &DnsKey) -> Result<Key, Malformed> {
    let algorithm = match key.algorithm {
        DnsKeyAlgorithm::HmacSha1 => Algorithm::Sha1,
        DnsKeyAlgorithm::HmacSha256 => Algorithm::Sha256,
        DnsKeyAlgorithm::HmacSha384 => Algorithm::Sha384,
        DnsKeyAlgorithm::HmacSha512 => Algorithm::Sha512,
    };
    let name = Name::from_slice(&key.name)?.try_to_name().map_err(|_| Malformed)?;
    // Signatures of full length are always within bounds.
    Key::new(algorithm, &key.secret, name, None, None).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_read_as_the_tools_of_dns_servers_print_them() {
        let check = |text: &str, expected: Option<&[u8]>| {
            assert_eq!(key_secret(text).ok().as_deref(), expected, "{text}");
        };
        check("c2VjcmV0", Some(b"secret"));
        check("c2VjcmV0cw==", Some(b"secrets"));
        check("", None);
        check("c2VjcmV0cw", None);
        check("not base64", None);
    }
}
