//! The Jobs API of the stand-in: one launch per token, a queue, task runs with the output of a notebook.

use std::{collections::HashMap, time::Duration};

use asklake::{
    conversation::{Phase, ResultSet, RunId},
    warehouse::{RunState, Statement},
};
use serde_json::{Map, Value, json};

use super::{FOREVER, JOB_ID, Reply, Request, State, refusal, sparks_words};

/// Which notebook the job has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notebook {
    /// That of `deploy/databricks`.
    Ours,
    /// One that exits with an array of objects, at most 1,000.
    Older,
    /// One that never calls `dbutils.notebook.exit`.
    Silent,
    /// One whose task fails instead of exiting with its error.
    Raising,
}

/// The job's runs.
#[derive(Default)]
pub struct Runs {
    by_token: HashMap<String, u64>,
    by_id: HashMap<u64, Stored>,
}

#[derive(Clone)]
struct Stored {
    run: RunId,
    cold_looks: usize,
    request: Value,
    /// A canceled run is seen terminating before it has ended.
    is_canceled: bool,
}

impl Runs {
    pub(super) fn thaw(&mut self) {
        self.by_id.values_mut().for_each(|stored| stored.cold_looks = 0);
    }
}

/// What the job declares: it takes no other parameter.
const DECLARED: [&str; 3] = ["sql_text", "sql_args", "catalog"];
/// Run ids of the job are even; that of a run's task is the next one.
const FIRST_RUN: u64 = 902_000_000_000_000;
const PARAMETER_BYTES: usize = 10_000;
/// Rows that our notebook returns at most, plus one.
const NOTEBOOK_ROWS: u64 = 10_001;

impl State {
    /// The runs started so far.
    pub fn runs_started(&self) -> usize {
        self.jobs.lock().unwrap().by_id.len()
    }

    /// The requests of all runs so far.
    pub fn requested(&self) -> Vec<Value> {
        self.jobs.lock().unwrap().by_id.values().map(|stored| stored.request.clone()).collect()
    }

    pub(super) async fn job(&self, request: &Request, rest: &[&str]) -> Reply {
        let run_id = || request.query.get("run_id").and_then(|id| id.parse::<u64>().ok()).unwrap_or_default();
        match (request.method.as_str(), rest) {
            ("GET", ["get"]) if request.query.get("job_id") == Some(&JOB_ID.to_string()) => {
                (200, json!({"job_id": JOB_ID, "settings": {"name": "asklake"}}))
            }
            ("GET", ["get"]) => refusal(400, "INVALID_PARAMETER_VALUE", "Job does not exist."),
            ("POST", ["run-now"]) => self.run_now(&request.body).await,
            ("GET", ["runs", "get"]) => self.get(run_id()).await,
            ("GET", ["runs", "get-output"]) => self.get_output(run_id()).await,
            ("POST", ["runs", "cancel"]) => self.cancel(request.body["run_id"].as_u64().unwrap_or_default()).await,
            _ => refusal(404, "ENDPOINT_NOT_FOUND", "No API found"),
        }
    }

    async fn run_now(&self, body: &Value) -> Reply {
        let invalid = |message: &str| refusal(400, "INVALID_PARAMETER_VALUE", message);
        if body["job_id"] != JOB_ID {
            return invalid("Job does not exist.");
        }
        let token = body["idempotency_token"].as_str().unwrap_or_default().to_owned();
        if token.len() > 64 {
            return invalid("The idempotency token must be at most 64 characters.");
        }
        let parameters =
            ["notebook_params", "job_parameters"].map(|name| &body[name]).into_iter().find(|parameters| parameters.is_object());
        let Some(parameters) = parameters else { return invalid("no parameters") };
        if parameters.to_string().len() > PARAMETER_BYTES {
            return invalid("The parameters are too large.");
        }
        let is_foreign = |parameters: &Map<String, Value>| parameters.keys().any(|name| !DECLARED.contains(&name.as_str()));
        if body["job_parameters"].as_object().is_some_and(is_foreign) {
            return invalid("The job does not declare all of these parameters.");
        }
        let arguments = parameters["sql_args"].as_str().map(|text| serde_json::from_str(text).expect("arguments are JSON"));
        let arguments = match super::parameters(&arguments.unwrap_or_default()) {
            Ok(arguments) => arguments,
            Err(wrong) => return invalid(&wrong),
        };
        if let Some(id) = self.jobs.lock().unwrap().by_token.get(&token) {
            return (200, json!({"run_id": id, "number_in_job": id}));
        }
        let sql = parameters["sql_text"].as_str().unwrap_or_default().to_owned();
        // The engine needs a name for every run, also where the caller gave none.
        let name = uuid::Uuid::new_v4().to_string();
        let run = self
            .engine
            .launch(&Statement { parameters: arguments, ..Statement::new(name, sql, NOTEBOOK_ROWS) })
            .await
            .expect("the engine launches")
            .id;
        let mut runs = self.jobs.lock().unwrap();
        let id = FIRST_RUN + 2 * u64::try_from(runs.by_id.len()).unwrap();
        if !token.is_empty() {
            runs.by_token.insert(token, id);
        }
        runs.by_id.insert(id, Stored { run, cold_looks: self.manner.cold_looks, request: body.clone(), is_canceled: false });
        (200, json!({"run_id": id, "number_in_job": id}))
    }

