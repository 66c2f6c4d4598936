//! The REST API of a workspace: signs requests, sends again what was turned away, and reads errors in all their shapes.
//!
//! Owns the connection and the retries. Every request that goes through here may be sent again: reads, `cancel`, `run-now` with its
//! token, and a statement, because the guard admits nothing but reads.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    Workspace,
    auth::{Credential, Session},
};
use crate::{azure::innermost, warehouse::Error};

/// Time for one request and its answer.
const REQUEST: Duration = Duration::from_secs(20);
const CONNECT: Duration = Duration::from_secs(5);
/// What is waited for here; a workspace that wants more is asked again by the next wake.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How often a request is sent again.
const RETRIES: usize = 3;
/// Without `Retry-After`, as the SDKs have it.
const DEFAULT_RETRY: Duration = Duration::from_secs(1);
/// Largest answer that is read, in bytes: more than an inline result (25 MiB) or the output of a notebook (5 MB) can be.
const LARGEST: usize = 32 << 20;
/// Longest message of an error that is passed on, in characters.
const LONGEST_MESSAGE: usize = 500;

/// An answer without a body, as `cancel` gives.
const NOTHING: &[u8] = b"null";

/// A workspace to talk to.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    host: String,
    session: Session,
}

/// Why a request failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nobody answered, or there was no time for it; another try may work.
    Unavailable {
        /// What happened and what to do.
        detail: String,
        /// What was asked for.
        retry_after: Option<Duration>,
    },
    /// The workspace answered that it will not.
    Refused(Problem),
    /// It does not admit the person in whose name it is asked.
    NotAdmitted(Problem),
}

/// An error that the workspace told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// The HTTP status.
    pub(super) status: u16,
    /// Its name for it, such as `INVALID_PARAMETER_VALUE`; empty where it gave none.
    pub(super) code: String,
    /// Its words.
    pub(super) message: String,
}

impl Problem {
    /// Whether a thing that was asked for by its id is not there (any more). Jobs say so with 400 for runs.
    pub(super) fn is_missing(&self) -> bool {
        self.status == 404 || (self.status == 400 && self.message.contains("does not exist"))
    }
}

impl Failure {
    /// What a launch that failed so is. Of a statement that cannot run Databricks tells when it is looked for: a launch that it does not take
    /// at all names a job, a warehouse or parameters that are not there, which no other statement would change.
    pub(super) fn of_launch(self) -> Error {
        match Error::from(self) {
            Error::Refused(told) => Error::Misconfigured(format!(
                "Databricks does not take the launch ({told}); check DATABRICKS_WAREHOUSE_ID, DATABRICKS_CATALOG and DATABRICKS_SCHEMA, or \
                 DATABRICKS_JOB_ID and the parameters that the job declares"
            )),
            other => other,
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unavailable { detail, retry_after } => Self::Unavailable { detail, retry_after },
            Failure::NotAdmitted(problem) => Self::NotAdmitted(not_admitted(&problem)),
            Failure::Refused(Problem { status, code, message }) => {
                let told = if code.is_empty() { message } else { format!("{code}: {message}") };
                match status {
                    401 => Self::Misconfigured(format!(
                        "Databricks does not accept the sign-in ({told}); check DATABRICKS_TOKEN, DATABRICKS_CLIENT_ID and \
                         DATABRICKS_CLIENT_SECRET, or that the managed identity is a service principal of the workspace"
                    )),
                    403 => Self::Misconfigured(format!(
                        "Databricks forbids it ({told}); grant the principal CAN USE on the warehouse or CAN MANAGE RUN on the job"
                    )),
                    404 => Self::Misconfigured(format!(
                        "Databricks does not know it ({told}); check DATABRICKS_HOST, DATABRICKS_WAREHOUSE_ID and DATABRICKS_JOB_ID"
                    )),
                    300..=399 => Self::Misconfigured(format!(
                        "DATABRICKS_HOST answers with a redirection (HTTP {status}) instead of the API; it must be the address of the \
                         workspace itself"
                    )),
                    400..=499 => Self::Refused(told),
                    _ => Self::Unavailable { detail: format!("Databricks answered HTTP {status} ({told})"), retry_after: None },
                }
            }
        }
    }
}

/// A request before it is signed.
struct Call<'a> {
    method: reqwest::Method,
    path: &'a str,
    query: &'a [(&'a str, &'a str)],
    body: Option<&'a Value>,
}

