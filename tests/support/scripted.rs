//! A model and a warehouse that follow a script and count what they are asked: for tests of the worker and for benches,
//! where the time of the real ones would hide what is to be seen.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use asklake::{
    conversation::{Answer, AnswerBasis, Column, Decision, Phase, QueryDecision, ResultSet, RunId},
    model::{self, Entry, Listener, Model, Reply, Request},
    warehouse::{self, Run, RunState, Statement, Warehouse},
};
use async_trait::async_trait;
use serde_json::json;
use tokio::sync::Notify;

/// A statement that every guard of the tests admits.
pub const SQL: &str = "SELECT primaryTitle FROM imdb.movies_delta LIMIT 2";

/// The statement of query `number`, from 0: [`SQL`] and others like it.
pub fn statement(number: usize) -> String {
    SQL.replace('2', &(number + 2).to_string())
}

type Script = dyn Fn(&Request, usize) -> Result<Decision, model::Error> + Send + Sync;

/// A model whose replies a closure gives, from the request and the number of queries that came before.
pub struct ScriptedModel {
    script: Box<Script>,
    time: Duration,
    /// A question to which it never comes to a reply.
    pub pondered: Option<String>,
    /// Calls so far, those without a reply included.
    pub begun: AtomicUsize,
    /// Replies given so far.
    pub calls: AtomicUsize,
    /// Probes so far.
    pub probes: AtomicUsize,
    /// How long one takes.
    pub probe_time: Duration,
}

impl ScriptedModel {
    /// A model that replies by `script` after `time`.
    pub fn new(time: Duration, script: impl Fn(&Request, usize) -> Result<Decision, model::Error> + Send + Sync + 'static) -> Self {
        let [begun, calls, probes] = [const { AtomicUsize::new(0) }; 3];
        Self { script: Box::new(script), time, pondered: None, begun, calls, probes, probe_time: Duration::ZERO }
    }

    /// A model that runs `queries` queries, one after the other and each another one, and then answers.
    pub fn querying(queries: usize, time: Duration) -> Self {
        Self::new(time, move |_, done| Ok(if done < queries { query(&statement(done)) } else { answer("two films") }))
    }
}

/// The decision to run `sql`.
pub fn query(sql: &str) -> Decision {
    Decision::Query(vec![QueryDecision {
        call_id: String::new(),
        sql_query: sql.into(),
        lookup: None,
        reasoning: "to see the films".into(),
    }])
}

/// The decision to answer with `text`.
pub fn answer(text: &str) -> Decision {
    let (assumptions, suggested_questions) = (vec!["a film is a movie".into()], vec!["How many films are there?".into()]);
    Decision::Answer(Answer { text: text.into(), basis: AnswerBasis::Data, assumptions, suggested_questions })
}

#[async_trait]
impl Model for ScriptedModel {
    fn kind(&self) -> &'static str {
        "scripted"
    }

    fn name(&self) -> &str {
        "scripted model"
    }

    fn fingerprint(&self, request: &Request) -> String {
        model::digest(&json!(request))
    }

    async fn reply(&self, request: &Request, _listener: &Listener<'_>) -> Result<Reply, model::Error> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let is_pondered = |entry: &Entry| matches!((entry, &self.pondered), (Entry::Question(text), Some(hard)) if text == hard);
        if request.transcript.last().is_some_and(is_pondered) {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(self.time).await;
        self.calls.fetch_add(1, Ordering::SeqCst);
        let done = request.transcript.iter().filter(|entry| matches!(entry, Entry::Query { .. })).count();
        Ok(Reply { decision: (self.script)(request, done)?, prompt_tokens: 10, completion_tokens: 5 })
    }

    async fn probe(&self) -> Result<(), model::Error> {
        self.probes.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(self.probe_time).await;
        Ok(())
    }
}

/// Holds a launch until somebody lets it pass.
#[derive(Default)]
pub struct Gate {
    /// Notified when a launch has come to it.
    pub reached: Notify,
    /// To be notified to let it pass.
    pub opened: Notify,
}

