//! TCP framings of bulk and active leasequery: how messages follow each other on a connection.
//!
//! RFC 6926 and RFC 7724 put two octets of size before each message; the draft of 2008 puts two
//! octets of size and two unused ones. Nothing here reads a socket: octets go in as they come,
//! frames come out when they are complete.

use crate::error::FrameError;
use crate::message::{FIXED_LEN, MESSAGE_LEN_MAX};

/// What stands before each message on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Framing {
    /// [B-02] Size in two octets, not counting them (RFC 6926 section 6.1, RFC 7724 section 5.1).
    TwoOctet,
    /// [D-04] Size in two octets and two unused ones, neither of them counted
    /// (draft-dtv-dhc-dhcpv4-bulk-leasequery-00 section 7.1).
    FourOctet,
}

impl Framing {
    /// Octets before each message.
    pub const fn prefix_len(self) -> usize {
        match self {
            Self::TwoOctet => 2,
            Self::FourOctet => 4,
        }
    }

    /// Appends one framed message, which `write` appends to the buffer it is given. Whatever
    /// `write` answers is answered.
    ///
    /// # Errors
    /// What `write` appended can not be framed; the buffer is then as it was.
    pub fn frame<T>(
        self,
        buffer: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>) -> T,
    ) -> Result<T, FrameError> {
        let start = buffer.len();
        // [D-07] the unused octets are sent as zero.
        buffer.resize(start + self.prefix_len(), 0);
        let answer = write(buffer);
        let len = buffer.len().saturating_sub(start + self.prefix_len());
        if let Err(error) = check_len(len, MESSAGE_LEN_MAX) {
            buffer.truncate(start);
            return Err(error);
        }
        // [D-05] the size is that of the message alone; it is at most 65535 as just checked.
        buffer[start..start + 2].copy_from_slice(&(len as u16).to_be_bytes());
        Ok(answer)
    }
}

/// Cuts a stream of octets into messages.
#[derive(Debug)]
pub struct Framer {
    framing: Framing,
    frame_len_max: usize,
    received: Vec<u8>,
    /// Octets of `received` that have been handed out.
    taken: usize,
}

impl Framer {
    /// A framer at the start of a connection. Frames of more than `frame_len_max` octets are
    /// refused; it also bounds the memory held, together with what one call of `push` brings.
    pub const fn new(framing: Framing, frame_len_max: usize) -> Self {
        Self { framing, frame_len_max, received: Vec::new(), taken: 0 }
    }

    /// Takes octets as they came from the connection.
    pub fn push(&mut self, octets: &[u8]) {
        if self.taken > 0 {
            self.received.drain(..self.taken);
            self.taken = 0;
        }
        self.received.extend_from_slice(octets);
    }

    /// The next complete message; `None` if more octets are needed.
    ///
    /// # Errors
    /// The announced size is not acceptable. The stream is lost: each further call says the same.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, FrameError> {
        let prefix_len = self.framing.prefix_len();
        let ahead = &self.received[self.taken..];
        // The size is judged as soon as it is there, before a hostile sender fills memory.
        let Some(size) = ahead.first_chunk::<2>() else { return Ok(None) };
        let len = usize::from(u16::from_be_bytes(*size));
        check_len(len, self.frame_len_max)?;
        // [D-06] the unused octets are skipped, whatever they hold.
        if ahead.len() < prefix_len + len {
            return Ok(None);
        }
        let from = self.taken + prefix_len;
        self.taken = from + len;
        Ok(Some(&self.received[from..self.taken]))
    }

    /// Octets received and not handed out: at the end of a stream, other than 0 means that it was
    /// cut within a message.
    pub fn pending_len(&self) -> usize {
        self.received.len() - self.taken
    }
}

