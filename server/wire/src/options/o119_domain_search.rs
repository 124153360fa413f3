//! Option 119, Domain Search (RFC 3397 section 2), and the other options of domain names in the
//! encoding of RFC 1035 section 3.1.

use crate::error::DecodeReason;
use crate::options::format::escape_label;

/// Octets of the longest label.
const LABEL_LEN_MAX: usize = 63;
/// Octets of the longest name, lengths and root included.
const NAME_LEN_MAX: usize = 255;
/// The two bits that mark a compression pointer.
const POINTER: u8 = 0xc0;

/// Decodes a list of names. Compression pointers lead to earlier octets of the same value.
///
/// # Errors
/// `OptionLength` if the value is empty or ends within a name, `OptionValue` if a label or a name
/// is too long or a pointer does not lead backwards.
pub fn decode(value: &[u8]) -> Result<Vec<String>, DecodeReason> {
    let mut names = Vec::new();
    walk(value, |name| names.push(name))?;
    Ok(names)
}

/// Checks a list of names as [`decode`] does.
///
/// # Errors
/// Those of [`decode`].
pub fn check(value: &[u8]) -> Result<(), DecodeReason> {
    walk(value, drop)
}

/// Appends a name without compression; `None`, and nothing appended, if it has an empty or a too
/// long label or is too long as a whole. A dot at the end is allowed; `\.`, `\\` and `\DDD` stand for
/// one octet (RFC 1035 section 5.1), as [`decode`] writes them.
pub fn encode_name(name: &str, out: &mut Vec<u8>) -> Option<()> {
    let start = out.len();
    let written = push_labels(name, out).filter(|()| out.len() - start <= NAME_LEN_MAX);
    if written.is_none() {
        out.truncate(start);
    }
    written
}

fn push_labels(name: &str, out: &mut Vec<u8>) -> Option<()> {
    let mut octets = name.bytes();
    let mut label_at = out.len();
    out.push(0);
    while let Some(octet) = octets.next() {
        match octet {
            b'.' => {
                close_label(label_at, out)?;
                label_at = out.len();
                out.push(0);
                if octets.len() == 0 {
                    // What was begun is the root.
                    return Some(());
                }
            }
            b'\\' => out.push(unescape(&mut octets)?),
            octet => out.push(octet),
        }
    }
    close_label(label_at, out)?;
    out.push(0);
    Some(())
}

/// Writes the length of the label in front of it.
fn close_label(label_at: usize, out: &mut [u8]) -> Option<()> {
    let len = out.len() - label_at - 1;
    // At most 63.
    out[label_at] = (1..=LABEL_LEN_MAX).contains(&len).then_some(len as u8)?;
    Some(())
}

/// The octet that stands after a backslash.
fn unescape(octets: &mut std::str::Bytes<'_>) -> Option<u8> {
    let first = octets.next()?;
    if !first.is_ascii_digit() {
        return Some(first);
    }
    let digits = [first, octets.next()?, octets.next()?];
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

fn walk(value: &[u8], mut visit: impl FnMut(String)) -> Result<(), DecodeReason> {
    if value.is_empty() {
        return Err(DecodeReason::OptionLength);
    }
    let mut at = 0;
    while at < value.len() {
        let (name, next) = read_name(value, at)?;
        visit(name);
        at = next;
    }
    Ok(())
}

/// The name at `at` and the offset of what follows it.
fn read_name(value: &[u8], at: usize) -> Result<(String, usize), DecodeReason> {
    let mut name = String::new();
    let mut name_len = 1;
    let mut next = None;
    // Every pointer must lead to before the run of labels it ends, so the walk ends.
    let mut run_start = at;
    let mut cursor = at;
    loop {
        let octet = *value.get(cursor).ok_or(DecodeReason::OptionLength)?;
        match octet & POINTER {
            0 if octet == 0 => return Ok((name, next.unwrap_or(cursor + 1))),
            0 => {
                let end = cursor + 1 + usize::from(octet);
                let label = value.get(cursor + 1..end).ok_or(DecodeReason::OptionLength)?;
                name_len += label.len() + 1;
                if name_len > NAME_LEN_MAX {
                    return Err(DecodeReason::OptionValue);
                }
                if !name.is_empty() {
                    name.push('.');
                }
                escape_label(label, &mut name);
                cursor = end;
            }
            POINTER => {
                let low = *value.get(cursor + 1).ok_or(DecodeReason::OptionLength)?;
                let target = usize::from(u16::from_be_bytes([octet & !POINTER, low]));
                if target >= run_start {
                    return Err(DecodeReason::OptionValue);
                }
                next.get_or_insert(cursor + 2);
                run_start = target;
                cursor = target;
            }
            _ => return Err(DecodeReason::OptionValue),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_3397_is_two_names() {
        let value = b"\x03eng\x05apple\x03com\x00\x09marketing\xc0\x04";
        assert_eq!(decode(value), Ok(vec!["eng.apple.com".into(), "marketing.apple.com".into()]));
    }

    #[test]
    fn hostile_names_are_refused() {
        for (value, reason) in [
            (&b""[..], DecodeReason::OptionLength),
            (b"\xc0\x00", DecodeReason::OptionValue),
            (b"\x01a\xc0\x00", DecodeReason::OptionValue),
            (b"\x01a\x00\xc0\x05", DecodeReason::OptionValue),
            (b"\x05abc", DecodeReason::OptionLength),
            (b"\x01a", DecodeReason::OptionLength),
            (b"\x80a\x00", DecodeReason::OptionValue),
            (b"\x01a\xc0", DecodeReason::OptionLength),
        ] {
            assert_eq!(decode(value), Err(reason), "{value:?}");
            assert_eq!(check(value), Err(reason), "{value:?}");
        }
    }

    #[test]
    fn names_are_written_without_compression_or_not_at_all() {
        let mut out = vec![9];
        assert_eq!(encode_name("a.example.", &mut out), Some(()));
        assert_eq!(out, b"\x09\x01a\x07example\x00");
        let long = vec!["x".repeat(63); 4].join(".");
        out.truncate(1);
        assert_eq!(encode_name(r"a\.b\\.\000\255", &mut out), Some(()));
        assert_eq!(out, b"\x09\x04a.b\\\x02\x00\xff\x00");
        assert_eq!(decode(&out[1..]), Ok(vec![r"a\.b\\.\000\255".to_owned()]));
        out.resize(12, 0);
        for name in ["", ".", ".a", r"\", r"\2", r"\256", r"\2+5", "a..b", &"y".repeat(64), &long] {
            assert_eq!(encode_name(name, &mut out), None, "{name}");
            assert_eq!(out.len(), 12);
        }
    }
}
