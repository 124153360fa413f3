//! Which classes a promise counts for, where a class may have so many addresses as a whole.
//!
//! A class is known by a number that follows from its name, so that it is the same in every revision of the configuration. What a promise
//! counts for is what its client was in when it was made or last extended, and stands with the binding: whoever applies the log counts alike.

use crate::stable_hash::stable_hash;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The number of a class.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct ClassNumber(pub u32);

impl ClassNumber {
    /// The number of the class with this name. Two names may share one: the configuration is refused then.
    pub fn of(name: &str) -> ClassNumber {
        ClassNumber(stable_hash(name.as_bytes()))
    }
}

/// Some classes. Most promises count for none, and that takes eight octets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitedClasses(Option<Box<Box<[ClassNumber]>>>);

impl LimitedClasses {
    /// Their numbers.
    pub fn numbers(&self) -> &[ClassNumber] {
        self.0.as_deref().map_or(&[], |numbers| numbers)
    }

    /// True if it has this class.
    pub fn contains(&self, class: ClassNumber) -> bool {
        self.numbers().contains(&class)
    }
}

impl FromIterator<ClassNumber> for LimitedClasses {
    fn from_iter<I: IntoIterator<Item = ClassNumber>>(numbers: I) -> Self {
        let mut numbers = numbers.into_iter().peekable();
        let first = numbers.peek().copied();
        LimitedClasses(first.map(|_| Box::new(numbers.collect())))
    }
}

impl Serialize for LimitedClasses {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.numbers().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LimitedClasses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<ClassNumber>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_class_takes_a_pointers_room_and_equals_every_other_none() {
        assert_eq!(size_of::<LimitedClasses>(), size_of::<usize>());
        let none: LimitedClasses = [].into_iter().collect();
        assert_eq!((none.clone(), none.numbers().len()), (LimitedClasses::default(), 0));
        let voip = ClassNumber::of("voip");
        let one: LimitedClasses = [voip].into_iter().collect();
        assert!(one.contains(voip) && !one.contains(ClassNumber::of("tv")));
    }
}
