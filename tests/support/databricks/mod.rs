//! A stand-in for a Databricks workspace: its REST API as the official SDKs know it, with any Spark SQL engine behind it.
//!
//! Owns sign-in, the envelope of errors, and faults on demand; `statements` and `jobs` own their part of the API. What it does not know it
//! refuses, as the workspace would, so that a wrong request does not pass for a right one.

pub mod jobs;
pub mod statements;

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use asklake::warehouse::{self, Parameter, Warehouse};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use warp::{Filter, http::Method};

/// The token that is always good.
pub const TOKEN: &str = "dapi-stand-in";
/// The service principal.
pub const CLIENT: (&str, &str) = ("an-application-id", "an-oauth-secret");
/// Whom the workspace knows of those that a federated issuer's tokens are of.
pub const PERSONS: [&str; 2] = ["ann", "bob"];
/// The SQL warehouse.
pub const WAREHOUSE_ID: &str = "0123456789abcdef";
/// The job.
pub const JOB_ID: u64 = 1_009_876_543_210;

/// More looks than anybody takes.
pub const FOREVER: usize = usize::MAX;

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It is turned away with this status, `Retry-After` and body.
    Instead(u16, Option<u64>, &'static str),
    /// It is carried out, and its answer is lost: what comes instead is 503.
    AnswerLost,
}

/// How the workspace behaves.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Looks at a run that find it queued or starting, as on a cold cluster. [`FOREVER`]: until [`StandIn::thaw`].
    pub cold_looks: usize,
    /// Whether a run goes on until it is canceled.
    pub is_stuck: bool,
    /// Rows of a chunk of a statement's result.
    pub chunk_rows: usize,
    /// Seconds that a token of a person lasts.
    pub person_life: u64,
    /// The notebook that the job runs.
    pub notebook: jobs::Notebook,
    /// How a run of the job ends that would succeed: its life cycle state and result state.
    pub job_end: Option<(&'static str, &'static str)>,
}

impl Default for Manner {
    fn default() -> Self {
        Self { cold_looks: 1, is_stuck: false, chunk_rows: 1000, person_life: 3600, notebook: jobs::Notebook::Ours, job_end: None }
    }
}

/// A workspace on a free port.
pub struct StandIn {
    /// Its address.
    pub host: String,
    /// What tests look at and change.
    pub state: Arc<State>,
    _stop: DropGuard,
}

/// The inside of a workspace.
pub struct State {
    engine: Arc<dyn Warehouse>,
    manner: Manner,
    host: String,
    faults: Mutex<Vec<(&'static str, Fault)>>,
    /// Requests so far, as `POST /path`.
    pub requests: Mutex<Vec<String>>,
    /// Who sent each of them, by the bearer token.
    bearers: Mutex<Vec<String>>,
    tokens: Mutex<HashSet<String>>,
    /// Tokens that were given out.
    pub grants: AtomicUsize,
    warehouse: Mutex<&'static str>,
    statements: Mutex<HashMap<String, statements::Stored>>,
    jobs: Mutex<jobs::Runs>,
}

/// A request as the parts of the API see it.
pub struct Request {
    method: Method,
    path: String,
    query: HashMap<String, String>,
    authorization: String,
    body: Value,
}

/// An answer: its status and its body.
pub type Reply = (u16, Value);

impl StandIn {
    /// Starts a workspace that runs its statements on `engine`.
    pub async fn start(engine: Arc<dyn Warehouse>, manner: Manner) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("port");
        let host = format!("http://{}", listener.local_addr().expect("address"));
        let state = Arc::new(State {
            engine,
            manner,
            host: host.clone(),
            faults: Mutex::default(),
            requests: Mutex::default(),
            bearers: Mutex::default(),
            tokens: Mutex::new(HashSet::from([TOKEN.to_owned()])),
            grants: AtomicUsize::new(0),
            warehouse: Mutex::new("STOPPED"),
            statements: Mutex::default(),
            jobs: Mutex::default(),
        });
        let inside = Arc::clone(&state);
        let query = warp::query::<HashMap<String, String>>();
        let routes = warp::method()
            .and(warp::path::full())
            .and(query)
            .and(warp::header::optional::<String>("authorization"))
            .and(warp::body::bytes())
            .then(move |method, path: warp::path::FullPath, query, authorization: Option<String>, body: bytes::Bytes| {
                let state = Arc::clone(&inside);
                let request = Request {
                    method,
                    path: path.as_str().trim_end_matches('/').to_owned(),
                    query,
                    authorization: authorization.unwrap_or_default(),
                    body: serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into_owned().into()),
                };
                async move { state.answer(request).await }
            });
        let stop = CancellationToken::new();
        tokio::spawn(warp::serve(routes).incoming(listener).graceful(stop.clone().cancelled_owned()).run());
        Self { host, state, _stop: stop.drop_guard() }
    }

    /// Lets the next request whose `POST /path` contains `what` fail; several faults happen one after the other.
    pub fn fail(&self, what: &'static str, fault: Fault) {
        self.state.faults.lock().unwrap().push((what, fault));
    }

    /// How many requests there were whose `POST /path` contains `what`.
    pub fn count(&self, what: &str) -> usize {
        self.state.requests.lock().unwrap().iter().filter(|request| request.contains(what)).count()
    }

    /// The bearer tokens of the requests whose `POST /path` contains `what`.
    pub fn bearers(&self, what: &str) -> Vec<String> {
        let (requests, bearers) = (self.state.requests.lock().unwrap(), self.state.bearers.lock().unwrap());
        requests.iter().zip(bearers.iter()).filter(|(request, _)| request.contains(what)).map(|(_, bearer)| bearer.clone()).collect()
    }

    /// Forgets every statement and every run, as the workspace does with time.
    pub fn forget_everything(&self) {
        self.state.statements.lock().unwrap().clear();
        *self.state.jobs.lock().unwrap() = jobs::Runs::default();
    }

    /// Changes the state that the warehouse tells.
    pub fn set_warehouse(&self, state: &'static str) {
        *self.state.warehouse.lock().unwrap() = state;
    }

    /// Ends the waiting of every statement and run.
    pub fn thaw(&self) {
        self.state.statements.lock().unwrap().values_mut().for_each(statements::Stored::thaw);
        self.state.jobs.lock().unwrap().thaw();
    }

    /// Accepts a token, such as one of Entra.
    pub fn accept(&self, token: &str) {
        self.state.tokens.lock().unwrap().insert(token.to_owned());
    }

    /// Revokes every token.
    pub fn revoke(&self) {
        self.state.tokens.lock().unwrap().clear();
    }
}

