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

    /// Those of them that a table leaves out until a row has something there.
    const RARE: &'static [&'static str] = &[];

    /// One text per column; empty if there is nothing.
    fn cells(&self) -> Vec<String>;
}

/// Prints rows as they come, page by page.
pub(crate) struct Listing<W> {
    out: W,
    form: Form,
    printed: usize,
    /// Of each column of a table; none for one that is left out.
    widths: Vec<Option<usize>>,
}

impl<W: Write> Listing<W> {
    pub(crate) fn new(out: W, form: Form) -> Listing<W> {
        Listing { out, form, printed: 0, widths: Vec::new() }
    }

    /// Prints some rows. The widths of a table are those of the first page, which is wide enough for addresses. If a rare column has to
    /// come in on a later page, the heading stands once more.
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
        let longest: Vec<usize> = (0..R::COLUMNS.len())
            .map(|column| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
            .collect();
        let known = |column: usize| self.widths.get(column).copied().flatten();
        let columns = R::COLUMNS.iter().zip(longest).enumerate();
        let widths: Vec<Option<usize>> = columns
            .map(|(column, (name, longest))| match known(column) {
                None if longest == 0 && R::RARE.contains(name) => None,
                width => Some(width.unwrap_or_else(|| longest.max(name.len()))),
            })
            .collect();
        if widths != self.widths {
            self.widths = widths;
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
            if let Some(width) = width {
                line.push_str(&format!("{cell:width$}  "));
            }
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

    #[derive(Serialize)]
    struct Rarely(Option<&'static str>, u8);

    impl Row for Rarely {
        const COLUMNS: &'static [&'static str] = &["rare", "number"];
        const RARE: &'static [&'static str] = &["rare"];

        fn cells(&self) -> Vec<String> {
            vec![self.0.unwrap_or_default().to_owned(), self.1.to_string()]
        }
    }

    #[test]
    fn a_rare_column_stands_in_a_table_from_where_a_row_has_it() {
        let check = |form: Form, pages: &[&[Rarely]], expected: &str| {
            let mut out = Vec::new();
            let mut listing = Listing::new(&mut out, form);
            for page in pages {
                listing.page(page).expect("memory takes it");
            }
            listing.finish().expect("memory takes it");
            assert_eq!(String::from_utf8_lossy(&out), expected);
        };
        let (without, with) =
            (&[Rarely(None, 1)][..], &[Rarely(None, 2), Rarely(Some("x"), 3)][..]);
        check(Form::Table, &[without, without], "NUMBER\n1\n1\n");
        check(Form::Table, &[with], "RARE  NUMBER\n-     2\nx     3\n");
        let expected = "NUMBER\n1\nRARE  NUMBER\n-     2\nx     3\n-     1\n";
        check(Form::Table, &[without, with, without], expected);
        check(Form::Csv, &[without], "rare,number\n,1\n");
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
