//! One bulk query that is being answered, in either dialect.

use super::asked::{Failure, Question, Target};
use super::bulk_dtv::{self, Instead};
use super::bulk_message::{Desk, Form, SessionFacts};
use super::bulk_rfc6926;
use super::cursor::{Cursor, configured_places};
use super::source::LeasequerySource;
use super::tally::QueryResult;
use replication_ledger::{
    BindingKey, DraftNumbers, LeasequeryDialect, LeasequeryKind, LedgerView, PastLost, PastView,
    Timestamp,
};
use std::net::Ipv4Addr;

/// By which document answers are written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Manner {
    /// RFC 6926.
    Rfc,
    /// The draft of 2008, with these numbers.
    Draft(DraftNumbers),
}

/// A query and how far its answer has come.
#[derive(Debug)]
pub(crate) struct BulkQuery<P> {
    pub(crate) form: Form,
    manner: Manner,
    question: Question,
    cursor: Option<Cursor<P>>,
    /// Whether the address that is asked for is managed here.
    is_managed: bool,
    /// Bindings and addresses told.
    told: u64,
}

/// How far one turn has brought an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// There is more.
    Going,
    /// The last message is written.
    Ended(QueryResult),
    /// As before, and the connection shall end since the answer is not whole.
    Broken,
}

/// When and by whom a message is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) me: SessionFacts,
    pub(crate) time: Timestamp,
}

impl Manner {
    /// The dialect that the document belongs to.
    pub(crate) fn dialect(&self) -> LeasequeryDialect {
        match self {
            Manner::Rfc => LeasequeryDialect::Rfc,
            Manner::Draft(_) => LeasequeryDialect::Draft,
        }
    }

    fn desk<'v, V: LedgerView>(&self, view: &'v V, now: Now) -> Desk<'v> {
        let time = match self {
            Manner::Rfc => bulk_rfc6926::base_time(now.time),
            Manner::Draft(_) => now.time,
        };
        Desk::new(view, now.me, time)
    }

    /// Writes the message that says why there is no answer, or no more of it.
    pub(crate) fn fail<V: LedgerView>(
        &self,
        out: &mut Vec<u8>,
        form: &Form,
        (view, now): (&V, Now),
        is_first: bool,
        failure: (Failure, &str),
    ) {
        let desk = self.desk(view, now);
        match self {
            Manner::Rfc => bulk_rfc6926::done(out, form, &desk, is_first, Some(failure)),
            Manner::Draft(numbers) => bulk_dtv::fail(out, form, &desk, numbers, failure),
        }
    }
}

impl<P: PastView> BulkQuery<P> {
    /// Holds the state that will be told.
    ///
    /// # Errors
    /// The store can not be read.
    pub(crate) fn begin<S: LeasequerySource<Past = P>>(
        form: Form,
        manner: Manner,
        question: Question,
        source: &S,
        me: SessionFacts,
    ) -> Result<BulkQuery<P>, PastLost> {
        let past = source.past()?;
        let mut is_managed = false;
        let cursor = match &question.target {
            Target::Nothing => None,
            Target::Key(key) => Some(Cursor::of_key(past, key.clone())),
            Target::Address(address) => {
                is_managed = source.with_view(|view| manages(view, *address));
                Some(Cursor::of_address(past, *address))
            }
            Target::Everything => {
                let places = source.with_view(|view| configured_places(view.globals(), me.id));
                // What was never given out never changed.
                Some(Cursor::of_places(past, places, !question.window.is_open()))
            }
        };
        Ok(BulkQuery { form, manner, question, cursor, is_managed, told: 0 })
    }

    /// By which documents.
    pub(crate) fn dialect(&self) -> LeasequeryDialect {
        self.manner.dialect()
    }

    /// What is asked.
    pub(crate) fn kind(&self) -> LeasequeryKind {
        self.question.kind
    }

