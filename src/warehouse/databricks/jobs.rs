//! The job adapter: one run of a job with one notebook task per statement.
//!
//! Owns the parameters of a run and the reading of what its notebook returns: that of `deploy/databricks`, or an older one that exits with
//! a JSON array of objects. `run-now` with the token of the launch starts a run exactly once, whichever process asks. What a poll needs to
//! know of the launch (the statement, its limit) it reads from the run's own parameters; so any instance can read a run.

use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Workspace,
    cells::Type,
    client::{Client, Failure},
    until_news,
};
use crate::{
    conversation::{Column, Phase, ResultSet, RunId},
    sql::Catalog,
    warehouse::{Error, Origin, Parameter, Run, RunState, Statement, Warehouse, flight::Names},
};

/// The parameter that carries the statement.
const PARAMETER: &str = "sql_text";
/// The parameter that carries what the statement names as `:name`, for our notebook; only where there is something.
const ARGUMENTS: &str = "sql_args";
/// Parameters of a run take at most this many bytes as JSON.
const PARAMETER_BYTES: usize = 10_000;
/// Begins the comment before the statement of a run: what its polls need to know, and what a person may look for. It is no parameter of
/// its own, because a job may refuse one that it does not declare.
const LIMIT: &str = "/* asklake max_rows=";
/// Rows that the older notebook returns at most, without a word about further ones.
const CAP_OF_THE_OLDER: usize = 1000;

/// How the statement reaches the notebook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameters {
    /// As a parameter of the job, `job_parameters`.
    Job,
    /// As a parameter of the notebook, `notebook_params`, which Databricks deprecates.
    Notebook,
}

/// A job of a workspace.
#[derive(Debug)]
pub struct Job {
    client: Client,
    id: u64,
    parameters: Parameters,
    /// Applies where a run does not tell its limit.
    max_rows: u64,
    names: Names,
}

#[derive(Deserialize)]
struct Started {
    run_id: u64,
}

#[derive(Deserialize)]
struct JobRun {
    run_id: Option<u64>,
    #[serde(default)]
    state: State,
    status: Option<Status>,
    #[serde(default)]
    tasks: Vec<Task>,
    run_page_url: Option<String>,
    #[serde(default)]
    overriding_parameters: Overriding,
    #[serde(default)]
    job_parameters: Vec<JobParameter>,
}

#[derive(Default, Deserialize)]
struct State {
    life_cycle_state: Option<String>,
    result_state: Option<String>,
    #[serde(default)]
    state_message: String,
}

#[derive(Deserialize)]
struct Status {
    state: Option<String>,
    termination_details: Option<Termination>,
}

