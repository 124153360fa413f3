//! # What comes in over a connection: octets → dialect → messages
//!
//! **Problem.** Two framings share a port, and nobody says which it is.
//!
//! **Model.** The first octets tell, once for the connection. In the framing of RFC 6926 octet 2 is `op`, 1 in every
//! request, and octet 4 is `hlen`. In the draft's octets 2 and 3 are unused, 0 as a rule, and octet 4 is `op`. If both
//! octets are 1, it is the place of the cookie that tells.
//!
//! **Rules.** Nothing is kept but one message that is not whole and what one call of [`Intake::receive`] brought.
//!
//! **Absent on purpose.** What messages mean.

use crate::limits::QUERY_LEN_MAX;
use replication_ledger::LeasequeryDialect;
use server_wire::{FrameError, Framer, Framing};

/// op of a request.
const BOOTREQUEST: u8 = 1;
/// Octets of a message before its cookie, and the cookie.
const COOKIE_AT: usize = 236;
const COOKIE: [u8; 4] = [99, 130, 83, 99];

/// The receiving half of a connection.
#[derive(Debug)]
pub(crate) struct Intake {
    stream: Stream,
    /// There may be a whole message.
    may_have_message: bool,
}

#[derive(Debug)]
enum Stream {
    /// Too few octets to know the dialect.
    Unknown(Vec<u8>),
    Known(LeasequeryDialect, Framer),
    /// Neither dialect.
    Junk,
}

/// Why nothing more can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The first octets are of neither dialect.
    Junk,
    /// A frame has a size that it can not have.
    Frame(FrameError),
}

impl Intake {
    /// The start of a connection, in this dialect if it is known beforehand.
    pub(crate) fn new(dialect: Option<LeasequeryDialect>) -> Intake {
        let stream = match dialect {
            Some(dialect) => Stream::known(dialect, &[]),
            None => Stream::Unknown(Vec::new()),
        };
        Intake { stream, may_have_message: false }
    }

    /// Takes the dialect as known if no octets have told it.
    pub(crate) fn expect(&mut self, dialect: LeasequeryDialect) {
        if let Stream::Unknown(octets) = &self.stream {
            self.stream = Stream::known(dialect, octets);
        }
    }

    /// The dialect, as soon as it is known.
    pub(crate) fn dialect(&self) -> Option<LeasequeryDialect> {
        match &self.stream {
            Stream::Known(dialect, _) => Some(*dialect),
            Stream::Unknown(_) | Stream::Junk => None,
        }
    }

    /// True unless everything that came was looked at and is less than a message.
    pub(crate) fn may_have_message(&self) -> bool {
        self.may_have_message
    }

    /// Octets that came and were not taken as messages.
    pub(crate) fn pending_len(&self) -> usize {
        match &self.stream {
            Stream::Unknown(octets) => octets.len(),
            Stream::Known(_, framer) => framer.pending_len(),
            Stream::Junk => 0,
        }
    }

    /// Takes octets as they came.
    pub(crate) fn receive(&mut self, octets: &[u8]) {
        match &mut self.stream {
            Stream::Unknown(received) => received.extend_from_slice(octets),
            Stream::Known(_, framer) => framer.push(octets),
            Stream::Junk => return,
        }
        self.may_have_message = true;
    }

    /// The next whole message; none if more octets are needed.
    ///
    /// # Errors
    /// There will never be one.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        if let Stream::Unknown(octets) = &self.stream {
            match recognise(octets) {
                Recognised::Dialect(dialect) => self.stream = Stream::known(dialect, octets),
                Recognised::NotYet => {
                    self.may_have_message = false;
                    return Ok(None);
                }
                Recognised::Neither => self.stream = Stream::Junk,
            }
        }
        let Stream::Known(_, framer) = &mut self.stream else { return Err(Broken::Junk) };
        let message = framer.next_frame().map_err(Broken::Frame)?.map(<[u8]>::to_vec);
        self.may_have_message = message.is_some();
        Ok(message)
    }
}

impl Stream {
    fn known(dialect: LeasequeryDialect, octets: &[u8]) -> Stream {
        let mut framer = Framer::new(framing(dialect), QUERY_LEN_MAX);
        framer.push(octets);
        Stream::Known(dialect, framer)
    }
}