    /// Goes on until there is no more, some hundred records were looked at, or `out` has reached `len_max` octets.
    /// Answers how many bindings were told besides.
    pub(crate) fn turn<S: LeasequerySource<Past = P>>(
        &mut self,
        source: &S,
        now: Now,
        out: &mut Vec<u8>,
        len_max: usize,
    ) -> (Turn, u64) {
        let before = self.told;
        let turn = match self.step(source, now, out, len_max) {
            Ok(turn) => turn,
            Err(lost) => {
                let failure = (Failure::Unspecified, lost.reason.as_str());
                self.fail(source, now, out, failure);
                match self.manner {
                    // [D-35] Closing shows that what was told is not all.
                    Manner::Draft(_) if self.told > 0 => Turn::Broken,
                    _ => Turn::Ended(QueryResult::Failed),
                }
            }
        };
        (turn, self.told - before)
    }

    fn step<S: LeasequerySource<Past = P>>(
        &mut self,
        source: &S,
        now: Now,
        out: &mut Vec<u8>,
        len_max: usize,
    ) -> Result<Turn, PastLost> {
        if let Some(cursor) = &mut self.cursor {
            cursor.recall()?;
            let (form, manner, question) = (&self.form, &self.manner, &self.question);
            let told = &mut self.told;
            source.with_view(|view| {
                let desk = manner.desk(view, now);
                cursor.step(view, &mut |found| {
                    let is_first = *told == 0;
                    let is_told = match manner {
                        Manner::Rfc => {
                            bulk_rfc6926::tell(out, form, &desk, question, &found, is_first)
                        }
                        Manner::Draft(numbers) => {
                            bulk_dtv::tell(out, form, &desk, numbers, &found, is_first)
                        }
                    };
                    *told += u64::from(is_told);
                    out.len() < len_max
                });
            });
            if !cursor.is_at_end() {
                return Ok(Turn::Going);
            }
        }
        let result = self.end(source, now, out)?;
        Ok(Turn::Ended(result))
    }

    /// Writes what ends a whole answer.
    fn end<S: LeasequerySource<Past = P>>(
        &self,
        source: &S,
        now: Now,
        out: &mut Vec<u8>,
    ) -> Result<QueryResult, PastLost> {
        let instead = self.instead()?;
        Ok(source.with_view(|view| {
            let desk = self.manner.desk(view, now);
            match (&self.manner, self.told) {
                (Manner::Rfc, told) => {
                    bulk_rfc6926::done(out, &self.form, &desk, told == 0, None);
                    if told == 0 { QueryResult::Empty } else { QueryResult::Active }
                }
                (Manner::Draft(_), 0) => {
                    bulk_dtv::instead(out, &self.form, &desk, instead);
                    match instead {
                        Instead::Unassigned => QueryResult::Unassigned,
                        Instead::Unknown => QueryResult::Unknown,
                    }
                }
                (Manner::Draft(numbers), _) => {
                    bulk_dtv::done(out, &self.form, &desk, numbers);
                    QueryResult::Active
                }
            }
        }))
    }

    /// What the draft says where there is no lease; RFC 6926 says nothing then.
    fn instead(&self) -> Result<Instead, PastLost> {
        if let Manner::Rfc = self.manner {
            return Ok(Instead::Unknown);
        }
        let is_known = match (&self.question.target, &self.cursor) {
            (Target::Address(_), _) => self.is_managed,
            // [D-19] [D-20] [D-21] Known is what any record has or ever had.
            (
                Target::Key(key @ (BindingKey::RemoteId(_) | BindingKey::RelayId(_))),
                Some(cursor),
            ) => self.told == 0 && cursor.past().knows(key)?,
            // As in RFC 4388, a client without a lease is not known.
            _ => false,
        };
        Ok(if is_known { Instead::Unassigned } else { Instead::Unknown })
    }

    /// Writes the message that ends an answer before its end.
    pub(crate) fn fail<S: LeasequerySource<Past = P>>(
        &self,
        source: &S,
        now: Now,
        out: &mut Vec<u8>,
        failure: (Failure, &str),
    ) {
        source.with_view(|view| {
            self.manner.fail(out, &self.form, (view, now), self.told == 0, failure);
        });
    }
}

fn manages<V: LedgerView>(view: &V, address: Ipv4Addr) -> bool {
    let settings = &view.globals().settings;
    settings.in_pool(address) || settings.reservation_of(address).is_some()
}