/// An error as most of the API tells it.
fn refusal(status: u16, code: &str, message: impl Into<String>) -> Reply {
    (status, json!({"error_code": code, "message": message.into(), "details": []}))
}

impl State {
    async fn answer(self: Arc<Self>, request: Request) -> warp::http::Response<String> {
        let what = format!("{} {}", request.method, request.path);
        self.requests.lock().unwrap().push(what.clone());
        self.bearers.lock().unwrap().push(request.authorization.trim_start_matches("Bearer ").to_owned());
        let fault = {
            let mut faults = self.faults.lock().unwrap();
            faults.iter().position(|(of, _)| what.contains(of)).map(|at| faults.remove(at).1)
        };
        if let Some(Fault::Instead(status, retry_after, body)) = fault {
            let response = warp::http::Response::builder().status(status);
            let response = match retry_after {
                Some(seconds) => response.header("retry-after", seconds),
                None => response,
            };
            return response.body(body.to_owned()).unwrap();
        }
        let (status, body) = self.route(&request).await;
        let status = if fault.is_some() { 503 } else { status };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        warp::http::Response::builder().status(status).header("content-type", "application/json").body(body).unwrap()
    }

    async fn route(&self, request: &Request) -> Reply {
        let path: Vec<&str> = request.path.split('/').skip(1).collect();
        match (request.method.as_str(), &path[..]) {
            ("GET", ["oidc", ".well-known", "oauth-authorization-server"]) => (
                200,
                json!({"token_endpoint": format!("{}/oidc/v1/token", self.host), "authorization_endpoint": format!("{}/oidc/v1/authorize", self.host)}),
            ),
            ("GET", [".well-known", "databricks-config"]) => {
                (200, json!({"oidc_endpoint": format!("{}/oidc", self.host), "cloud": "AZURE"}))
            }
            ("POST", ["oidc", "v1", "token"]) => self.grant(request),
            ("GET" | "POST", ["api", ..]) if !self.is_signed_in(request) => {
                refusal(401, "UNAUTHENTICATED", "Credential was not sent or was of an unsupported type for this API.")
            }
            ("GET", ["api", "2.0", "sql", "warehouses", id]) if *id == WAREHOUSE_ID => {
                (200, json!({"id": id, "state": *self.warehouse.lock().unwrap()}))
            }
            (_, ["api", "2.0", "sql", "statements", rest @ ..]) => self.statement(request, rest).await,
            (_, ["api", "2.1" | "2.2", "jobs", rest @ ..]) => self.job(request, rest).await,
            _ => refusal(404, "ENDPOINT_NOT_FOUND", format!("No API found for '{} {}'", request.method, request.path)),
        }
    }

    fn is_signed_in(&self, request: &Request) -> bool {
        request.authorization.strip_prefix("Bearer ").is_some_and(|token| self.tokens.lock().unwrap().contains(token))
    }

