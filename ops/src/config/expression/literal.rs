//! Values in expressions.

use super::super::value;
use super::Fault;
use super::lexer::{Lexer, Token};
use super::names::{Kind, MESSAGE_TYPES};

/// A value to compare with.
pub(super) enum Literal {
    /// Octets as they are.
    Octets(Vec<u8>),
    /// Numbers from the first to the last one.
    Span(u32, u32),
}

/// The numbers that stand in an order to another one; none if there are none.
type Span = fn(u32) -> Option<(u32, u32)>;

/// Signs of order, with the numbers that they mean.
pub(super) const ORDERS: [(&str, Span); 4] = [
    ("<", |number| Some((0, number.checked_sub(1)?))),
    ("<=", |number| Some((0, number))),
    (">", |number| Some((number.checked_add(1)?, u32::MAX))),
    (">=", |number| Some((number, u32::MAX))),
];

/// Reads a value that a field of this kind may be compared with.
pub(super) fn read(lexer: &mut Lexer<'_>, kind: Kind) -> Result<Literal, Fault> {
    let fault = || lexer.fault(wanted(kind));
    let literal = match lexer.token() {
        Token::Text(octets) => Literal::Octets(octets),
        Token::Word(word) => in_word(word, kind).ok_or_else(fault)?,
        Token::Sign(_) | Token::End => return Err(fault()),
    };
    let fits = match (&literal, kind) {
        (Literal::Octets(_), Kind::Number | Kind::MessageType | Kind::Address) => false,
        (Literal::Span(..), Kind::Octets | Kind::Text) => false,
        (_, _) => true,
    };
    if !fits {
        return Err(fault());
    }
    lexer.step()?;
    Ok(literal)
}

/// Reads octets.
pub(super) fn octets(lexer: &mut Lexer<'_>, kind: Kind) -> Result<Vec<u8>, Fault> {
    let fault = lexer.fault("expected octets: text in quotes, 0x0102ff or 01:02:ff");
    // Octets of anything can be looked at, also where whole values are numbers.
    let kind = if kind == Kind::Text { kind } else { Kind::Octets };
    match read(lexer, kind) {
        Ok(Literal::Octets(octets)) => Ok(octets),
        Ok(Literal::Span(..)) => Err(fault),
        Err(_) => Err(fault),
    }
}

/// Reads one number or address.
pub(super) fn number(lexer: &mut Lexer<'_>, kind: Kind) -> Result<u32, Fault> {
    let fault = lexer.fault("expected a number or an address");
    if matches!(kind, Kind::Octets | Kind::Text) {
        return Err(lexer.fault("this field has no order; expected `=`, `in` or `starts-with`"));
    }
    match read(lexer, kind) {
        Ok(Literal::Span(first, last)) if first == last => Ok(first),
        _ => Err(fault),
    }
}

fn in_word(word: &str, kind: Kind) -> Option<Literal> {
    let by_name = MESSAGE_TYPES.iter().find(|(name, _)| *name == word);
    if let Some((_, number)) = by_name.filter(|_| kind == Kind::MessageType) {
        return Some(Literal::Span(*number, *number));
    }
    if let Some(digits) = word.strip_prefix("0x") {
        return match kind {
            Kind::Number | Kind::MessageType => {
                let number = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                let number = number.then(|| u32::from_str_radix(digits, 16).ok())??;
                Some(Literal::Span(number, number))
            }
            _ => value::hex(digits).ok().map(|octets| Literal::Octets(octets.to_vec())),
        };
    }
    if word.contains(':') {
        let pairs = word.split(':').all(|pair| pair.len() == 2);
        return value::hex(word).ok().filter(|_| pairs).map(|o| Literal::Octets(o.to_vec()));
    }
    if word.bytes().all(|digit| digit.is_ascii_digit()) {
        let number = word.parse().ok()?;
        return Some(Literal::Span(number, number)).filter(|_| kind != Kind::Address);
    }
    let is_address = word.starts_with(|c: char| c.is_ascii_digit()) && kind != Kind::Number;
    let range = is_address.then(|| value::range(word).ok())??;
    Some(Literal::Span(range.first.into(), range.last.into()))
}

fn wanted(kind: Kind) -> &'static str {
    match kind {
        Kind::Number => "expected a number",
        Kind::MessageType => {
            "expected discover, request, decline, release, inform or the number of a type"
        }
        Kind::Address => "expected an address, a range of addresses or a prefix",
        Kind::Octets => "expected octets: 00:16:3e, 0x00163e or text in quotes",
        Kind::Text => "expected text in quotes",
        Kind::Any => {
            "expected text in quotes, a number, 0x0102ff, 01:02:ff, an address or a prefix"
        }
    }
}

/// The same numbers in spans that are sorted and apart.
pub(super) fn joined(mut spans: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    spans.sort_unstable();
    let mut apart: Vec<(u32, u32)> = Vec::new();
    for (first, last) in spans {
        match apart.last_mut() {
            Some((_, end)) if first <= *end => *end = last.max(*end),
            _ => apart.push((first, last)),
        }
    }
    apart
}
