//! # Expressions: from text to a condition (docs/CLASSES.md)
//!
//! **Problem.** Operators describe clients in words of their own. What they write is judged for every message by every member, so
//! nothing that is not understood may get that far, and they must be told where they went wrong.
//!
//! **Model.** Words and signs ([`lexer`]), then a tree by recursive descent, then the [`Condition`]: the questions are laid out from
//! the last one to the first, so that where an answer leads is always known and always forward.
//!
//! **Hazards.** Depth and length come from the operator's text: both are bounded (`limits.rs`), and a tree is never deeper than
//! its parser was.
//!
//! **Absent on purpose.** Arithmetic, variables, regular expressions, comparing two fields: what has an unknown cost or no use here.

mod lexer;
mod literal;
mod names;

use super::definitions::Definitions;
use super::limits::{EXPRESSION_DEPTH_MAX, EXPRESSION_LEN_MAX, EXPRESSION_QUESTIONS_MAX};
use lexer::{Lexer, Token};
use literal::Literal;
use names::Kind;
use replication_ledger::{Condition, FAILS, Field, HOLDS, Octets, Part, Question, Step, Test};

/// What is wrong with an expression, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Octets from its beginning.
    pub(super) at: usize,
    /// What was expected there.
    pub(super) reason: String,
}

/// What the file calls things.
#[derive(Clone, Copy)]
pub(super) struct Names<'n> {
    pub(super) definitions: &'n Definitions,
    /// Classes that may be asked for, in their order.
    pub(super) classes: &'n [String],
}

/// Reads an expression.
///
/// # Errors
/// The first thing in it that is not as the grammar has it.
pub(super) fn parse(text: &str, names: Names<'_>) -> Result<Condition, Fault> {
    if text.len() > EXPRESSION_LEN_MAX {
        let reason =
            format!("{} octets are too many; {EXPRESSION_LEN_MAX} are allowed", text.len());
        return Err(Fault { at: 0, reason });
    }
    let mut parser = Parser { lexer: Lexer::new(text)?, names, depth: 0, questions: 0 };
    let tree = parser.any()?;
    match parser.lexer.token() {
        Token::End => Ok(compile(&tree)),
        _ => Err(parser.lexer.fault("expected `and`, `or` or the end")),
    }
}

/// A test by some octets.
type TestOfOctets = fn(Octets) -> Test;

const TESTS_OF_OCTETS: [(&str, TestOfOctets); 3] = [
    ("starts-with", Test::StartsWith),
    ("ends-with", Test::EndsWith),
    ("contains", Test::Contains),
];

/// An expression as it is nested.
enum Tree {
    Ask(Question),
    Not(Box<Tree>),
    All(Vec<Tree>),
    Any(Vec<Tree>),
}

struct Parser<'t, 'n> {
    lexer: Lexer<'t>,
    names: Names<'n>,
    depth: usize,
    questions: usize,
}

impl Parser<'_, '_> {
    fn any(&mut self) -> Result<Tree, Fault> {
        self.row("or", Self::all, Tree::Any)
    }

    fn all(&mut self) -> Result<Tree, Fault> {
        self.row("and", Self::one, Tree::All)
    }

    /// One or several with a word between them.
    fn row(
        &mut self,
        word: &str,
        element: fn(&mut Self) -> Result<Tree, Fault>,
        join: fn(Vec<Tree>) -> Tree,
    ) -> Result<Tree, Fault> {
        let first = element(self)?;
        let mut row = vec![first];
        while self.lexer.takes_word(word)? {
            row.push(element(self)?);
        }
        // A row of one is that one.
        if row.len() > 1 { Ok(join(row)) } else { Ok(row.remove(0)) }
    }

    fn one(&mut self) -> Result<Tree, Fault> {
        if self.depth >= EXPRESSION_DEPTH_MAX {
            let reason = format!("nested too deep; {EXPRESSION_DEPTH_MAX} levels are allowed");
            return Err(self.lexer.fault(&reason));
        }
        self.depth += 1;
        let tree = self.nested();
        self.depth -= 1;
        tree
    }

    fn nested(&mut self) -> Result<Tree, Fault> {
        if self.lexer.takes_word("not")? {
            return Ok(Tree::Not(Box::new(self.one()?)));
        }
        if self.lexer.takes_sign("(")? {
            let inner = self.any()?;
            self.lexer.need_sign(")", "expected `and`, `or` or `)`")?;
            return Ok(inner);
        }
        if self.lexer.takes_word("member")? {
            return self.member();
        }
        if self.lexer.takes_word("exists")? {
            let field = self.field()?;
            return self.ask(Question::Value(Part::whole(field), Test::Exists));
        }
        let field = self.field()?;
        let part = self.part(field)?;
        self.relation(part)
    }

    fn member(&mut self) -> Result<Tree, Fault> {
        let Token::Text(name) = self.lexer.token() else {
            return Err(self.lexer.fault("expected the name of a class in quotes"));
        };
        let known = self.names.classes.iter().position(|class| class.as_bytes() == name);
        let Some(place) = known.and_then(|place| u16::try_from(place).ok()) else {
            return Err(self
                .lexer
                .fault("expected the name of a class that stands before this one"));
        };
        self.lexer.step()?;
        self.ask(Question::Member(place))
    }

    fn field(&mut self) -> Result<Field, Fault> {
        let Token::Word(word) = self.lexer.token() else {
            return Err(self.lexer.fault(
                "expected a field such as chaddr, option.NAME or relay.NAME, `not`, `exists`, \
                 `member` or `(`",
            ));
        };
        let field = names::field(word, self.names.definitions)
            .map_err(|reason| self.lexer.fault(&reason))?;
        self.lexer.step()?;
        Ok(field)
    }

