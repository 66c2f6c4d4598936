//! Quotas over instances that share a ledger, and without a ledger.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use asklake::{
    conversation::{Account, Caller, Owner},
    limit::{
        Ledger, Limits, Unavailable, Version, Versioned,
        accounts::Accounts,
        book::{Book, Claim, Holder},
        redis::RedisLedger,
    },
    queue::Wake,
    redis::Redis,
    service::{Asker, Fails, Limited, Policy, Service, StartError},
};
use async_trait::async_trait;
use futures_util::future::join_all;
use uuid::Uuid;

use super::{NONE, for_all, new, within};
use crate::{
    contract::eventually,
    support::{
        embedded::Embedded,
        redis::RedisServer,
        scripted::{ScriptedModel, ScriptedWarehouse},
    },
};

pub fn instance(embedded: &Embedded, ledger: Arc<dyn Ledger>, policy: Policy) -> Service {
    let model = Arc::new(ScriptedModel::querying(0, Duration::ZERO));
    within(embedded, model, Arc::new(ScriptedWarehouse::new(Duration::ZERO)), ledger, policy)
}

fn in_redis(server: &RedisServer) -> Arc<dyn Ledger> {
    Arc::new(RedisLedger::new(Arc::new(Redis::new(&server.url()).unwrap())))
}

pub fn from(network: &str) -> Asker<'static> {
    Asker { caller: &Caller::Anonymous, network: Some(network.into()), proof: None }
}

