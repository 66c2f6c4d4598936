//! The queue against a model of it: any sequence of operations gives what a plain list of messages would give.

use std::time::Duration;

use asklake::queue::{Delivery, Error, Lane, Lease, Receiver, Sender};
use proptest::{prelude::*, test_runner::TestRunner};

use super::Fresh;
use crate::contract::queue::{read, wake};

#[derive(Clone, Debug)]
enum Op {
    Send { delay: u64 },
    Receive { lane: Lane, max: u32, lease: u64 },
    Delete { lane: Lane, held: prop::sample::Index },
    Renew { lane: Lane, held: prop::sample::Index, lease: u64 },
    Release { lane: Lane, held: prop::sample::Index, delay: u64 },
    Poison { held: prop::sample::Index },
    Advance { by: u64 },
}

fn op() -> impl Strategy<Value = Op> {
    let lane = || prop_oneof![3 => Just(Lane::Work), 1 => Just(Lane::Poison)];
    let held = any::<prop::sample::Index>;
    prop_oneof![
        3 => (0..4_u64).prop_map(|delay| Op::Send { delay }),
        5 => (lane(), 0..4_u32, 0..6_u64).prop_map(|(lane, max, lease)| Op::Receive { lane, max, lease }),
        2 => (lane(), held()).prop_map(|(lane, held)| Op::Delete { lane, held }),
        2 => (lane(), held(), 0..6_u64).prop_map(|(lane, held, lease)| Op::Renew { lane, held, lease }),
        2 => (lane(), held(), 0..4_u64).prop_map(|(lane, held, delay)| Op::Release { lane, held, delay }),
        2 => held().prop_map(|held| Op::Poison { held }),
        3 => prop_oneof![9 => 0..5_u64, 1 => Just(SEVEN_DAYS - 3)].prop_map(|by| Op::Advance { by }),
    ]
}

const SEVEN_DAYS: u64 = 7 * 24 * 60 * 60;

/// A message of the model. Times are seconds since the beginning.
struct Message {
    revision: u64,
    lane: Lane,
    visible_at: u64,
    expires_at: u64,
    dequeue_count: u32,
    receipt: Option<String>,
}

#[derive(Default)]
struct Model {
    now: u64,
    /// In the order of sending.
    messages: Vec<Message>,
    /// Every delivery and renewal there was, lost ones included, with the revision that names its message.
    held: Vec<(u64, Delivery)>,
}

impl Model {
    fn pick(&self, held: &prop::sample::Index) -> Option<(u64, Delivery)> {
        (!self.held.is_empty()).then(|| held.get(&self.held).clone())
    }

    /// The message that `lease` holds.
    fn leased(&mut self, lane: Lane, revision: u64, lease: &Lease) -> Option<&mut Message> {
        let now = self.now;
        self.messages.iter_mut().find(|message| {
            let is_it = message.revision == revision && message.lane == lane && message.expires_at > now;
            is_it && message.receipt.as_ref() == Some(&lease.receipt)
        })
    }

