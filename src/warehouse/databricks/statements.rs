//! The SQL warehouse adapter: one statement of the Statement Execution API per run.
//!
//! Owns the reading of its results. The limit of a run is the warehouse's own `row_limit`, whose cut the manifest tells; so nothing has to
//! be known of the launch, and any instance can read a run.
//!
//! The API has no idempotency key. Within this process a token launches once: the first launch is remembered, also while it is under way.
//! Another process, or this one after a restart, launches the token anew, and a request whose answer was lost is sent again: then the
//! warehouse computes twice and one of the results is never read. It does no harm, because the guard admits only reads.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{
    Workspace,
    cells::Type,
    client::{Client, Failure},
    until_news,
};
use crate::{
    conversation::{Column, Phase, ResultSet, RunId},
    sql::Catalog,
    warehouse::{
        Error, Origin, Parameter, Run, RunState, Statement, Warehouse,
        flight::{Names, RESULT_BYTES, size},
    },
};

const PATH: &str = "/api/2.0/sql/statements";
/// Launches remembered.
const REMEMBERED: usize = 4096;

/// A SQL warehouse of a workspace.
#[derive(Debug)]
pub struct SqlWarehouse {
    client: Client,
    id: String,
    catalog: Option<String>,
    schema: Option<String>,
    names: Arc<Names>,
    launched: Arc<Mutex<Launched>>,
}

/// The launches of this process, oldest first.
#[derive(Debug, Default)]
struct Launched {
    tokens: VecDeque<String>,
    by_token: HashMap<String, Arc<OnceCell<Launch>>>,
}

#[derive(Clone, Debug)]
struct Launch {
    statement_id: String,
    sql: String,
    phase: Phase,
}

#[derive(Deserialize)]
struct Answer {
    statement_id: String,
    status: Option<Status>,
    manifest: Option<Manifest>,
    result: Option<Chunk>,
}

#[derive(Deserialize)]
struct Status {
    state: String,
    error: Option<Fault>,
}

#[derive(Default, Deserialize)]
struct Fault {
    #[serde(default)]
    error_code: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Manifest {
    /// Absent where a statement has no columns.
    #[serde(default)]
    schema: Schema,
    #[serde(default)]
    truncated: bool,
}

#[derive(Default, Deserialize)]
struct Schema {
    #[serde(default)]
    columns: Vec<ColumnInfo>,
}

#[derive(Deserialize)]
struct ColumnInfo {
    name: String,
    #[serde(default)]
    position: usize,
    #[serde(default)]
    type_name: String,
    #[serde(default)]
    type_text: String,
}

#[derive(Default, Deserialize)]
struct Chunk {
    #[serde(default)]
    data_array: Vec<Vec<Value>>,
    next_chunk_index: Option<u64>,
}

impl SqlWarehouse {
    /// An adapter for the SQL warehouse `id` of `workspace`. Tables without a catalog or a schema are looked up in `default_catalog` and
    /// `default_schema`; `catalog` knows their names for errors. Connects on first use.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] when TLS cannot be set up on this machine.
    pub fn new(
        workspace: Workspace,
        id: String,
        default_catalog: Option<String>,
        default_schema: Option<String>,
        catalog: &Catalog,
    ) -> Result<Self, Error> {
        Ok(Self {
            client: Client::new(workspace)?,
            id,
            catalog: default_catalog,
            schema: default_schema,
            names: Arc::new(Names::of(catalog)),
            launched: Arc::default(),
        })
    }

    /// The same warehouse, as the person that `token` is of.
    pub(super) fn as_person(&self, token: String) -> Self {
        Self {
            client: self.client.as_person(token),
            id: self.id.clone(),
            catalog: self.catalog.clone(),
            schema: self.schema.clone(),
            names: Arc::clone(&self.names),
            launched: Arc::clone(&self.launched),
        }
    }

    /// Whether the workspace knows whom this is asked as. Who is nobody there gets 401; who may not see the warehouse 403, which says nothing of
    /// whether they may use it.
    pub(super) async fn is_known(&self) -> bool {
        !matches!(self.state().await, Err(Failure::NotAdmitted(problem)) if problem.status == 401)
    }

    async fn submit(&self, statement: &Statement) -> Result<Launch, Error> {
        let mut body = json!({
            "warehouse_id": self.id,
            "statement": statement.sql,
            "row_limit": statement.max_rows,
            "byte_limit": RESULT_BYTES,
            "wait_timeout": "0s",
            "on_wait_timeout": "CONTINUE",
            "disposition": "INLINE",
            "format": "JSON_ARRAY",
            "query_tags": tags(statement.origin.as_ref()),
        });
        for (name, value) in [("catalog", &self.catalog), ("schema", &self.schema)] {
            if let Some(value) = value {
                body[name] = Value::from(value.as_str());
            }
        }
        if !statement.parameters.is_empty() {
            body["parameters"] = statement.parameters.iter().map(Parameter::to_json).collect();
        }
        let answer: Answer = self.client.post(PATH, &body).await.map_err(Failure::of_launch)?;
        let is_waiting = answer.status.is_none_or(|status| status.state == "PENDING");
        let phase = if is_waiting { Phase::Queued } else { Phase::Executing };
        Ok(Launch { statement_id: answer.statement_id, sql: statement.sql.clone(), phase })
    }

