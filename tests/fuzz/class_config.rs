//! The part of `ops::config` that reads expressions, compiled by its paths: the whole of `ops` would bring
//! RocksDB into the build of a fuzz target.

#[path = "../../ops/src/config/definitions.rs"]
mod definitions;
#[path = "../../ops/src/config/expression/mod.rs"]
mod expression;
#[path = "../../ops/src/config/limits.rs"]
mod limits;
#[path = "../../ops/src/config/problem.rs"]
mod problem;
#[path = "../../ops/src/config/section.rs"]
mod section;
#[path = "../../ops/src/config/value.rs"]
mod value;

use replication_ledger::Condition;

/// An expression in a file without definitions of its own, with two classes before it.
pub(crate) fn parse(text: &str) -> Option<Condition> {
    let classes = ["first".to_owned(), "second".to_owned()];
    let definitions = definitions::Definitions::default();
    expression::parse(text, expression::Names { definitions: &definitions, classes: &classes }).ok()
}
