//! What a book says, by a clock that the test moves.

use std::time::Duration;

use asklake::{
    conversation::{ConversationId, Scope, Timestamp},
    limit::{
        Limits, Measure, Quota,
        book::{Book, Claim, DAY, Holder, MINUTE, Used},
    },
};
use proptest::prelude::*;
use uuid::Uuid;

/// Noon of some day.
const NOON: i64 = 1_795_003_200_000 - 1_795_003_200_000 % 86_400_000 + 43_200_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_millis(NOON + 1000 * seconds)
}

/// That of a request to begin a turn that nobody else asks for.
fn claim() -> Claim {
    Claim::new(Holder::new(ConversationId::random(), 1), Uuid::new_v4())
}

/// Those of requests to begin the same turn.
fn claims<const N: usize>() -> [Claim; N] {
    let holder = Holder::new(ConversationId::random(), 1);
    [(); N].map(|()| Claim::new(holder.clone(), Uuid::new_v4()))
}

const LIFE: Duration = Duration::from_secs(60);
const LIMITS: Limits = Limits { requests: Some(5), at_once: Some(2), questions: Some(4), tokens: Some(100), warehouse: Some(10) };

#[test]
fn a_place_is_free_again_when_it_is_given_back_or_whoever_held_it_is_dead() {
    let mut book = Book::default();
    let (first, second) = (claim(), claim());
    book.admit(&first, LIFE, &LIMITS, at(0)).unwrap();
    book.admit(&second, LIFE, &LIMITS, at(1)).unwrap();
    assert_eq!(book.admit(&claim(), LIFE, &LIMITS, at(2)), Err(Measure::AtOnce));
    book.release(first.holder());
    book.release(first.holder());
    book.admit(&claim(), LIFE, &LIMITS, at(3)).unwrap();
    assert_eq!(book.admit(&claim(), LIFE, &LIMITS, at(4)), Err(Measure::AtOnce));
    // The second's is over at 61, and was never given back.
    assert_eq!(book.admit(&claim(), LIFE, &LIMITS, at(60)), Err(Measure::AtOnce));
    book.admit(&claim(), LIFE, &LIMITS, at(61)).unwrap();
}

/// What is left of questions and of places.
fn both_left(book: &Book) -> (u64, u64) {
    (left(book, Measure::Questions, 0), left(book, Measure::AtOnce, 0))
}

#[test]
fn a_question_that_has_its_place_is_counted_once() {
    let mut book = Book::default();
    let same = claim();
    for _ in 0..10 {
        book.admit(&same, LIFE, &LIMITS, at(0)).unwrap();
    }
    assert_eq!(both_left(&book), (3, 1));
    book.withdraw(&same, &LIMITS, at(0));
    assert_eq!(both_left(&book), (4, 2));
}

#[test]
fn requests_for_the_same_turn_share_its_place_until_none_of_them_is_left() {
    let orders: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in orders {
        let mut book = Book::default();
        let other = claim();
        book.admit(&other, LIFE, &LIMITS, at(0)).unwrap();
        let requests = claims::<3>();
        for request in &requests {
            book.admit(request, LIFE, &LIMITS, at(0)).unwrap();
        }
        assert_eq!(both_left(&book), (2, 0), "one question");
        let [first, second, last] = order.map(|index| &requests[index]);
        for request in [first, second, first] {
            book.withdraw(request, &LIMITS, at(0));
            assert_eq!(both_left(&book), (2, 0), "whoever is left has begun the turn, or will: {order:?}");
        }
        for _ in 0..2 {
            book.withdraw(last, &LIMITS, at(0));
            assert_eq!(both_left(&book), (3, 1), "{order:?}");
        }
    }
}

#[test]
fn a_question_that_was_answered_stays_counted_whoever_asked_for_it_in_vain() {
    let mut book = Book::default();
    let [winner, loser, late] = claims();
    book.admit(&winner, LIFE, &LIMITS, at(0)).unwrap();
    book.admit(&loser, LIFE, &LIMITS, at(0)).unwrap();
    book.release(winner.holder());
    book.withdraw(&loser, &LIMITS, at(0));
    assert_eq!(both_left(&book), (3, 2));
    // By one that did not see yet that it has ended.
    book.admit(&late, LIFE, &LIMITS, at(0)).unwrap();
    book.withdraw(&loser, &LIMITS, at(0));
    assert_eq!(both_left(&book), (2, 1));
    book.withdraw(&late, &LIMITS, at(0));
    assert_eq!(both_left(&book), (3, 2));
}

#[test]
fn without_places_each_request_is_counted_and_taken_back_by_itself() {
    let mut book = Book::default();
    let limits = Limits { at_once: None, ..LIMITS };
    let requests = claims::<3>();
    for (request, left) in requests.iter().zip([3, 2, 1]) {
        book.admit(request, LIFE, &limits, at(0)).unwrap();
        assert_eq!(both_left(&book), (left, 2));
    }
    for (request, left) in requests.iter().zip([2, 3]) {
        book.withdraw(request, &limits, at(0));
        assert_eq!(both_left(&book), (left, 2));
    }
}

#[test]
fn a_place_that_an_earlier_build_has_written_down_is_read() {
    let mut book = Book::default();
    book.admit(&claim(), LIFE, &LIMITS, at(0)).unwrap();
    let mut stored = serde_json::to_value(&book).unwrap();
    stored["places"][0].as_object_mut().unwrap().remove("requests").unwrap();
    let book: Book = serde_json::from_value(stored).unwrap();
    assert_eq!(both_left(&book), (3, 1));
}

