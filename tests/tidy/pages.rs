//! Pages of `docs/` that are made from the source: metrics, limits, events. Like the rule map, each is
//! written when `UPDATE_DOCS` is set and compared otherwise.
//!
//! The source is read as text, in tokens: strings, names, signs and doc comments. That is enough
//! to find what stands in tables and macro calls, and needs nothing of ours to be built.

use crate::sources::{root, rust_files};
use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use std::str::Chars;

/// What source text is made of, as far as it matters here.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    Text(String),
    Name(String),
    Sign(char),
    /// A doc comment, all its lines together.
    Doc(String),
}

/// The tokens of a source file before its tests.
fn tokens(source: &str) -> Vec<Token> {
    let code = source.find("#[cfg(test)]\nmod ").map_or(source, |position| &source[..position]);
    let mut chars = code.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(c) = chars.next() {
        match c {
            '/' if chars.peek() == Some(&'/') => comment(&mut chars, &mut tokens),
            '"' => tokens.push(Token::Text(text(&mut chars))),
            '\'' => character(&mut chars),
            c if c.is_alphanumeric() || c == '_' => {
                let mut name = String::from(c);
                while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    name.push(c);
                }
                tokens.push(Token::Name(name));
            }
            c if c.is_whitespace() => (),
            c => tokens.push(Token::Sign(c)),
        }
    }
    tokens
}

/// After the first slash of a comment: keeps it if it is documentation.
fn comment(chars: &mut Peekable<Chars<'_>>, tokens: &mut Vec<Token>) {
    let mut line = String::new();
    while let Some(c) = chars.next_if(|c| *c != '\n') {
        line.push(c);
    }
    let Some(doc) = line.strip_prefix("//").filter(|doc| !doc.starts_with('/')) else { return };
    match tokens.last_mut() {
        Some(Token::Doc(before)) => *before = format!("{before} {}", doc.trim()),
        _ => tokens.push(Token::Doc(doc.trim().to_owned())),
    }
}

/// After the opening quote of a string: its value, as far as our texts use escapes.
fn text(chars: &mut Peekable<Chars<'_>>) -> String {
    let mut value = String::new();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => match chars.next() {
                Some('\n') => while chars.next_if(|c| c.is_whitespace()).is_some() {},
                Some('n') => value.push('\n'),
                Some(c) => value.push(c),
                None => break,
            },
            c => value.push(c),
        }
    }
    value
}

/// After a quote: passes over a character, which may be a quotation mark; a lifetime is a name.
fn character(chars: &mut Peekable<Chars<'_>>) {
    let mut ahead = chars.clone();
    let length = if ahead.next() == Some('\\') { 2 } else { 1 };
    let mut ahead = chars.clone().skip(length);
    if ahead.next() == Some('\'') {
        chars.nth(length);
    }
}

fn is(token: Option<&Token>, sign: char) -> bool {
    token == Some(&Token::Sign(sign))
}

/// The source files that are part of the program, with their crates.
fn program() -> Vec<(String, String, Vec<Token>)> {
    let program = rust_files().into_iter().filter_map(|(path, source)| {
        let (folder, file) = path.split_once("/src/")?;
        let is_test = path.starts_with("tests/") || file.ends_with("tests.rs");
        (!is_test).then(|| (folder.replace('/', "-"), path.clone(), tokens(&source)))
    });
    program.collect()
}

#[derive(Default)]
struct Metric {
    kind: &'static str,
    labels: BTreeSet<String>,
    meaning: String,
    home: String,
}