    /// `[start..end]` after a field, either end open.
    fn part(&mut self, field: Field) -> Result<Part, Fault> {
        let mut part = Part::whole(field);
        if !self.lexer.takes_sign("[")? {
            return Ok(part);
        }
        let place = |parser: &mut Self| -> Result<Option<u16>, Fault> {
            let Token::Word(word) = parser.lexer.token() else { return Ok(None) };
            let place =
                word.parse().map_err(|_| parser.lexer.fault("expected a number of octets"))?;
            parser.lexer.step()?;
            Ok(Some(place))
        };
        part.start = place(self)?.unwrap_or(part.start);
        self.lexer.need_sign("..", "expected `..` between two numbers of octets")?;
        part.end = place(self)?.unwrap_or(part.end);
        self.lexer.need_sign("]", "expected `]`")?;
        Ok(part)
    }

    fn relation(&mut self, part: Part) -> Result<Tree, Fault> {
        let kind = names::kind(part);
        for (sign, span) in literal::ORDERS {
            if self.lexer.takes_sign(sign)? {
                let number = literal::number(&mut self.lexer, kind)?;
                let spans = span(number).into_iter().collect();
                return self.ask(Question::Value(part, Test::Within(spans)));
            }
        }
        for (word, test) in TESTS_OF_OCTETS {
            if self.lexer.takes_word(word)? {
                let octets = literal::octets(&mut self.lexer, kind)?;
                return self.ask(Question::Value(part, test(octets.into())));
            }
        }
        if self.lexer.takes_sign("=")? {
            let literal = literal::read(&mut self.lexer, kind)?;
            return self.among(part, vec![literal]);
        }
        if self.lexer.takes_sign("!=")? {
            let literal = literal::read(&mut self.lexer, kind)?;
            return Ok(Tree::Not(Box::new(self.among(part, vec![literal])?)));
        }
        if self.lexer.takes_word("in")? {
            let list = self.list(kind)?;
            return self.among(part, list);
        }
        Err(self.lexer.fault(
            "expected `=`, `!=`, `<`, `<=`, `>`, `>=`, `in`, `starts-with`, `ends-with` or \
             `contains`",
        ))
    }

    fn list(&mut self, kind: Kind) -> Result<Vec<Literal>, Fault> {
        if !self.lexer.takes_sign("[")? {
            return Ok(vec![literal::read(&mut self.lexer, kind)?]);
        }
        let mut list = Vec::new();
        loop {
            if !list.is_empty() && self.lexer.takes_sign("]")? {
                return Ok(list);
            }
            list.push(literal::read(&mut self.lexer, kind)?);
            if !self.lexer.takes_sign(",")? {
                self.lexer.need_sign("]", "expected `,` or `]`")?;
                return Ok(list);
            }
        }
    }

    /// That a value is one of these. Octets are looked up, numbers too; both kinds in one list are two questions.
    fn among(&mut self, part: Part, list: Vec<Literal>) -> Result<Tree, Fault> {
        let (mut octets, mut spans) = (Vec::new(), Vec::new());
        for literal in list {
            match literal {
                Literal::Octets(value) => octets.push(value.into()),
                Literal::Span(first, last) => spans.push((first, last)),
            }
        }
        octets.sort();
        octets.dedup();
        let mut questions = Vec::new();
        if !octets.is_empty() {
            questions.push(self.ask(Question::Value(part, Test::Among(octets)))?);
        }
        if !spans.is_empty() {
            let spans = literal::joined(spans);
            questions.push(self.ask(Question::Value(part, Test::Within(spans)))?);
        }
        Ok(Tree::Any(questions))
    }

    fn ask(&mut self, question: Question) -> Result<Tree, Fault> {
        self.questions += 1;
        if self.questions > EXPRESSION_QUESTIONS_MAX {
            let reason = format!("too many questions; {EXPRESSION_QUESTIONS_MAX} are allowed");
            return Err(self.lexer.fault(&reason));
        }
        Ok(Tree::Ask(question))
    }
}

/// Where an answer leads: to a question, counted from the last one, or to an end.
#[derive(Clone, Copy)]
enum Way {
    To(usize),
    Holds,
    Fails,
}

fn compile(tree: &Tree) -> Condition {
    let mut backwards = Vec::new();
    lay_out(tree, Way::Holds, Way::Fails, &mut backwards);
    let len = backwards.len();
    let place = |way| match way {
        // There are at most EXPRESSION_QUESTIONS_MAX, so 16 bits are enough.
        Way::To(from_last) => (len - 1 - from_last) as u16,
        Way::Holds => HOLDS,
        Way::Fails => FAILS,
    };
    let steps = backwards.into_iter().rev();
    let steps = steps.map(|(question, yes, no)| Step { question, yes: place(yes), no: place(no) });
    Condition { steps: steps.collect() }
}

/// Lays out the questions of a tree before those that are there already. Returns where it begins.
fn lay_out(tree: &Tree, yes: Way, no: Way, backwards: &mut Vec<(Question, Way, Way)>) -> Way {
    match tree {
        Tree::Ask(question) => {
            backwards.push((question.clone(), yes, no));
            Way::To(backwards.len() - 1)
        }
        Tree::Not(inner) => lay_out(inner, no, yes, backwards),
        Tree::All(row) => {
            row.iter().rev().fold(yes, |next, inner| lay_out(inner, next, no, backwards))
        }
        Tree::Any(row) => {
            row.iter().rev().fold(no, |next, inner| lay_out(inner, yes, next, backwards))
        }
    }
}

#[cfg(test)]
mod tests;