impl Client {
    /// A client for `workspace`. Connects on first use.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] when TLS cannot be set up on this machine.
    pub(super) fn new(workspace: Workspace) -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("asklake/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(REQUEST)
            // A redirection would take the token along to who knows where.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| Error::Misconfigured(format!("cannot set up the connection to Databricks: {error}")))?;
        let host = workspace.host.trim_end_matches('/').to_owned();
        Ok(Self { http, host, session: Session::new(workspace.credential) })
    }

    /// The same workspace, over the same connections, as the person that `token` is of.
    pub(super) fn as_person(&self, token: String) -> Self {
        Self { http: self.http.clone(), host: self.host.clone(), session: Session::new(Credential::Person(token)) }
    }

    /// Gets the JSON at `path`.
    ///
    /// # Errors
    /// Every [`Failure`].
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, Failure> {
        self.send(Call { method: reqwest::Method::GET, path, query, body: None }).await
    }

    /// Posts `body` to `path`, again if need be: so only what may be done twice.
    ///
    /// # Errors
    /// Every [`Failure`].
    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, Failure> {
        self.send(Call { method: reqwest::Method::POST, path, query: &[], body: Some(body) }).await
    }

    async fn send<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, Failure> {
        let backoff = ExponentialBuilder::default().with_min_delay(DEFAULT_RETRY).with_jitter().with_max_times(RETRIES);
        (|| self.attempt(&call))
            .retry(backoff)
            .when(|failure| matches!(failure, Failure::Unavailable { .. }))
            .adjust(|failure, delay| match failure {
                Failure::Unavailable { retry_after: Some(asked), .. } => delay.map(|_| *asked).filter(|asked| *asked <= LONGEST_WAIT),
                _ => delay,
            })
            .notify(|failure, delay| tracing::debug!(path = call.path, ?failure, ?delay, "sending a request to Databricks again"))
            .await
    }

    async fn attempt<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T, Failure> {
        let token = self.session.bearer(&self.http, &self.host).await?;
        match self.once(call, &token).await {
            // A token can be revoked before its time.
            Err(Failure::Refused(Problem { status: 401, .. })) if self.session.renew(&token).await => {
                let token = self.session.bearer(&self.http, &self.host).await?;
                self.once(call, &token).await
            }
            Err(Failure::Refused(problem)) if self.session.is_a_persons() && matches!(problem.status, 401 | 403) => {
                Err(Failure::NotAdmitted(problem))
            }
            end => end,
        }
    }

    async fn once<T: DeserializeOwned>(&self, call: &Call<'_>, token: &str) -> Result<T, Failure> {
        let mut request =
            self.http.request(call.method.clone(), format!("{}{}", self.host, call.path)).query(call.query).bearer_auth(token);
        if let Some(body) = call.body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| unreachable(&self.host, &error))?;
        read(&self.host, response, &[token]).await
    }
}

/// What it means that the workspace turns a person away, in words for them.
fn not_admitted(Problem { status, message, .. }: &Problem) -> String {
    if *status == 401 {
        format!("Databricks does not accept your sign-in ({message}); ask again, and if that does not help, sign in again")
    } else {
        format!("Databricks forbids it to you ({message}); you need CAN USE on the warehouse")
    }
}

/// What a broken connection to `host` means.
pub(super) fn unreachable(host: &str, error: &reqwest::Error) -> Failure {
    let detail = if error.is_connect() {
        format!("nobody answers at {host} ({}); check DATABRICKS_HOST and the network", innermost(error))
    } else if error.is_timeout() {
        format!("{host} did not answer within {} s", REQUEST.as_secs())
    } else {
        format!("the connection to {host} broke ({})", innermost(error))
    };
    Failure::Unavailable { detail, retry_after: None }
}