/// Every name that begins as our metrics do, with what stands around it.
fn metrics() -> BTreeMap<String, Metric> {
    let mut metrics: BTreeMap<String, Metric> = BTreeMap::new();
    for (home, _, tokens) in program() {
        for (position, token) in tokens.iter().enumerate() {
            let Token::Text(name) = token else { continue };
            let plain = |c: char| c.is_ascii_lowercase() || c == '_';
            if !name.starts_with("leasehold_") || !name.chars().all(plain) {
                continue;
            }
            let metric = metrics.entry(name.clone()).or_default();
            if metric.home.is_empty() {
                metric.home = home.clone();
            }
            if let Some(kind) = kind_before(&tokens[..position]) {
                metric.kind = kind;
            }
            let (meaning, labels) = rest_of_call(&tokens[position + 1..]);
            metric.labels.extend(labels);
            if metric.meaning.is_empty() {
                metric.meaning = meaning;
            }
        }
    }
    metrics
}

/// The kind of a metric by the macro that its name stands in.
fn kind_before(tokens: &[Token]) -> Option<&'static str> {
    let [.., Token::Name(name), Token::Sign('!'), Token::Sign('(')] = tokens else { return None };
    let kinds = ["counter", "gauge", "histogram"];
    kinds.into_iter().find(|kind| name.ends_with(kind))
}

/// The help text that follows a metric's name, and the labels, up to the end of the call or row.
fn rest_of_call(tokens: &[Token]) -> (String, Vec<String>) {
    let (mut depth, mut meaning, mut labels) = (0, String::new(), Vec::new());
    for (position, token) in tokens.iter().enumerate() {
        match token {
            Token::Sign('(' | '[' | '{') => depth += 1,
            Token::Sign(')' | ']' | '}') if depth == 0 => break,
            Token::Sign(')' | ']' | '}') => depth -= 1,
            Token::Text(text) if depth == 0 => {
                let next = (tokens.get(position + 1), tokens.get(position + 2));
                if is(next.0, '=') && is(next.1, '>') {
                    labels.push(text.clone());
                } else if text.contains(' ') && meaning.is_empty() {
                    meaning = text.clone();
                }
            }
            _ => (),
        }
    }
    (meaning, labels)
}

#[test]
fn every_metric_has_a_meaning_and_the_page_is_current() {
    let mut page = String::from(
        "| name | kind | labels | meaning | crate |\n| --- | --- | --- | --- | --- |\n",
    );
    let mut silent = Vec::new();
    for (name, metric) in metrics() {
        if metric.meaning.is_empty() {
            silent.push(name.clone());
        }
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let meaning = metric.meaning.trim_end_matches('.');
        let Metric { kind, home, .. } = &metric;
        page += &format!("| `{name}` | {kind} | {} | {meaning} | {home} |\n", labels.join(" "));
    }
    assert!(silent.is_empty(), "no help text for {silent:?}");
    current("METRICS", "Metrics at `/metrics`", &page);
}

/// Name, value and documentation of every public constant in these tokens.
fn constants(tokens: &[Token]) -> Vec<(String, String, String)> {
    let mut constants = Vec::new();
    let mut doc = "";
    for (position, token) in tokens.iter().enumerate() {
        match token {
            Token::Doc(text) => doc = text,
            Token::Name(word) if word == "const" && is_public(&tokens[..position]) => {
                let Some(Token::Name(name)) = tokens.get(position + 1) else { continue };
                let value = tokens[position..].iter().skip_while(|token| !is(Some(token), '='));
                let value = value.skip(1).take_while(|token| !is(Some(token), ';'));
                constants.push((name.clone(), written(value), doc.to_owned()));
            }
            _ => (),
        }
    }
    constants
}

fn is_public(before: &[Token]) -> bool {
    matches!(before, [.., Token::Name(word)] if word == "pub")
}

/// An expression as people write it.
fn written<'t>(tokens: impl Iterator<Item = &'t Token>) -> String {
    let mut text = String::new();
    for token in tokens {
        match token {
            Token::Text(value) => text += &format!("\"{value}\""),
            Token::Name(name) => text += name,
            Token::Sign(sign @ ('*' | '/' | '+' | '-')) => text += &format!(" {sign} "),
            Token::Sign('<') if !text.ends_with('<') => text += " <",
            Token::Sign('<') => text += "< ",
            Token::Sign(',') => text += ", ",
            Token::Sign(sign) => text.push(*sign),
            Token::Doc(_) => (),
        }
    }
    text
}