    async fn look(&self, id: &str, waiting: impl Future<Output = Phase>) -> Result<RunState, Error> {
        let answer: Answer = match self.client.get(&path(id, ""), &[]).await {
            Ok(answer) => answer,
            Err(Failure::Refused(problem)) if problem.is_missing() => return Ok(self.lost(id)),
            Err(failure) => return Err(failure.into()),
        };
        let Some(status) = answer.status else { return Ok(RunState::Running(waiting.await)) };
        match status.state.as_str() {
            "SUCCEEDED" => self.rows(id, answer.manifest, answer.result.unwrap_or_default()).await,
            "FAILED" => Ok(self.failed(id, status.error.unwrap_or_default())),
            "CANCELED" => Ok(RunState::Canceled),
            // It succeeded once, and its rows are gone.
            "CLOSED" => Ok(self.lost(id)),
            "PENDING" => Ok(RunState::Running(waiting.await)),
            _ => Ok(RunState::Running(Phase::Executing)),
        }
    }

    /// What a pending statement waits for: the API tells it of the warehouse only. Where that does not say, `known` stays.
    async fn waits_for(&self, known: Phase) -> Phase {
        match self.state().await {
            Ok(Some(state)) if ["STARTING", "STOPPED", "STOPPING"].contains(&state.as_str()) => Phase::Starting,
            Ok(_) => Phase::Queued,
            Err(failure) => {
                tracing::debug!(warehouse.id = self.id, ?failure, "the warehouse does not tell its state");
                known
            }
        }
    }

    async fn state(&self) -> Result<Option<String>, Failure> {
        let warehouse: Value = self.client.get(&format!("/api/2.0/sql/warehouses/{}", self.id), &[]).await?;
        Ok(warehouse["state"].as_str().map(str::to_owned))
    }

    async fn rows(&self, id: &str, manifest: Option<Manifest>, first: Chunk) -> Result<RunState, Error> {
        let Some(manifest) = manifest else {
            return Err(Error::Unavailable { detail: format!("statement {id} succeeded without a manifest"), retry_after: None });
        };
        let (columns, types) = columns(manifest.schema);
        let mut read = Rows { types, rows: Vec::new(), bytes: 0, is_cut: false };
        let mut chunk = first;
        loop {
            read.take(chunk.data_array);
            let Some(next) = chunk.next_chunk_index.filter(|_| !read.is_cut) else { break };
            chunk = match self.client.get(&path(id, &format!("/result/chunks/{next}")), &[]).await {
                Ok(chunk) => chunk,
                // Rows live for an hour: they may end while they are read.
                Err(Failure::Refused(problem)) if problem.is_missing() => return Ok(self.lost(id)),
                Err(failure) => return Err(failure.into()),
            };
        }
        Ok(RunState::Succeeded(ResultSet {
            columns,
            row_count: u64::try_from(read.rows.len()).unwrap_or(u64::MAX),
            rows: read.rows,
            truncated: manifest.truncated || read.is_cut,
            limit_source: None,
        }))
    }

    /// A token whose run is lost may be launched again.
    fn lost(&self, id: &str) -> RunState {
        let mut launched = self.launched();
        launched.by_token.retain(|_, launch| launch.get().is_none_or(|launch| launch.statement_id != id));
        let Launched { tokens, by_token } = &mut *launched;
        tokens.retain(|token| by_token.contains_key(token));
        RunState::Lost
    }

    fn failed(&self, id: &str, Fault { error_code, message }: Fault) -> RunState {
        // The workspace's fault and not the statement's: another launch may work.
        if ["TEMPORARILY_UNAVAILABLE", "WORKSPACE_TEMPORARILY_UNAVAILABLE", "SERVICE_UNDER_MAINTENANCE"].contains(&error_code.as_str()) {
            // Its message may quote the statement.
            tracing::warn!(statement.id = id, error_code, "Databricks dropped a statement");
            return self.lost(id);
        }
        let sql = self.launched().by_token.values().filter_map(|launch| launch.get()).find(|launch| launch.statement_id == id).cloned();
        let message = if message.is_empty() { format!("the warehouse gives no reason ({error_code})") } else { message };
        RunState::Failed(self.names.explain(&message, sql.as_ref().map_or("", |launch| &launch.sql)))
    }

