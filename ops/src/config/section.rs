//! Reading a TOML text key by key, keeping the place of each for what may be said about it.
//!
//! serde would stop at the first problem and forget where a value stood. Here every key is asked for by name, a wrong
//! value is noted and reading goes on, and a key that nobody asked for is unknown.

use super::problem::Report;
use std::ops::RangeInclusive;
use toml::de::{DeTable, DeValue};

/// Parses a text. A text that is no TOML is noted in the report, every fault of it.
pub(crate) fn parse<'a>(text: &'a str, report: &Report<'_>) -> Option<DeTable<'a>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let offset = error.span().map_or(0, |span| span.start);
        report.add(offset, "", format!("not valid TOML: {}", error.message()));
    }
    errors.is_empty().then(|| table.into_inner())
}

/// A table of the file, read key by key.
pub(crate) struct Section<'a> {
    table: &'a DeTable<'a>,
    path: String,
    offset: usize,
    report: &'a Report<'a>,
    /// Every key that was asked for, in that order: few, and asked again and again in large files.
    asked: Vec<&'static str>,
}

/// A value of the file with its place.
#[derive(Clone)]
pub(crate) struct Item<'a> {
    value: &'a DeValue<'a>,
    /// The key as a path.
    pub(crate) path: String,
    /// Where it stands, in octets from the beginning.
    pub(crate) offset: usize,
    /// Where it ends.
    end: usize,
    report: &'a Report<'a>,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub(crate) fn root(table: &'a DeTable<'a>, report: &'a Report<'a>) -> Section<'a> {
        Section { table, path: String::new(), offset: 0, report, asked: Vec::new() }
    }

    /// The value of a key, if it is there.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<Item<'a>> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        let (_, value) = self.table.iter().find(|(name, _)| name.get_ref() == key)?;
        Some(Item {
            value: value.get_ref(),
            path: self.path_of(key),
            offset: value.span().start,
            end: value.span().end,
            report: self.report,
        })
    }

    /// The value of a key that must be there; `what` says what to write.
    pub(crate) fn need(&mut self, key: &'static str, what: &str) -> Option<Item<'a>> {
        let item = self.take(key);
        if item.is_none() {
            self.fail(key, format!("missing; {what}"));
        }
        item
    }

    /// The table of a key, if it is there and a table.
    pub(crate) fn section(&mut self, key: &'static str) -> Option<Section<'a>> {
        self.take(key)?.section()
    }

    /// Every key with its value, for tables whose keys are free.
    pub(crate) fn entries(&self) -> Vec<(&'a str, Item<'a>)> {
        let entry = |(name, value): (&'a toml::Spanned<_>, &'a toml::Spanned<DeValue<'a>>)| {
            let name: &'a std::borrow::Cow<'a, str> = name.get_ref();
            let item = Item {
                value: value.get_ref(),
                path: self.path_of(name),
                offset: value.span().start,
                end: value.span().end,
                report: self.report,
            };
            (name.as_ref(), item)
        };
        self.table.iter().map(entry).collect()
    }

    /// Notes something about a key of this table, there or not.
    pub(crate) fn fail(&self, key: &str, reason: impl Into<String>) {
        let offset = self
            .table
            .iter()
            .find(|(name, _)| name.get_ref() == key)
            .map_or(self.offset, |(_, value)| value.span().start);
        self.report.add(offset, &self.path_of(key), reason);
    }

    /// Notes every key that nobody asked for.
    pub(crate) fn finish(self) {
        for (name, _) in self.table {
            let key = name.get_ref();
            if !self.asked.contains(&key.as_ref()) {
                let mut known = self.asked.clone();
                known.sort_unstable();
                let reason = format!("unknown key; known here: {}", known.join(", "));
                self.report.add(name.span().start, &self.path_of(key), reason);
            }
        }
    }

    fn path_of(&self, key: &str) -> String {
        match self.path.is_empty() {
            true => key.to_owned(),
            false => format!("{}.{key}", self.path),
        }
    }
}

impl<'a> Item<'a> {
    /// Notes something about it.
    pub(crate) fn fail(&self, reason: impl Into<String>) {
        self.report.add(self.offset, &self.path, reason);
    }

    /// Notes something about a place in a string: `at` octets into its value. The column is said too.
    pub(crate) fn fail_within(&self, at: usize, reason: &str) {
        let written = self.report.text().get(self.place()).unwrap_or_default();
        let offset = self.offset + place_in_string(written, at);
        let column = self.report.column(offset);
        self.report.add(offset, &self.path, format!("column {column}: {reason}"));
    }

    /// The octets of the text that it takes.
    pub(crate) fn place(&self) -> std::ops::Range<usize> {
        self.offset..self.end
    }

    /// A string; anything else is noted.
    pub(crate) fn text(&self) -> Option<&'a str> {
        self.expect(self.value.as_str(), "a string in quotes")
    }

    /// A string that `parse` takes; its error is noted.
    pub(crate) fn parse<T>(&self, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        match parse(self.text()?) {
            Ok(value) => Some(value),
            Err(reason) => {
                self.fail(reason);
                None
            }
        }
    }

    /// True or false; anything else is noted.
    pub(crate) fn boolean(&self) -> Option<bool> {
        self.expect(self.value.as_bool(), "true or false")
    }

    /// A whole number within bounds; anything else is noted.
    pub(crate) fn integer(&self, bounds: RangeInclusive<u64>) -> Option<u64> {
        let number = self.value.as_integer().and_then(|integer| {
            let sign_and_digits = integer.as_str();
            u64::from_str_radix(sign_and_digits, integer.radix()).ok()
        });
        let wanted = format!("a whole number from {} to {}", bounds.start(), bounds.end());
        self.expect(number.filter(|number| bounds.contains(number)), &wanted)
    }

    /// A part of 1 such as 0.875; anything else is noted.
    pub(crate) fn fraction(&self) -> Option<f64> {
        let number = match self.value {
            DeValue::Float(float) => float.as_str().parse().ok(),
            _ => None,
        };
        let inside = number.filter(|number: &f64| *number > 0.0 && *number < 1.0);
        self.expect(inside, "a number between 0 and 1, such as 0.5")
    }

    /// The items of a list; anything else is noted.
    pub(crate) fn items(&self) -> Vec<Item<'a>> {
        let array = self.expect(self.value.as_array(), "a list in square brackets");
        let item = |(position, value): (usize, &'a toml::Spanned<DeValue<'a>>)| Item {
            value: value.get_ref(),
            path: format!("{}[{position}]", self.path),
            offset: value.span().start,
            end: value.span().end,
            report: self.report,
        };
        array.map(|array| array.iter().enumerate().map(item).collect()).unwrap_or_default()
    }

    /// What `parse` makes of every string of a list; wrong ones are noted and left out.
    pub(crate) fn parse_each<T>(&self, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        self.items().iter().filter_map(|item| item.parse(&parse)).collect()
    }

    /// A table; anything else is noted.
    pub(crate) fn section(&self) -> Option<Section<'a>> {
        let table = self.expect(self.value.as_table(), "a table")?;
        Some(Section {
            table,
            path: self.path.clone(),
            offset: self.offset,
            report: self.report,
            asked: Vec::new(),
        })
    }

    /// True if it is a table, for values of two forms.
    pub(crate) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    /// Each value as the text that stands for it, one for a plain value and several for a list.
    pub(crate) fn texts(&self) -> Option<Vec<String>> {
        match self.value {
            DeValue::Array(_) => {
                self.items().iter().map(|item| item.plain()).collect::<Option<Vec<_>>>()
            }
            _ => self.plain().map(|text| vec![text]),
        }
    }

    fn plain(&self) -> Option<String> {
        let text = match self.value {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Integer(integer) if integer.radix() == 10 => Some(integer.to_string()),
            DeValue::Boolean(value) => Some(value.to_string()),
            _ => None,
        };
        self.expect(text, "a string, a decimal number, true or false, or a list of these")
    }

    fn expect<T>(&self, value: Option<T>, wanted: &str) -> Option<T> {
        if value.is_none() {
            self.fail(format!("must be {wanted}"));
        }
        value
    }
}

