//! The Statement Execution API of the stand-in: every cell a string, failures as HTTP 200, chunks, `row_limit` that tells of its cut.

use std::time::Duration;

use asklake::{
    conversation::{Phase, ResultSet, RunId},
    warehouse::{RunState, Statement},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{FOREVER, Reply, Request, State, WAREHOUSE_ID, parameters, refusal, sparks_words};

/// A statement that was submitted.
pub struct Stored {
    run: RunId,
    cold_looks: usize,
    is_canceled: bool,
    /// Its request, for tests.
    pub request: Value,
}

impl Stored {
    pub(super) fn thaw(&mut self) {
        self.cold_looks = 0;
    }
}

impl State {
    /// The requests of all statements so far.
    pub fn submitted(&self) -> Vec<Value> {
        self.statements.lock().unwrap().values().map(|stored| stored.request.clone()).collect()
    }

    pub(super) async fn statement(&self, request: &Request, rest: &[&str]) -> Reply {
        match (request.method.as_str(), rest) {
            ("POST", []) => self.submit(&request.body).await,
            ("GET", [id]) => match self.look(id).await {
                Some(state) => (200, self.envelope(id, &state)),
                None => not_found(id),
            },
            ("GET", [id, "result", "chunks", number]) => match (self.look(id).await, number.parse()) {
                (Some(RunState::Succeeded(result)), Ok(number)) if number < self.chunks(&result) => (200, self.chunk(id, &result, number)),
                (Some(_), _) => refusal(400, "INVALID_PARAMETER_VALUE", format!("chunk {number} does not exist")),
                (None, _) => not_found(id),
            },
            ("POST", [id, "cancel"]) => match self.run_of(id) {
                Some(run) => {
                    self.engine.cancel(&run).await.expect("cancel");
                    if let Some(stored) = self.statements.lock().unwrap().get_mut(*id) {
                        stored.is_canceled = true;
                    }
                    (200, Value::Null)
                }
                None => not_found(id),
            },
            _ => refusal(404, "ENDPOINT_NOT_FOUND", "No API found"),
        }
    }

    async fn submit(&self, body: &Value) -> Reply {
        let invalid = |message: &str| refusal(400, "INVALID_PARAMETER_VALUE", message);
        if body["warehouse_id"] != WAREHOUSE_ID {
            return refusal(404, "RESOURCE_DOES_NOT_EXIST", "SQL warehouse not found");
        }
        let Some(sql) = body["statement"].as_str().filter(|sql| !sql.trim().is_empty()) else {
            return invalid("statement must not be empty");
        };
        let wait = body["wait_timeout"].as_str().unwrap_or("10s");
        let Some(wait) = wait.strip_suffix('s').and_then(|wait| wait.parse().ok()).filter(|wait| *wait == 0 || (5..=50).contains(wait))
        else {
            return invalid("wait_timeout must be 0s or from 5s to 50s");
        };
        if !matches!(body["disposition"].as_str(), None | Some("INLINE")) || !matches!(body["format"].as_str(), None | Some("JSON_ARRAY")) {
            return invalid("this stand-in has INLINE results as JSON_ARRAY only");
        }
        let tags = body["query_tags"].as_array().map_or(0, Vec::len);
        if tags > 20 {
            return invalid("at most 20 query_tags");
        }
        let parameters = match parameters(&body["parameters"]) {
            Ok(parameters) => parameters,
            Err(wrong) => return invalid(&wrong),
        };
        let id = Uuid::new_v4().to_string();
        let limit = body["row_limit"].as_u64().unwrap_or(1_000_000);
        let statement = Statement { parameters, ..Statement::new(id.as_str(), sql, limit) };
        let run = self.engine.launch(&statement).await.expect("the engine launches").id;
        // Who waited for the answer has seen the cold start.
        let cold_looks = if wait > 0 { 0 } else { self.manner.cold_looks };
        let stored = Stored { run: run.clone(), cold_looks, is_canceled: false, request: body.clone() };
        self.statements.lock().unwrap().insert(id.clone(), stored);
        let mut state = RunState::Running(if cold_looks > 0 { Phase::Queued } else { Phase::Executing });
        if wait > 0 {
            state = self.engine.poll(&run, Phase::Executing, Duration::from_secs(wait)).await.expect("poll");
            if matches!(state, RunState::Running(_)) && body["on_wait_timeout"] == "CANCEL" {
                self.engine.cancel(&run).await.expect("cancel");
                state = RunState::Canceled;
            }
        }
        (200, self.envelope(&id, &state))
    }

    fn run_of(&self, id: &str) -> Option<RunId> {
        self.statements.lock().unwrap().get(id).map(|stored| stored.run.clone())
    }

    async fn look(&self, id: &str) -> Option<RunState> {
        let run = self.run_of(id)?;
        if let Some(stored) = self.statements.lock().unwrap().get_mut(id) {
            if stored.cold_looks > 0 {
                stored.cold_looks -= usize::from(stored.cold_looks < FOREVER);
                return Some(RunState::Running(Phase::Queued));
            }
            if self.manner.is_stuck {
                return Some(if stored.is_canceled { RunState::Canceled } else { RunState::Running(Phase::Executing) });
            }
        }
        Some(self.engine.poll(&run, Phase::Executing, Duration::ZERO).await.expect("poll"))
    }

    fn chunks(&self, result: &ResultSet) -> usize {
        result.rows.len().div_ceil(self.manner.chunk_rows).max(1)
    }

    fn envelope(&self, id: &str, state: &RunState) -> Value {
        let status = |name: &str| json!({"statement_id": id, "status": {"state": name}});
        match state {
            RunState::Running(Phase::Queued) => status("PENDING"),
            RunState::Running(_) => status("RUNNING"),
            RunState::Canceled => status("CANCELED"),
            RunState::Lost | RunState::TurnedAway(_) => status("CLOSED"),
            RunState::Failed(message) => json!({"statement_id": id, "status": {
                "state": "FAILED", "error": {"error_code": "BAD_REQUEST", "message": sparks_words(message)}, "sql_state": "42000",
            }}),
            RunState::Succeeded(result) => json!({
                "statement_id": id,
                "status": {"state": "SUCCEEDED"},
                "manifest": {
                    "format": "JSON_ARRAY",
                    "schema": {"column_count": result.columns.len(), "columns": columns(result)},
                    "total_chunk_count": self.chunks(result),
                    "total_row_count": result.rows.len(),
                    "truncated": result.truncated,
                },
                "result": self.chunk(id, result, 0),
            }),
        }
    }

    fn chunk(&self, id: &str, result: &ResultSet, number: usize) -> Value {
        let rows = result.rows.iter().skip(number * self.manner.chunk_rows).take(self.manner.chunk_rows);
        let row = |row: &Vec<Value>| row.iter().zip(&result.columns).map(|(cell, column)| text(cell, &column.data_type)).collect::<Value>();
        let data: Vec<Value> = rows.map(row).collect();
        let mut chunk = json!({"chunk_index": number, "row_offset": number * self.manner.chunk_rows, "row_count": data.len()});
        if !data.is_empty() {
            chunk["data_array"] = data.into();
        }
        if number + 1 < self.chunks(result) {
            chunk["next_chunk_index"] = json!(number + 1);
            chunk["next_chunk_internal_link"] = json!(format!("/api/2.0/sql/statements/{id}/result/chunks/{}", number + 1));
        }
        chunk
    }
}

fn not_found(id: &str) -> Reply {
    refusal(404, "NOT_FOUND", format!("The statement {id} was not found."))
}

fn columns(result: &ResultSet) -> Value {
    let column = |(position, column): (usize, &asklake::conversation::Column)| {
        let text = column.data_type.to_uppercase();
        let name = text.split(['<', '(']).next().unwrap_or_default();
        let name = match name {
            "TINYINT" => "BYTE",
            "SMALLINT" => "SHORT",
            "BIGINT" => "LONG",
            "VOID" => "NULL",
            other => other,
        };
        // Databricks keeps the case of a struct's fields and puts spaces between its parts.
        let text = if name == "STRUCT" { column.data_type.replace(',', ", ").replace(':', ": ") } else { text.clone() };
        json!({"name": column.name, "position": position, "type_name": name, "type_text": text})
    };
    result.columns.iter().enumerate().map(column).collect()
}

/// A cell as the API writes it.
fn text(cell: &Value, data_type: &str) -> Value {
    match cell {
        Value::Null => Value::Null,
        Value::String(text) if data_type == "timestamp" && !text.contains('.') => text.replace('Z', ".000Z").into(),
        Value::String(text) => text.clone().into(),
        Value::Bool(_) | Value::Number(_) => cell.to_string().into(),
        Value::Array(_) | Value::Object(_) => nested(cell).to_string().into(),
    }
}

fn nested(cell: &Value) -> Value {
    match cell {
        Value::Array(items) => items.iter().map(nested).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, member)| (name.clone(), nested(member))).collect::<serde_json::Map<_, _>>().into()
        }
        Value::Null => Value::Null,
        Value::String(_) => cell.clone(),
        scalar => scalar.to_string().into(),
    }
}
