//! Quotas: the ledgers by their contract, what a book says, and how quotas hold for clients, over instances, and without a ledger.

mod book;
mod bursts;
mod charges;
mod clients;
mod instances;
mod ledgers;
mod races;

use std::sync::Arc;

use asklake::{
    conversation::{Account, Budgets, Caller, ConversationId, NewConversation, Scope, Timestamp},
    limit::{Ledger, Limits, Measure},
    model::Model,
    service::{Fails, Policy, Ports, Quotas, Service, Settings},
    warehouse::Warehouse,
};

use crate::support::embedded::{Embedded, lake};

pub const NONE: Limits = Limits { requests: None, at_once: None, questions: None, tokens: None, warehouse: None };

/// A policy that limits addresses, and fails closed.
pub fn by_address(address: Limits) -> Policy {
    Policy { principal: NONE, address, app: NONE, fails: Fails::Closed }
}

/// A policy that limits all together, and fails closed.
pub fn for_all(app: Limits) -> Policy {
    Policy { principal: NONE, address: NONE, app, fails: Fails::Closed }
}

/// A service over `embedded` that holds callers to `policy`.
pub fn within(
    embedded: &Embedded,
    model: Arc<dyn Model>,
    warehouse: Arc<dyn Warehouse>,
    ledger: Arc<dyn Ledger>,
    policy: Policy,
) -> Service {
    let ports = Ports { store: Arc::clone(&embedded.store), wakes: Arc::clone(&embedded.sender), model, warehouse };
    Service::new(ports, lake(), Budgets::default(), Settings::default()).within(Quotas::new(ledger, policy))
}

/// What the app has left of each measure of questions that `limits` has a limit for.
pub async fn left(ledger: &dyn Ledger, limits: &Limits) -> Vec<u64> {
    let book = ledger.load(&Account::of_app()).await.unwrap().map(|found| found.book).unwrap_or_default();
    let standings = book.standings(Scope::App, &Measure::OF_QUESTIONS, limits, Timestamp::now());
    standings.iter().map(|standing| standing.left).collect()
}

fn new(caller: &Caller) -> NewConversation {
    let (user_id, device_id, language, request_digest) = (None, None, None, None);
    let (id, owner) = (ConversationId::random(), caller.owner().cloned());
    NewConversation { id, question: "which films?".into(), owner, user_id, device_id, language, request_digest }
}
