//! Asking the questions of a suite and judging what comes of them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{
    compare::{self, Agreement, Edge, Order},
    order,
    suite::{Expected, Level, Question},
};
use crate::{
    conversation::{AnswerBasis, Caller, Conversation, ConversationId, Job, LimitSource, NewConversation, ResultSet, Revision},
    service::{Service, Wait},
    sql::Lake,
    tape::{Heard, Port, Source, Tape},
    warehouse::{self, RunState, Statement, Warehouse},
};

/// What a suite is run against: the use cases with a worker behind them, and what runs the statements that are known to be right.
pub struct Bench {
    /// Who is asked.
    pub service: Service,
    /// What the known statements are about, and who admits them.
    pub lake: Lake,
    /// Who runs them.
    pub warehouse: Arc<dyn Warehouse>,
    /// What stands before model and warehouse: it knows what was asked of them.
    pub tape: Arc<Tape>,
    /// Folder of the store and queue, gone with the bench.
    pub folder: tempfile::TempDir,
}

/// How a question ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The rows are the known ones; or there is no answer, and it was said.
    Right,
    /// Other rows, or an answer where there is none.
    Wrong,
    /// The turn failed.
    Error,
    /// It was said that there is no answer, but there is.
    Refused,
    /// The suite is wrong: its own statement is refused, fails or gives no rows.
    Fault,
    /// Model or warehouse would have to be asked what the recording does not hold.
    Unrecorded,
}

impl Verdict {
    /// The verdict as reports show it: what is not right stands out.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Wrong => "WRONG",
            Self::Error => "ERROR",
            Self::Refused => "REFUSED",
            Self::Fault => "FAULT",
            Self::Unrecorded => "UNRECORDED",
        }
    }
}

/// A question with what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// Id of the question.
    pub id: String,
    /// Its level.
    pub level: Level,
    /// Its text.
    pub question: String,
    /// How it ended.
    pub verdict: Verdict,
    /// Whether the rows have no column beyond the known ones; absent where no rows were compared as right.
    pub strict: Option<bool>,
    /// Why, unless it is right.
    pub reason: Option<String>,
    /// The statement the answer rests on, as it was launched.
    pub sql: Option<String>,
    /// The known statement it was compared with, its parameters filled in.
    pub known_sql: Option<String>,
    /// The rows of the answer, the first of them.
    pub rows: Option<Sample>,
    /// The known rows, the first of them.
    pub known_rows: Option<Sample>,
    /// The answer.
    pub answer: Option<String>,
    /// What the answer says that its rows do not.
    #[serde(default)]
    pub unverified: Vec<String>,
    /// What it took.
    pub cost: Cost,
}

/// The first rows of a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// At most [`ROWS_KEPT`] rows.
    pub rows: Vec<Vec<serde_json::Value>>,
    /// Rows in all.
    pub row_count: u64,
}

/// Rows of either side that a report keeps.
pub const ROWS_KEPT: usize = 20;

/// What an answer took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Calls of the model.
    pub model_calls: u32,
    /// Queries launched.
    pub queries: u32,
    /// Queries that were refused or failed and given back to the model.
    pub repairs: u32,
    /// Answers that were given back to the model because its rows do not say what they say.
    #[serde(default)]
    pub rewrites: u32,
    /// Tokens the model read.
    pub prompt_tokens: u64,
    /// Tokens it wrote.
    pub completion_tokens: u64,
    /// From the question to the answer, in milliseconds.
    pub total_ms: u64,
    /// Waiting for the model, in milliseconds.
    pub model_ms: u64,
    /// Between launch and end of queries, in milliseconds.
    pub warehouse_ms: u64,
    /// Calls that no recording answered.
    #[serde(default)]
    pub live_model_calls: u32,
}

/// How long one read of a running turn is held.
const WAIT: Duration = Duration::from_secs(20);