#[derive(Deserialize)]
struct Termination {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Task {
    run_id: u64,
    #[serde(default)]
    state: State,
    status: Option<Status>,
}

#[derive(Default, Deserialize)]
struct Overriding {
    #[serde(default)]
    notebook_params: Map<String, Value>,
}

#[derive(Deserialize)]
struct JobParameter {
    name: String,
    value: Option<String>,
}

#[derive(Deserialize)]
struct Output {
    notebook_output: Option<NotebookOutput>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct NotebookOutput {
    result: Option<String>,
    #[serde(default)]
    truncated: bool,
}

/// How a run stands, from both of the forms in which the API tells it.
#[derive(Debug, PartialEq, Eq)]
enum Stand {
    Running(Phase),
    Succeeded,
    Canceled,
    /// The job takes no further run.
    Full,
    /// The run ended with an error: its words.
    Failed(String),
}

/// The life cycle from whichever of its forms is there.
fn life_cycle<'a>(state: &'a State, status: Option<&'a Status>) -> &'a str {
    state.life_cycle_state.as_deref().or(status.and_then(|status| status.state.as_deref())).unwrap_or_default()
}

/// The phase of a life cycle that has not ended. One that is not known executes.
fn phase(life_cycle: &str, message: &str) -> Phase {
    match life_cycle {
        "PENDING" => Phase::Starting,
        "QUEUED" | "BLOCKED" | "WAITING" | "WAITING_FOR_RETRY" if message.to_ascii_lowercase().contains("waiting for cluster") => {
            Phase::Starting
        }
        "QUEUED" | "BLOCKED" | "WAITING" | "WAITING_FOR_RETRY" => Phase::Queued,
        _ => Phase::Executing,
    }
}

impl JobRun {
    fn stand(&self) -> Stand {
        let details = self.status.as_ref().and_then(|status| status.termination_details.as_ref());
        let result = self.state.result_state.as_deref().or(details.map(|details| details.code.as_str())).unwrap_or_default();
        let message = Some(self.state.state_message.as_str())
            .filter(|message| !message.is_empty())
            .or(details.map(|details| details.message.as_str()))
            .filter(|message| !message.is_empty());
        let failed = |what: &str| Stand::Failed(message.map_or_else(|| what.to_owned(), |message| format!("{what}: {message}")));
        match (life_cycle(&self.state, self.status.as_ref()), result) {
            (
                "TERMINATED" | "SKIPPED" | "INTERNAL_ERROR",
                "MAXIMUM_CONCURRENT_RUNS_REACHED" | "MAX_CONCURRENT_RUNS_EXCEEDED" | "MAX_JOB_QUEUE_SIZE_EXCEEDED",
            ) => Stand::Full,
            ("TERMINATED", "SUCCESS" | "SUCCESS_WITH_FAILURES") => Stand::Succeeded,
            ("TERMINATED", "CANCELED" | "USER_CANCELED") => Stand::Canceled,
            ("TERMINATED", "TIMEDOUT" | "RUN_EXECUTION_TIMED_OUT") => {
                failed("the query ran for longer than the job allows and was stopped")
            }
            ("TERMINATED", result) => failed(&format!("the job run ended as {}", if result.is_empty() { "unknown" } else { result })),
            ("SKIPPED", _) => failed("Databricks skipped the job run"),
            ("INTERNAL_ERROR", _) => failed("the job run could not be carried out (INTERNAL_ERROR)"),
            (state, _) => Stand::Running(self.phase(state)),
        }
    }

    /// The phase of a run whose life cycle is at `state`. The run counts as running as soon as it has begun with its task, which may still
    /// wait for a cluster then.
    fn phase(&self, state: &str) -> Phase {
        let of_run = phase(state, &self.state.state_message);
        let task = self.tasks.last().filter(|_| of_run == Phase::Executing);
        task.map_or(of_run, |task| phase(life_cycle(&task.state, task.status.as_ref()), &task.state.state_message))
    }

    /// The statement as it was launched, with its limit.
    fn statement(&self) -> &str {
        let of_notebook = self.overriding_parameters.notebook_params.get(PARAMETER).and_then(Value::as_str);
        let of_job = || self.job_parameters.iter().find(|parameter| parameter.name == PARAMETER)?.value.as_deref();
        of_notebook.or_else(of_job).unwrap_or_default()
    }
}

impl Job {
    /// An adapter for the job `id` of `workspace`, which takes the statement as one of its `parameters`; `catalog` knows names for errors.
    /// A run that does not tell its own limit returns at most `max_rows`. Connects on first use.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] when TLS cannot be set up on this machine.
    pub fn new(workspace: Workspace, id: u64, parameters: Parameters, max_rows: u64, catalog: &Catalog) -> Result<Self, Error> {
        Ok(Self { client: Client::new(workspace)?, id, parameters, max_rows, names: Names::of(catalog) })
    }

    async fn run(&self, id: u64) -> Result<JobRun, Failure> {
        self.client.get("/api/2.2/jobs/runs/get", &[("run_id", &id.to_string())]).await
    }