    /// A token of the person that a token of the federated issuer is of (RFC 8693). Its signature is the issuer's business here.
    fn exchange(&self, form: &HashMap<String, String>) -> Reply {
        use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
        let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        if field("subject_token_type") != "urn:ietf:params:oauth:token-type:jwt" || field("scope") != "all-apis" {
            return (400, json!({"error": "invalid_request", "error_description": "subject_token_type or scope"}));
        }
        let claims = field("subject_token").split('.').nth(1).and_then(|claims| BASE64_URL_SAFE_NO_PAD.decode(claims).ok());
        let claims: Value = claims.and_then(|claims| serde_json::from_slice(&claims).ok()).unwrap_or_default();
        match claims["sub"].as_str().filter(|name| PERSONS.contains(name)) {
            Some(name) => {
                let token = format!("of-{name}-{}", self.grants.fetch_add(1, Ordering::SeqCst));
                self.tokens.lock().unwrap().insert(token.clone());
                (200, json!({"access_token": token, "token_type": "Bearer", "expires_in": self.manner.person_life}))
            }
            None => (400, json!({"error": "invalid_grant", "error_description": format!("no such user, said {}", field("subject_token"))})),
        }
    }

    fn grant(&self, request: &Request) -> Reply {
        use base64::{Engine, prelude::BASE64_STANDARD};
        let form = request.body.as_str().unwrap_or_default();
        let fields: HashMap<String, String> = serde_urlencoded::from_str(form).unwrap_or_default();
        if fields.get("grant_type").is_some_and(|kind| kind == "urn:ietf:params:oauth:grant-type:token-exchange") {
            return self.exchange(&fields);
        }
        let expected = format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{}", CLIENT.0, CLIENT.1)));
        if request.authorization != expected {
            return (401, json!({"error": "invalid_client", "error_description": "Client authentication failed"}));
        }
        if !form.contains("grant_type=client_credentials") || !form.contains("scope=all-apis") {
            return (400, json!({"error": "invalid_request"}));
        }
        let token = format!("oauth-{}", self.grants.fetch_add(1, Ordering::SeqCst));
        self.tokens.lock().unwrap().insert(token.clone());
        (200, json!({"access_token": token, "token_type": "Bearer", "scope": "all-apis", "expires_in": 3600}))
    }
}

/// Parameters as the API takes them, or what is wrong with them.
fn parameters(list: &Value) -> Result<Vec<Parameter>, String> {
    let Some(list) = list.as_array() else { return if list.is_null() { Ok(vec![]) } else { Err("parameters must be a list".into()) } };
    list.iter()
        .map(|item| {
            let name = item["name"].as_str().filter(|name| !name.is_empty()).ok_or("a parameter needs a name")?;
            let text = match &item["value"] {
                Value::Null => return Ok(Parameter::new(name, warehouse::Value::Null)),
                Value::String(text) => text.clone(),
                other => return Err(format!("the value of {name} must be a string, and is {other}")),
            };
            let bad = |_| format!("the value of {name} is not of its type");
            let value = match item["type"].as_str().unwrap_or("STRING") {
                "STRING" => warehouse::Value::Text(text),
                "INT" => warehouse::Value::Integer(text.parse::<i32>().map_err(|_| bad(()))?.into()),
                "BIGINT" => warehouse::Value::Integer(text.parse().map_err(|_| bad(()))?),
                "DOUBLE" => warehouse::Value::Double(text.parse().map_err(|_| bad(()))?),
                "BOOLEAN" => warehouse::Value::Boolean(text.parse().map_err(|_| bad(()))?),
                "DATE" => warehouse::Value::Date(text),
                "TIMESTAMP" => warehouse::Value::Timestamp(text),
                other => return Err(format!("{other} is no type of a parameter")),
            };
            Ok(Parameter::new(name, value))
        })
        .collect()
}

/// Databricks' words for an error of the engine, which our adapter of the engine has put in the house's own.
fn sparks_words(message: &str) -> String {
    let name =
        |rest: &str| rest.split(' ').next().unwrap_or_default().split('.').map(|part| format!("`{part}`")).collect::<Vec<_>>().join(".");
    if let Some(rest) = message.strip_prefix("column ") {
        return format!(
            "[UNRESOLVED_COLUMN.WITH_SUGGESTION] A column, variable, or function parameter with name {} cannot be resolved. \
             Did you mean one of the following? [`something`.`else`]. SQLSTATE: 42703; line 1 pos 7",
            name(rest)
        );
    }
    if let Some(rest) = message.strip_prefix("table ") {
        return format!(
            "[TABLE_OR_VIEW_NOT_FOUND] The table or view {} cannot be found. Verify the spelling and correctness of the schema and catalog. \
             SQLSTATE: 42P01; line 1 pos 14",
            name(rest)
        );
    }
    message.to_owned()
}
