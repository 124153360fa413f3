//! Classes of clients: what a message must look like, and what its client then gets.
//!
//! **Problem.** Operators say in words of their own which clients get which addresses and options. Every member must judge a message
//! alike, some ten thousand times a second, whatever was written.
//!
//! **Model.** An expression of the file (docs/CLASSES.md) becomes a [`Condition`]: questions in a row, each with the place to go on
//! at for yes and for no. `and`, `or` and `not` are nothing but places, so whoever judges needs no stack.
//!
//! **Rules.** Every way on leads forward or to an end. A condition that breaks that, because it is damaged, holds for nobody; so judging
//! ends after as many steps as there are questions, for any value of these types.
//!
//! **Absent on purpose.** Messages: what a field's value is belongs to whoever has one. Text: it stands in the settings' source.

use crate::{Boot, ClassNumber, LeaseTimes, Octets, OptionValue};
use serde::{Deserialize, Serialize};

/// What is asked of a message, or of where it came from. Values are octets as on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Field {
    /// chaddr, as far as it is in use.
    HardwareAddress,
    /// htype.
    HardwareType,
    /// hlen.
    HardwareLength,
    /// hops.
    Hops,
    /// secs.
    Seconds,
    /// flags.
    Flags,
    /// xid.
    TransactionId,
    /// ciaddr.
    ClientAddress,
    /// giaddr: the relay, also for a client that speaks without it by now.
    RelayAddress,
    /// sname, up to its NUL.
    ServerName,
    /// file, up to its NUL.
    File,
    /// Option 53; BOOTP has none.
    MessageType,
    /// An option, by code.
    Option(u8),
    /// A sub-option of an option that holds codes, lengths and values, as option 43 does.
    SubOption(u8, u8),
    /// What an option of RFC 3925 holds for an enterprise number.
    Enterprise(u8, u32),
    /// A sub-option of that.
    EnterpriseSubOption(u8, u32, u8),
    /// A sub-option of option 82.
    RelaySubOption(u8),
    /// The address of the lowest subnet of the client's link.
    Subnet,
    /// The name of its network.
    Network,
}

/// A part of a field's value: octets from `start` to before `end`, as far as they are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Whose value.
    pub field: Field,
    /// First octet, from 0.
    pub start: u16,
    /// The octet after the last one.
    pub end: u16,
}

impl Part {
    /// The whole value.
    pub fn whole(field: Field) -> Part {
        Part { field, start: 0, end: u16::MAX }
    }

    /// Cuts it out of the value.
    pub fn of(self, value: &[u8]) -> &[u8] {
        let end = usize::from(self.end).min(value.len());
        value.get(usize::from(self.start)..end).unwrap_or_default()
    }
}

/// What is asked about a value. The answer is no if the message has no such value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Test {
    /// That it is there.
    Exists,
    /// That it is one of these; sorted.
    Among(Vec<Octets>),
    /// That as a number of one to four octets it lies in one of these spans, ends included; sorted and disjoint.
    Within(Vec<(u32, u32)>),
    /// How it begins.
    StartsWith(Octets),
    /// How it ends.
    EndsWith(Octets),
    /// What is somewhere in it.
    Contains(Octets),
}

impl Test {
    /// The answer for this value.
    pub fn holds(&self, value: &[u8]) -> bool {
        match self {
            Test::Exists => true,
            Test::Among(list) => list.binary_search_by(|known| known[..].cmp(value)).is_ok(),
            Test::Within(spans) => number(value).is_some_and(|number| is_within(spans, number)),
            Test::StartsWith(octets) => value.starts_with(octets),
            Test::EndsWith(octets) => value.ends_with(octets),
            // The empty row of octets is in every value; `windows` would not hear of it.
            Test::Contains(octets) => {
                octets.is_empty() || value.windows(octets.len()).any(|part| part == &octets[..])
            }
        }
    }
}

fn number(value: &[u8]) -> Option<u32> {
    let fits = (1..=4).contains(&value.len());
    fits.then(|| value.iter().fold(0, |number, octet| number << 8 | u32::from(*octet)))
}