    async fn look(&self, id: u64) -> Result<RunState, Error> {
        let run = match self.run(id).await {
            Ok(run) => run,
            Err(Failure::Refused(problem)) if problem.is_missing() => return Ok(RunState::Lost),
            Err(failure) => return Err(failure.into()),
        };
        match run.stand() {
            Stand::Running(phase) => Ok(RunState::Running(phase)),
            Stand::Canceled => Ok(RunState::Canceled),
            Stand::Full => Ok(RunState::TurnedAway(format!(
                "job {} has as many runs at once as it allows, or as its queue holds; raise its max_concurrent_runs or enable its queue",
                self.id
            ))),
            Stand::Succeeded => self.output(&run, None).await,
            Stand::Failed(why) => self.output(&run, Some(why)).await,
        }
    }

    /// What the run's task returned; for one that failed, the error that it printed rather than `why`.
    async fn output(&self, run: &JobRun, why: Option<String>) -> Result<RunState, Error> {
        let Some(task) = run.tasks.last().map(|task| task.run_id).or(run.run_id) else {
            return Ok(RunState::Failed(why.unwrap_or_else(|| "the job run has no task".into())));
        };
        let output: Output = match self.client.get("/api/2.2/jobs/runs/get-output", &[("run_id", &task.to_string())]).await {
            Ok(output) => output,
            // A run that never came to its task has no output.
            Err(Failure::Refused(problem)) if why.is_some() => {
                tracing::debug!(run.id = task, ?problem, "a failed job run has no output");
                Output { notebook_output: None, error: None }
            }
            Err(Failure::Refused(problem)) if problem.is_missing() => return Ok(RunState::Lost),
            Err(failure) => return Err(failure.into()),
        };
        let sql = run.statement();
        let failed = |message: &str| Ok(RunState::Failed(self.names.explain(message, sql)));
        if let Some(why) = why {
            return failed(output.error.filter(|error| !error.is_empty()).as_deref().unwrap_or(&why));
        }
        let Some(NotebookOutput { result: Some(result), truncated }) = output.notebook_output else {
            return failed(
                "the job's notebook returned nothing; it must end with dbutils.notebook.exit, as the one in deploy/databricks does",
            );
        };
        if truncated {
            return failed("the rows are more than a job run can return (5 MB); select fewer columns or rows, or aggregate");
        }
        match rows(&result, limit(sql).unwrap_or(self.max_rows)) {
            Ok(result) => Ok(RunState::Succeeded(result)),
            Err(message) => failed(&message),
        }
    }
}

/// The statement behind a comment with its limit and where it comes from.
fn text(Statement { sql, max_rows, origin, .. }: &Statement) -> String {
    let origin = origin.map(|Origin { conversation, turn, query }| format!(" conversation={conversation} turn={turn} query={query}"));
    format!("{LIMIT}{max_rows}{} */ {sql}", origin.unwrap_or_default())
}

/// The limit that stands in the comment before a statement.
fn limit(sql: &str) -> Option<u64> {
    sql.strip_prefix(LIMIT)?.split_whitespace().next()?.parse().ok()
}

/// Our notebook's answer.
#[derive(Deserialize)]
struct Answer {
    columns: Vec<AnswerColumn>,
    rows: Vec<Vec<Value>>,
    #[serde(default)]
    truncated: bool,
}

#[derive(Deserialize)]
struct AnswerColumn {
    name: String,
    #[serde(rename = "type")]
    data_type: String,
}

/// Reads what a notebook returned, at most `max_rows` of it.
///
/// # Errors
/// The error that it returned in place of rows, or that it returned neither.
fn rows(result: &str, max_rows: u64) -> Result<ResultSet, String> {
    let unreadable =
        |what: &str| format!("the job's notebook returned {what}; it must be the one in deploy/databricks or return rows as it does");
    let value: Value = serde_json::from_str(result).map_err(|_| unreadable("something that is not JSON"))?;
    if let Some(error) = value.get("error") {
        return Err(error.as_str().map_or_else(|| error.to_string(), str::to_owned));
    }
    let (columns, mut rows, truncated) = match value {
        Value::Array(objects) => older(objects)?,
        value => {
            let Answer { columns, rows, truncated } = serde_json::from_value(value).map_err(|_| unreadable("JSON that is not rows"))?;
            let types: Vec<Type> = columns.iter().map(|column| Type::parse(&column.data_type)).collect();
            let names = columns.into_iter().map(|column| column.name);
            let columns = names.zip(&types).map(|(name, data_type)| Column { name, data_type: data_type.name() }).collect();
            let typed = |row: Vec<Value>| types.iter().zip(row).map(|(data_type, cell)| data_type.cell(cell)).collect();
            (columns, rows.into_iter().map(typed).collect::<Vec<_>>(), truncated)
        }
    };
    let most = usize::try_from(max_rows).unwrap_or(usize::MAX);
    let truncated = truncated || rows.len() > most;
    rows.truncate(most);
    Ok(ResultSet { columns, row_count: u64::try_from(rows.len()).unwrap_or(u64::MAX), rows, truncated, limit_source: None })
}

type Table = (Vec<Column>, Vec<Vec<Value>>, bool);

/// Rows as objects, without types: what the older notebook returns. Types are taken from the first cell that is not null.
fn older(objects: Vec<Value>) -> Result<Table, String> {
    let mut columns: Vec<Column> = Vec::new();
    let mut objects: Vec<Map<String, Value>> = objects
        .into_iter()
        .map(|object| match object {
            Value::Object(members) => Ok(members),
            other => Err(format!("the job's notebook returned a row that is no object: {other:.60}")),
        })
        .collect::<Result<_, _>>()?;
    for (name, cell) in objects.iter().flatten() {
        match columns.iter_mut().find(|column| column.name == *name) {
            None => columns.push(Column { name: name.clone(), data_type: type_of(cell).into() }),
            Some(column) if column.data_type == "void" => column.data_type = type_of(cell).into(),
            Some(_) => {}
        }
    }
    let is_cut = objects.len() >= CAP_OF_THE_OLDER;
    let row = |object: &mut Map<String, Value>| columns.iter().map(|column| object.remove(&column.name).unwrap_or_default()).collect();
    let rows = objects.iter_mut().map(row).collect();
    Ok((columns, rows, is_cut))
}

fn type_of(cell: &Value) -> &'static str {
    match cell {
        Value::Null => "void",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() => "bigint",
        Value::Number(_) => "double",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "struct",
    }
}

#[async_trait]
impl Warehouse for Job {
    fn kind(&self) -> &'static str {
        "databricks_job"
    }