/// A warehouse whose every query takes a fixed time and returns the same rows.
pub struct ScriptedWarehouse {
    time: Duration,
    /// Whether every query is queued first and then waits for the warehouse to start.
    pub waits: bool,
    /// What every query returns.
    pub result: ResultSet,
    /// Parts of statements that return no row.
    pub empty: Mutex<Vec<String>>,
    /// The error that every query ends with instead.
    pub failure: Option<String>,
    runs: Mutex<HashMap<String, (Instant, String)>>,
    /// Statements launched, by token: more than one for a token is a second launch.
    pub launches: Mutex<HashMap<String, usize>>,
    /// The text of each statement launched, in order.
    pub statements: Mutex<Vec<String>>,
    /// Calls of `poll`.
    pub polls: AtomicUsize,
    /// Runs that it was asked to cancel.
    pub canceled: Mutex<HashSet<String>>,
    /// Whether it does, or lets them run on.
    pub cancels: bool,
    /// What every launch has to pass.
    pub gate: Option<Arc<Gate>>,
}

impl ScriptedWarehouse {
    /// A warehouse whose queries take `time`.
    pub fn new(time: Duration) -> Self {
        Self {
            time,
            waits: false,
            result: Self::rows(),
            empty: Mutex::default(),
            failure: None,
            runs: Mutex::default(),
            launches: Mutex::default(),
            statements: Mutex::default(),
            polls: AtomicUsize::new(0),
            canceled: Mutex::default(),
            cancels: true,
            gate: None,
        }
    }

    /// Two rows of one column.
    pub fn rows() -> ResultSet {
        let columns = vec![Column { name: "primaryTitle".into(), data_type: "string".into() }];
        ResultSet {
            columns,
            rows: vec![vec![json!("=One, \"two\"")], vec![json!(null)]],
            row_count: 2,
            truncated: false,
            limit_source: None,
        }
    }
}

#[async_trait]
impl Warehouse for ScriptedWarehouse {
    fn kind(&self) -> &'static str {
        "scripted"
    }

    async fn launch(&self, statement: &Statement) -> Result<Run, warehouse::Error> {
        if let Some(gate) = &self.gate {
            gate.reached.notify_one();
            gate.opened.notified().await;
        }
        let mut runs = self.runs.lock().unwrap();
        if !runs.contains_key(&statement.token) {
            *self.launches.lock().unwrap().entry(statement.token.clone()).or_default() += 1;
            self.statements.lock().unwrap().push(statement.sql.clone());
            runs.insert(statement.token.clone(), (Instant::now(), statement.sql.clone()));
        }
        Ok(Run {
            id: RunId::Text(statement.token.clone()),
            page_url: None,
            phase: if self.waits { Phase::Queued } else { Phase::Executing },
        })
    }

    async fn poll(&self, run: &RunId, known: Phase, wait: Duration) -> Result<RunState, warehouse::Error> {
        self.polls.fetch_add(1, Ordering::SeqCst);
        let Some((began, sql)) = self.runs.lock().unwrap().get(&run.to_string()).cloned() else { return Ok(RunState::Lost) };
        if self.cancels && self.canceled.lock().unwrap().contains(&run.to_string()) {
            return Ok(RunState::Canceled);
        }
        match known {
            Phase::Queued => return Ok(RunState::Running(Phase::Starting)),
            Phase::Starting => return Ok(RunState::Running(Phase::Executing)),
            Phase::Executing => {}
        }
        let left = self.time.saturating_sub(began.elapsed());
        tokio::time::sleep(left.min(wait)).await;
        Ok(match &self.failure {
            _ if began.elapsed() < self.time => RunState::Running(Phase::Executing),
            Some(error) => RunState::Failed(error.clone()),
            None if self.empty.lock().unwrap().iter().any(|part| sql.contains(part)) => {
                RunState::Succeeded(ResultSet { rows: vec![], row_count: 0, ..self.result.clone() })
            }
            None => RunState::Succeeded(self.result.clone()),
        })
    }

    async fn cancel(&self, run: &RunId) -> Result<(), warehouse::Error> {
        self.canceled.lock().unwrap().insert(run.to_string());
        Ok(())
    }

    async fn probe(&self) -> Result<(), warehouse::Error> {
        Ok(())
    }
}