fn check_len(len: usize, len_max: usize) -> Result<(), FrameError> {
    if len < FIXED_LEN {
        return Err(FrameError::TooShort { len });
    }
    if len > len_max {
        return Err(FrameError::TooLong { len, len_max });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(len: usize, fill: u8) -> Vec<u8> {
        vec![fill; len]
    }

    fn framed(framing: Framing, messages: &[Vec<u8>]) -> Vec<u8> {
        let mut stream = Vec::new();
        for message in messages {
            let written = framing.frame(&mut stream, |out| out.extend_from_slice(message));
            assert_eq!(written, Ok(()));
        }
        stream
    }

    #[test]
    fn prefixes_are_those_of_the_two_documents() {
        // proves [B-02] [D-04] [D-05] [D-07]
        let two = framed(Framing::TwoOctet, &[message(300, 7)]);
        assert_eq!((&two[..3], two.len()), (&[1, 44, 7][..], 302));
        let four = framed(Framing::FourOctet, &[message(300, 7)]);
        assert_eq!((&four[..5], four.len()), (&[1, 44, 0, 0, 7][..], 304));
    }

    #[test]
    fn unused_octets_are_ignored_whatever_they_hold() {
        // proves [D-06]
        let mut stream = framed(Framing::FourOctet, &[message(240, 7)]);
        stream[2..4].copy_from_slice(&[0xff, 0xff]);
        let mut framer = Framer::new(Framing::FourOctet, MESSAGE_LEN_MAX);
        framer.push(&stream);
        assert_eq!(framer.next_frame(), Ok(Some(&message(240, 7)[..])));
    }

    #[test]
    fn a_stream_cut_anywhere_gives_the_same_messages() {
        let messages = [message(240, 1), message(65535, 2), message(1000, 3)];
        for framing in [Framing::TwoOctet, Framing::FourOctet] {
            let stream = framed(framing, &messages);
            for step in [1, 2, 3, 239, 241, 4096, stream.len()] {
                let mut framer = Framer::new(framing, MESSAGE_LEN_MAX);
                let mut found = Vec::new();
                for octets in stream.chunks(step) {
                    framer.push(octets);
                    while let Some(frame) = framer.next_frame().expect("valid sizes") {
                        found.push(frame.to_vec());
                    }
                }
                assert!(found == messages, "{framing:?} in steps of {step}");
                assert_eq!(framer.pending_len(), 0);
            }
        }
    }

    #[test]
    fn an_unacceptable_size_is_refused_before_the_message_comes() {
        let mut framer = Framer::new(Framing::TwoOctet, 1000);
        framer.push(&[3]);
        assert_eq!(framer.next_frame(), Ok(None));
        framer.push(&[0xe9]);
        let refused = Err(FrameError::TooLong { len: 1001, len_max: 1000 });
        assert_eq!(framer.next_frame(), refused);
        framer.push(&[0; 2000]);
        assert_eq!(framer.next_frame(), refused);

        let mut framer = Framer::new(Framing::FourOctet, 1000);
        framer.push(&[0, 239]);
        assert_eq!(framer.next_frame(), Err(FrameError::TooShort { len: 239 }));
    }

    #[test]
    fn a_stream_that_ends_within_a_message_shows_what_is_left() {
        let stream = framed(Framing::TwoOctet, &[message(240, 1), message(240, 2)]);
        let mut framer = Framer::new(Framing::TwoOctet, 1000);
        framer.push(&stream[..300]);
        assert!(matches!(framer.next_frame(), Ok(Some(_))));
        assert_eq!(framer.next_frame(), Ok(None));
        assert_eq!(framer.pending_len(), 300 - 242);
    }

    #[test]
    fn what_can_not_be_framed_leaves_the_buffer_as_it_was() {
        let mut buffer = vec![9];
        for len in [0, 239, 65536] {
            let written =
                Framing::TwoOctet.frame(&mut buffer, |out| out.resize(out.len() + len, 0));
            assert!(written.is_err());
            assert_eq!(buffer, [9]);
        }
    }
}
