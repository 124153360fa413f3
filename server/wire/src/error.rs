//! Errors of this crate. Each is a closed set, so that a metric can carry it as a label.

use thiserror::Error;

use crate::options::registry::OptionCode;

/// Why a datagram was refused, and where. Nothing of it has been used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("octet {offset}: {reason}{}", OptionSuffix(*option))]
#[non_exhaustive]
pub struct DecodeError {
    /// Offset in octets from the start of what was decoded. For the value of an option: where the
    /// option (its first part, if it came in several) starts.
    pub offset: usize,
    /// What is wrong there.
    pub reason: DecodeReason,
    /// The option concerned, if the fault lies within one.
    pub option: Option<OptionCode>,
}

impl DecodeError {
    /// An error outside any option.
    pub const fn new(offset: usize, reason: DecodeReason) -> Self {
        Self { offset, reason, option: None }
    }

    /// An error within the option `code`.
    pub const fn within(offset: usize, reason: DecodeReason, code: OptionCode) -> Self {
        Self { offset, reason, option: Some(code) }
    }
}

/// Writes ` (option 82)` after an error, or nothing.
struct OptionSuffix(Option<OptionCode>);

impl std::fmt::Display for OptionSuffix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(code) => write!(f, " (option {})", code.0),
            None => Ok(()),
        }
    }
}

/// What is wrong with a datagram. [`DecodeReason::as_str`] is a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[error("{}", self.describe())]
pub enum DecodeReason {
    /// Shorter than the fixed header and the cookie: 240 octets (RFC 2131 section 2).
    Truncated,
    /// Longer than a UDP datagram or a frame can be: 65535 octets.
    TooLong,
    /// `op` is neither BOOTREQUEST nor BOOTREPLY (RFC 1542 section 2.1).
    InvalidOp,
    /// `hlen` exceeds the 16 octets of `chaddr` (RFC 2131 section 2).
    HardwareLength,
    /// The cookie is neither 99.130.83.99 (RFC 2131 section 3) nor zero.
    UnknownCookie,
    /// An option's length reaches past the end of its field.
    OptionTruncated,
    /// A known option has a length its definition does not allow.
    OptionLength,
    /// A known option has the right length but contents its definition does not allow.
    OptionValue,
    /// Option 52 is not 1, 2 or 3, is repeated, or stands in `file` or `sname`
    /// (RFC 2132 section 9.3, RFC 3396 section 5).
    OptionOverload,
    /// A sub-option of option 82 reaches past the end of the option (RFC 3046 section 2.0).
    SubOptionTruncated,
    /// A known sub-option of option 82 has a length its definition does not allow.
    SubOptionLength,
    /// A known sub-option of option 82 has contents its definition does not allow.
    SubOptionValue,
}

impl DecodeReason {
    /// Every reason, in the order of declaration.
    pub const ALL: [DecodeReason; 12] = [
        Self::Truncated,
        Self::TooLong,
        Self::InvalidOp,
        Self::HardwareLength,
        Self::UnknownCookie,
        Self::OptionTruncated,
        Self::OptionLength,
        Self::OptionValue,
        Self::OptionOverload,
        Self::SubOptionTruncated,
        Self::SubOptionLength,
        Self::SubOptionValue,
    ];

    /// The reason as a metric label: lower case, words joined with `_`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::TooLong => "too_long",
            Self::InvalidOp => "invalid_op",
            Self::HardwareLength => "hardware_length",
            Self::UnknownCookie => "unknown_cookie",
            Self::OptionTruncated => "option_truncated",
            Self::OptionLength => "option_length",
            Self::OptionValue => "option_value",
            Self::OptionOverload => "option_overload",
            Self::SubOptionTruncated => "sub_option_truncated",
            Self::SubOptionLength => "sub_option_length",
            Self::SubOptionValue => "sub_option_value",
        }
    }

    const fn describe(self) -> &'static str {
        match self {
            Self::Truncated => "shorter than a header and a cookie",
            Self::TooLong => "longer than any datagram or frame",
            Self::InvalidOp => "op is neither a request nor a reply",
            Self::HardwareLength => "hardware address longer than its field",
            Self::UnknownCookie => "unknown cookie",
            Self::OptionTruncated => "option reaches past its field",
            Self::OptionLength => "option has a length it may not have",
            Self::OptionValue => "option has contents it may not have",
            Self::OptionOverload => "option overload is invalid",
            Self::SubOptionTruncated => "relay agent sub-option reaches past its option",
            Self::SubOptionLength => "relay agent sub-option has a length it may not have",
            Self::SubOptionValue => "relay agent sub-option has contents it may not have",
        }
    }
}

/// A stream that can not be framed any more: the connection is of no further use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The announced size exceeds the limit of this [`Framer`](crate::Framer).
    #[error("frame of {len} octets exceeds the limit of {len_max}")]
    TooLong {
        /// Announced octets.
        len: usize,
        /// Permitted octets.
        len_max: usize,
    },
    /// The announced size can not hold a DHCP message (240 octets at least).
    #[error("frame of {len} octets can not hold a message")]
    TooShort {
        /// Announced octets.
        len: usize,
    },
}

/// Why a value was not written. The message stays valid without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum NotWritten {
    /// No field of the message had room for the whole value.
    #[error("no room for the whole option")]
    NoRoom,
    /// The option is in the message already; a second one would be joined to it by the reader.
    #[error("option is present already")]
    Duplicate,
    /// Pad, End and Option Overload are the writer's own.
    #[error("option is reserved to the writer")]
    Reserved,
    /// The text is longer than `sname` or `file` with the NUL that ends it.
    #[error("text does not fit its header field")]
    FieldTooLong,
    /// `sname` or `file` carries options already.
    #[error("header field carries options")]
    FieldTaken,
}

impl NotWritten {
    /// The refusal as a metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoRoom => "no_room",
            Self::Duplicate => "duplicate",
            Self::Reserved => "reserved",
            Self::FieldTooLong => "field_too_long",
            Self::FieldTaken => "field_taken",
        }
    }
}

/// Why a value given as text can not be the value of an option.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TextError {
    /// The format needs at least one value.
    #[error("a value is required")]
    Missing,
    /// The format takes one value (or none, for a flag).
    #[error("{given} values given, at most {most} allowed")]
    TooMany {
        /// Values given.
        given: usize,
        /// Values allowed.
        most: usize,
    },
    /// The value is not of the form that the format wants.
    #[error("`{value}` is not {wanted}")]
    Malformed {
        /// The text given.
        value: String,
        /// What was wanted, with its article.
        wanted: &'static str,
    },
    /// The whole value is longer than a message can carry.
    #[error("value of {len} octets exceeds {len_max}")]
    TooLong {
        /// Octets of the encoded value.
        len: usize,
        /// Permitted octets.
        len_max: usize,
    },
}
