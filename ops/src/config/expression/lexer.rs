//! Words, texts and signs of an expression.

use super::Fault;

/// Signs, longer ones first.
const SIGNS: &[&str] = &["!=", "<=", ">=", "..", "(", ")", "[", "]", ",", "=", "<", ">"];

/// A piece of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token<'t> {
    /// A name, a number, an address or octets: letters, digits and what stands between them.
    Word(&'t str),
    /// A text in quotes, its escapes resolved.
    Text(Vec<u8>),
    /// One of [`SIGNS`].
    Sign(&'static str),
    /// Nothing is left.
    End,
}

/// Reads an expression piece by piece.
pub(super) struct Lexer<'t> {
    text: &'t str,
    token: Token<'t>,
    /// Where the present piece begins, and where it ends.
    at: usize,
    end: usize,
}

impl<'t> Lexer<'t> {
    /// At the first piece.
    pub(super) fn new(text: &'t str) -> Result<Lexer<'t>, Fault> {
        let mut lexer = Lexer { text, token: Token::End, at: 0, end: 0 };
        lexer.step()?;
        Ok(lexer)
    }

    /// The present piece.
    pub(super) fn token(&self) -> Token<'t> {
        self.token.clone()
    }

    /// Says what is wrong with the present piece.
    pub(super) fn fault(&self, reason: &str) -> Fault {
        let found = match &self.token {
            Token::End => "it ends here".to_owned(),
            _ => format!("`{}` is not it", &self.text[self.at..self.end]),
        };
        Fault { at: self.at, reason: format!("{reason}; {found}") }
    }

    /// Moves on to the next piece.
    pub(super) fn step(&mut self) -> Result<(), Fault> {
        let rest = &self.text[self.end..];
        let blanks = rest.len() - rest.trim_start().len();
        self.at = self.end + blanks;
        self.end = self.at;
        let rest = &self.text[self.at..];
        let Some(first) = rest.chars().next() else {
            self.token = Token::End;
            return Ok(());
        };
        if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            self.end += sign.len();
            self.token = Token::Sign(sign);
            return Ok(());
        }
        if first == '"' || first == '\'' {
            return self.quoted(first);
        }
        let len = word_len(rest);
        if len == 0 {
            let reason = format!("`{first}` means nothing here");
            return Err(Fault { at: self.at, reason });
        }
        self.end += len;
        self.token = Token::Word(&rest[..len]);
        Ok(())
    }

    /// Moves on if the present piece is this word.
    pub(super) fn takes_word(&mut self, word: &str) -> Result<bool, Fault> {
        let takes = self.token == Token::Word(word);
        if takes {
            self.step()?;
        }
        Ok(takes)
    }

    /// Moves on if the present piece is this sign.
    pub(super) fn takes_sign(&mut self, sign: &'static str) -> Result<bool, Fault> {
        let takes = self.token == Token::Sign(sign);
        if takes {
            self.step()?;
        }
        Ok(takes)
    }

    /// Moves on if the present piece is this sign, and says what was expected if it is not.
    pub(super) fn need_sign(&mut self, sign: &'static str, expected: &str) -> Result<(), Fault> {
        match self.takes_sign(sign)? {
            true => Ok(()),
            false => Err(self.fault(expected)),
        }
    }

    /// A text up to its closing quote; `\\`, `\"`, `\'` and `\xNN` stand for one octet.
    fn quoted(&mut self, quote: char) -> Result<(), Fault> {
        let octets = self.text.as_bytes();
        let mut value = Vec::new();
        let mut at = self.at + 1;
        loop {
            match octets.get(at..).unwrap_or_default() {
                [] => {
                    let reason = format!("this text has no closing {quote}");
                    return Err(Fault { at: self.at, reason });
                }
                [octet, ..] if *octet == quote as u8 => break,
                [b'\\', escaped @ (b'\\' | b'"' | b'\''), ..] => {
                    value.push(*escaped);
                    at += 2;
                }
                [b'\\', b'x', high, low, ..]
                    if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
                {
                    value.push(digit(*high) << 4 | digit(*low));
                    at += 4;
                }
                [b'\\', ..] => {
                    let reason = "expected \\\\, \\\", \\' or \\x with two digits".to_owned();
                    return Err(Fault { at, reason });
                }
                [octet, ..] => {
                    value.push(*octet);
                    at += 1;
                }
            }
        }
        self.end = at + 1;
        self.token = Token::Text(value);
        Ok(())
    }
}

/// The value of a hexadecimal digit.
fn digit(octet: u8) -> u8 {
    match octet {
        b'0'..=b'9' => octet - b'0',
        // The caller saw a hexadecimal digit.
        _ => octet.to_ascii_lowercase().wrapping_sub(b'a').wrapping_add(10),
    }
}

/// Octets of the word at the beginning of a text. Two points in a row are a sign.
fn word_len(text: &str) -> usize {
    let octets = text.as_bytes();
    let is_inside = |at: usize| match octets[at] {
        b'.' => octets.get(at + 1) != Some(&b'.'),
        octet => octet.is_ascii_alphanumeric() || b"-_:/".contains(&octet),
    };
    (0..octets.len()).take_while(|at| is_inside(*at)).count()
}