fn is_within(spans: &[(u32, u32)], number: u32) -> bool {
    let after = spans.partition_point(|(first, _)| *first <= number);
    after.checked_sub(1).and_then(|at| spans.get(at)).is_some_and(|(_, last)| number <= *last)
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// About a value.
    Value(Part, Test),
    /// Whether the client is in the class at this place of [`crate::Settings::classes`]; always an earlier one.
    Member(u16),
}

/// A question, and where to go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What is asked.
    pub question: Question,
    /// The place of the next step if the answer is yes, or an end.
    pub yes: u16,
    /// The same for no.
    pub no: u16,
}

/// The end at which the condition holds.
pub const HOLDS: u16 = u16::MAX;
/// The end at which it does not.
pub const FAILS: u16 = u16::MAX - 1;

/// An expression as questions in a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// The questions; the first one begins. Ways on lead forward.
    pub steps: Vec<Step>,
}

impl Condition {
    /// True if it holds, when questions are answered so. Each is asked at most once.
    pub fn holds(&self, mut answer: impl FnMut(&Question) -> bool) -> bool {
        let mut at = 0;
        while let Some(step) = self.steps.get(usize::from(at)) {
            let next = if answer(&step.question) { step.yes } else { step.no };
            match next {
                HOLDS => return true,
                // Not forward: damaged.
                next if next <= at => return false,
                next => at = next,
            }
        }
        // Behind the last step lies [`FAILS`], and so does whatever is damaged.
        false
    }
}

/// Lease times as far as a place says them; T1 and T2 stay as the subnet has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseSpan {
    /// What a client gets that asks for no particular time, in seconds.
    pub default_seconds: Option<u32>,
    /// The shortest time granted, in seconds.
    pub min_seconds: Option<u32>,
    /// The longest time granted, in seconds.
    pub max_seconds: Option<u32>,
}

impl LeaseSpan {
    /// These times, and those of `outer` where these are silent. A default that is not given is moved between the bounds.
    pub fn within(&self, outer: LeaseTimes) -> LeaseTimes {
        let min_seconds = self.min_seconds.unwrap_or(outer.min_seconds);
        let max_seconds = self.max_seconds.unwrap_or(outer.max_seconds);
        let default_seconds = self
            .default_seconds
            .unwrap_or_else(|| outer.default_seconds.max(min_seconds).min(max_seconds));
        LeaseTimes { default_seconds, min_seconds, max_seconds, ..outer }
    }

    /// These times, and those of `other` where these are silent.
    pub fn or(self, other: LeaseSpan) -> LeaseSpan {
        LeaseSpan {
            default_seconds: self.default_seconds.or(other.default_seconds),
            min_seconds: self.min_seconds.or(other.min_seconds),
            max_seconds: self.max_seconds.or(other.max_seconds),
        }
    }

    /// The longest time that it names, in seconds; 0 if it names none.
    pub fn seconds_max(&self) -> u32 {
        let named = [self.default_seconds, self.min_seconds, self.max_seconds];
        named.into_iter().flatten().max().unwrap_or(0)
    }
}

/// A class of clients: `[[class]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// Who is in it.
    pub condition: Condition,
    /// Options of its clients, before those of a pool or subnet. Sorted by code.
    pub options: Vec<OptionValue>,
    /// From whom they load their systems.
    pub boot: Boot,
    /// For how long they get an address.
    pub lease: LeaseSpan,
    /// The most addresses behind one Agent Remote ID while one of its clients asks for another, in place of the subnet's.
    pub addresses_per_remote_id_max: Option<u32>,
    /// The same for one circuit.
    pub addresses_per_circuit_id_max: Option<u32>,
    /// The most addresses that all of its clients have together when one of them asks for another.
    pub addresses_max: Option<u32>,
}

impl Class {
    /// A class that gives its clients nothing.
    pub fn new(name: &str, condition: Condition) -> Class {
        Class {
            name: name.to_owned(),
            condition,
            options: Vec::new(),
            boot: Boot::default(),
            lease: LeaseSpan::default(),
            addresses_per_remote_id_max: None,
            addresses_per_circuit_id_max: None,
            addresses_max: None,
        }
    }

