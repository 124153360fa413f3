//! `[[class]]`: classes of clients by expression.

use super::clients;
use super::definitions::Definitions;
use super::expression::{self, Names};
use super::lease;
use super::limits::{CLASS_QUESTIONS_MAX, CLASSES_MAX};
use super::options;
use super::section::{Item, Section};
use replication_ledger::{Boot, Class, Condition};

/// Reads every class, in the order of the file. One whose expression is wrong is noted and has clients none: what names it
/// elsewhere is right all the same.
pub(super) fn read(root: &mut Section<'_>, definitions: &Definitions) -> Vec<Class> {
    let mut classes: Vec<Class> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut questions = 0;
    for item in root.take("class").map(|item| item.items()).unwrap_or_default() {
        let known = Names { definitions, classes: &names };
        let Some(class) = read_one(&item, known) else { continue };
        questions += class.condition.steps.len();
        if names.contains(&class.name) {
            item.fail(format!("{} is the name of another class; choose another", class.name));
        } else if let Some(twin) = classes
            .iter()
            .find(|known| known.limited().is_some() && known.limited() == class.limited())
        {
            item.fail(format!(
                "{} and {} cannot be told apart by the number that follows from their names; give one \
                 another name",
                class.name, twin.name
            ));
        } else if classes.len() >= CLASSES_MAX {
            item.fail(format!("is one class too many; {CLASSES_MAX} are allowed"));
            break;
        } else if questions > CLASS_QUESTIONS_MAX {
            item.fail(format!(
                "makes it more than {CLASS_QUESTIONS_MAX} questions in all classes; lists are one \
                 question each"
            ));
            break;
        } else {
            names.push(class.name.clone());
            classes.push(class);
        }
    }
    classes
}

fn read_one(item: &Item<'_>, names: Names<'_>) -> Option<Class> {
    let mut section = item.section()?;
    let name = section
        .need("name", "write the name that pools and other classes use")
        .and_then(|item| item.text().map(str::to_owned));
    let condition = section
        .need("match", "write the expression that holds for its clients")
        .and_then(|item| condition(&item, names));
    let own = section.section("options").map(|keys| options::read(&keys, names.definitions));
    let boot = section.section("boot").map(|keys| clients::boot(keys, &Boot::default()));
    let lease = section.section("lease").map(lease::span).unwrap_or_default();
    let addresses_per_remote_id_max = clients::addresses(&mut section, "addresses_per_remote_id");
    let addresses_per_circuit_id_max = clients::addresses(&mut section, "addresses_per_circuit_id");
    let addresses_max =
        section.take("addresses").and_then(|item| item.integer(1..=u64::from(u32::MAX)));
    section.finish();
    Some(Class {
        options: own.unwrap_or_default(),
        boot: boot.unwrap_or_default(),
        lease,
        addresses_per_remote_id_max,
        addresses_per_circuit_id_max,
        // The bounds are those of 32 bits.
        addresses_max: addresses_max.map(|number| number as u32),
        ..Class::new(&name?, condition.unwrap_or_default())
    })
}

/// An expression; what is wrong with it is noted at its place.
pub(super) fn condition(item: &Item<'_>, names: Names<'_>) -> Option<Condition> {
    match expression::parse(item.text()?, names) {
        Ok(condition) => Some(condition),
        Err(fault) => {
            item.fail_within(fault.at, &fault.reason);
            None
        }
    }
}
