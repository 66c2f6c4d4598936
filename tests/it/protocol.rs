//! Model check of the worker protocol: two workers, a crash between any two actions, messages delivered twice or late, and
//! reads that show an older state. The decisions are those of `service::protocol`, the shipped rule.

use std::time::Duration;

use asklake::{
    conversation::Revision,
    service::protocol::{Conflict, Fence, conflict, fence, needs_repair},
};
use stateright::{Checker, Model, Property};

/// The revision at which the conversation has ended.
const LAST: u64 = 4;
/// Crashes, duplicate deliveries and stale reads in one history, at most: the bounds that make the state space finite.
const CRASHES: u8 = 2;
const DUPLICATES: u8 = 1;
const STALE_READS: u8 = 1;

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
    stored: u64,
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
}

/// Which parts of the rule are in force: all of them in what is shipped.
#[derive(Clone, Copy)]
struct Protocol {
    repairs: bool,
    repairs_repairs: bool,
}

const SHIPPED: Protocol = Protocol { repairs: true, repairs_repairs: true };

impl State {
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
        if self.repairs && needs_repair(dequeue_count, is_repair && self.repairs_repairs, seen >= LAST) {
            Worker::Repairing { message, revision: seen }
        } else {
            Worker::Acknowledging { message }
        }
    }

    fn after_read(self, state: &mut State, message: usize, seen: u64) -> Worker {
        let wake = state.message(message).revision;
        match fence(Revision(wake), Revision(seen)) {
            Fence::Perform if seen >= LAST => Worker::Acknowledging { message },
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
        let mut state =
            State { stored: 1, queue: vec![], workers: [Worker::Idle, Worker::Idle], crashes: 0, duplicates: 0, stale_reads: 0 };
        state.send(1, false);
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
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
                Worker::Committed { at, .. } if *at >= LAST => actions.push(Action::Acknowledge { worker }),
                Worker::Committed { .. } => actions.extend([Action::Continue { worker }, Action::Send { worker }]),
                Worker::Repairing { .. } => actions.push(Action::Send { worker }),
                Worker::Acknowledging { .. } => actions.push(Action::Acknowledge { worker }),
            }
            if state.crashes < CRASHES {
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
                state.stale_reads += u8::from(revision < state.stored);
                state.workers[worker] = match last.workers[worker] {
                    Worker::Woken { message } => self.after_read(&mut state, message, revision),
                    Worker::Refused { message, read } => self.after_reread(&mut state, message, read, revision),
                    _ => return None,
                };
            }
            Action::Commit { worker } => {
                let Worker::Performing { message, read } = last.workers[worker] else { return None };
                let is_current = read == state.stored;
                state.stored += u64::from(is_current);
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
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NO_WAKE_LOST, |_, state: &State| {
                let has_worker = state.workers.iter().any(|worker| *worker != Worker::Idle);
                let has_wake = state.queue.iter().flatten().any(|message| message.revision <= state.stored);
                state.stored >= LAST || has_worker || has_wake
            }),
            Property::sometimes("a conversation ends although workers crash", |_, state: &State| {
                state.stored == LAST && state.crashes == CRASHES && state.workers == [Worker::Idle, Worker::Idle]
            }),
        ]
    }

    fn within_boundary(&self, state: &State) -> bool {
        state.queue.len() <= 4
    }
}

/// Every revision a read may show: the stored one, and as long as stale reads are left the one before.
fn reads(state: &State, mut read: impl FnMut(u64)) {
    read(state.stored);
    if state.stale_reads < STALE_READS && state.stored > 1 {
        read(state.stored - 1);
    }
}

fn check(protocol: Protocol) -> impl Checker<Protocol> {
    protocol.checker().threads(2).timeout(Duration::from_secs(240)).spawn_bfs().join()
}

#[test]
fn the_shipped_rule_loses_no_wake() {
    let checker = check(SHIPPED);
    println!("{} states", checker.unique_state_count());
    assert!(checker.is_done(), "the whole state space was searched");
    checker.assert_properties();
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