/// The body of an answer of `host`, or what it says is wrong, without `secrets`: careless servers say them back, and their words go to
/// logs and clients.
///
/// # Errors
/// Every [`Failure`].
pub(super) async fn read<T: DeserializeOwned>(host: &str, response: reqwest::Response, secrets: &[&str]) -> Result<T, Failure> {
    let status = response.status().as_u16();
    let asked = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok()).map(Duration::from_secs);
    let body = bytes(host, response).await?;
    match status {
        200..=299 => serde_json::from_slice(if body.trim_ascii().is_empty() { NOTHING } else { &body }).map_err(|error| {
            Failure::Refused(Problem {
                status: if looks_like_html(&body) { 302 } else { 500 },
                code: String::new(),
                message: format!("the answer is not what the API promises: {error}"),
            })
        }),
        429 | 503 => {
            let Problem { message, .. } = problem(status, &without(secrets, &body));
            let what = if status == 429 { "is asked too often" } else { "is not available" };
            Err(Failure::Unavailable {
                detail: format!("{host} {what} (HTTP {status}: {message})"),
                retry_after: Some(asked.unwrap_or(DEFAULT_RETRY)),
            })
        }
        _ => Err(Failure::Refused(problem(status, &without(secrets, &body)))),
    }
}

fn without(secrets: &[&str], body: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(body).into_owned();
    secrets.iter().filter(|secret| !secret.is_empty()).fold(text, |text, secret| text.replace(*secret, "…")).into_bytes()
}

async fn bytes(host: &str, mut response: reqwest::Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|error| unreachable(host, &error))? {
        if body.len() + part.len() > LARGEST {
            let message = format!("the answer is larger than {} MiB", LARGEST >> 20);
            return Err(Failure::Refused(Problem { status: 400, code: String::new(), message }));
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

fn looks_like_html(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"<")
}

/// Reads `{error_code, message}`, `{error}`, `{error, error_description}`, plain text, a web page, or nothing.
fn problem(status: u16, body: &[u8]) -> Problem {
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let (code, message) = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(members)) => {
            let member = |name: &str| members.get(name).and_then(text).filter(|text| !text.is_empty());
            let nested = |name: &str| members.get("error").and_then(|error| error.get(name)).and_then(text);
            let code = member("error_code").or_else(|| nested("code")).or_else(|| member("message").and(member("error")));
            let message =
                member("message").or_else(|| member("error_description")).or_else(|| nested("message")).or_else(|| member("error"));
            (code.unwrap_or_default(), message)
        }
        Ok(Value::String(message)) => (String::new(), Some(message)),
        _ if looks_like_html(body) => (String::new(), title(body)),
        _ => (String::new(), Some(String::from_utf8_lossy(body).trim().to_owned())),
    };
    let message = message.filter(|message| !message.is_empty()).unwrap_or_else(|| "no explanation".into());
    Problem { status, code, message: message.chars().take(LONGEST_MESSAGE).collect() }
}

fn title(page: &[u8]) -> Option<String> {
    let page = String::from_utf8_lossy(page);
    let (_, rest) = page.split_once("<title>")?;
    let (title, _) = rest.split_once("</title>")?;
    Some(format!("a web page titled {:?}", title.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(body: &str) -> (String, String) {
        let Problem { code, message, .. } = problem(400, body.as_bytes());
        (code, message)
    }

    #[test]
    fn errors_are_read_in_all_their_shapes() {
        let cases = [
            (
                r#"{"error_code":"INVALID_PARAMETER_VALUE","message":"Run 7 does not exist","details":[{}]}"#,
                "INVALID_PARAMETER_VALUE",
                "Run 7 does not exist",
            ),
            (r#"{"error_code":1001,"message":"slow down"}"#, "1001", "slow down"),
            (r#"{"error":"no such endpoint"}"#, "", "no such endpoint"),
            (r#"{"error":{"code":"BAD","message":"nested"}}"#, "BAD", "nested"),
            (r#"{"error":"invalid_client","error_description":"who are you?"}"#, "", "who are you?"),
            ("upstream connect error", "", "upstream connect error"),
            ("<!doctype html><title>Sign in</title>", "", "a web page titled \"Sign in\""),
            ("<html></html>", "", "no explanation"),
            ("", "", "no explanation"),
            ("{}", "", "no explanation"),
        ];
        for (body, code, message) in cases {
            assert_eq!(told(body), (code.to_owned(), message.to_owned()), "{body}");
        }
    }

    #[test]
    fn a_problem_tells_whether_another_try_or_a_person_helps() {
        let error = |status| Error::from(Failure::Refused(Problem { status, code: "C".into(), message: "m".into() }));
        for status in [401, 403, 404, 302] {
            assert!(matches!(error(status), Error::Misconfigured(_)), "{status}");
        }
        assert!(matches!(error(400), Error::Refused(told) if told == "C: m"));
        for status in [500, 502, 504] {
            assert!(matches!(error(status), Error::Unavailable { .. }), "{status}");
        }
    }
}