/// How messages of a dialect follow each other.
pub(crate) fn framing(dialect: LeasequeryDialect) -> Framing {
    match dialect {
        LeasequeryDialect::Rfc => Framing::TwoOctet,
        LeasequeryDialect::Draft => Framing::FourOctet,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recognised {
    NotYet,
    Dialect(LeasequeryDialect),
    Neither,
}

// [B-03] A message without its size is no query of either dialect.
fn recognise(octets: &[u8]) -> Recognised {
    let [_, _, second, _, fourth, ..] = octets else { return Recognised::NotYet };
    match (*second == BOOTREQUEST, *fourth == BOOTREQUEST) {
        (true, false) => Recognised::Dialect(LeasequeryDialect::Rfc),
        (false, true) => Recognised::Dialect(LeasequeryDialect::Draft),
        (false, false) => Recognised::Neither,
        // A hardware address of one octet, or unused octets that are in use.
        (true, true) => match octets.get(COOKIE_AT + 2..COOKIE_AT + 6) {
            Some(cookie) if cookie == COOKIE => Recognised::Dialect(LeasequeryDialect::Rfc),
            Some(_) => Recognised::Dialect(LeasequeryDialect::Draft),
            None => Recognised::NotYet,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame whose message begins with these octets.
    fn frame(prefix: &[u8], op_htype_hlen: [u8; 3], message_len: usize) -> Vec<u8> {
        let mut octets = prefix.to_vec();
        octets.extend(op_htype_hlen);
        octets.resize(prefix.len() + COOKIE_AT, 0);
        octets.extend(COOKIE);
        octets.resize(prefix.len() + message_len, 0);
        octets
    }

    #[test]
    fn the_first_octets_tell_the_dialect_wherever_they_are_cut() {
        let check = |octets: &[u8], expected: Option<LeasequeryDialect>| {
            for step in 1..octets.len() {
                let mut intake = Intake::new(None);
                let mut found = Ok(None);
                for part in octets.chunks(step) {
                    intake.receive(part);
                    if let Ok(None) = found {
                        found = intake.next();
                    }
                }
                assert_eq!(intake.dialect(), expected, "in steps of {step}");
                assert_eq!(matches!(found, Ok(Some(_))), expected.is_some());
            }
        };
        let (rfc, draft) = (Some(LeasequeryDialect::Rfc), Some(LeasequeryDialect::Draft));
        check(&frame(&[1, 4], [1, 1, 6], 260), rfc);
        check(&frame(&[1, 4], [1, 1, 1], 260), rfc);
        check(&frame(&[1, 4], [1, 0, 0], 260), rfc);
        check(&frame(&[1, 4, 0, 0], [1, 1, 6], 260), draft);
        check(&frame(&[1, 4, 9, 9], [1, 0, 0], 260), draft);
        check(&frame(&[1, 4, 1, 9], [1, 0, 0], 260), draft);
        check(&frame(&[1, 4], [2, 1, 6], 260), None);
        check(b"GET / HTTP/1.1\r\n\r\n", None);
        check(&[0; 300], None);
    }

    #[test]
    fn sizes_that_can_not_be_are_seen_before_the_message_comes() {
        let check = |octets: &[u8], expected| {
            let mut intake = Intake::new(None);
            intake.receive(octets);
            assert_eq!(intake.next(), Err(Broken::Frame(expected)));
        };
        check(&[0, 0, 1, 1, 6], FrameError::TooShort { len: 0 });
        let too_long = FrameError::TooLong { len: 65_535, len_max: QUERY_LEN_MAX };
        check(&[255, 255, 1, 1, 6], too_long);
        check(&[255, 255, 0, 0, 1], too_long);
    }

    #[test]
    fn a_dialect_that_is_known_beforehand_is_not_told_from_octets() {
        let mut intake = Intake::new(None);
        intake.receive(&frame(&[1, 4, 1, 0], [1, 0, 0], 260));
        intake.expect(LeasequeryDialect::Draft);
        assert!(matches!(intake.next(), Ok(Some(message)) if message.len() == 260));
        assert_eq!(intake.pending_len(), 0);
    }
}
