//! The contract of `asklake::limit::Ledger`, and what rests on it: no limit is passed, however many instances admit at once.

use std::{sync::Arc, time::Duration};

use asklake::{
    conversation::{Account, ConversationId, Timestamp},
    limit::{
        Ledger, Limits,
        accounts::Accounts,
        book::{Book, Claim, Holder, Used},
    },
};
use async_trait::async_trait;
use futures_util::future::join_all;
use uuid::Uuid;

use super::eventually;

/// An empty ledger.
#[async_trait]
pub trait Harness: Send + Sync {
    /// The ledger as one more instance has it.
    fn instance(&self) -> Arc<dyn Ledger>;

    /// Has a text that is no book in the place of the book of `account`.
    async fn spoil(&self, account: &Account);

    /// Lets time pass.
    async fn elapse(&self, by: Duration) {
        tokio::time::sleep(by).await;
    }
}

/// Runs the whole contract for the harness that an `async fn() -> Option<impl Harness>` makes.
macro_rules! limit_contract {
    ($fresh:path) => {
        $crate::contract::cases!(
            $crate::contract::limit,
            $fresh,
            [
                a_book_is_read_as_it_was_written,
                of_those_who_write_over_the_same_version_one_does,
                a_book_is_gone_when_its_life_is_over,
                a_text_that_is_no_book_counts_as_an_empty_one,
                a_burst_over_many_instances_is_admitted_to_the_limit_and_no_further,
                requests_of_many_instances_are_drawn_to_the_limit_and_no_further,
                what_is_charged_at_once_is_all_counted,
                the_probe_answers,
            ]
        );
    };
}
pub(crate) use limit_contract;

const HOUR: Duration = Duration::from_secs(3600);
/// Whole seconds, because a service may count in those.
const SHORT: Duration = Duration::from_secs(2);

fn account() -> Account {
    Account::of_address("192.0.2.1")
}

fn claim() -> Claim {
    Claim::new(Holder::new(ConversationId::random(), 1), Uuid::new_v4())
}

fn charged(tokens: u64) -> Book {
    let mut book = Book::default();
    book.charge(Used { tokens, warehouse_ms: 7 }, Timestamp::now());
    book
}

pub async fn a_book_is_read_as_it_was_written(harness: &impl Harness) {
    let (one, other) = (harness.instance(), harness.instance());
    assert_eq!(one.load(&account()).await.unwrap(), None);
    let mut book = charged(1 << 53);
    let limits = Limits { at_once: Some(3), ..Limits::default() };
    book.admit(&claim(), HOUR, &limits, Timestamp::now()).unwrap();
    assert!(one.replace(&account(), &book, None, HOUR).await.unwrap());
    assert_eq!(other.load(&account()).await.unwrap().unwrap().book, book);
    assert_eq!(other.load(&Account::of_app()).await.unwrap(), None, "another account");
}

pub async fn of_those_who_write_over_the_same_version_one_does(harness: &impl Harness) {
    let (one, other) = (harness.instance(), harness.instance());
    assert!(one.replace(&account(), &charged(1), None, HOUR).await.unwrap());
    assert!(!other.replace(&account(), &charged(2), None, HOUR).await.unwrap(), "there is one");
    let version = other.load(&account()).await.unwrap().unwrap().version;
    assert!(one.replace(&account(), &charged(3), Some(&version), HOUR).await.unwrap());
    assert!(!other.replace(&account(), &charged(4), Some(&version), HOUR).await.unwrap(), "it is another one by now");
    assert_eq!(one.load(&account()).await.unwrap().unwrap().book, charged(3));
    assert!(!one.replace(&Account::of_app(), &charged(5), Some(&version), HOUR).await.unwrap(), "there is none");
}

pub async fn a_book_is_gone_when_its_life_is_over(harness: &impl Harness) {
    let ledger = harness.instance();
    assert!(ledger.replace(&account(), &charged(1), None, SHORT).await.unwrap());
    let version = ledger.load(&account()).await.unwrap().unwrap().version;
    harness.elapse(SHORT).await;
    eventually("the book is gone", async || ledger.load(&account()).await.unwrap().is_none().then_some(())).await;
    assert!(!ledger.replace(&account(), &charged(2), Some(&version), HOUR).await.unwrap());
    assert!(ledger.replace(&account(), &charged(3), None, HOUR).await.unwrap());
    assert_eq!(ledger.load(&account()).await.unwrap().unwrap().book, charged(3));
}

pub async fn a_text_that_is_no_book_counts_as_an_empty_one(harness: &impl Harness) {
    let ledger = harness.instance();
    harness.spoil(&account()).await;
    let found = ledger.load(&account()).await.unwrap().unwrap();
    assert_eq!(found.book, Book::default());
    assert!(ledger.replace(&account(), &charged(1), Some(&found.version), HOUR).await.unwrap());
    assert_eq!(ledger.load(&account()).await.unwrap().unwrap().book, charged(1));
}

const INSTANCES: usize = 4;
const EACH: usize = 20;

/// Runs `change` in every instance so often, all at once, and returns the answers.
async fn burst<T: Send + 'static>(harness: &impl Harness, change: impl Fn(&mut Book) -> T + Clone + Send + Sync + 'static) -> Vec<T> {
    let instances: Vec<Arc<Accounts>> = (0..INSTANCES).map(|_| Arc::new(Accounts::new(harness.instance()))).collect();
    let changes = instances.iter().cycle().take(INSTANCES * EACH).map(|accounts| {
        let (accounts, change) = (Arc::clone(accounts), change.clone());
        tokio::spawn(async move {
            // A machine that is busy may not get round to it in time; whoever asks again finds its turn.
            loop {
                match accounts.change(&account(), &change).await {
                    Ok(answer) => break answer,
                    Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
                }
            }
        })
    });
    join_all(changes).await.into_iter().map(Result::unwrap).collect()
}

pub async fn a_burst_over_many_instances_is_admitted_to_the_limit_and_no_further(harness: &impl Harness) {
    let limits = Limits { at_once: Some(17), questions: Some(1000), ..Limits::default() };
    let admitted = burst(harness, move |book| book.admit(&claim(), HOUR, &limits, Timestamp::now()).is_ok()).await;
    let admitted = admitted.into_iter().filter(|is_admitted| *is_admitted).count();
    // One that was refused the answer, not the change, was asked again: then there are fewer, never more.
    assert!(admitted <= 17 && admitted > 17 / 2, "{admitted}");
}

pub async fn requests_of_many_instances_are_drawn_to_the_limit_and_no_further(harness: &impl Harness) {
    let now = Timestamp::now();
    let drawn: u64 = burst(harness, move |book| book.draw(3, 100, now)).await.into_iter().sum();
    assert!(drawn <= 100 && drawn > 50, "{drawn}");
}

pub async fn what_is_charged_at_once_is_all_counted(harness: &impl Harness) {
    let now = Timestamp::now();
    burst(harness, move |book| book.charge(Used { tokens: 1, warehouse_ms: 500 }, now)).await;
    let ledger = harness.instance();
    let book = ledger.load(&account()).await.unwrap().unwrap().book;
    let all = (INSTANCES * EACH) as u64;
    let limits = Limits { tokens: Some(1000), warehouse: Some(1000), ..Limits::default() };
    let standings = book.standings(asklake::conversation::Scope::App, &asklake::limit::Measure::OF_QUESTIONS, &limits, now);
    assert!(standings[0].left <= 1000 - all && standings[1].left <= 1000 - all / 2, "{standings:?}");
}

pub async fn the_probe_answers(harness: &impl Harness) {
    harness.instance().probe().await.unwrap();
}
