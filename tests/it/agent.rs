//! The loop of model and warehouse: what the model is told after each step, what it may not do, and what asklake makes of its answer.
//! The model follows a script, because what is held here must hold for the worst one.

use std::{
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use asklake::{
    conversation::{Answer, AnswerBasis, Decision, Lookup, QueryDecision},
    model::{self, Entry, Request},
    service::Settings,
};
use serde_json::Value;

use crate::support::{
    scripted::{SQL, ScriptedModel, ScriptedWarehouse, answer, query},
    server::TestServer,
};

const QUESTION: &str = "Which films are there?";

/// A conversation with a model, and everything that model was asked.
struct Talk {
    server: TestServer,
    requests: Arc<Mutex<Vec<Request>>>,
    warehouse: Arc<ScriptedWarehouse>,
}

impl Talk {
    /// With a model that replies by `script` to call number n, from 0.
    async fn with(script: impl Fn(&Request, usize) -> Decision + Send + Sync + 'static) -> Self {
        Self::by(Settings::default(), move |request, call| Ok(script(request, call))).await
    }

    async fn by(settings: Settings, script: impl Fn(&Request, usize) -> Result<Decision, model::Error> + Send + Sync + 'static) -> Self {
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let seen = Arc::clone(&requests);
        let model = ScriptedModel::new(Duration::ZERO, move |request, _| {
            let mut seen = seen.lock().unwrap();
            seen.push(request.clone());
            script(request, seen.len() - 1)
        });
        let warehouse = Arc::new(ScriptedWarehouse::new(Duration::ZERO));
        let server = TestServer::start_as(Arc::new(model), Arc::clone(&warehouse) as _, settings).await;
        Self { server, requests, warehouse }
    }

    async fn ask(&self, question: &str) -> Value {
        let id = self.server.ask(question).await;
        self.server.ended(&id).await
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    fn launches(&self) -> usize {
        self.warehouse.launches.lock().unwrap().len()
    }
}

/// The error of the last query that the model was told.
fn last_error(request: &Request) -> &str {
    match request.transcript.last() {
        Some(Entry::Query { result: Err(error), .. }) => error,
        other => panic!("no failed query: {other:?}"),
    }
}

fn objections(request: &Request) -> &[String] {
    match request.transcript.last() {
        Some(Entry::Draft { objections, .. }) => objections,
        other => panic!("no draft: {other:?}"),
    }
}

#[tokio::test]
async fn an_answer_with_a_number_that_no_row_has_is_written_again() {
    let talk = Talk::with(|_, call| match call {
        0 => query(SQL),
        1 => answer("There are 4711 films."),
        _ => answer("There are 2 films."),
    })
    .await;
    let status = talk.ask(QUESTION).await;
    assert_eq!((&status["final_answer"], &status["unverified"]), (&"There are 2 films.".into(), &Value::Array(vec![])));
    let requests = talk.requests();
    assert!(objections(&requests[2])[0].contains("4711"), "{:?}", objections(&requests[2]));
    assert_eq!((requests.len(), talk.launches()), (3, 1));
}

#[tokio::test]
async fn an_answer_that_stays_unsupported_goes_out_marked() {
    let talk = Talk::with(|_, call| if call == 0 { query(SQL) } else { answer("“Alien” is one of 4711 films.") }).await;
    let status = talk.ask(QUESTION).await;
    let text = status["final_answer"].as_str().unwrap();
    let last = text.lines().last().unwrap();
    assert!(last.starts_with("Not found in the rows: ") && last.contains("4711") && last.contains("Alien"), "{text}");
    assert_eq!(status["unverified"].as_array().unwrap().len(), 2, "{status}");
    assert_eq!(talk.requests().len(), 3, "it is written again once");
}

#[tokio::test]
async fn a_statement_whose_rows_are_there_is_not_run_again_and_the_model_must_answer() {
    let other_layout = "select primaryTitle\n  from imdb.movies_delta -- again\n limit 2";
    let talk = Talk::with(move |_, call| match call {
        0 => query(SQL),
        1 => query(other_layout),
        _ => answer("There are 2 films."),
    })
    .await;
    let status = talk.ask(QUESTION).await;
    assert_eq!(status["status"], "completed");
    let jobs = status["databricks_jobs"].as_array().unwrap();
    assert_eq!((jobs[1]["status"].as_str(), jobs[1]["run_id"].is_null(), talk.launches()), (Some("failed"), true, 1));
    let requests = talk.requests();
    assert_eq!(requests[2].queries_left, 0);
    assert!(last_error(&requests[2]).contains("query 1, whose rows are there"), "{}", last_error(&requests[2]));
}

#[tokio::test]
async fn a_statement_that_was_refused_is_repaired_twice_at_most_and_never_by_itself() {
    let talk = Talk::with(|_, _| query("SELECT primaryTitle FROM imdb.secrets")).await;
    let status = talk.ask(QUESTION).await;
    assert_eq!((status["status"].as_str(), &status["error_detail"]["code"]), (Some("error"), &"query_failed".into()));
    assert_eq!((talk.requests().len(), talk.launches()), (3, 0), "the first and two repairs");
}

#[tokio::test]
async fn a_query_that_cannot_be_repaired_leaves_the_rows_of_an_earlier_one_to_answer_from() {
    let talk = Talk::with(|request, call| match call {
        0 => query(SQL),
        _ if request.queries_left > 0 => query(&format!("SELECT nothing{call} FROM imdb.secrets")),
        _ => answer("There are 2 films."),
    })
    .await;
    let status = talk.ask(QUESTION).await;
    assert_eq!((&status["status"], &status["final_answer"]), (&"completed".into(), &"There are 2 films.".into()));
    assert_eq!(talk.requests().len(), 5, "a query, three in vain, the answer");
}

#[tokio::test]
async fn a_failed_query_comes_back_with_the_nearest_names_and_the_tables_it_needs() {
    let talk = Talk::with(|_, call| match call {
        0 => query("SELECT m.averageRatng FROM imdb.ratings_delta AS m"),
        1 => query(SQL),
        _ => answer("There are 2 films."),
    })
    .await;
    talk.ask(QUESTION).await;
    let requests = talk.requests();
    let error = last_error(&requests[1]);
    assert!(error.contains("averageRating") && error.contains("imdb.ratings_delta(tconst string, averageRating double"), "{error}");
    assert_eq!(talk.launches(), 1, "what has unknown names is never launched");
}

#[tokio::test]
async fn a_bare_model_is_told_the_error_and_nothing_more() {
    let settings = Settings { advises: false, ..Settings::default() };
    let talk = Talk::by(settings, |_, call| {
        Ok(if call == 0 { query("SELECT m.averageRatng FROM imdb.ratings_delta AS m") } else { answer("None.") })
    })
    .await;
    talk.ask(QUESTION).await;
    assert!(!last_error(&talk.requests()[1]).contains("tconst string"));
}

#[tokio::test]
async fn where_only_data_may_answer_recall_is_refused_after_one_more_try() {
    let recall = || {
        Decision::Answer(Answer {
            text: "Jaws is a film.".into(),
            basis: AnswerBasis::ModelKnowledge,
            assumptions: vec![],
            suggested_questions: vec![],
        })
    };
    let settings = Settings { data_only: true, ..Settings::default() };
    let talk = Talk::by(settings, move |_, _| Ok(recall())).await;
    let status = talk.ask(QUESTION).await;
    assert_eq!((&status["status"], &status["answer_basis"]), (&"completed".into(), &"none".into()));
    assert!(!status["final_answer"].as_str().unwrap().contains("Jaws"), "{status}");
    assert!(objections(&talk.requests()[1])[0].contains("no rows"));

    let talk = Talk::with(move |_, _| recall()).await;
    let status = talk.ask(QUESTION).await;
    assert_eq!(
        (&status["answer_basis"], &status["final_answer"]),
        (&"model_knowledge".into(), &"Jaws is a film.".into()),
        "else it is marked"
    );
}

/// Asks a model that queries once and then says `text`, over a lake in which nothing is found.
async fn found_nothing(data_only: bool, text: &'static str) -> Value {
    let settings = Settings { data_only, ..Settings::default() };
    let talk = Talk::by(settings, move |_, call| Ok(if call == 0 { query(SQL) } else { answer(text) })).await;
    talk.warehouse.empty.lock().unwrap().push("movies_delta".into());
    talk.ask(QUESTION).await
}

#[tokio::test]
async fn where_the_queries_found_nothing_the_answer_says_so_and_with_data_alone_says_no_more() {
    let recall = "It was directed by Bong Joon-ho and is a masterpiece.";
    let status = found_nothing(false, recall).await;
    assert_eq!(status["final_answer"], format!("{recall}\n\nThe query found no rows."));
    let status = found_nothing(true, recall).await;
    assert_eq!(
        (&status["answer_basis"], &status["final_answer"]),
        (&"data".into(), &"The query found no rows: nothing in the lake `imdb` matches it.".into())
    );
}

#[tokio::test]
async fn rows_that_a_statement_made_up_without_the_lake_are_no_data() {
    let talk = Talk::with(|_, call| match call {
        0 => query("SELECT 'Bong Joon-ho' AS director, 2019 AS year"),
        _ => answer("It is one of 2 films."),
    })
    .await;
    let status = talk.ask(QUESTION).await;
    assert_eq!((&status["answer_basis"], &status["unverified"]), (&"model_knowledge".into(), &serde_json::json!(["2"])));
}

#[tokio::test]
async fn a_query_that_finds_nothing_after_one_that_did_leaves_the_rows_of_that_one() {
    let talk = Talk::by(Settings::default(), |request, call| match call {
        0 => Ok(query(SQL)),
        1 if request.queries_left > 0 => Ok(query("SELECT primaryTitle FROM imdb.movies_delta WHERE 1 = 0")),
        _ => Err(model::Error::Unusable { detail: "It was empty.".into(), prompt_tokens: 1, completion_tokens: 1 }),
    })
    .await;
    talk.warehouse.empty.lock().unwrap().push("1 = 0".into());
    let status = talk.ask(QUESTION).await;
    assert!(status["final_answer"].as_str().unwrap().contains("=One"), "{status}");
}

#[tokio::test]
async fn a_lookup_is_a_query_that_clients_see_as_what_it_is() {
    let lookup = Lookup { column: "imdb.persons_delta.primaryName".into(), text: "Speilberg".into() };
    let decision = QueryDecision {
        call_id: "call_1".into(),
        sql_query: SQL.into(),
        lookup: Some(lookup.clone()),
        reasoning: "Looks up how “Speilberg” is spelt.".into(),
    };
    let talk = Talk::with(move |_, call| if call == 0 { Decision::Query(vec![decision.clone()]) } else { answer("There are 2.") }).await;
    let id = talk.server.ask("Films by Speilberg?").await;
    talk.server.ended(&id).await;
    let messages = talk.server.json(&format!("/api/chat/{id}/messages")).await;
    let call = &messages["messages"][1]["tool_calls"][0];
    assert_eq!((call["name"].as_str(), call["arguments"]["text"].as_str()), (Some("find_values"), Some("Speilberg")));
    assert_eq!((call["arguments"]["column"].as_str(), call["arguments"]["sql_query"].as_str()), (Some(lookup.column.as_str()), Some(SQL)));
    assert!(matches!(&talk.requests()[1].transcript[1], Entry::Query { lookup: Some(seen), result: Ok(_), .. } if *seen == lookup));
}

#[tokio::test]
async fn what_the_statement_assumed_and_the_verified_query_it_follows_are_told() {
    let sql = "SELECT COUNT(*) AS films FROM imdb.movies_with_ratings AS m \
               WHERE m.titleType = 'movie' AND array_contains(m.genres, 'Drama') AND m.startYear = 1985";
    let talk = Talk::with(move |_, call| if call == 0 { query(sql) } else { answer("There are 2.") }).await;
    let status = talk.ask("How many dramas came out in 1985?").await;
    assert_eq!(status["verified_queries"], serde_json::json!(["How many comedies came out in 1994?"]));
    let text = status["final_answer"].as_str().unwrap();
    assert!(text.ends_with("Follows the verified query “How many comedies came out in 1994?”."), "{text}");
    let assumptions: Vec<&str> = status["assumptions"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(assumptions, ["a film is a movie", "a film is titleType = 'movie'"], "the model's, and what the user did not say");
}

#[tokio::test]
async fn what_an_unusable_reply_has_cost_counts() {
    let talk = Talk::by(Settings::default(), |_, _| {
        Err(model::Error::Unusable { detail: "It was empty.".into(), prompt_tokens: 2000, completion_tokens: 7 })
    })
    .await;
    let status = talk.ask(QUESTION).await;
    assert_eq!(status["error_detail"]["code"], "model_failed");
    let usage = &status["usage"];
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"], &usage["model_calls"]), (&2000.into(), &7.into(), &1.into()));
}

#[tokio::test]
async fn rows_for_which_the_model_finds_no_words_are_the_answer() {
    let talk = Talk::by(Settings::default(), |_, call| match call {
        0 => Ok(query(SQL)),
        _ => Err(model::Error::Unusable { detail: "It was empty.".into(), prompt_tokens: 2000, completion_tokens: 7 }),
    })
    .await;
    let status = talk.ask(QUESTION).await;
    let text = status["final_answer"].as_str().unwrap();
    assert!(text.contains("no words") && text.contains("| primaryTitle |") && text.contains("=One"), "{text}");
    assert_eq!((&status["answer_basis"], &status["unverified"]), (&"data".into(), &Value::Array(vec![])));
    assert_eq!(status["usage"]["prompt_tokens"], 2010);
}

#[tokio::test]
async fn the_reason_of_a_query_stands_beside_the_progress_while_it_runs() {
    let model = ScriptedModel::new(Duration::ZERO, |_, _| Ok(query(SQL)));
    let calls = Arc::new(model);
    let server = TestServer::start(Arc::clone(&calls) as _, Arc::new(ScriptedWarehouse::new(Duration::from_secs(3600)))).await;
    let id = server.ask(QUESTION).await;
    let mut status = server.json(&format!("/api/chat/{id}/status")).await;
    while status["stage"] != "executing" {
        let after = status["revision"].as_u64().unwrap();
        status = server.json(&format!("/api/chat/{id}/status?wait=10&after={after}")).await;
    }
    assert_eq!(status["progress"]["reasoning"], "to see the films");
    assert_eq!(calls.calls.load(Ordering::SeqCst), 1);
}