/// Where in a string as it is written the octet `at` of its value stands: behind the quotes, and behind longer escapes.
fn place_in_string(written: &str, at: usize) -> usize {
    let quotes = ["\"\"\"", "'''", "\"", "'"];
    let open = quotes.into_iter().find(|quote| written.starts_with(quote)).unwrap_or_default();
    let mut place = open.len();
    if open.len() == 3 {
        // The line break right behind the quotes is none of the value.
        let rest = &written[place..];
        place += ["\r\n", "\n"].iter().find(|b| rest.starts_with(**b)).map_or(0, |b| b.len());
    }
    if open.starts_with('\'') {
        return (place + at).min(written.len());
    }
    let mut value_len = 0;
    while value_len < at {
        let rest = &written[place..];
        let Some(first) = rest.chars().next() else { break };
        let escape = rest.as_bytes().get(1).filter(|_| first == '\\');
        let (written_len, len) = match escape {
            None => (first.len_utf8(), first.len_utf8()),
            Some(b'u' | b'U' | b'x') => escaped_character(rest),
            // A line that goes on: the break and the blanks behind it are none of the value.
            Some(octet) if octet.is_ascii_whitespace() => {
                (rest.len() - rest[1..].trim_start().len(), 0)
            }
            Some(_) => (2, 1),
        };
        place += written_len;
        value_len += len;
    }
    place.min(written.len())
}

/// Octets of an escape by number, and of what it stands for.
fn escaped_character(written: &str) -> (usize, usize) {
    let digits_len = match written.as_bytes()[1] {
        b'U' => 8,
        b'u' => 4,
        _ => 2,
    };
    let number = written.get(2..2 + digits_len).and_then(|d| u32::from_str_radix(d, 16).ok());
    let len = number.and_then(char::from_u32).map_or(1, char::len_utf8);
    ((2 + digits_len).min(written.len()), len)
}

#[cfg(test)]
mod tests {
    use super::place_in_string;

    #[test]
    fn places_in_strings_are_found_behind_quotes_and_escapes() {
        let check = |written: &str, at: usize, expected: &str| {
            assert_eq!(&written[place_in_string(written, at)..], expected, "{written} {at}");
        };
        check("'ab'", 1, "b'");
        check(r#""ab""#, 1, r#"b""#);
        check(r#""\"b""#, 1, r#"b""#);
        check(r#""\u00e9b""#, 2, r#"b""#);
        check(r#""éb""#, 2, r#"b""#);
        check("'''\nab'''", 1, "b'''");
        check("\"\"\"\r\nab\"\"\"", 1, "b\"\"\"");
        check("\"\"\"a\\\n  bc\"\"\"", 2, "c\"\"\"");
        check("\"ab\"", 99, "");
    }
}