    /// Its number, if its clients are counted.
    pub fn limited(&self) -> Option<ClassNumber> {
        self.addresses_max.map(|_| ClassNumber::of(&self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tests_answer_about_octets_and_numbers() {
        let octets = |texts: &[&str]| texts.iter().map(|t| t.as_bytes().into()).collect();
        let check = |test: Test, value: &[u8], expected: bool| {
            assert_eq!(test.holds(value), expected, "{test:?} {value:02x?}");
        };
        check(Test::Exists, b"", true);
        check(Test::Among(octets(&["a", "bc"])), b"bc", true);
        check(Test::Among(octets(&["a", "bc"])), b"b", false);
        check(Test::Among(Vec::new()), b"", false);
        check(Test::Within(vec![(1, 1), (5, 9)]), &[9], true);
        check(Test::Within(vec![(1, 1), (5, 9)]), &[0, 0, 0, 1], true);
        check(Test::Within(vec![(1, 1), (5, 9)]), &[4], false);
        check(Test::Within(vec![(0, u32::MAX)]), &[], false);
        check(Test::Within(vec![(0, u32::MAX)]), &[0, 0, 0, 0, 1], false);
        check(Test::StartsWith(b"PXE"[..].into()), b"PXEClient", true);
        check(Test::StartsWith(b"PXE"[..].into()), b"PX", false);
        check(Test::EndsWith(b"ent"[..].into()), b"PXEClient", true);
        check(Test::Contains(b"Cli"[..].into()), b"PXEClient", true);
        check(Test::Contains(b""[..].into()), b"", true);
        check(Test::Contains(b"x"[..].into()), b"", false);
    }

    #[test]
    fn a_part_is_what_is_there_of_it() {
        let part = |start, end| Part { field: Field::File, start, end }.of(b"abcd");
        assert_eq!(part(0, u16::MAX), b"abcd");
        assert_eq!(part(1, 3), b"bc");
        assert_eq!(part(2, 9), b"cd");
        assert_eq!(part(4, 9), b"");
        assert_eq!(part(9, 5), b"");
    }

    #[test]
    fn what_a_class_leaves_unsaid_about_lease_times_stays_between_the_bounds() {
        let outer = LeaseTimes {
            default_seconds: 100,
            min_seconds: 50,
            max_seconds: 200,
            ..LeaseTimes::default()
        };
        let check = |default_seconds, min_seconds, max_seconds, expected| {
            let times = LeaseSpan { default_seconds, min_seconds, max_seconds }.within(outer);
            assert_eq!((times.default_seconds, times.min_seconds, times.max_seconds), expected);
        };
        check(None, None, None, (100, 50, 200));
        check(Some(60), None, None, (60, 50, 200));
        check(None, None, Some(80), (80, 50, 80));
        check(None, Some(150), None, (150, 150, 200));
        // At odds with the subnet: the longest time counts last, as for a client that asks.
        check(None, Some(300), None, (200, 300, 200));
        let long = LeaseSpan { min_seconds: Some(900), ..LeaseSpan::default() };
        assert_eq!((long.seconds_max(), LeaseSpan::default().seconds_max()), (900, 0));
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let place = prop_oneof![0u16..12, Just(HOLDS), Just(FAILS)];
        let question = any::<u16>().prop_map(Question::Member);
        (question, place.clone(), place).prop_map(|(question, yes, no)| Step { question, yes, no })
    }

    proptest! {
        /// Also for steps that lead anywhere, which no expression becomes.
        #[test]
        fn judging_ends_and_asks_each_question_at_most_once(
            steps in prop::collection::vec(any_step(), 0..10), answers: u16,
        ) {
            let condition = Condition { steps };
            let mut asked = 0;
            let _ = condition.holds(|_| {
                asked += 1;
                answers >> (asked % 16) & 1 == 1
            });
            prop_assert!(asked <= condition.steps.len());
        }
    }
}