    async fn get(&self, id: u64) -> Reply {
        let Some(stored) = self.stored(id) else { return no_run(id) };
        let state = match stored.cold_looks {
            0 if self.manner.is_stuck && stored.is_canceled => Some(RunState::Canceled),
            0 if self.manner.is_stuck => Some(RunState::Running(Phase::Executing)),
            0 => Some(self.engine.poll(&stored.run, Phase::Executing, Duration::ZERO).await.expect("poll")),
            _ => None,
        };
        if let Some(stored) = self.jobs.lock().unwrap().by_id.get_mut(&id) {
            stored.cold_looks -= usize::from((1..FOREVER).contains(&stored.cold_looks));
        }
        // The run as a whole runs already while its task waits for a cluster.
        let waits = state.is_none() && stored.cold_looks == 1 && !stored.is_canceled;
        let (life_cycle, result) = match state {
            None if stored.is_canceled => ("TERMINATING", None),
            None if waits => ("RUNNING", None),
            None if stored.cold_looks == 2 => ("PENDING", None),
            None => ("QUEUED", None),
            Some(RunState::Running(_)) => ("RUNNING", None),
            Some(RunState::Canceled) => ("TERMINATED", Some("CANCELED")),
            Some(RunState::Failed(_)) if self.manner.notebook == Notebook::Raising => ("TERMINATED", Some("FAILED")),
            Some(RunState::Lost | RunState::TurnedAway(_)) => ("INTERNAL_ERROR", Some("FAILED")),
            // The notebook of a failed statement exits as any other.
            Some(RunState::Failed(_) | RunState::Succeeded(_)) => {
                self.manner.job_end.map_or(("TERMINATED", Some("SUCCESS")), |(life_cycle, result)| (life_cycle, Some(result)))
            }
        };
        let mut state = json!({"life_cycle_state": life_cycle, "state_message": "", "user_cancelled_or_timedout": false});
        if let Some(result) = result {
            state["result_state"] = result.into();
        }
        let mut of_task = state.clone();
        if waits {
            of_task["life_cycle_state"] = "PENDING".into();
            of_task["state_message"] = "Waiting for cluster".into();
        }
        let mut body = json!({
            "job_id": JOB_ID, "run_id": id, "state": state, "run_page_url": format!("{}/?o=1#job/{JOB_ID}/run/{id}", self.host),
            "tasks": [{"run_id": id + 1, "task_key": "query", "state": of_task}],
        });
        if stored.request["notebook_params"].is_object() {
            body["overriding_parameters"] = json!({"notebook_params": stored.request["notebook_params"]});
        }
        if let Some(parameters) = stored.request["job_parameters"].as_object() {
            body["job_parameters"] = parameters.iter().map(|(name, value)| json!({"name": name, "default": "", "value": value})).collect();
        }
        (200, body)
    }

    async fn get_output(&self, id: u64) -> Reply {
        if self.stored(id).is_some() {
            return refusal(400, "INVALID_PARAMETER_VALUE", "Retrieving the output of runs with multiple tasks is not supported.");
        }
        let Some(stored) = self.stored(id.saturating_sub(1)) else { return no_run(id) };
        let metadata = json!({"run_id": id, "job_id": JOB_ID});
        let exit =
            |result: Value| (200, json!({"metadata": metadata, "notebook_output": {"result": result.to_string(), "truncated": false}}));
        let state = self.engine.poll(&stored.run, Phase::Executing, Duration::ZERO).await.expect("poll");
        match (self.manner.notebook, state) {
            (Notebook::Silent, _) => (200, json!({"metadata": metadata, "notebook_output": {}})),
            (Notebook::Raising, RunState::Failed(message)) => {
                let error = format!("AnalysisException: {}", sparks_words(&message));
                (200, json!({"metadata": metadata, "error": error, "error_trace": "Traceback (most recent call last): …"}))
            }
            (_, RunState::Failed(message)) => exit(json!({"error": sparks_words(&message), "error_type": "AnalysisException"})),
            (Notebook::Older, RunState::Succeeded(result)) => exit(objects(&result)),
            (_, RunState::Succeeded(result)) => {
                let columns: Vec<Value> =
                    result.columns.iter().map(|column| json!({"name": column.name, "type": column.data_type})).collect();
                exit(json!({"columns": columns, "rows": result.rows, "truncated": result.truncated}))
            }
            _ => (200, json!({"metadata": metadata})),
        }
    }

    async fn cancel(&self, id: u64) -> Reply {
        let Some(stored) = self.stored(id) else { return no_run(id) };
        self.engine.cancel(&stored.run).await.expect("cancel");
        if let Some(stored) = self.jobs.lock().unwrap().by_id.get_mut(&id)
            && !stored.is_canceled
        {
            stored.is_canceled = true;
            stored.cold_looks = 1;
        }
        (200, json!({}))
    }

    fn stored(&self, id: u64) -> Option<Stored> {
        self.jobs.lock().unwrap().by_id.get(&id).cloned()
    }
}

fn no_run(id: u64) -> Reply {
    refusal(400, "INVALID_PARAMETER_VALUE", format!("Run {id} does not exist."))
}

fn objects(result: &ResultSet) -> Value {
    let names = || result.columns.iter().map(|column| column.name.clone());
    result.rows.iter().take(1000).map(|row| Value::Object(names().zip(row.iter().cloned()).collect::<Map<_, _>>())).collect()
}