    async fn launch(&self, statement: &Statement) -> Result<Run, Error> {
        let mut parameters = json!({PARAMETER: text(statement)});
        if !statement.parameters.is_empty() {
            let arguments: Value = statement.parameters.iter().map(Parameter::to_json).collect();
            parameters[ARGUMENTS] = arguments.to_string().into();
        }
        let bytes = parameters.to_string().len();
        if bytes > PARAMETER_BYTES {
            return Err(Error::Refused(format!(
                "with {bytes} bytes the statement is too long for a parameter of a Databricks job, which takes {PARAMETER_BYTES}; write it shorter"
            )));
        }
        let mut body = json!({"job_id": self.id, "idempotency_token": statement.token});
        let place = match self.parameters {
            Parameters::Job => "job_parameters",
            Parameters::Notebook => "notebook_params",
        };
        body[place] = parameters;
        let Started { run_id } = self.client.post("/api/2.2/jobs/run-now", &body).await.map_err(Failure::of_launch)?;
        // The page and the phase are a courtesy: without them the run is as good.
        let run = self.run(run_id).await.ok();
        let phase = match run.as_ref().map(JobRun::stand) {
            Some(Stand::Running(phase)) => phase,
            Some(_) => Phase::Executing,
            None => Phase::Queued,
        };
        Ok(Run { id: RunId::Number(run_id), page_url: run.and_then(|run| run.run_page_url), phase })
    }

