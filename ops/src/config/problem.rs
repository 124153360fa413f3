//! What is wrong with a file, all of it at once.

use std::cell::RefCell;
use std::fmt;
use thiserror::Error;

/// One thing that is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line in the file, from 1.
    pub line: usize,
    /// The key as a path, such as `subnet[1].pools[0]`; empty if the file is no TOML there.
    pub key: String,
    /// What is wrong and what to do, in one sentence.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.is_empty() {
            true => write!(f, "{}: {}", self.line, self.reason),
            false => write!(f, "{}: {}: {}", self.line, self.key, self.reason),
        }
    }
}

/// A file that is refused, whole. Displays one line per problem: `file:line: key: reason`.
#[derive(Debug, Error)]
pub struct InvalidFile {
    /// The file as the operator named it.
    pub file: String,
    /// In order of line; never empty.
    pub problems: Vec<Problem>,
}

impl fmt::Display for InvalidFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, problem) in self.problems.iter().enumerate() {
            let separator = if position == 0 { "" } else { "\n" };
            write!(f, "{separator}{}:{problem}", self.file)?;
        }
        Ok(())
    }
}

/// Collects the problems of one text.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    text: &'a str,
    /// Each with the octet that it is about, from which its line is reckoned in the end.
    problems: RefCell<Vec<(usize, Problem)>>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(text: &'a str) -> Report<'a> {
        Report { text, problems: RefCell::default() }
    }

    /// Notes what is wrong at an octet of the text.
    pub(crate) fn add(&self, offset: usize, key: &str, reason: impl Into<String>) {
        let problem = Problem { line: 0, key: key.to_owned(), reason: reason.into() };
        self.problems.borrow_mut().push((offset, problem));
    }

    /// The text that is read.
    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    /// The column of an octet of the text, in characters from 1.
    pub(crate) fn column(&self, offset: usize) -> usize {
        let before = self.text.get(..offset).unwrap_or_default();
        let line = before.rfind('\n').map_or(before, |end| &before[end + 1..]);
        1 + line.chars().count()
    }

    /// The value, if nothing was wrong.
    ///
    /// # Errors
    /// Everything that was noted, in order of line.
    pub(crate) fn conclude<T>(self, file: &str, value: Option<T>) -> Result<T, InvalidFile> {
        let problems = self.problems.into_inner();
        let breaks = self.text.bytes().enumerate().filter(|(_, octet)| *octet == b'\n');
        let breaks: Vec<usize> = breaks.map(|(offset, _)| offset).collect();
        let with_line = |(offset, problem): (usize, Problem)| Problem {
            line: 1 + breaks.partition_point(|at| *at < offset),
            ..problem
        };
        let mut problems: Vec<Problem> = problems.into_iter().map(with_line).collect();
        problems.sort_by_key(|problem| problem.line);
        match value {
            Some(value) if problems.is_empty() => Ok(value),
            _ => Err(InvalidFile { file: file.to_owned(), problems }),
        }
    }
}