impl Bench {
    /// Asks `question` and judges the answer.
    ///
    /// # Errors
    /// When store, queue or warehouse fail: then there is nothing to judge.
    pub async fn judge(&self, question: &Question) -> anyhow::Result<Judged> {
        let mut judged = unjudged(question);
        let mut known = Vec::new();
        if let Expected::Rows(statements) = &question.expected {
            for statement in statements {
                match self.known(self.lake.catalog.fill(statement), question.order).await? {
                    Ok(rows) => known.push(rows),
                    Err((verdict, reason)) => {
                        (judged.verdict, judged.reason) = (verdict, Some(reason));
                        return Ok(judged);
                    }
                }
            }
        }
        let began = Instant::now();
        let conversation = self.ask(&question.text).await?;
        judged.cost = self.cost(&conversation, milliseconds(began.elapsed()));
        judged.answer.clone_from(&conversation.final_answer);
        judged.unverified.clone_from(&conversation.unverified);
        let answer = match last_rows(&conversation) {
            Some((number, sql)) => {
                judged.sql = Some(sql.to_owned());
                self.service.result(&conversation, number).await?
            }
            None => None,
        };
        judged.rows = answer.as_ref().map(sample);
        let is_refused = conversation.answer_basis == Some(AnswerBasis::None);
        let compared = compare_with_any(&known, answer.as_ref(), &mut judged);
        let (verdict, reason) = match (&question.expected, compared) {
            _ if conversation.final_answer.is_none() => {
                let verdict = if self.is_unrecorded(&conversation) { Verdict::Unrecorded } else { Verdict::Error };
                (verdict, conversation.error)
            }
            (Expected::Refusal { .. }, _) if is_refused => (Verdict::Right, None),
            (Expected::Refusal { missing }, _) => (Verdict::Wrong, Some(format!("answered, but the lake lacks: {missing}"))),
            (Expected::Rows(_), _) if is_refused => (Verdict::Refused, Some("said that there is no answer".into())),
            (Expected::Rows(_), Ok(agreement)) => {
                judged.strict = Some(agreement.extra_columns == 0);
                (Verdict::Right, None)
            }
            (Expected::Rows(_), Err(reason)) => (Verdict::Wrong, Some(reason)),
        };
        (judged.verdict, judged.reason) = (verdict, reason);
        Ok(judged)
    }

    /// What the turn took, with the times that the live ones took where they are played.
    fn cost(&self, conversation: &Conversation, wall_ms: u64) -> Cost {
        let usage = &conversation.usage;
        let model = self.tape.heard(Port::Model, &conversation.question);
        let statements = conversation.turn_jobs().filter_map(|(_, job)| self.tape.heard(Port::Warehouse, &self.launched(job)?).pop());
        let statements: Vec<Heard> = statements.collect();
        let sum = |heard: &[Heard]| heard.iter().map(|heard| heard.ms).sum::<u64>();
        let played = model.iter().chain(&statements).filter(|heard| heard.source == Source::Recording).map(|heard| heard.ms);
        Cost {
            model_calls: usage.model_calls,
            queries: usage.queries,
            repairs: conversation.spent.repairs,
            rewrites: conversation.spent.rewrites,
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            total_ms: wall_ms + played.sum::<u64>(),
            model_ms: sum(&model),
            warehouse_ms: sum(&statements),
            live_model_calls: u32::try_from(model.iter().filter(|heard| heard.source == Source::Live).count()).unwrap_or(u32::MAX),
        }
    }

    /// The statement of a job as it is launched.
    fn launched(&self, job: &Job) -> Option<String> {
        self.lake.guard.admit(&job.sql_query).ok().map(|admitted| self.lake.guard.lay_out(&admitted))
    }

    fn is_unrecorded(&self, conversation: &Conversation) -> bool {
        let is_missing = |port: Port, about: &str| self.tape.heard(port, about).iter().any(|heard| heard.source == Source::Nobody);
        is_missing(Port::Model, &conversation.question)
            || conversation.turn_jobs().filter_map(|(_, job)| self.launched(job)).any(|sql| is_missing(Port::Warehouse, &sql))
    }

    /// Asks, and waits for the end of the turn.
    async fn ask(&self, question: &str) -> anyhow::Result<Conversation> {
        let new = NewConversation {
            id: ConversationId::random(),
            question: question.to_owned(),
            owner: None,
            user_id: None,
            device_id: None,
            language: None,
            request_digest: None,
        };
        let id = self.service.start(new).await?.id;
        let mut after = Revision::FIRST;
        loop {
            let found = self.service.read(&Caller::Anonymous, id, Some(Wait { after, at_most: WAIT })).await?;
            let Some(conversation) = found else { anyhow::bail!("the store lost the conversation {id}") };
            if conversation.stage.is_terminal() {
                return Ok(Arc::unwrap_or_clone(conversation));
            }
            after = conversation.revision;
        }
    }

