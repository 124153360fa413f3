//! One bulk query that is being answered, in either dialect.

use super::asked::{Failure, Question, Target};
use super::bulk_dtv::{self, Instead};
use super::bulk_message::{Desk, Form, SessionFacts};
use super::bulk_rfc6926;
use super::cursor::{Cursor, Found, STEP_LEN, configured_places};
use super::source::LeasequerySource;
use super::tally::QueryResult;
use replication_ledger::{
    Binding, BindingKey, ClientKey, DraftNumbers, LeasequeryDialect, LeasequeryKind, LedgerView,
    PastLost, PastView, Timestamp, VpnAddress,
};
use server_wire::DhcpState;

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
    reach: Reach<P>,
    /// Bindings and addresses told.
    told: u64,
}

/// Where the bindings of an answer are.
#[derive(Debug)]
enum Reach<P> {
    /// In one look at the present, if they are few: one look is one state, and the past need not be held for it.
    Glance,
    /// Along a walk over the past.
    Walk(Cursor<P>),
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

    /// Tells of one address if the query wants it; says whether it did.
    fn tell(
        &self,
        out: &mut Vec<u8>,
        form: &Form,
        desk: &Desk<'_>,
        question: &Question,
        found: &Found<'_>,
        is_first: bool,
    ) -> bool {
        // A key is looked for in all VPNs together.
        if !question.scope.holds(found.address.vpn) {
            return false;
        }
        match self {
            Manner::Rfc => bulk_rfc6926::tell(out, form, desk, question, found, is_first),
            Manner::Draft(numbers) => bulk_dtv::tell(out, form, desk, numbers, found, is_first),
        }
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
    /// Holds the state that will be told, unless one look at the present will do.
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
        let reach = match &question.target {
            // No index of the present leads from a Relay-ID to its bindings, which are many as a rule.
            Target::Key(key @ BindingKey::RelayId(_)) => {
                Reach::Walk(Cursor::of_key(source.past()?, key.clone()))
            }
            Target::Address(_) | Target::Key(_) => Reach::Glance,
            Target::Everything => {
                let past = source.past()?;
                let places = source
                    .with_view(|view| configured_places(view.globals(), me.id, question.scope));
                // What was never given out never changed.
                Reach::Walk(Cursor::of_places(past, places, !question.window.is_open()))
            }
        };
        Ok(BulkQuery { form, manner, question, reach, told: 0 })
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
        match &mut self.reach {
            Reach::Glance => {
                if !self.glance(source, now, out)
                    && let Target::Key(key) = &self.question.target
                {
                    self.reach = Reach::Walk(Cursor::of_key(source.past()?, key.clone()));
                    return Ok(Turn::Going);
                }
            }
            Reach::Walk(cursor) => {
                cursor.recall()?;
                let (manner, told) = (&self.manner, &mut self.told);
                source.with_view(|view| {
                    let desk = manner.desk(view, now);
                    cursor.step(view, &mut |found| {
                        let is_first = *told == 0;
                        let is_told =
                            manner.tell(out, &self.form, &desk, &self.question, &found, is_first);
                        *told += u64::from(is_told);
                        out.len() < len_max
                    });
                });
                if !cursor.is_at_end() {
                    return Ok(Turn::Going);
                }
            }
        }
        let result = self.end(source, now, out)?;
        Ok(Turn::Ended(result))
    }

    /// Tells everything in one look; false if that is too much for one, or if the present does not know enough.
    fn glance<S: LeasequerySource<Past = P>>(
        &mut self,
        source: &S,
        now: Now,
        out: &mut Vec<u8>,
    ) -> bool {
        let is_enough = source.with_view(|view| {
            let Some(bindings) = few_bindings(view, &self.question.target) else { return false };
            let desk = self.manner.desk(view, now);
            for binding in bindings {
                let (address, free) = (binding.address, DhcpState::Available);
                let found = Found { address, binding: Some(binding), free };
                let (form, question, is_first) = (&self.form, &self.question, self.told == 0);
                let is_told = self.manner.tell(out, form, &desk, question, &found, is_first);
                self.told += u64::from(is_told);
            }
            true
        });
        // The draft tells identifiers that somebody had from those that nobody had.
        let is_remembered = self.question.kind == LeasequeryKind::RemoteId
            && matches!(self.manner, Manner::Draft(_));
        is_enough && !(self.told == 0 && is_remembered)
    }

    /// Writes what ends a whole answer.
    fn end<S: LeasequerySource<Past = P>>(
        &self,
        source: &S,
        now: Now,
        out: &mut Vec<u8>,
    ) -> Result<QueryResult, PastLost> {
        let instead = self.instead(source)?;
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
    fn instead<S: LeasequerySource<Past = P>>(&self, source: &S) -> Result<Instead, PastLost> {
        let is_known = match (&self.question.target, &self.reach) {
            _ if self.told > 0 || matches!(self.manner, Manner::Rfc) => false,
            (Target::Address(address), _) => source.with_view(|view| manages(view, *address)),
            // [D-19] [D-20] [D-21] Known is what any record has or ever had.
            (
                Target::Key(key @ (BindingKey::RemoteId(_) | BindingKey::RelayId(_))),
                Reach::Walk(cursor),
            ) => cursor.past().knows(key)?,
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

/// The records that are asked for, if one look can tell all of them.
fn few_bindings<'v, V: LedgerView>(view: &'v V, target: &Target) -> Option<Vec<&'v Binding>> {
    let addresses = match target {
        Target::Address(address) => vec![*address],
        Target::Key(BindingKey::Hardware(hardware)) => {
            first_addresses(view.bindings_of_hardware(hardware))
        }
        Target::Key(BindingKey::ClientIdentifier(identifier)) => {
            let client = ClientKey::from_identifier(identifier);
            first_addresses(view.bindings_of_client(&client))
        }
        Target::Key(BindingKey::RemoteId(value)) => {
            first_addresses(view.bindings_of_remote_id(value))
        }
        Target::Key(BindingKey::RelayId(_)) | Target::Everything => return None,
    };
    let are_few = addresses.len() <= STEP_LEN;
    are_few.then(|| addresses.into_iter().filter_map(|address| view.binding(address)).collect())
}

/// As many as a step may have, and one more if there are more.
fn first_addresses<'a>(bindings: impl Iterator<Item = &'a Binding>) -> Vec<VpnAddress> {
    bindings.map(|binding| binding.address).take(STEP_LEN + 1).collect()
}

fn manages<V: LedgerView>(view: &V, address: VpnAddress) -> bool {
    let settings = &view.globals().settings;
    settings.in_pool(address) || settings.reservation_of(address).is_some()
}
