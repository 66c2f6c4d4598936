//! What one question costs in this process apart from model and warehouse: guard, planner, machine, document. Criterion.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

use std::{hint::black_box, sync::Arc};

use asklake::{
    conversation::{Budgets, Conversation, ConversationId, Decision, NewConversation, Outcome, QueryDecision, Timestamp, apply},
    model::{Entry, Model, Request, offline::Planner},
    sql::{Catalog, Guard},
    store::document::Document,
};
use criterion::{Criterion, criterion_group, criterion_main};

fn conversation() -> Conversation {
    let new = NewConversation {
        id: ConversationId::random(),
        question: "which films?".into(),
        owner: None,
        user_id: None,
        device_id: None,
        language: None,
        request_digest: None,
    };
    Conversation::start(new, Timestamp::now())
}

fn decided() -> Outcome {
    let query = QueryDecision { call_id: String::new(), sql_query: "SELECT 1".into(), lookup: None, reasoning: "to see".into() };
    Outcome::ModelReplied {
        review: Box::default(),
        decision: Decision::Query(vec![query]),
        model: "bench".into(),
        prompt_tokens: 1,
        completion_tokens: 1,
        model_ms: 1,
    }
}

fn functions(criterion: &mut Criterion) {
    let guard = Guard::new(&Catalog::embedded().unwrap(), 1000);
    let statement = "WITH top AS (SELECT m.tconst, m.primaryTitle, r.averageRating, row_number() OVER (PARTITION BY m.startYear ORDER BY r.averageRating DESC) AS place
        FROM imdb.movies_delta m JOIN imdb.ratings_delta r ON m.tconst = r.tconst WHERE r.numVotes >= 25000 AND array_contains(m.genres, 'Drama'))
        SELECT primaryTitle, averageRating FROM top WHERE place <= 3 ORDER BY averageRating DESC";
    assert!(guard.admit(statement).is_ok());
    criterion.bench_function("guard: admit a join with a window", |bench| bench.iter(|| guard.admit(black_box(statement))));
    criterion.bench_function("guard: refuse a DROP", |bench| bench.iter(|| guard.admit(black_box("DROP TABLE imdb.movies_delta"))));

    let catalog = Arc::new(Catalog::embedded().unwrap());
    let question = catalog.questions[0].clone();
    let planner = Planner::new(catalog);
    let request = Request { language: None, transcript: vec![Entry::Question(question)], queries_left: 6 };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    criterion.bench_function("planner: question to query", |bench| {
        bench.iter(|| runtime.block_on(planner.reply(black_box(&request), &asklake::model::unheard)).unwrap())
    });
    criterion.bench_function("catalog: read and check", |bench| bench.iter(|| Catalog::embedded().unwrap()));

    let start = conversation();
    let budgets = Budgets::default();
    let now = Timestamp::now();
    criterion.bench_function("machine: apply a decision", |bench| bench.iter(|| apply(black_box(start.clone()), decided(), &budgets, now)));
    let stored = apply(start, decided(), &budgets, now).unwrap().conversation;
    let json = serde_json::to_string(&Document::new(&stored, 1)).unwrap();
    criterion.bench_function("document: write", |bench| bench.iter(|| serde_json::to_string(&Document::new(black_box(&stored), 1))));
    criterion.bench_function("document: read", |bench| bench.iter(|| serde_json::from_str::<Conversation>(black_box(&json)).unwrap()));
}

criterion_group!(benches, functions);
criterion_main!(benches);
