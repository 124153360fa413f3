//! What a machine can check of our conventions: walls between crates, sizes, rule IDs, words.
//!
//! The lists here are the law; changing one is a decision and its own commit.

mod config_page;
mod deviations;
mod imports;
mod pages;
mod rules;
mod sources;
