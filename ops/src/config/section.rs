//! Reading a TOML text key by key, keeping the place of each for what may be said about it.
//!
//! serde would stop at the first problem and forget where a value stood. Here every key is asked for by name, a wrong
//! value is noted and reading goes on, and a key that nobody asked for is unknown.

use super::problem::Report;
use std::collections::BTreeSet;
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
    asked: BTreeSet<&'static str>,
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
        Section { table, path: String::new(), offset: 0, report, asked: BTreeSet::new() }
    }

    /// The value of a key, if it is there.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<Item<'a>> {
        self.asked.insert(key);
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
            if !self.asked.contains(key.as_ref()) {
                let known: Vec<&str> = self.asked.iter().copied().collect();
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
            asked: BTreeSet::new(),
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