    fn launched(&self) -> MutexGuard<'_, Launched> {
        self.launched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Launched {
    /// The launch of `token`: perhaps done, perhaps under way, perhaps yet to be begun.
    fn of(&mut self, token: &str) -> Arc<OnceCell<Launch>> {
        if let Some(launch) = self.by_token.get(token) {
            return Arc::clone(launch);
        }
        while self.tokens.len() >= REMEMBERED {
            if let Some(oldest) = self.tokens.pop_front() {
                self.by_token.remove(&oldest);
            }
        }
        let launch = Arc::new(OnceCell::new());
        self.tokens.push_back(token.to_owned());
        self.by_token.insert(token.to_owned(), Arc::clone(&launch));
        launch
    }
}

/// The rows that were read so far, within the memory that a result may take.
struct Rows {
    types: Vec<Type>,
    rows: Vec<Vec<Value>>,
    bytes: usize,
    is_cut: bool,
}

impl Rows {
    fn take(&mut self, data: Vec<Vec<Value>>) {
        for row in data {
            let row: Vec<Value> = self.types.iter().zip(row).map(|(data_type, cell)| data_type.cell(cell)).collect();
            self.bytes += row.iter().map(size).sum::<usize>();
            if self.bytes > RESULT_BYTES {
                self.is_cut = true;
                return;
            }
            self.rows.push(row);
        }
    }
}

fn columns(schema: Schema) -> (Vec<Column>, Vec<Type>) {
    let mut infos = schema.columns;
    infos.sort_by_key(|column| column.position);
    infos
        .into_iter()
        .map(|info| {
            let data_type = Type::parse(if info.type_text.is_empty() { &info.type_name } else { &info.type_text });
            (Column { name: info.name, data_type: data_type.name() }, data_type)
        })
        .unzip()
}

/// Where a statement is. Its id is the warehouse's, but it comes back to us through the store.
fn path(id: &str, rest: &str) -> String {
    let id: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-' || *c == '_').collect();
    format!("{PATH}/{id}{rest}")
}

/// What the query history of the workspace shows beside the statement.
fn tags(origin: Option<&Origin>) -> Value {
    let tag = |key: &str, value: String| json!({"key": key, "value": value});
    let mut tags = vec![tag("application", "asklake".into())];
    if let Some(Origin { conversation, turn, query }) = origin {
        tags.extend([tag("conversation", conversation.to_string()), tag("turn", turn.to_string()), tag("query", query.to_string())]);
    }
    tags.into()
}

#[async_trait]
impl Warehouse for SqlWarehouse {
    fn kind(&self) -> &'static str {
        "databricks_sql"
    }

    async fn launch(&self, statement: &Statement) -> Result<Run, Error> {
        let launch = self.launched().of(&statement.token);
        let launch = launch.get_or_try_init(|| self.submit(statement)).await?;
        Ok(Run { id: RunId::Text(launch.statement_id.clone()), page_url: None, phase: launch.phase })
    }

    async fn poll(&self, run: &RunId, known: Phase, wait: Duration) -> Result<RunState, Error> {
        let RunId::Text(id) = run else { return Ok(RunState::Lost) };
        let before = if known == Phase::Starting { Phase::Starting } else { Phase::Queued };
        // The warehouse is asked once in a poll, and not for a statement that is pending only as every one is at first.
        let asked = &OnceCell::new();
        let waiting = |looks| async move { if looks == 0 { before } else { *asked.get_or_init(|| self.waits_for(before)).await } };
        until_news(known, wait, |looks| self.look(id, waiting(looks))).await
    }

    async fn cancel(&self, run: &RunId) -> Result<(), Error> {
        let RunId::Text(id) = run else { return Ok(()) };
        match self.client.post::<Value>(&path(id, "/cancel"), &json!({})).await {
            Err(Failure::Refused(problem)) if problem.status != 401 && problem.status != 403 => {
                tracing::debug!(statement.id = id, ?problem, "nothing to cancel");
                Ok(())
            }
            end => end.map(drop).map_err(Error::from),
        }
    }

    /// Asks for the warehouse, which starts nothing: a stopped one starts with the first statement.
    async fn probe(&self) -> Result<(), Error> {
        match self.state().await?.as_deref() {
            Some(state @ ("DELETED" | "DELETING")) => {
                Err(Error::Misconfigured(format!("the SQL warehouse {} is {state}; set DATABRICKS_WAREHOUSE_ID to another one", self.id)))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_name_the_conversation_its_turn_and_the_query() {
        let conversation = "6f1f0d3c-0000-4000-8000-1234567890ab".parse().expect("an id");
        let tags = tags(Some(&Origin { conversation, turn: 3, query: 2 }));
        assert_eq!(
            tags,
            json!([
                {"key": "application", "value": "asklake"},
                {"key": "conversation", "value": "6f1f0d3c-0000-4000-8000-1234567890ab"},
                {"key": "turn", "value": "3"},
                {"key": "query", "value": "2"},
            ])
        );
    }

    #[test]
    fn the_oldest_launch_is_forgotten_first() {
        let mut launched = Launched::default();
        for n in 0..=REMEMBERED {
            launched.of(&n.to_string());
        }
        assert_eq!((launched.tokens.len(), launched.by_token.len()), (REMEMBERED, REMEMBERED));
        assert!(!launched.by_token.contains_key("0") && launched.by_token.contains_key("1"));
    }
}
