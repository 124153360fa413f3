//! Listings: a table for people, JSON and CSV for scripts.

use clap::{Args, ValueEnum};
use serde::Serialize;
use std::io::{self, Write};

/// How to print a listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// Columns for people.
    #[default]
    Table,
    /// An array of objects.
    Json,
    /// Comma-separated values with a header (RFC 4180).
    Csv,
}

/// The argument of every listing.
#[derive(Debug, Clone, Args)]
pub(crate) struct Output {
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Form,
}

/// What can stand as a row.
pub(crate) trait Row: Serialize {
    /// Names of the columns, lower case.
    const COLUMNS: &'static [&'static str];

    /// One text per column; empty if there is nothing.
    fn cells(&self) -> Vec<String>;
}

/// Prints rows as they come, page by page.
pub(crate) struct Listing<W> {
    out: W,
    form: Form,
    printed: usize,
    widths: Vec<usize>,
}

impl<W: Write> Listing<W> {
    pub(crate) fn new(out: W, form: Form) -> Listing<W> {
        Listing { out, form, printed: 0, widths: Vec::new() }
    }

    /// Prints some rows. The widths of a table are those of the first page, which is wide enough for addresses.
    pub(crate) fn page<R: Row>(&mut self, rows: &[R]) -> io::Result<()> {
        match self.form {
            Form::Table => self.table_page(rows),
            Form::Csv => self.csv_page(rows),
            Form::Json => self.json_page(rows),
        }
    }

    /// Prints what must stand after the last row.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        if self.form == Form::Json {
            self.out.write_all(if self.printed == 0 { b"[]\n" } else { b"\n]\n" })?;
        }
        self.out.flush()
    }

    fn table_page<R: Row>(&mut self, rows: &[R]) -> io::Result<()> {
        let cells: Vec<Vec<String>> = rows.iter().map(Row::cells).collect();
        if self.widths.is_empty() {
            let width = |column: usize, name: &str| {
                let longest = cells.iter().map(|row| row[column].chars().count()).max();
                longest.unwrap_or(0).max(name.len())
            };
            self.widths =
                R::COLUMNS.iter().enumerate().map(|(column, name)| width(column, name)).collect();
            let names: Vec<String> = R::COLUMNS.iter().map(|name| name.to_uppercase()).collect();
            self.table_line(&names)?;
        }
        for row in cells {
            let shown: Vec<String> = row
                .into_iter()
                .map(|cell| if cell.is_empty() { "-".to_owned() } else { cell })
                .collect();
            self.table_line(&shown)?;
        }
        Ok(())
    }

    fn table_line(&mut self, cells: &[String]) -> io::Result<()> {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(&self.widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        writeln!(self.out, "{}", line.trim_end())
    }

    fn csv_page<R: Row>(&mut self, rows: &[R]) -> io::Result<()> {
        if self.printed == 0 {
            writeln!(self.out, "{}", R::COLUMNS.join(","))?;
        }
        for row in rows {
            let cells: Vec<String> = row.cells().iter().map(|cell| quote(cell)).collect();
            writeln!(self.out, "{}", cells.join(","))?;
        }
        // The header stands once, also when the first page is empty.
        self.printed += rows.len().max(1);
        Ok(())
    }

    fn json_page<R: Row>(&mut self, rows: &[R]) -> io::Result<()> {
        for row in rows {
            self.out.write_all(if self.printed == 0 { b"[\n" } else { b",\n" })?;
            serde_json::to_writer(&mut self.out, row)?;
            self.printed += 1;
        }
        Ok(())
    }
}

/// Quotes what RFC 4180 wants quoted.
fn quote(cell: &str) -> String {
    match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Pair {
        name: &'static str,
        value: &'static str,
    }

    impl Row for Pair {
        const COLUMNS: &'static [&'static str] = &["name", "value"];

        fn cells(&self) -> Vec<String> {
            vec![self.name.to_owned(), self.value.to_owned()]
        }
    }

    #[test]
    fn rows_are_printed_in_every_form() {
        let rows = [Pair { name: "a", value: "1,2" }, Pair { name: "long", value: "" }];
        let check = |form: Form, rows: &[Pair], expected: &str| {
            let mut out = Vec::new();
            let mut listing = Listing::new(&mut out, form);
            for row in rows.chunks(1) {
                listing.page(row).expect("memory takes it");
            }
            if rows.is_empty() {
                listing.page(rows).expect("memory takes it");
            }
            listing.finish().expect("memory takes it");
            assert_eq!(String::from_utf8_lossy(&out), expected);
        };
        check(Form::Table, &rows, "NAME  VALUE\na     1,2\nlong  -\n");
        check(Form::Table, &[], "NAME  VALUE\n");
        check(Form::Csv, &rows, "name,value\na,\"1,2\"\nlong,\n");
        check(Form::Csv, &[], "name,value\n");
        check(
            Form::Json,
            &rows,
            "[\n{\"name\":\"a\",\"value\":\"1,2\"},\n{\"name\":\"long\",\"value\":\"\"}\n]\n",
        );
        check(Form::Json, &[], "[]\n");
    }
}
