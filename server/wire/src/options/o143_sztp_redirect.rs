//! Option 143, Secure Zero Touch Provisioning (RFC 8572 section 8.1): URIs of bootstrap servers, each
//! after its length in two octets: `https://`, a name or an address, and a port if need be (section 8.3).

use super::format::{escape_text, unescape_text};
use super::structure::{Structure, parts};

pub(crate) static SZTP_REDIRECT: Structure = Structure {
    wanted: "a URI such as `https://bootstrap.example:443`",
    is_list: true,
    read: |value| {
        parts(value, |reader| {
            let len = reader.u16()?;
            let uri = reader.take(len.into()).filter(|uri| !uri.is_empty())?;
            Some(escape_text(uri))
        })
    },
    write: |_, text, out| {
        let uri = unescape_text(text).filter(|_| is_server(text))?;
        out.extend(u16::try_from(uri.len()).ok()?.to_be_bytes());
        out.extend(uri);
        Some(())
    },
};

/// Whether it is such a URI, without path or anything else.
fn is_server(uri: &str) -> bool {
    let authority = uri.strip_prefix("https://").unwrap_or_default();
    let is_plain = |c: u8| c.is_ascii_graphic() && !b"/?#@\\".contains(&c);
    !authority.is_empty() && !authority.starts_with(':') && authority.bytes().all(is_plain)
}
