//! Option 61, Client Identifier (RFC 2132 section 9.14, RFC 4361 section 6.1).

/// A client identifier: an opaque key, compared octet by octet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientIdentifier<'a>(&'a [u8]);

/// First octet of an identifier made of IAID and DUID (RFC 4361 section 6.1).
pub const TYPE_IAID_DUID: u8 = 255;

/// Octets of an IAID.
const IAID_LEN: usize = 4;

impl<'a> ClientIdentifier<'a> {
    /// The identifier in an option's value; `None` if that is empty. RFC 2132 asks for two octets
    /// and RFC 4361 no longer does, so one is enough.
    pub const fn decode(value: &'a [u8]) -> Option<Self> {
        if value.is_empty() { None } else { Some(Self(value)) }
    }

    /// All of it, type octet included: the key.
    pub const fn as_octets(self) -> &'a [u8] {
        self.0
    }

    /// The first octet: a hardware type, 0 for something else, or [`TYPE_IAID_DUID`].
    pub fn id_type(self) -> u8 {
        self.0.first().copied().unwrap_or_default()
    }

    /// [O-25] IAID and DUID, for display and search; the key remains the whole identifier.
    pub fn iaid_and_duid(self) -> Option<(u32, &'a [u8])> {
        let rest = self.0.strip_prefix(&[TYPE_IAID_DUID])?;
        let (iaid, duid) = rest.split_first_chunk::<IAID_LEN>()?;
        Some((u32::from_be_bytes(*iaid), duid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_255_shows_iaid_and_duid_and_stays_one_key() {
        // proves [O-25]
        let octets = [255, 0, 0, 0, 7, 0, 3, 0, 1, 2, 0, 0, 0, 0, 1];
        let identifier = ClientIdentifier::decode(&octets).expect("not empty");
        assert_eq!(identifier.iaid_and_duid(), Some((7, &octets[5..])));
        assert_eq!(identifier.as_octets(), &octets);
    }

    #[test]
    fn other_types_are_opaque() {
        let rows: [&[u8]; 4] = [&[1, 2, 3, 4, 5, 6, 7], &[0, 65], &[9], &[255, 0, 0]];
        for octets in rows {
            let identifier = ClientIdentifier::decode(octets).expect("not empty");
            assert_eq!(identifier.iaid_and_duid(), None);
            assert_eq!(identifier.id_type(), octets[0]);
        }
        assert_eq!(ClientIdentifier::decode(&[]), None);
    }
}