    async fn poll(&self, run: &RunId, known: Phase, wait: Duration) -> Result<RunState, Error> {
        let RunId::Number(id) = run else { return Ok(RunState::Lost) };
        until_news(known, wait, |_| self.look(*id)).await
    }

    async fn cancel(&self, run: &RunId) -> Result<(), Error> {
        let RunId::Number(id) = run else { return Ok(()) };
        match self.client.post::<Value>("/api/2.2/jobs/runs/cancel", &json!({"run_id": id})).await {
            Err(Failure::Refused(problem)) if problem.status != 401 && problem.status != 403 => {
                tracing::debug!(run.id = id, ?problem, "nothing to cancel");
                Ok(())
            }
            end => end.map(drop).map_err(Error::from),
        }
    }

    /// Asks for the job, which starts nothing.
    async fn probe(&self) -> Result<(), Error> {
        match self.client.get::<Value>("/api/2.2/jobs/get", &[("job_id", &self.id.to_string())]).await {
            Ok(_) => Ok(()),
            Err(Failure::Refused(problem)) if problem.is_missing() => {
                Err(Error::Misconfigured(format!("Databricks has no job {}; check DATABRICKS_JOB_ID", self.id)))
            }
            Err(failure) => Err(failure.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stand(run: Value) -> Stand {
        serde_json::from_value::<JobRun>(run).expect("a run").stand()
    }

    fn of_state(life_cycle_state: &str, result_state: &str) -> Stand {
        stand(json!({"state": {"life_cycle_state": life_cycle_state, "result_state": result_state, "state_message": "why"}}))
    }

    #[test]
    fn every_state_is_understood_and_unknown_ones_run_on() {
        let phases = [
            (Phase::Queued, ["QUEUED", "BLOCKED", "WAITING_FOR_RETRY", "WAITING"].as_slice()),
            (Phase::Starting, &["PENDING"]),
            (Phase::Executing, &["RUNNING", "TERMINATING", "SOMETHING_NEW"]),
        ];
        for (phase, state) in phases.iter().flat_map(|(phase, states)| states.iter().map(|state| (*phase, *state))) {
            assert_eq!(stand(json!({"state": {"life_cycle_state": state}})), Stand::Running(phase), "{state}");
            assert_eq!(stand(json!({"status": {"state": state}})), Stand::Running(phase), "{state}");
        }
        assert_eq!(of_state("TERMINATED", "SUCCESS"), Stand::Succeeded);
        assert_eq!(of_state("TERMINATED", "SUCCESS_WITH_FAILURES"), Stand::Succeeded);
        assert_eq!(of_state("TERMINATED", "CANCELED"), Stand::Canceled);
        assert_eq!(of_state("SKIPPED", "MAXIMUM_CONCURRENT_RUNS_REACHED"), Stand::Full);
        let endings = [
            ("TERMINATED", "FAILED"),
            ("TERMINATED", "TIMEDOUT"),
            ("TERMINATED", "UPSTREAM_FAILED"),
            ("TERMINATED", "UPSTREAM_CANCELED"),
            ("TERMINATED", "EXCLUDED"),
            ("TERMINATED", "DISABLED"),
            ("TERMINATED", "SOMETHING_NEW"),
            ("SKIPPED", "EXCLUDED"),
            ("INTERNAL_ERROR", "FAILED"),
        ];
        for (state, result) in endings {
            assert!(matches!(of_state(state, result), Stand::Failed(message) if message.ends_with(": why")), "{state} {result}");
        }
    }

    #[test]
    fn the_newer_status_is_read_where_the_older_state_is_absent() {
        let status = |code: &str| stand(json!({"status": {"state": "TERMINATED", "termination_details": {"code": code, "message": "m"}}}));
        assert_eq!(status("SUCCESS"), Stand::Succeeded);
        assert_eq!(status("USER_CANCELED"), Stand::Canceled);
        assert_eq!(status("MAX_JOB_QUEUE_SIZE_EXCEEDED"), Stand::Full);
        assert!(matches!(status("RUN_EXECUTION_TIMED_OUT"), Stand::Failed(message) if message.contains("longer than the job allows")));
        assert_eq!(status("CLOUD_FAILURE"), Stand::Failed("the job run ended as CLOUD_FAILURE: m".into()));
    }

    #[test]
    fn a_run_whose_task_waits_for_its_cluster_is_starting() {
        let of_task = |task: Value| stand(json!({"state": {"life_cycle_state": "RUNNING"}, "tasks": [task]}));
        let waiting = json!({"run_id": 1, "state": {"life_cycle_state": "PENDING", "state_message": "Waiting for cluster"}});
        assert_eq!(of_task(waiting), Stand::Running(Phase::Starting));
        assert_eq!(of_task(json!({"run_id": 1, "status": {"state": "BLOCKED"}})), Stand::Running(Phase::Queued));
        assert_eq!(of_task(json!({"run_id": 1, "state": {"life_cycle_state": "RUNNING"}})), Stand::Running(Phase::Executing));
        let queued = json!({"state": {"life_cycle_state": "QUEUED", "state_message": "Waiting for cluster"}});
        assert_eq!(stand(queued), Stand::Running(Phase::Starting));
    }

    #[test]
    fn rows_of_our_notebook_are_typed_and_cut() {
        let answer = r#"{"columns":[{"name":"n","type":"decimal(20,2)"}],"rows":[["1.50"],[null],["2"]],"truncated":false}"#;
        let result = rows(answer, 2).expect("rows");
        assert_eq!(
            (result.columns[0].data_type.as_str(), result.rows, result.truncated),
            ("decimal(20,2)", vec![vec![json!(1.5)], vec![json!(null)]], true)
        );
    }

    #[test]
    fn rows_of_the_older_notebook_are_read_too() {
        let result = rows(r#"[{"a":null,"b":"x"},{"a":1,"c":true}]"#, 10).expect("rows");
        let columns: Vec<_> = result.columns.iter().map(|column| (column.name.as_str(), column.data_type.as_str())).collect();
        assert_eq!(columns, [("a", "bigint"), ("b", "string"), ("c", "boolean")]);
        assert_eq!(result.rows, [[json!(null), json!("x"), json!(null)], [json!(1), json!(null), json!(true)]]);
        assert!(!result.truncated);
        let many = Value::from(vec![json!({"a": 1}); CAP_OF_THE_OLDER]).to_string();
        assert!(rows(&many, 5000).expect("rows").truncated);
    }

    #[test]
    fn what_is_not_rows_is_an_error() {
        assert_eq!(rows(r#"{"error":"no such column","error_type":"AnalysisException"}"#, 1), Err("no such column".into()));
        for output in ["", "done", "7", "[1]", "{}"] {
            assert!(rows(output, 1).expect_err("no rows").contains("notebook returned"), "{output}");
        }
    }

    #[test]
    fn the_limit_is_read_from_the_statement() {
        assert_eq!(limit("/* asklake max_rows=25 */ SELECT 1"), Some(25));
        assert_eq!(limit("SELECT 1"), None);
        let conversation = "6f1f0d3c-0000-4000-8000-1234567890ab".parse().expect("an id");
        let statement = Statement { origin: Some(Origin { conversation, turn: 3, query: 2 }), ..Statement::new("t", "SELECT 1", 7) };
        let text = text(&statement);
        assert_eq!(text, "/* asklake max_rows=7 conversation=6f1f0d3c-0000-4000-8000-1234567890ab turn=3 query=2 */ SELECT 1");
        assert_eq!(limit(&text), Some(7));
    }
}
