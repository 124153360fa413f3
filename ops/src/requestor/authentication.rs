//! RFC 3118 on our datagrams: proving who asks, and believing only who proves to be a server.
//!
//! RFC 4388 section 7 has a query treated like a DHCPDISCOVER, which proves nothing to the server. A code in the query too,
//! as a DHCPREQUEST has it, is what our servers want where they guard data; others may ignore it. Each datagram has a
//! counter of its own, also a repetition: servers discard a counter that has not risen. An old answer cannot be replayed
//! to us, because its transaction is not outstanding.

use server_rules::leasequery::{is_signed, sign};
use server_wire::options::PART_LEN_MAX;
use server_wire::options::o090_authentication::{
    ALGORITHM_HMAC_MD5, PROTOCOL_DELAYED, PROTOCOL_TOKEN, RDM_COUNTER,
};
use server_wire::{Authentication, MESSAGE_LEN_MIN_BOOTP, Message, OptionCode};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What we share with the servers.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// Protocol 0, RFC 3118 section 4: stands in the datagram as it is.
    Token(Vec<u8>),
    /// Protocol 1, RFC 3118 section 5, with HMAC-MD5.
    Delayed {
        /// Which of the servers' secrets it is.
        id: u32,
        /// The key.
        key: Vec<u8>,
    },
}

// Secrets do not belong into events and panics.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::Token(_) => f.write_str("Token"),
            Secret::Delayed { id, .. } => write!(f, "Delayed({id})"),
        }
    }
}

/// Octets of the longest token: the option has to fit one part.
pub const TOKEN_LEN_MAX: usize = PART_LEN_MAX - 11;

/// Authenticates datagrams; clones share the counter.
#[derive(Clone, Debug)]
pub struct Authenticator {
    secret: Secret,
    counter: Arc<AtomicU64>,
}

impl Authenticator {
    /// With this secret. `counter` must be higher than that of every datagram before with the same secret: nanoseconds
    /// since 1970 are. `None` if the token is too long.
    pub fn new(secret: Secret, counter: u64) -> Option<Authenticator> {
        let fits = !matches!(&secret, Secret::Token(token) if token.len() > TOKEN_LEN_MAX);
        fits.then(|| Authenticator { secret, counter: Arc::new(AtomicU64::new(counter)) })
    }

    /// Adds option 90 to a finished datagram of ours.
    pub(super) fn seal(&self, datagram: &mut Vec<u8>) {
        let replay = self.counter.fetch_add(1, Ordering::Relaxed);
        let unsigned;
        let (protocol, algorithm, information): (u8, u8, &[u8]) = match &self.secret {
            Secret::Token(token) => (PROTOCOL_TOKEN, 0, token),
            Secret::Delayed { id, .. } => {
                let mut octets = [0; 20];
                octets[..4].copy_from_slice(&id.to_be_bytes());
                unsigned = octets;
                (PROTOCOL_DELAYED, ALGORITHM_HMAC_MD5, &unsigned)
            }
        };
        let mut value = Vec::with_capacity(11 + information.len());
        Authentication { protocol, algorithm, rdm: RDM_COUNTER, replay, information }
            .encode(&mut value);
        // Our own datagram ends with End and padding.
        let end = datagram.iter().rposition(|octet| *octet != 0).unwrap_or(datagram.len());
        datagram.truncate(end);
        // `new` has seen that it fits one octet.
        datagram.extend_from_slice(&[OptionCode::AUTHENTICATION.0, value.len() as u8]);
        datagram.extend_from_slice(&value);
        datagram.push(OptionCode::END.0);
        datagram.resize(datagram.len().max(MESSAGE_LEN_MIN_BOOTP), 0);
        if let Secret::Delayed { key, .. } = &self.secret {
            sign(datagram, key);
        }
    }

    /// Whether an answer comes from somebody who has the secret.
    pub(super) fn believes(&self, message: &Message<'_>) -> bool {
        match &self.secret {
            Secret::Delayed { id, key } => is_signed(message, *id, key),
            Secret::Token(token) => {
                let value = message.option(OptionCode::AUTHENTICATION);
                let authentication = value.and_then(|value| Authentication::decode(value).ok());
                authentication.is_some_and(|found| {
                    (found.protocol, found.information) == (PROTOCOL_TOKEN, &token[..])
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requestor::query::{Exchange, Form, Key, Query};

    fn sealed(authenticator: &Authenticator) -> Vec<u8> {
        let query = Query::from(Key::RemoteId(b"modem".to_vec()));
        let mut datagram = Vec::new();
        query.write(Exchange::Udp, &Form::default(), 1, &mut datagram).expect("askable");
        authenticator.seal(&mut datagram);
        datagram
    }

    fn delayed(id: u32, key: &[u8]) -> Authenticator {
        Authenticator::new(Secret::Delayed { id, key: key.to_vec() }, 100).expect("it fits")
    }

    #[test]
    fn a_sealed_datagram_is_the_query_and_option_90_with_a_rising_counter() {
        let authenticator = delayed(7, b"key");
        for counter in [100, 101] {
            let datagram = sealed(&authenticator);
            let message = Message::decode(&datagram).expect("well formed");
            let value = message.option(OptionCode::AUTHENTICATION).expect("present");
            let found = Authentication::decode(value).expect("complete");
            assert_eq!((found.rdm, found.replay), (RDM_COUNTER, counter));
            assert_eq!(found.delayed().map(|(id, _)| id), Some(7));
            let relay = message.relay_agent_information().expect("still there");
            assert_eq!(relay.remote_id(), Some(&b"modem"[..]));
            assert!(datagram.len() >= MESSAGE_LEN_MIN_BOOTP);
        }
    }

    #[test]
    fn only_who_has_the_secret_is_believed() {
        let ours = delayed(7, b"key");
        let believed =
            |datagram: &[u8]| ours.believes(&Message::decode(datagram).expect("well formed"));
        let mut datagram = sealed(&ours);
        assert!(believed(&datagram));
        // Relays change these two.
        datagram[3] ^= 1;
        datagram[24] ^= 1;
        assert!(believed(&datagram));
        datagram[12] ^= 1;
        assert!(!believed(&datagram), "ciaddr is covered");
        assert!(!believed(&sealed(&delayed(8, b"key"))));
        assert!(!believed(&sealed(&delayed(7, b"other"))));
        let mut bare = Vec::new();
        let query = Query::from(Key::RemoteId(b"modem".to_vec()));
        query.write(Exchange::Udp, &Form::default(), 1, &mut bare).expect("askable");
        assert!(!believed(&bare));
    }

    #[test]
    fn a_token_stands_in_the_datagram_and_must_come_back() {
        let token = |octets: &[u8]| Authenticator::new(Secret::Token(octets.to_vec()), 1);
        let ours = token(b"token").expect("it fits");
        let datagram = sealed(&ours);
        let message = Message::decode(&datagram).expect("well formed");
        assert!(ours.believes(&message));
        assert!(!token(b"other").expect("it fits").believes(&message));
        assert!(!delayed(7, b"token").believes(&message));
        assert!(token(&[1; TOKEN_LEN_MAX]).is_some() && token(&[1; 255]).is_none());
        assert_eq!(format!("{ours:?}").matches("token").count(), 0, "secrets are not shown");
    }
}
