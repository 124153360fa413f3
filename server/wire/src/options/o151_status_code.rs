//! Option 151, status-code (RFC 6926 section 6.2.2, RFC 7724 section 5.2.2), and the STATUS_CODE
//! option of the draft of 2008, whose numbers and width differ: the two must not be mixed.

use crate::error::DecodeReason;
use crate::reader::Reader;

/// The status codes of RFC 6926 and RFC 7724: one octet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum StatusCode {
    /// Also meant by the absence of the option.
    Success = 0,
    /// A failure of no other kind.
    UnspecFail = 1,
    /// The server ends the query before its end.
    QueryTerminated = 2,
    /// The query could not be understood.
    MalformedQuery = 3,
    /// The requestor may not ask this.
    NotAllowed = 4,
    /// The server no longer has all that catch-up asks for (RFC 7724).
    DataMissing = 5,
    /// The connection is alive and there is nothing to say (RFC 7724).
    ConnectionActive = 6,
    /// Catch-up is complete (RFC 7724).
    CatchUpComplete = 7,
    /// There will be no TLS on this connection (RFC 7724).
    TlsConnectionRefused = 8,
}

impl StatusCode {
    /// Every code in the order of the numbers.
    pub const ALL: [StatusCode; 9] = [
        Self::Success,
        Self::UnspecFail,
        Self::QueryTerminated,
        Self::MalformedQuery,
        Self::NotAllowed,
        Self::DataMissing,
        Self::ConnectionActive,
        Self::CatchUpComplete,
        Self::TlsConnectionRefused,
    ];

    /// The code with this number; `None` if it is not assigned.
    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The code as a metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::UnspecFail => "unspec_fail",
            Self::QueryTerminated => "query_terminated",
            Self::MalformedQuery => "malformed_query",
            Self::NotAllowed => "not_allowed",
            Self::DataMissing => "data_missing",
            Self::ConnectionActive => "connection_active",
            Self::CatchUpComplete => "catch_up_complete",
            Self::TlsConnectionRefused => "tls_connection_refused",
        }
    }
}

/// The value of option 151.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status<'a> {
    /// The number; [`StatusCode::from_u8`] names it.
    pub code: u8,
    /// UTF-8 text for people, without NUL.
    pub message: &'a str,
}

impl<'a> Status<'a> {
    /// Decodes the value of option 151.
    ///
    /// # Errors
    /// `OptionLength` if it is empty, `OptionValue` if the text is not UTF-8 or holds a NUL.
    pub fn decode(value: &'a [u8]) -> Result<Self, DecodeReason> {
        let mut reader = Reader::new(value);
        let code = reader.u8().ok_or(DecodeReason::OptionLength)?;
        Ok(Self { code, message: status_text(reader.rest())? })
    }

    /// Appends the value of option 151.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.code);
        out.extend(self.message.bytes().filter(|octet| *octet != 0));
    }
}

/// The status codes of the draft of 2008, section 7.4.1: two octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum DraftStatusCode {
    /// [D-38] Also meant by the absence of the option.
    Success = 0,
    /// A failure of no other kind.
    UnspecFail = 1,
    /// The server does not know or support this kind of query.
    UnknownQueryType = 2,
    /// The query could not be understood.
    MalformedQuery = 3,
    /// The requestor may not ask this.
    NotAllowed = 4,
    /// The server ends the query before its end.
    QueryTerminated = 5,
}

impl DraftStatusCode {
    /// Every code in the order of the numbers.
    pub const ALL: [DraftStatusCode; 6] = [
        Self::Success,
        Self::UnspecFail,
        Self::UnknownQueryType,
        Self::MalformedQuery,
        Self::NotAllowed,
        Self::QueryTerminated,
    ];

    /// The code with this number; `None` if the draft has none.
    pub fn from_u16(number: u16) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// The value of the draft's STATUS_CODE option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DraftStatus<'a> {
    /// The number; [`DraftStatusCode::from_u16`] names it.
    pub code: u16,
    /// UTF-8 text for people, without NUL.
    pub message: &'a str,
}

impl<'a> DraftStatus<'a> {
    /// The status of a message that may carry the option and does not.
    pub const ABSENT: DraftStatus<'static> = DraftStatus { code: 0, message: "" };

    /// Decodes the value of the draft's option.
    ///
    /// # Errors
    /// `OptionLength` if there is no code, `OptionValue` if the text is not UTF-8 or holds a NUL.
    pub fn decode(value: &'a [u8]) -> Result<Self, DecodeReason> {
        let mut reader = Reader::new(value);
        // [D-36] a code of two octets, drawn as in DHCPv6, in an option of DHCPv4.
        let code = reader.u16().ok_or(DecodeReason::OptionLength)?;
        Ok(Self { code, message: status_text(reader.rest())? })
    }

    /// Appends the value of the draft's option.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.code.to_be_bytes());
        // [D-37] no NUL at the end, nor anywhere.
        out.extend(self.message.bytes().filter(|octet| *octet != 0));
    }
}

fn status_text(octets: &[u8]) -> Result<&str, DecodeReason> {
    match std::str::from_utf8(octets) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(DecodeReason::OptionValue),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_one_octet_and_text() {
        assert_eq!(Status::decode(&[3]), Ok(Status { code: 3, message: "" }));
        assert_eq!(Status::decode(b"\x02bye"), Ok(Status { code: 2, message: "bye" }));
        assert_eq!(Status::decode(&[]), Err(DecodeReason::OptionLength));
        assert_eq!(Status::decode(b"\x02by\0"), Err(DecodeReason::OptionValue));
        assert_eq!(Status::decode(b"\x02\xff"), Err(DecodeReason::OptionValue));
        let mut out = Vec::new();
        Status { code: 8, message: "no\0" }.encode(&mut out);
        assert_eq!(out, b"\x08no");
    }

    #[test]
    fn draft_status_is_two_octets_and_text_without_nul() {
        // proves [D-36] [D-37] [D-38]
        let mut out = Vec::new();
        DraftStatus { code: 5, message: "stop\0" }.encode(&mut out);
        assert_eq!(out, b"\x00\x05stop");
        assert_eq!(DraftStatus::decode(&out), Ok(DraftStatus { code: 5, message: "stop" }));
        assert_eq!(DraftStatus::decode(&[0]), Err(DecodeReason::OptionLength));
        let absent = DraftStatusCode::from_u16(DraftStatus::ABSENT.code);
        assert_eq!(absent, Some(DraftStatusCode::Success));
    }

    #[test]
    fn the_same_number_means_different_things_in_the_two_spaces() {
        assert_eq!(StatusCode::from_u8(5), Some(StatusCode::DataMissing));
        assert_eq!(DraftStatusCode::from_u16(5), Some(DraftStatusCode::QueryTerminated));
        assert_eq!(StatusCode::from_u8(9), None);
        assert_eq!(DraftStatusCode::from_u16(6), None);
    }
}
