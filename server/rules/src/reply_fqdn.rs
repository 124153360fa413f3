//! Option 81 of replies (RFC 4702 section 4).
//!
//! It says what this server does in DNS for the client ([`crate::names`]), and that is nothing unless updates are configured. The name is the
//! one that is told to DNS; without updates it is the client's own unless the operator gave it another, completed if it is not fully
//! qualified. It is built where it is used, in a field on the stack: replies allocate nothing.

use crate::names::{self, Updates};
use crate::parameters::Parameters;
use server_wire::{
    ClientFqdn, FLAG_E, FLAG_N, FLAG_O, FLAG_S, Message, MessageWriter, OptionCode, PART_LEN_MAX,
};
use std::net::Ipv4Addr;

/// RCODE1 and RCODE2, without meaning since RFC 4702 (section 2.2).
const RCODE: u8 = 255;
/// Octets before the name.
const FIXED_LEN: usize = 3;
/// Octets of the longest name that goes with the fixed ones into one option.
const NAME_LEN_MAX: usize = PART_LEN_MAX - FIXED_LEN;
/// Octets of the longest label (RFC 1035 section 2.3.4).
const LABEL_LEN_MAX: usize = 63;

/// Writes the option if the client sent it. `address` is what it is promised or offered, 0.0.0.0 if it is nothing.
// [O-56] Of the client's flags E is copied; S and N say what this server will do, which is nothing for a client that wants nothing;
// O says whether S is other than the client wanted.
pub(crate) fn write(
    writer: &mut MessageWriter<'_>,
    message: &Message<'_>,
    parameters: &Parameters<'_>,
    address: Ipv4Addr,
) {
    let Some(asked) = message.client_fqdn() else { return };
    let updates = names::updates(message, parameters, address);
    let updated = match &updates {
        Some(Updates { forward: true, .. }) => FLAG_S,
        Some(_) => 0,
        None => FLAG_N,
    };
    let overridden = if asked.flags & FLAG_S != updated & FLAG_S { FLAG_O } else { 0 };
    let mut name = Name { octets: [0; NAME_LEN_MAX], len: 0 };
    let built = match &updates {
        Some(updates) => name.tell(updates.name.octets(), asked.flags & FLAG_E != 0),
        None => name.build(&asked, parameters),
    };
    let told = match built {
        Some(()) => &name.octets[..name.len],
        // Too long when completed: the client keeps what it said.
        None => asked.domain_name,
    };
    if told.len() > NAME_LEN_MAX {
        return;
    }
    let mut value = [0; PART_LEN_MAX];
    let flags = asked.flags & FLAG_E | updated | overridden;
    value[..FIXED_LEN].copy_from_slice(&[flags, RCODE, RCODE]);
    value[FIXED_LEN..FIXED_LEN + told.len()].copy_from_slice(told);
    let _ = writer.option(OptionCode::CLIENT_FQDN, &value[..FIXED_LEN + told.len()]);
}

/// A name in the encoding of the client.
struct Name {
    octets: [u8; NAME_LEN_MAX],
    len: usize,
}

impl Name {
    /// The name of the client; none if there is no room for it.
    fn build(&mut self, asked: &ClientFqdn<'_>, parameters: &Parameters<'_>) -> Option<()> {
        let is_binary = asked.flags & FLAG_E != 0;
        let suffix = &parameters.subnet.clients.name_suffix;
        let given = parameters.reservation.and_then(|r| r.host_name.as_deref());
        let given = given.filter(|name| !name.is_empty());
        let is_complete = match given {
            // What the operator wrote with dots is the whole name.
            Some(name) => {
                self.labels(name, is_binary)?;
                name.contains('.')
            }
            None => {
                self.push(asked.domain_name)?;
                match is_binary {
                    // The root at the end: the text before it was not looked at, because it is the client's.
                    true => asked.domain_name.last() == Some(&0),
                    false => asked.domain_name.contains(&b'.'),
                }
            }
        };
        if self.len > 0 && !is_complete && !suffix.is_empty() {
            self.labels(suffix, is_binary)?;
        }
        let named_whole = given.is_some() && is_complete || !is_complete && !suffix.is_empty();
        if is_binary && self.len > 0 && named_whole {
            self.push(&[0])?;
        }
        Some(())
    }

    /// A name in wire format, in the client's encoding.
    fn tell(&mut self, wire: &[u8], is_binary: bool) -> Option<()> {
        if is_binary {
            return self.push(wire);
        }
        let mut rest = wire;
        while let [len @ 1..=63, tail @ ..] = rest {
            if self.len > 0 {
                self.push(b".")?;
            }
            let (label, after) = tail.split_at_checked(usize::from(*len))?;
            self.push(label)?;
            rest = after;
        }
        Some(())
    }

    /// Appends a name of the configuration.
    fn labels(&mut self, name: &str, is_binary: bool) -> Option<()> {
        for label in name.split('.').filter(|label| !label.is_empty()) {
            if label.len() > LABEL_LEN_MAX {
                return None;
            }
            match is_binary {
                // At most 63.
                true => self.push(&[label.len() as u8])?,
                false if self.len > 0 => self.push(b".")?,
                false => {}
            }
            self.push(label.as_bytes())?;
        }
        Some(())
    }

    fn push(&mut self, octets: &[u8]) -> Option<()> {
        let end = self.len + octets.len();
        self.octets.get_mut(self.len..end)?.copy_from_slice(octets);
        self.len = end;
        Some(())
    }
}
