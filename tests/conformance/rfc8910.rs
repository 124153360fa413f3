//! RFC 8910: Captive-Portal Identification, and other options that are a site's own.

use anyhow::{Result, ensure};
use tests::packet::option;
use tests::wait::PATIENCE;

use crate::fixture::client;
use crate::places::{Place, relay_at};

/// Each option with the octets that its document gives to what the site configured as text.
const TOLD: &[(u8, &[u8])] = &[
    // GEOCONF_CIVIC, RFC 4776 §3.1.
    (99, b"\x02DE\x03\x06Munich"),
    // RFC 8910 §2.1: a URI, not NUL terminated.
    (114, b"https://portal.example/api"),
    // RFC 3397 §2.
    (119, b"\x01a\x07example\0\x01b\x07example\0"),
    // RFC 3361 §3.1: encoding 0, names.
    (120, b"\0\x03sip\x07example\0"),
    // RFC 3925 §4: enterprise, length, sub-options.
    (125, b"\0\0\x11\x8b\x04\x01\x02\x01\x02"),
    // RFC 5223 §4.
    (137, b"\x04lost\x07example\0"),
    // RFC 6731 §4.3.
    (146, b"\x01\xc0\0\x02\x01\0\0\0\0\x04corp\x07example\0"),
    // RFC 7291 §4.1: the length of the list alone (Wireshark counts its own octet too).
    (158, b"\x08\xc0\0\x02\x01\xc0\0\x02\x02"),
    // RFC 9463 §5.1, RFC 9461 §5.
    (
        162,
        b"\0\x3f\0\x01\x12\x08resolver\x07example\0\x04\xc0\0\x02\x35\
          \0\x01\0\x07\x03dot\x02h2\0\x03\0\x02\x21\x52\
          \0\x07\0\x10/dns-query{?dns}",
    ),
    // RFC 5969 §7.1.1.
    (212, b"\x08\x20\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\0\xc0\0\x02\x01"),
];

// proves [H-37]
// proves [H-39]
#[test]
fn each_option_is_told_as_its_document_encodes_it() -> Result<()> {
    let relay = relay_at(Place::Parameters)?;
    let codes: Vec<u8> = TOLD.iter().map(|(code, _)| *code).collect();
    let discover = client().discover().without(option::PARAMETERS);
    let discover = discover.with(option::PARAMETERS, codes.clone());
    let offer = relay.exchange(&discover.with(57, 1500u16.to_be_bytes()), PATIENCE)?;
    for (code, expected) in TOLD {
        let told = offer.option(*code);
        ensure!(told.as_deref() == Some(*expected), "option {code}: {told:02x?}");
    }
    let order = offer.options.iter().map(|(code, _)| *code).filter(|code| codes.contains(code));
    ensure!(order.eq(codes.iter().copied()), "{offer:?}");
    Ok(())
}