    /// The rows of a known statement and what their order means, or what is wrong with it.
    async fn known(&self, sql: String, required: Option<bool>) -> anyhow::Result<Result<Known, (Verdict, String)>> {
        let rows = match self.rows(&sql).await? {
            Ok(rows) => rows,
            Err((verdict, problem)) => return Ok(Err((verdict, format!("the known statement {problem}\n{sql}")))),
        };
        let mut order = order::order_of(&sql, &rows, required);
        if order.edge == Edge::Open
            && let Some(widened) = order::widened(&sql)
            && let Ok(wide) = self.rows(&widened).await?
        {
            order.edge = order::edge(&rows, &wide, &order.keys);
        }
        Ok(Ok(Known { sql, rows, order }))
    }

    /// The rows of a statement, or why there are none to compare with.
    async fn rows(&self, sql: &str) -> anyhow::Result<Result<ResultSet, (Verdict, String)>> {
        let fault = |problem: String| Ok(Err((Verdict::Fault, problem)));
        let admitted = match self.lake.guard.admit(sql) {
            Ok(admitted) => admitted,
            Err(refusal) => return fault(format!("is refused by the guard: {}", refusal.reason)),
        };
        let statement = Statement::new(format!("known-{}", uuid::Uuid::new_v4()), admitted.sql, admitted.max_rows);
        let run = match self.warehouse.launch(&statement).await {
            Ok(run) => run,
            Err(warehouse::Error::Refused(error)) => return fault(format!("is refused by the warehouse: {error}")),
            Err(warehouse::Error::Misconfigured(_)) if self.tape.is_offline() => {
                return Ok(Err((Verdict::Unrecorded, "is not recorded: run it live".into())));
            }
            Err(error) => return Err(error.into()),
        };
        let mut phase = run.phase;
        loop {
            match self.warehouse.poll(&run.id, phase, WAIT).await? {
                RunState::Running(now) => phase = now,
                RunState::Succeeded(rows) if rows.rows.is_empty() => return fault("gives no rows, so nothing can be compared".into()),
                RunState::Succeeded(rows) if rows.truncated && admitted.limit_source == LimitSource::Server => {
                    return fault(format!("gives more than the {} rows that MAX_ROWS allows", admitted.max_rows));
                }
                RunState::Succeeded(rows) => return Ok(Ok(rows)),
                RunState::Failed(error) => return fault(format!("fails: {error}")),
                RunState::Canceled | RunState::Lost => anyhow::bail!("the warehouse lost the run of a known statement"),
                RunState::TurnedAway(detail) => anyhow::bail!("the warehouse did not run a known statement: {detail}"),
            }
        }
    }
}

/// A statement that is known to be right, and what it gives.
struct Known {
    sql: String,
    rows: ResultSet,
    order: Order,
}

/// Compares with each of the known results until one agrees; tells of the first where none does.
fn compare_with_any(known: &[Known], answer: Option<&ResultSet>, judged: &mut Judged) -> Result<Agreement, String> {
    let mut reason = None;
    for Known { sql, rows, order } in known {
        let compared = match answer {
            None => Err("the answer rests on no query".into()),
            Some(answer) => compare::compare(rows, answer, order),
        };
        if compared.is_ok() || reason.is_none() {
            (judged.known_rows, judged.known_sql) = (Some(sample(rows)), Some(sql.clone()));
        }
        match compared {
            Ok(agreement) => return Ok(agreement),
            Err(other) => reason = reason.or(Some(other)),
        }
    }
    Err(reason.unwrap_or_default())
}

fn unjudged(question: &Question) -> Judged {
    Judged {
        id: question.id.clone(),
        level: question.level,
        question: question.text.clone(),
        verdict: Verdict::Error,
        strict: None,
        reason: None,
        sql: None,
        known_sql: None,
        rows: None,
        known_rows: None,
        answer: None,
        unverified: Vec::new(),
        cost: Cost::default(),
    }
}

/// Number (from 1) and statement of the query that the answer rests on.
fn last_rows(conversation: &Conversation) -> Option<(u32, &str)> {
    let (index, job) = conversation.decisive_statement()?;
    Some((u32::try_from(index + 1).ok()?, &job.sql_query))
}

fn sample(result: &ResultSet) -> Sample {
    Sample {
        columns: result.columns.iter().map(|column| column.name.clone()).collect(),
        rows: result.rows.iter().take(ROWS_KEPT).cloned().collect(),
        row_count: result.row_count,
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