#[test]
fn what_a_question_used_is_counted_afterwards_and_the_next_is_refused_when_all_is_used_up() {
    for (used, measure) in [
        (Used { tokens: 99, warehouse_ms: 9_999 }, None),
        (Used { tokens: 100, warehouse_ms: 0 }, Some(Measure::Tokens)),
        (Used { tokens: 5000, warehouse_ms: 0 }, Some(Measure::Tokens)),
        (Used { tokens: 0, warehouse_ms: 10_000 }, Some(Measure::Warehouse)),
    ] {
        let mut book = Book::default();
        book.charge(used, at(0));
        assert_eq!(book.admit(&claim(), LIFE, &LIMITS, at(1)).err(), measure, "{used:?}");
        let tomorrow = at(12 * 3600);
        book.admit(&claim(), LIFE, &LIMITS, tomorrow).unwrap();
    }
}

#[test]
fn a_day_is_that_of_utc_and_a_clock_that_is_behind_does_not_begin_it_again() {
    let mut book = Book::default();
    let limits = Limits { questions: Some(1), ..Limits::default() };
    book.admit(&claim(), LIFE, &limits, at(12 * 3600 - 1)).unwrap();
    assert_eq!(book.admit(&claim(), LIFE, &limits, at(12 * 3600 - 1)), Err(Measure::Questions));
    book.admit(&claim(), LIFE, &limits, at(12 * 3600)).unwrap();
    assert_eq!(book.admit(&claim(), LIFE, &limits, at(12 * 3600 - 1)), Err(Measure::Questions), "behind");
    assert_eq!(book.admit(&claim(), LIFE, &limits, at(12 * 3600)), Err(Measure::Questions));
}

#[test]
fn a_refused_question_is_not_counted() {
    let mut book = Book::default();
    let limits = Limits { at_once: Some(0), questions: Some(4), ..Limits::default() };
    for _ in 0..10 {
        book.admit(&claim(), LIFE, &limits, at(0)).unwrap_err();
    }
    assert_eq!(book.standings(Scope::App, &[Measure::Questions], &limits, at(0))[0].left, 4);
}

#[test]
fn every_quota_is_named_like_its_variable() {
    let measures = [Measure::Requests, Measure::AtOnce, Measure::Questions, Measure::Tokens, Measure::Warehouse];
    for scope in [Scope::Principal, Scope::Address, Scope::App] {
        for measure in measures {
            let variable = Quota { scope, measure }.name().to_uppercase().replace('-', "_");
            assert!(asklake::config::VARIABLES.iter().any(|known| known.name == variable), "{variable}");
        }
    }
}

fn left(book: &Book, measure: Measure, seconds: i64) -> u64 {
    book.standings(Scope::App, &[measure], &LIMITS, at(seconds))[0].left
}

#[derive(Clone, Debug)]
enum Act {
    Draw(u64),
    Admit(usize),
    Withdraw(usize),
    Release(usize),
    Charge(u64, u64),
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0..8_u64).prop_map(Act::Draw),
        (0..6_usize).prop_map(Act::Admit),
        (0..6_usize).prop_map(Act::Withdraw),
        (0..6_usize).prop_map(Act::Release),
        (0..60_u64, 0..6_000_u64).prop_map(|(tokens, millis)| Act::Charge(tokens, millis)),
        (0..40_000_u64).prop_map(Act::Wait),
    ]
}

proptest! {
    /// Whatever is done in whatever order: no window admits more than its limit, no more places are held than there are, and no question is
    /// admitted over tokens or seconds that are used up.
    #[test]
    fn no_limit_is_passed(acts in proptest::collection::vec(act(), 0..200)) {
        let (mut book, mut now) = (Book::default(), at(0));
        // Two requests for each of three turns.
        let requests: Vec<Claim> = (0..3).flat_map(|_| claims::<2>()).collect();
        let (mut minute, mut drawn) = (0, 0);
        let (mut day, mut questions, mut tokens, mut millis) = (0, 0_i64, 0, 0);
        for act in acts {
            let (this_minute, this_day) = (asklake::limit::book::window(now, MINUTE), asklake::limit::book::window(now, DAY));
            if this_minute != minute { (minute, drawn) = (this_minute, 0); }
            if this_day != day { (day, questions, tokens, millis) = (this_day, 0, 0, 0); }
            match act {
                Act::Draw(most) => drawn += book.draw(most, 5, now),
                Act::Admit(index) => {
                    let before = book.clone();
                    if book.admit(&requests[index], LIFE, &LIMITS, now).is_ok() && left(&book, Measure::Questions, 0) < left(&before, Measure::Questions, 0) {
                        questions += 1;
                        prop_assert!(tokens < 100 && millis / 1000 < 10);
                    }
                }
                Act::Withdraw(index) => {
                    let before = left(&book, Measure::Questions, 0);
                    book.withdraw(&requests[index], &LIMITS, now);
                    questions -= i64::try_from(left(&book, Measure::Questions, 0) - before).unwrap();
                }
                Act::Release(index) => book.release(requests[index].holder()),
                Act::Charge(more, longer) => {
                    book.charge(Used { tokens: more, warehouse_ms: longer }, now);
                    (tokens, millis) = (tokens + more, millis + longer);
                }
                Act::Wait(seconds) => now = now.plus(Duration::from_secs(seconds)),
            }
            prop_assert!(drawn <= 5 && questions <= 4);
            prop_assert!(left(&book, Measure::AtOnce, 0) <= 2);
        }
    }
}