    fn receive(&mut self, lane: Lane, max: u32, lease: u64) -> Vec<(u64, u32)> {
        let now = self.now;
        let mut visible: Vec<&mut Message> = self
            .messages
            .iter_mut()
            .filter(|message| message.lane == lane && message.visible_at <= now && message.expires_at > now)
            .collect();
        visible.sort_by_key(|message| message.visible_at);
        visible.truncate(max as usize);
        for message in &mut visible {
            message.dequeue_count += 1;
            message.visible_at = now + lease;
        }
        visible.iter().map(|message| (message.revision, message.dequeue_count)).collect()
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Both succeed, or the queue says that the lease is lost where the model has none.
fn agree<T: std::fmt::Debug>(outcome: &Result<T, Error>, is_leased: bool) -> Result<(), TestCaseError> {
    let as_expected = if is_leased { outcome.is_ok() } else { matches!(outcome, Err(Error::LeaseLost(_))) };
    prop_assert!(as_expected, "the model has {} lease, the queue says {outcome:?}", if is_leased { "this" } else { "no such" });
    Ok(())
}

async fn step(fresh: &Fresh, model: &mut Model, sent: &mut u64, op: Op) -> Result<(), TestCaseError> {
    let queue = &fresh.queue;
    match op {
        Op::Send { delay } => {
            *sent += 1;
            queue.send(&wake(*sent), seconds(delay)).await.unwrap();
            let (visible_at, expires_at) = (model.now + delay, model.now + SEVEN_DAYS);
            let message = Message { revision: *sent, lane: Lane::Work, visible_at, expires_at, dequeue_count: 0, receipt: None };
            model.messages.push(message);
        }
        Op::Receive { lane, max, lease } => {
            let deliveries = queue.receive(lane, max, seconds(lease), Duration::ZERO).await.unwrap();
            let got: Vec<_> = deliveries.iter().map(|delivery| (read(delivery).revision.0, delivery.dequeue_count)).collect();
            prop_assert_eq!(got, model.receive(lane, max, lease));
            for delivery in deliveries {
                let revision = read(&delivery).revision.0;
                let message = model.messages.iter_mut().find(|message| message.revision == revision).unwrap();
                message.receipt = Some(delivery.lease.receipt.clone());
                model.held.push((revision, delivery));
            }
        }
        Op::Delete { lane, held } => {
            let Some((revision, delivery)) = model.pick(&held) else { return Ok(()) };
            let is_leased = model.leased(lane, revision, &delivery.lease).is_some();
            agree(&queue.delete(lane, &delivery.lease).await, is_leased)?;
            model.messages.retain(|message| !(is_leased && message.revision == revision));
        }
        Op::Renew { lane, held, lease } => {
            let Some((revision, mut delivery)) = model.pick(&held) else { return Ok(()) };
            let until = model.now + lease;
            let outcome = queue.renew(lane, &delivery.lease, seconds(lease)).await;
            let message = model.leased(lane, revision, &delivery.lease);
            agree(&outcome, message.is_some())?;
            if let (Some(message), Ok(renewed)) = (message, outcome) {
                message.visible_at = until;
                message.receipt = Some(renewed.receipt.clone());
                delivery.lease = renewed;
                model.held.push((revision, delivery));
            }
        }
        Op::Release { lane, held, delay } => {
            let Some((revision, delivery)) = model.pick(&held) else { return Ok(()) };
            let visible_at = model.now + delay;
            let outcome = queue.release(lane, &delivery.lease, seconds(delay)).await;
            let message = model.leased(lane, revision, &delivery.lease);
            agree(&outcome, message.is_some())?;
            if let Some(message) = message {
                (message.visible_at, message.receipt) = (visible_at, None);
            }
        }
        Op::Poison { held } => {
            let Some((revision, delivery)) = model.pick(&held) else { return Ok(()) };
            let now = model.now;
            let outcome = queue.poison(&delivery).await;
            let message = model.leased(Lane::Work, revision, &delivery.lease);
            agree(&outcome, message.is_some())?;
            if let Some(message) = message {
                *message = Message {
                    revision,
                    lane: Lane::Poison,
                    visible_at: now,
                    expires_at: now + SEVEN_DAYS,
                    dequeue_count: 0,
                    receipt: None,
                };
            }
        }
        Op::Advance { by } => {
            fresh.clock.advance(seconds(by));
            model.now += by;
        }
    }
    Ok(())
}

#[test]
fn any_sequence_of_operations_agrees_with_the_model() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let fresh = Fresh::new();
    let config = ProptestConfig { cases: 200, source_file: Some(file!()), ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&prop::collection::vec(op(), 1..80), |ops| {
        fresh.raw().execute("DELETE FROM messages", []).unwrap();
        runtime.block_on(async {
            let (mut model, mut sent) = (Model::default(), 0);
            for op in ops {
                step(&fresh, &mut model, &mut sent, op).await?;
            }
            Ok(())
        })
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