#[test]
fn the_page_of_limits_is_current() {
    let mut page = String::new();
    for (home, path, tokens) in program() {
        if !path.ends_with("/limits.rs") {
            continue;
        }
        page += &format!("## {home}\n\n| name | value | meaning |\n| --- | --- | --- |\n");
        for (name, value, doc) in constants(&tokens) {
            // Links between items lead nowhere on this page.
            let doc = doc.trim_end_matches('.').replace("[`", "`").replace("`]", "`");
            page += &format!("| `{name}` | `{value}` | {doc} |\n");
        }
        page.push('\n');
    }
    current("LIMITS", "Caps and waits", page.trim_end());
}

/// The tokens of one source file.
fn tokens_of(file: &str) -> Vec<Token> {
    let found = program().into_iter().find(|(_, path, _)| path == file);
    found.expect("the file is part of the program").2
}

/// A name of ours as words: `AddressList` is "address list".
fn words(name: &str) -> String {
    let mut words = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

/// Code, name, format and document of every option that the codec knows.
fn options() -> Vec<(String, String, String, String)> {
    let rows = tokens_of("server/wire/src/options/registry.rs");
    let rows = rows.windows(5).filter_map(|row| match row {
        [
            Token::Name(code),
            Token::Name(_),
            Token::Text(name),
            Token::Name(format),
            Token::Text(source),
        ] => Some((code.clone(), name.clone(), format.clone(), source.clone())),
        _ => None,
    });
    rows.collect()
}

/// Every format with what its documentation says.
fn formats() -> Vec<(String, String)> {
    let source = tokens_of("server/wire/src/options/format.rs");
    let start = source.windows(2).position(|words| {
        words == [Token::Name("enum".to_owned()), Token::Name("Format".to_owned())]
    });
    let body = source[start.expect("formats are an enum")..].iter();
    let body: Vec<&Token> = body.take_while(|token| !is(Some(token), '}')).collect();
    let rows = body.windows(2).filter_map(|pair| match pair {
        [Token::Doc(doc), Token::Name(name)] => Some((name.clone(), doc.clone())),
        _ => None,
    });
    rows.collect()
}

#[test]
fn the_page_of_options_is_current() {
    let options = options();
    let mut page = String::from("| code | name | format | document |\n| --- | --- | --- | --- |\n");
    for (code, name, format, source) in &options {
        page += &format!("| {code} | `{name}` | {} | {source} |\n", words(format));
    }
    page += "\nThe value of an option in network.toml, one text or number each, or a list where there are several:\n\n";
    page += "| format | value |\n| --- | --- |\n";
    let formats = formats();
    for (name, doc) in &formats {
        page += &format!("| {} | {} |\n", words(name), doc.trim_end_matches('.'));
    }
    assert!(options.len() > 140 && formats.len() > 30, "the tables are read");
    for (code, _, format, _) in &options {
        assert!(formats.iter().any(|(name, _)| name == format), "option {code}: {format}");
    }
    current("OPTIONS", "Options that are known by name", &page);
}

struct Event {
    level: String,
    homes: BTreeSet<String>,
}

/// Every event that the program writes, and the texts that `ops/src/events.rs` has for them.
fn events() -> (BTreeMap<String, Event>, BTreeMap<String, String>) {
    let program = program();
    let table = program.iter().find(|(_, path, _)| path == "ops/src/events.rs");
    let table = &table.expect("the table of events is a file of ops").2;
    let names: BTreeMap<String, String> = constants(table)
        .into_iter()
        .map(|(name, value, _)| (name, value.trim_matches('"').to_owned()))
        .collect();
    let mut texts = BTreeMap::new();
    for row in table.windows(4) {
        let [Token::Sign('('), name, Token::Sign(','), Token::Text(text)] = row else { continue };
        let name = match name {
            Token::Name(name) => names.get(name).cloned(),
            Token::Text(name) => Some(name.clone()),
            _ => None,
        };
        texts.extend(name.map(|name| (name, text.clone())));
    }
    let mut events = BTreeMap::new();
    for (home, _, tokens) in &program {
        for (position, words) in tokens.windows(3).enumerate() {
            let [Token::Name(word), Token::Sign('='), value] = words else { continue };
            if word != "event" {
                continue;
            }
            let name = match value {
                Token::Text(name) => Some(name.clone()),
                // events::NAME
                Token::Name(path) if path == "events" => match tokens.get(position + 5) {
                    Some(Token::Name(name)) => names.get(name).cloned(),
                    _ => None,
                },
                _ => None,
            };
            let Some(name) = name else { continue };
            let level = level_before(&tokens[..position]);
            let new = || Event { level, homes: BTreeSet::new() };
            events.entry(name).or_insert_with(new).homes.insert(home.clone());
        }
    }
    (events, texts)
}

/// The level of the event that is being written: `warn!(event = …`, or named before, `warn!(name: …, event = …`.
fn level_before(tokens: &[Token]) -> String {
    let call = tokens.windows(3).rev().find_map(|words| match words {
        [Token::Name(level), Token::Sign('!'), Token::Sign('(')] => Some(level.clone()),
        _ => None,
    });
    call.unwrap_or_default()
}

#[test]
fn every_event_has_a_text_for_the_operator_and_the_page_is_current() {
    let (events, texts) = events();
    // What only a developer asks for needs no text.
    let told = |event: &Event| !["debug", "trace"].contains(&event.level.as_str());
    let silent: Vec<&String> = events
        .iter()
        .filter(|(name, event)| told(event) && !texts.contains_key(*name))
        .map(|(name, _)| name)
        .collect();
    assert!(silent.is_empty(), "ops/src/events.rs has no text for {silent:?}");
    let gone: Vec<&String> = texts.keys().filter(|name| !events.contains_key(*name)).collect();
    assert!(gone.is_empty(), "nobody writes {gone:?}, which ops/src/events.rs explains");
    let mut page = String::from("| event | level | meaning | crate |\n| --- | --- | --- | --- |\n");
    for (name, event) in events.iter().filter(|(_, event)| told(event)) {
        let homes = event.homes.iter().cloned().collect::<Vec<_>>().join(" ");
        page += &format!("| `{name}` | {} | {} | {homes} |\n", event.level, texts[name]);
    }
    current("EVENTS", "Events in the log", &page);
}

/// Writes the page if that is asked for, and compares it.
fn current(name: &str, title: &str, body: &str) {
    let page = format!(
        "# {title}\n\nGenerated by `UPDATE_DOCS=1 cargo test --release -p tests --test tidy`; a test \
         fails when it is stale.\n\n{}\n",
        body.trim_end()
    );
    let path = root().join("docs").join(format!("{name}.md"));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("docs/ is writable");
    }
    let present = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(present == page, "docs/{name}.md is stale: run with UPDATE_DOCS=1");
}

#[test]
fn source_text_is_read_as_it_is_meant() {
    let source = "/// One\n/// doc.\npub const A: u8 = 8 << 2; // no doc\nlet q = ('\"', '\\'', &'a \"x \\\n   y\");";
    let name = |name: &str| Token::Name(name.to_owned());
    let read = tokens(source);
    assert_eq!(read[0], Token::Doc("One doc.".to_owned()));
    assert_eq!(read[1..4], [name("pub"), name("const"), name("A")]);
    assert_eq!(constants(&read), [("A".to_owned(), "8 << 2".to_owned(), "One doc.".to_owned())]);
    assert!(read.contains(&Token::Text("x y".to_owned())), "{read:?}");
    assert_eq!(read.iter().filter(|token| matches!(token, Token::Text(_))).count(), 1);
}
