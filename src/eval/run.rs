//! Asking the questions of a suite and judging what comes of them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{
    compare::{self, Agreement},
    order,
    suite::{Expected, Level, Question},
};
use crate::{
    conversation::{AnswerBasis, Conversation, ConversationId, NewConversation, ResultSet, Revision},
    service::{Service, Wait},
    sql::Lake,
    warehouse::{RunState, Statement, Warehouse},
};

/// What a suite is run against: the use cases with a worker behind them, and what runs the statements that are known to be right.
pub struct Bench {
    /// Who is asked.
    pub service: Service,
    /// What the known statements are about, and who admits them.
    pub lake: Lake,
    /// Who runs them.
    pub warehouse: Arc<dyn Warehouse>,
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
}

/// How long one read of a running turn is held.
const WAIT: Duration = Duration::from_secs(20);

impl Bench {
    /// Asks `question` and judges the answer.
    ///
    /// # Errors
    /// When store, queue or warehouse fail: then there is nothing to judge.
    pub async fn judge(&self, question: &Question) -> anyhow::Result<Judged> {
        let began = Instant::now();
        let conversation = self.ask(&question.text).await?;
        let mut judged = judged(question, &conversation, milliseconds(began.elapsed()));
        let answer = match last_rows(&conversation) {
            Some((number, sql)) => {
                judged.sql = Some(sql.to_owned());
                self.service.result(conversation.id, number).await?
            }
            None => None,
        };
        judged.rows = answer.as_ref().map(sample);
        let is_refused = conversation.answer_basis == Some(AnswerBasis::None);
        let (verdict, reason) = match &question.expected {
            _ if conversation.final_answer.is_none() => (Verdict::Error, Some(conversation.error.clone().unwrap_or_default())),
            Expected::Refusal { .. } if is_refused => (Verdict::Right, None),
            Expected::Refusal { missing } => (Verdict::Wrong, Some(format!("answered, but the lake lacks: {missing}"))),
            Expected::Rows(statements) => {
                let compared = self.compare_with_any(statements, question.order, answer.as_ref(), &mut judged).await?;
                match compared {
                    Compared::Fault(reason) => (Verdict::Fault, Some(reason)),
                    _ if is_refused => (Verdict::Refused, Some("said that there is no answer".into())),
                    Compared::Same(agreement) => {
                        judged.strict = Some(agreement.extra_columns == 0);
                        (Verdict::Right, None)
                    }
                    Compared::Other(reason) => (Verdict::Wrong, Some(reason)),
                }
            }
        };
        (judged.verdict, judged.reason) = (verdict, reason);
        Ok(judged)
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
            let found = self.service.read(id, Some(Wait { after, at_most: WAIT })).await?;
            let Some(conversation) = found else { anyhow::bail!("the store lost the conversation {id}") };
            if conversation.stage.is_terminal() {
                return Ok(Arc::unwrap_or_clone(conversation));
            }
            after = conversation.revision;
        }
    }

    async fn compare_with_any(
        &self,
        statements: &[String],
        required: Option<bool>,
        answer: Option<&ResultSet>,
        judged: &mut Judged,
    ) -> anyhow::Result<Compared> {
        let mut first = None;
        for statement in statements {
            let sql = self.lake.catalog.fill(statement);
            let known = match self.known(&sql).await? {
                Ok(known) => known,
                Err(fault) => return Ok(Compared::Fault(format!("{fault}\n{sql}"))),
            };
            let compared = match answer {
                None => Compared::Other("no rows: the answer rests on no query".into()),
                Some(answer) => match compare::compare(&known, answer, &order::order_of(&sql, &known, required)) {
                    Ok(agreement) => Compared::Same(agreement),
                    Err(reason) => Compared::Other(reason),
                },
            };
            let is_same = matches!(compared, Compared::Same(_));
            if is_same || first.is_none() {
                (judged.known_rows, judged.known_sql) = (Some(sample(&known)), Some(sql));
            }
            if is_same {
                return Ok(compared);
            }
            first.get_or_insert(compared);
        }
        Ok(first.unwrap_or_else(|| Compared::Fault("there is no known statement".into())))
    }

    /// The rows of a known statement, or what is wrong with it.
    async fn known(&self, sql: &str) -> anyhow::Result<Result<ResultSet, String>> {
        let admitted = match self.lake.guard.admit(sql) {
            Ok(admitted) => admitted,
            Err(refusal) => return Ok(Err(format!("the guard refuses the known statement: {}", refusal.reason))),
        };
        let token = format!("known-{}", uuid::Uuid::new_v4());
        let run = self.warehouse.launch(&Statement::new(token, admitted.sql, admitted.max_rows)).await?;
        let mut phase = run.phase;
        loop {
            let problem = match self.warehouse.poll(&run.id, phase, WAIT).await? {
                RunState::Running(now) => {
                    phase = now;
                    continue;
                }
                RunState::Succeeded(rows) if rows.rows.is_empty() => "the known statement gives no rows, so nothing can be compared".into(),
                RunState::Succeeded(rows) if rows.truncated && admitted.limit_source == crate::conversation::LimitSource::Server => {
                    format!("the known statement gives more than the {} rows that MAX_ROWS allows", admitted.max_rows)
                }
                RunState::Succeeded(rows) => return Ok(Ok(rows)),
                RunState::Failed(error) => format!("the known statement fails: {error}"),
                RunState::Canceled | RunState::Lost => anyhow::bail!("the warehouse lost the run of a known statement"),
            };
            return Ok(Err(problem));
        }
    }
}

/// What the comparison with the known rows came to.
enum Compared {
    Same(Agreement),
    Other(String),
    Fault(String),
}

fn judged(question: &Question, conversation: &Conversation, total_ms: u64) -> Judged {
    let usage = &conversation.usage;
    let cost = Cost {
        model_calls: usage.model_calls,
        queries: usage.queries,
        repairs: conversation.spent.repairs,
        prompt_tokens: usage.prompt_tokens,
        completion_tokens: usage.completion_tokens,
        total_ms,
        model_ms: usage.model_ms,
        warehouse_ms: usage.warehouse_ms,
    };
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
        answer: conversation.final_answer.clone(),
        unverified: conversation.unverified.clone(),
        cost,
    }
}

/// Number (from 1) and statement of the last query that gave rows; what was looked up to write one is none.
fn last_rows(conversation: &Conversation) -> Option<(u32, &str)> {
    let (index, job) = conversation.turn_statements().last()?;
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
