//! Many who ask at once, and a ledger that takes its time: what waits for others is no reason to admit without counting.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use asklake::{
    conversation::Account,
    limit::{Ledger, Limits, Unavailable, Version, Versioned, book::Book},
    service::{Fails, Limited, Policy},
};
use async_trait::async_trait;
use futures_util::future::join_all;

use super::{
    NONE, for_all,
    instances::{asks, from, instance},
    left,
};
use crate::support::embedded::Embedded;

/// A ledger that takes a while for each call, and counts them.
struct Slow {
    ledger: Arc<dyn Ledger>,
    time: Duration,
    calls: AtomicUsize,
}

impl Slow {
    fn over(embedded: &Embedded, time: Duration) -> Arc<Self> {
        Arc::new(Self { ledger: Arc::clone(&embedded.ledger), time, calls: AtomicUsize::new(0) })
    }

    async fn pass(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(self.time).await;
    }
}

#[async_trait]
impl Ledger for Slow {
    fn kind(&self) -> &'static str {
        self.ledger.kind()
    }

    async fn load(&self, account: &Account) -> Result<Option<Versioned>, Unavailable> {
        self.pass().await;
        self.ledger.load(account).await
    }

    async fn replace(&self, account: &Account, book: &Book, expected: Option<&Version>, life: Duration) -> Result<bool, Unavailable> {
        self.pass().await;
        self.ledger.replace(account, book, expected, life).await
    }

    async fn probe(&self) -> Result<(), Unavailable> {
        self.ledger.probe().await
    }
}

/// A policy that admits everything while the ledger is away.
fn open(app: Limits) -> Policy {
    Policy { fails: Fails::Open, ..for_all(app) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_far_beyond_the_limit_is_refused_by_it_and_asks_the_ledger_a_few_times() {
    const LIMIT: usize = 5;
    let embedded = Embedded::open();
    let slow = Slow::over(&embedded, Duration::from_millis(20));
    let service = instance(&embedded, Arc::clone(&slow) as _, open(Limits { questions: Some(LIMIT as u64), ..NONE }));
    let asker = from("192.0.2.1");
    let asked = join_all((0..250).map(|_| asks(&service, &asker))).await;
    let admitted = asked.iter().filter(|asked| asked.is_ok()).count();
    let refused = asked.iter().filter(|asked| matches!(asked, Err(Limited::Reached(_)))).count();
    assert_eq!((admitted, refused), (LIMIT, 250 - LIMIT));
    let calls = slow.calls.load(Ordering::SeqCst);
    assert!(calls <= 2 * LIMIT + 2, "those who are refused do not each ask: {calls}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_there_is_no_time_for_is_told_to_come_again_and_the_ledger_does_not_count_as_away() {
    let embedded = Embedded::open();
    let limits = Limits { questions: Some(1000), ..NONE };
    let slow = Slow::over(&embedded, Duration::from_millis(150));
    let service = instance(&embedded, Arc::clone(&slow) as _, open(limits));
    let asker = from("192.0.2.1");
    let asked = join_all((0..60).map(|_| asks(&service, &asker))).await;
    let admitted = asked.iter().filter(|asked| asked.is_ok()).count();
    let busy = asked.iter().filter(|asked| matches!(asked, Err(Limited::Busy))).count();
    assert!(busy > 0 && admitted > 0 && admitted + busy == 60, "{admitted} {busy}");
    let counted = async || 1000 - left(&*embedded.ledger, &limits).await[0];
    assert_eq!(counted().await, admitted as u64, "nobody was admitted without being counted");
    asks(&service, &asker).await.unwrap();
    assert_eq!(counted().await, admitted as u64 + 1, "and the next one is counted at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_ledger_hangs_those_who_ask_at_once_wait_for_it_once() {
    let embedded = Embedded::open();
    let slow = Slow::over(&embedded, Duration::from_secs(3600));
    let service = instance(&embedded, Arc::clone(&slow) as _, open(Limits { questions: Some(1), ..NONE }));
    let (asker, began) = (from("192.0.2.1"), Instant::now());
    let asked = join_all((0..50).map(|_| asks(&service, &asker))).await;
    assert!(asked.iter().all(Result::is_ok), "{asked:?}");
    assert!(began.elapsed() < Duration::from_secs(30), "fifty waits would be 100 s: {:?}", began.elapsed());
}
