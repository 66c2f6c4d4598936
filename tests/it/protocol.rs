//! Model check of the worker protocol: two workers, a crash between any two actions, messages delivered twice or late, and
//! reads that show an older state; and of a client that cancels the turn or asks the next question meanwhile. The decisions are those of
//! `service::protocol`, the shipped rule.

use std::time::Duration;

use asklake::{
    conversation::{Revision, Stage},
    service::protocol::{Conflict, Fence, conflict, fence, needs_repair},
};
use stateright::{Checker, HasDiscoveries, Model, Property};

/// Duplicate deliveries and stale reads in one history, at most: with [`Protocol`] the bounds that make the state space finite.
const DUPLICATES: u8 = 1;
const STALE_READS: u8 = 1;
/// Commits of a turn that follows another.
const FOLLOW_UP: u8 = 1;

const NO_WAKE_LOST: &str = "a running conversation has a wake or a worker";

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Message {
    revision: u64,
    is_repair: bool,
    dequeue_count: u32,
    leased: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Worker {
    Idle,
    /// Has a message in hand, nothing read.
    Woken {
        message: usize,
    },
    /// Performs the effect of the revision it read.
    Performing {
        message: usize,
        read: u64,
    },
    /// Its commit was refused; reads again.
    Refused {
        message: usize,
        read: u64,
    },
    /// Committed `at` and has not sent the wake.
    Committed {
        message: usize,
        at: u64,
    },
    /// Is to send the wake of `revision` again before acknowledging.
    Repairing {
        message: usize,
        revision: u64,
    },
    /// Is to delete its message.
    Acknowledging {
        message: usize,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    /// The stage at every revision so far; the last one is stored. [`Stage::Planning`] stands for all that go on.
    stages: Vec<Stage>,
    /// Commits to the end of the turn, if it is not canceled.
    left: u8,
    /// The revision for which a client is to send the wake.
    unsent: Option<u64>,
    cancels: u8,
    follow_ups: u8,
    /// Messages by slot; a deleted one leaves its slot empty.
    queue: Vec<Option<Message>>,
    workers: [Worker; 2],
    crashes: u8,
    duplicates: u8,
    stale_reads: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Action {
    Deliver {
        worker: usize,
        message: usize,
    },
    Read {
        worker: usize,
        revision: u64,
    },
    Commit {
        worker: usize,
    },
    Reread {
        worker: usize,
        revision: u64,
    },
    /// Goes on to the next effect within the same invocation.
    Continue {
        worker: usize,
    },
    Send {
        worker: usize,
    },
    Acknowledge {
        worker: usize,
    },
    Crash {
        worker: usize,
    },
    /// A client cancels the turn: with a query to stop, or without one and at once.
    Cancel {
        has_query: bool,
    },
    /// A client asks the next question.
    FollowUp,
    /// The client sends its wake.
    ClientSends,
    /// The process that was to send the wake of a cancellation dies.
    ClientDies,
}

/// Which parts of the rule are in force: all of them in what is shipped.
#[derive(Clone, Copy)]
struct Protocol {
    repairs: bool,
    repairs_repairs: bool,
    repairs_cancellations: bool,
    /// Commits of the first turn.
    commits: u8,
    /// Crashes of a worker in one history, at most.
    crashes: u8,
    /// Cancellations in one history, at most, and as many further questions.
    requests: u8,
}

const SHIPPED: Protocol =
    Protocol { repairs: true, repairs_repairs: true, repairs_cancellations: true, commits: 3, crashes: 2, requests: 0 };
/// With a client that cancels and goes on, and a shorter turn for it.
const WITH_REQUESTS: Protocol = Protocol { commits: 2, crashes: 1, requests: 1, ..SHIPPED };

impl State {
    fn stored(&self) -> u64 {
        self.stages.len() as u64
    }

    fn stage_at(&self, revision: u64) -> Stage {
        self.stages[revision as usize - 1]
    }

    fn stage(&self) -> Stage {
        self.stage_at(self.stored())
    }

    /// What a worker's commit makes of the stored revision.
    fn advance(&mut self) {
        let next = if self.stage() == Stage::Canceling {
            Stage::Canceled
        } else {
            self.left -= 1;
            if self.left == 0 { Stage::Completed } else { Stage::Planning }
        };
        self.stages.push(next);
    }

    fn send(&mut self, revision: u64, is_repair: bool) {
        let message = Some(Message { revision, is_repair, dequeue_count: 0, leased: false });
        match self.queue.iter().position(Option::is_none) {
            Some(free) => self.queue[free] = message,
            None => self.queue.push(message),
        }
    }

    fn message(&self, message: usize) -> &Message {
        self.queue[message].as_ref().expect("a message in hand is in the queue")
    }

    /// The invocation failed or its process died: the message becomes visible again.
    fn give_back(&mut self, message: usize) {
        if let Some(message) = self.queue[message].as_mut() {
            message.leased = false;
        }
    }

    fn holds(&self, worker: usize) -> Option<usize> {
        match self.workers[worker] {
            Worker::Idle => None,
            Worker::Woken { message }
            | Worker::Performing { message, .. }
            | Worker::Refused { message, .. }
            | Worker::Committed { message, .. }
            | Worker::Repairing { message, .. }
            | Worker::Acknowledging { message } => Some(message),
        }
    }
}

impl Protocol {
    fn after_advance(self, state: &State, message: usize, seen: u64) -> Worker {
        let Message { dequeue_count, is_repair, .. } = *state.message(message);
        let stage = match state.stage_at(seen) {
            Stage::Canceling if !self.repairs_cancellations => Stage::Planning,
            stage => stage,
        };
        if self.repairs && needs_repair(dequeue_count, is_repair && self.repairs_repairs, stage) {
            Worker::Repairing { message, revision: seen }
        } else {
            Worker::Acknowledging { message }
        }
    }

    fn after_read(self, state: &mut State, message: usize, seen: u64) -> Worker {
        let wake = state.message(message).revision;
        match fence(Revision(wake), Revision(seen)) {
            Fence::Perform if state.stage_at(seen).is_terminal() => Worker::Acknowledging { message },
            Fence::Perform => Worker::Performing { message, read: seen },
            Fence::Advanced => self.after_advance(state, message, seen),
            Fence::StaleRead => {
                state.give_back(message);
                Worker::Idle
            }
        }
    }

    fn after_reread(self, state: &mut State, message: usize, read: u64, seen: u64) -> Worker {
        if conflict(Revision(read), Revision(seen)) == Conflict::StaleRead {
            state.give_back(message);
            return Worker::Idle;
        }
        self.after_advance(state, message, seen)
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut state = State {
            stages: vec![Stage::Planning],
            left: self.commits,
            unsent: None,
            cancels: 0,
            follow_ups: 0,
            queue: vec![],
            workers: [Worker::Idle, Worker::Idle],
            crashes: 0,
            duplicates: 0,
            stale_reads: 0,
        };
        state.send(1, false);
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.unsent.is_some() {
            actions.push(Action::ClientSends);
            // Who dies before the wake of a new turn is sent has promised nothing.
            actions.extend((state.stage() == Stage::Canceling).then_some(Action::ClientDies));
        } else if state.stage() == Stage::Planning && state.cancels < self.requests {
            actions.extend([true, false].map(|has_query| Action::Cancel { has_query }));
        } else if state.stage().is_terminal() && state.follow_ups < self.requests {
            actions.push(Action::FollowUp);
        }
        for worker in 0..2 {
            match &state.workers[worker] {
                Worker::Idle => {
                    for (slot, message) in state.queue.iter().enumerate() {
                        let Some(message) = message else { continue };
                        if !message.leased || state.duplicates < DUPLICATES {
                            actions.push(Action::Deliver { worker, message: slot });
                        }
                    }
                    continue;
                }
                Worker::Woken { .. } => reads(state, |revision| actions.push(Action::Read { worker, revision })),
                Worker::Refused { .. } => reads(state, |revision| actions.push(Action::Reread { worker, revision })),
                Worker::Performing { .. } => actions.push(Action::Commit { worker }),
                Worker::Committed { at, .. } if state.stage_at(*at).is_terminal() => actions.push(Action::Acknowledge { worker }),
                Worker::Committed { .. } => actions.extend([Action::Continue { worker }, Action::Send { worker }]),
                Worker::Repairing { .. } => actions.push(Action::Send { worker }),
                Worker::Acknowledging { .. } => actions.push(Action::Acknowledge { worker }),
            }
            if state.crashes < self.crashes {
                actions.push(Action::Crash { worker });
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Deliver { worker, message } => {
                let delivered = state.queue[message].as_mut()?;
                state.duplicates += u8::from(delivered.leased);
                delivered.leased = true;
                delivered.dequeue_count = (delivered.dequeue_count + 1).min(3);
                state.workers[worker] = Worker::Woken { message };
            }
            Action::Read { worker, revision } | Action::Reread { worker, revision } => {
                state.stale_reads += u8::from(revision < state.stored());
                state.workers[worker] = match last.workers[worker] {
                    Worker::Woken { message } => self.after_read(&mut state, message, revision),
                    Worker::Refused { message, read } => self.after_reread(&mut state, message, read, revision),
                    _ => return None,
                };
            }
            Action::Commit { worker } => {
                let Worker::Performing { message, read } = last.workers[worker] else { return None };
                let is_current = read == state.stored();
                if is_current {
                    state.advance();
                }
                state.workers[worker] =
                    if is_current { Worker::Committed { message, at: read + 1 } } else { Worker::Refused { message, read } };
            }
            Action::Continue { worker } => {
                let Worker::Committed { message, at } = last.workers[worker] else { return None };
                state.workers[worker] = Worker::Performing { message, read: at };
            }
            Action::Send { worker } => {
                let (message, revision, is_repair) = match last.workers[worker] {
                    Worker::Committed { message, at } => (message, at, false),
                    Worker::Repairing { message, revision } => (message, revision, true),
                    _ => return None,
                };
                state.send(revision, is_repair);
                state.workers[worker] = Worker::Acknowledging { message };
            }
            Action::Acknowledge { worker } => {
                let message = state.holds(worker)?;
                // A worker whose lease was taken by the other one cannot delete the message any more; the queue refuses.
                let shared = state.holds(1 - worker) == Some(message);
                if !shared {
                    state.queue[message] = None;
                }
                state.workers[worker] = Worker::Idle;
            }
            Action::Crash { worker } => {
                let message = state.holds(worker)?;
                state.crashes += 1;
                if state.holds(1 - worker) != Some(message) {
                    state.give_back(message);
                }
                state.workers[worker] = Worker::Idle;
            }
            Action::Cancel { has_query } => {
                state.cancels += 1;
                state.stages.push(if has_query { Stage::Canceling } else { Stage::Canceled });
                state.unsent = has_query.then_some(state.stored());
            }
            Action::FollowUp => {
                state.follow_ups += 1;
                state.left = FOLLOW_UP;
                state.stages.push(Stage::Planning);
                state.unsent = Some(state.stored());
            }
            Action::ClientSends => {
                let revision = state.unsent.take()?;
                state.send(revision, false);
            }
            Action::ClientDies => state.unsent = None,
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NO_WAKE_LOST, |_, state: &State| {
                let has_worker = state.workers.iter().any(|worker| *worker != Worker::Idle);
                let has_wake = state.queue.iter().flatten().any(|message| message.revision <= state.stored());
                state.stage().is_terminal() || has_worker || has_wake || state.unsent.is_some()
            }),
            Property::always("a turn that is being canceled ends as canceled", |_, state: &State| {
                state.stages.windows(2).all(|pair| pair[0] != Stage::Canceling || pair[1] == Stage::Canceled)
            }),
            Property::sometimes(
                "a conversation ends although workers crash, and whatever its client does",
                |protocol: &Self, state: &State| {
                    let is_idle = state.workers == [Worker::Idle, Worker::Idle];
                    let has_asked = state.cancels == protocol.requests && state.follow_ups == protocol.requests;
                    state.stage() == Stage::Completed && state.crashes == protocol.crashes && is_idle && has_asked
                },
            ),
        ]
    }

    fn within_boundary(&self, state: &State) -> bool {
        state.queue.len() <= 4
    }
}

/// Every revision a read may show: the stored one, and as long as stale reads are left the one before.
fn reads(state: &State, mut read: impl FnMut(u64)) {
    read(state.stored());
    if state.stale_reads < STALE_READS && state.stored() > 1 {
        read(state.stored() - 1);
    }
}

fn check(protocol: Protocol) -> impl Checker<Protocol> {
    protocol.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).timeout(Duration::from_secs(1200)).spawn_bfs().join()
}

#[test]
fn the_shipped_rule_loses_no_wake() {
    let checker = check(SHIPPED);
    println!("{} states", checker.unique_state_count());
    assert!(checker.is_done(), "the whole state space was searched");
    checker.assert_properties();
}

#[test]
fn the_shipped_rule_loses_no_wake_when_clients_cancel_and_go_on() {
    let checker = check(WITH_REQUESTS);
    println!("{} states", checker.unique_state_count());
    assert!(checker.is_done(), "the whole state space was searched");
    checker.assert_properties();
}

#[test]
fn without_repairing_cancellations_a_wake_is_lost() {
    let checker = check(Protocol { repairs_cancellations: false, ..WITH_REQUESTS });
    assert!(checker.discovery(NO_WAKE_LOST).is_some(), "a client that dies after it canceled must lose a wake");
}

#[test]
fn without_repair_a_wake_is_lost() {
    let checker = check(Protocol { repairs: false, ..SHIPPED });
    assert!(checker.discovery(NO_WAKE_LOST).is_some(), "dropping older messages must lose a wake");
}

#[test]
fn without_repairing_repairs_a_wake_is_lost() {
    let checker = check(Protocol { repairs_repairs: false, ..SHIPPED });
    assert!(checker.discovery(NO_WAKE_LOST).is_some(), "a worker that lost its lease and dies must lose a wake");
}
