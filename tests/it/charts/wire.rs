//! The chart as a client gets it.

use std::{sync::Arc, time::Duration};

use asklake::conversation::{Answer, AnswerBasis, Decision};
use serde_json::{Value, json};

use super::{VEGA_LITE, result};
use crate::support::{
    scripted::{ScriptedModel, ScriptedWarehouse, answer, query, statement},
    server::TestServer,
};

/// Asks `question` of a model that runs `queries` queries, of two rows each, and answers on `basis`.
async fn chart(question: &str, queries: usize, basis: AnswerBasis) -> Value {
    let model = ScriptedModel::new(Duration::ZERO, move |_, done| {
        if done < queries {
            return Ok(query(&statement(done)));
        }
        let answer = Answer { text: "see the rows".into(), basis, assumptions: Vec::new(), suggested_questions: Vec::new() };
        Ok(Decision::Answer(answer))
    });
    let mut warehouse = ScriptedWarehouse::new(Duration::ZERO);
    warehouse.result = result(&["region:string", "orders:bigint"], vec![vec![json!("North"), json!(3)], vec![json!("South"), json!(2)]]);
    let server = TestServer::start(Arc::new(model), Arc::new(warehouse)).await;
    let start = json!({"question": question});
    let started: Value = server.post_start(&start).await.json().await.unwrap();
    server.ended(started["conversation_id"].as_str().unwrap()).await["chart"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_has_the_chart_of_the_last_query() {
    let chart = chart("which regions?", 2, AnswerBasis::Data).await;
    assert!(VEGA_LITE.is_valid(&chart), "{chart:#}");
    insta::assert_json_snapshot!(chart);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_rests_on_no_rows_has_no_chart() {
    assert_eq!(chart("which regions?", 1, AnswerBasis::ModelKnowledge).await, Value::Null);
    assert_eq!(chart("which regions?", 0, AnswerBasis::Data).await, Value::Null);
    assert_eq!(chart("which regions? no chart", 1, AnswerBasis::Data).await, Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follow_up_may_ask_for_a_chart_of_what_was_found_before() {
    let model = ScriptedModel::new(Duration::ZERO, |_, done| Ok(if done == 0 { query(&statement(0)) } else { answer("see the rows") }));
    let mut warehouse = ScriptedWarehouse::new(Duration::ZERO);
    warehouse.result = result(&["region:string", "orders:bigint"], vec![vec![json!("North"), json!(3)], vec![json!("South"), json!(2)]]);
    let server = TestServer::start(Arc::new(model), Arc::new(warehouse)).await;
    let id = server.ask("which regions?").await;
    assert_eq!(server.ended(&id).await["chart"]["mark"]["type"], "bar");
    for (question, mark) in [("as a pie chart please", json!("arc")), ("thank you", json!(null))] {
        let path = format!("/api/chat/{id}/messages");
        let asked = server.request(reqwest::Method::POST, &path).json(&json!({"question": question})).send().await.unwrap();
        assert_eq!(asked.status(), 202);
        assert_eq!(server.ended(&id).await["chart"]["mark"]["type"], mark, "{question}");
    }
}