/// Whether a question is admitted.
pub async fn asks(service: &Service, asker: &Asker<'_>) -> Result<(), Limited> {
    match service.start_for(asker, new(asker.caller), true).await {
        Ok(_) => Ok(()),
        Err(StartError::Limited(limited)) => Err(limited),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_over_instances_is_admitted_to_the_limit_and_no_further() {
    const LIMIT: usize = 13;
    let (server, embedded) = (RedisServer::start(), Embedded::open());
    let limits = Limits { at_once: Some(LIMIT as u64), questions: Some(1000), ..NONE };
    let instances: Vec<Service> = (0..4).map(|_| instance(&embedded, in_redis(&server), for_all(limits))).collect();
    let asker = from("192.0.2.1");
    let asked = join_all((0..80).map(|n| asks(&instances[n % 4], &asker))).await;
    let admitted = asked.iter().filter(|asked| asked.is_ok()).count();
    let unavailable = asked.iter().filter(|asked| matches!(asked, Err(Limited::Unavailable(_)))).count();
    assert!(admitted <= LIMIT, "{admitted}");
    assert!(admitted + unavailable >= LIMIT, "{admitted} {unavailable}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn principals_and_addresses_have_quotas_of_their_own_and_what_one_refuses_the_others_do_not_count() {
    let embedded = Embedded::open();
    let questions = |questions| Limits { questions: Some(questions), ..NONE };
    let policy = Policy { principal: questions(2), address: questions(3), app: questions(5), fails: Fails::Closed };
    let service = instance(&embedded, Arc::clone(&embedded.ledger), policy);
    let [ann, ben] = ["ann", "ben"].map(|subject| Caller::User(Owner::new("https://issuer", subject).unwrap()));
    let refusal = async |caller: &Caller, network: &str| {
        let asked = asks(&service, &Asker { caller, network: Some(network.into()), proof: None }).await;
        asked.err().map(|limited| match limited {
            Limited::Reached(standing) => standing.quota.name(),
            other => panic!("{other}"),
        })
    };
    assert_eq!(refusal(&ann, "192.0.2.1").await, None);
    assert_eq!(refusal(&ann, "192.0.2.1").await, None);
    for _ in 0..5 {
        assert_eq!(refusal(&ann, "192.0.2.2").await, Some("quota-principal-questions-per-day"));
    }
    assert_eq!(refusal(&ben, "192.0.2.1").await, None);
    for _ in 0..5 {
        assert_eq!(refusal(&ben, "192.0.2.1").await, Some("quota-address-questions-per-day"), "and takes ben's own back");
    }
    assert_eq!(refusal(&ben, "192.0.2.2").await, None);
    assert_eq!(refusal(&Caller::Anonymous, "192.0.2.2").await, None);
    assert_eq!(refusal(&Caller::Anonymous, "192.0.2.3").await, Some("quota-app-questions-per-day"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_ledger_is_away_questions_and_requests_are_admitted_or_refused_as_it_is_configured() {
    for fails in [Fails::Open, Fails::Closed] {
        let (server, embedded) = (RedisServer::start(), Embedded::open());
        let policy = Policy { fails, ..for_all(Limits { questions: Some(1), requests: Some(1), ..NONE }) };
        let service = instance(&embedded, in_redis(&server), policy);
        let asker = from("192.0.2.1");
        asks(&service, &asker).await.unwrap();
        assert!(matches!(asks(&service, &asker).await, Err(Limited::Reached(_))));
        server.kill();
        for _ in 0..3 {
            let (asked, read) = (asks(&service, &asker).await, service.admit_request(&asker).await.map(drop));
            match fails {
                Fails::Open => assert!(asked.is_ok() && read.is_ok(), "{asked:?} {read:?}"),
                Fails::Closed => {
                    assert!(matches!(asked, Err(Limited::Unavailable(_))) && matches!(read, Err(Limited::Unavailable(_))));
                }
            }
        }
        let readiness = service.readiness().await;
        let ledger = readiness.dependencies.iter().find(|dependency| dependency.name == "quotas").unwrap();
        assert!(ledger.fault.is_some() && !ledger.is_needed);
        // It comes back empty, and counts again.
        server.resume();
        let counts = async || matches!(asks(&service, &asker).await, Err(Limited::Reached(_))).then_some(());
        eventually("the ledger counts again", counts).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_a_dead_worker_left_behind_is_given_back_by_the_next_delivery() {
    let embedded = Embedded::open();
    let ledger = Arc::clone(&embedded.ledger);
    let service = instance(&embedded, Arc::clone(&ledger), for_all(Limits { at_once: Some(1), ..NONE }));
    let caller = Caller::Anonymous;
    let (started, standings) = service.start_for(&Asker::local(&caller), new(&caller), true).await.unwrap();
    assert_eq!(standings[0].left, 0);
    let wake = Wake::of(&embedded.store.load(started.id).await.unwrap().unwrap().conversation);
    service.step(wake, 1).await.unwrap();
    // As it is when the worker dies between the commit that ended the turn and giving the place back.
    let accounts = Accounts::new(ledger);
    let (limits, claim) = (Limits { at_once: Some(1), ..NONE }, Claim::new(Holder::new(started.id, 1), Uuid::new_v4()));
    let app = Account::of_app();
    let held = accounts
        .change(&app, |book| book.admit(&claim, Duration::from_secs(3600), &limits, asklake::conversation::Timestamp::now()).is_ok());
    assert!(held.await.unwrap());
    assert!(matches!(asks(&service, &Asker::local(&caller)).await, Err(Limited::Reached(_))));
    service.step(wake, 2).await.unwrap();
    asks(&service, &Asker::local(&caller)).await.unwrap();
}

/// A ledger that counts what it is asked.
struct Counted {
    ledger: Arc<dyn Ledger>,
    asked: AtomicUsize,
}

#[async_trait]
impl Ledger for Counted {
    fn kind(&self) -> &'static str {
        self.ledger.kind()
    }

    async fn load(&self, account: &Account) -> Result<Option<Versioned>, Unavailable> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.ledger.load(account).await
    }

    async fn replace(&self, account: &Account, book: &Book, expected: Option<&Version>, life: Duration) -> Result<bool, Unavailable> {
        self.ledger.replace(account, book, expected, life).await
    }

    async fn probe(&self) -> Result<(), Unavailable> {
        self.ledger.probe().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_polls_ask_the_ledger_a_few_times() {
    let embedded = Embedded::open();
    let counted = Arc::new(Counted { ledger: Arc::clone(&embedded.ledger), asked: AtomicUsize::new(0) });
    let policy = for_all(Limits { requests: Some(800), ..NONE });
    let service = instance(&embedded, Arc::clone(&counted) as _, policy);
    let asker = from("192.0.2.1");
    let mut admitted = 0;
    for _ in 0..1000 {
        admitted += usize::from(service.admit_request(&asker).await.is_ok());
    }
    let asked = counted.asked.load(Ordering::SeqCst);
    // Of 800 by 50 are 16, and once more for as many as a second minute has.
    assert!((800..=1000).contains(&admitted) && asked <= 2 * 16 + 2, "{admitted} {asked}");
}
