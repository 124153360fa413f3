use super::*;
use openraft::TokioRuntime;
use std::sync::mpsc;
use storage::memory::MemoryLogStore;

type TestProposer = Arc<Proposer<TokioRuntime>>;
type Outcomes = mpsc::Receiver<Vec<Result<Outcome, ProposeError>>>;

const ME: MemberId = MemberId(1);

fn proposer() -> (TestProposer, Arc<MemoryLogStore>) {
    let log = Arc::new(MemoryLogStore::manual(Arc::new(|| ())));
    let proposer = Proposer::new(ME, Arc::clone(&log) as Arc<dyn LogStore>, Arc::default());
    proposer.begin_session(Session(3));
    (proposer, log)
}

fn propose(proposer: &TestProposer, commands_len: usize) -> (u64, Outcomes) {
    let (sender, outcomes) = mpsc::channel();
    let commands = vec![Command::Expire { addresses: Vec::new() }; commands_len];
    let on_outcome = Box::new(move |outcome| sender.send(outcome).expect("the test waits"));
    proposer.propose(commands, on_outcome);
    (proposer.state.lock().next_sequence, outcomes)
}

fn applied(proposer: &TestProposer, index: u64, member: MemberId, sequence: u64) {
    let outcomes = vec![Outcome::Done { count: 7 }];
    proposer.applied(index, vec![ParcelOutcome { member, sequence, outcomes }]);
}

fn append(log: &MemoryLogStore, index: u64) {
    log.append(vec![(index, bytes::Bytes::new())], Box::new(|_| ())).expect("appends");
}

// proves [AV-Q1]
#[test]
fn an_outcome_waits_until_the_entry_is_durable_here() {
    let (proposer, log) = proposer();
    let (sequence, outcomes) = propose(&proposer, 1);
    append(&log, 5);
    applied(&proposer, 5, ME, sequence);
    assert!(outcomes.try_recv().is_err(), "told before it was durable");
    log.sync();
    assert_eq!(outcomes.try_recv(), Ok(vec![Ok(Outcome::Done { count: 7 })]));
}

// proves [AV-Q1]
#[test]
fn an_outcome_that_is_durable_already_is_told_when_it_is_applied() {
    let (proposer, log) = proposer();
    let (sequence, outcomes) = propose(&proposer, 1);
    append(&log, 5);
    log.sync();
    assert!(outcomes.try_recv().is_err(), "told before it was committed");
    applied(&proposer, 5, ME, sequence);
    assert!(outcomes.try_recv().is_ok());
    applied(&proposer, 6, ME, sequence);
    assert!(outcomes.try_recv().is_err(), "told twice");
}

#[test]
fn another_members_parcel_with_the_same_number_is_not_ours() {
    let (proposer, log) = proposer();
    let (sequence, outcomes) = propose(&proposer, 1);
    append(&log, 5);
    log.sync();
    applied(&proposer, 5, MemberId(2), sequence);
    assert!(outcomes.try_recv().is_err());
}

#[test]
fn a_new_session_drops_what_waits_and_never_reuses_a_number() {
    let (proposer, log) = proposer();
    let (old, old_outcomes) = propose(&proposer, 2);
    proposer.end_session();
    let (_, refused) = propose(&proposer, 1);
    assert_eq!(refused.try_recv(), Ok(vec![Err(ProposeError::NoQuorum)]));
    proposer.begin_session(Session(4));
    assert_eq!(old_outcomes.try_recv(), Ok(vec![Err(ProposeError::NoQuorum); 2]));
    let (new, outcomes) = propose(&proposer, 1);
    assert!(new > old);
    append(&log, 5);
    log.sync();
    applied(&proposer, 5, ME, old);
    assert!(outcomes.try_recv().is_err(), "a late outcome of the old session is nobody's");
}

#[test]
fn too_much_is_refused_at_once() {
    let (proposer, _log) = proposer();
    let (_, first) = propose(&proposer, limits::PENDING_COMMANDS_MAX);
    let (_, second) = propose(&proposer, 1);
    assert_eq!(second.try_recv(), Ok(vec![Err(ProposeError::Overloaded)]));
    proposer.stop();
    assert_eq!(
        first.try_recv().map(|outcomes| outcomes[0].clone()),
        Ok(Err(ProposeError::Stopping))
    );
    let (_, third) = propose(&proposer, 1);
    assert_eq!(third.try_recv(), Ok(vec![Err(ProposeError::Stopping)]));
}

#[test]
fn parcels_are_sent_once_until_they_must_be_sent_again() {
    let (proposer, _log) = proposer();
    propose(&proposer, 1);
    propose(&proposer, 1);
    assert_eq!(proposer.take_unsent().len(), 2);
    assert_eq!(proposer.take_unsent().len(), 0);
    proposer.resend_all();
    assert_eq!(proposer.take_unsent().len(), 2);
}
