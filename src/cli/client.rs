//! The HTTP contract as the terminal uses it: one method for each request, errors in the server's own words.
//!
//! Knows nothing of how anything is shown, and keeps no state of a conversation.

use std::time::Duration;

use anyhow::{Context, bail};
use backon::{ExponentialBuilder, Retryable};
use reqwest::{
    RequestBuilder, Response,
    header::{self, HeaderMap, HeaderValue},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// How long one status request is held, in seconds.
const WAIT: u64 = 20;
/// What a request may take beyond that.
const PATIENCE: Duration = Duration::from_secs(WAIT + 20);
/// A server tells of itself every 15 s: a stream that is silent for longer is dead.
const SILENCE: Duration = Duration::from_secs(40);
/// How often a question is sent again, within a second: who asks wants to know soon that there is no server.
const START_RETRIES: usize = 2;
/// How often a request that follows a conversation is sent again: the server may be restarting. It takes half a minute, unless the server
/// asks for more.
const FOLLOW_RETRIES: usize = 7;
/// What is waited for a server that says when to come again: the minute of its quotas.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A server that is asked.
pub(super) struct Client {
    base: String,
    http: reqwest::Client,
}

/// Why a request failed.
enum Failure {
    /// Nobody answered.
    Unreachable(reqwest::Error),
    /// The server, or what stands before it, answered that it will not.
    Refused {
        /// The HTTP status.
        status: u16,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
        /// What it said, in a sentence.
        told: String,
    },
}

#[derive(Deserialize)]
struct Started {
    conversation_id: String,
}

impl Client {
    /// A client of the server at `base`, an address without `/api`, that proves who asks with `token`, if there is one.
    pub(super) fn new(base: &str, token: Option<&str>) -> anyhow::Result<Self> {
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let mut value =
                HeaderValue::from_str(&format!("Bearer {token}")).context("the token has characters that no header can carry")?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        let http =
            reqwest::Client::builder().read_timeout(SILENCE).default_headers(headers).build().context("cannot set up an HTTP client")?;
        Ok(Self { base: base.trim_end_matches('/').to_owned(), http })
    }

    /// Begins a conversation and returns its id.
    pub(super) async fn start(&self, question: &str, language: Option<&str>, device: Option<&str>, fresh: bool) -> anyhow::Result<String> {
        let body = json!({"question": question, "language": language, "device_id": device, "fresh": fresh});
        let started = self.post("/api/chat/start", &body).await?;
        Ok(serde_json::from_value::<Started>(started).context("the server's answer has no conversation_id")?.conversation_id)
    }

    /// Asks the next question of a conversation.
    pub(super) async fn follow_up(&self, id: &str, question: &str, language: Option<&str>) -> anyhow::Result<()> {
        self.post(&path(id, "messages")?, &json!({"question": question, "language": language})).await?;
        Ok(())
    }

    /// Cancels the running turn.
    pub(super) async fn cancel(&self, id: &str) -> anyhow::Result<()> {
        self.post(&path(id, "cancel")?, &json!({})).await?;
        Ok(())
    }

    /// The status; with `after`, once it differs from that revision or some seconds have passed.
    pub(super) async fn status(&self, id: &str, after: Option<u64>) -> anyhow::Result<Value> {
        let query = after.map_or_else(String::new, |after| format!("?wait={WAIT}&after={after}"));
        self.get(&format!("{}{query}", path(id, "status")?)).await
    }

    /// What was said so far.
    pub(super) async fn messages(&self, id: &str) -> anyhow::Result<Value> {
        self.get(&path(id, "messages")?).await
    }

    /// The rows of query `number`, from 1.
    pub(super) async fn rows(&self, id: &str, number: usize) -> anyhow::Result<Value> {
        self.get(&path(id, &format!("results/{number}"))?).await
    }

    /// The same as CSV.
    pub(super) async fn csv(&self, id: &str, number: usize) -> anyhow::Result<Vec<u8>> {
        let url = format!("{}{}?format=csv", self.base, path(id, &format!("results/{number}"))?);
        let response = self.read(&url).await?;
        Ok(response.bytes().await.context("the rows did not arrive whole")?.into())
    }

    /// The conversations that were begun with the label `device`, newest first.
    pub(super) async fn history(&self, device: &str, limit: usize) -> anyhow::Result<Value> {
        self.get(&format!("/api/chat/history?device_id={device}&limit={limit}")).await
    }

    /// The events of a conversation after `revision`. None where the server, or what stands before it, has no such stream.
    pub(super) async fn events(&self, id: &str, revision: u64) -> anyhow::Result<Option<Response>> {
        let url = format!("{}{}", self.base, path(id, "events")?);
        let request = self.http.get(url).header(header::ACCEPT, "text/event-stream").header("Last-Event-ID", revision);
        let response = request.send().await.with_context(|| self.unreachable())?;
        let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_stream = response.status().is_success() && content_type.starts_with("text/event-stream");
        Ok(is_stream.then_some(response))
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        // The key makes it safe to send again after a failure on the way.
        let key = uuid::Uuid::new_v4().to_string();
        let url = format!("{}{path}", self.base);
        let request = || self.http.post(&url).header("Idempotency-Key", &key).json(body).timeout(PATIENCE);
        self.json(self.send(START_RETRIES, Failure::is_on_the_way, request).await?).await
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.json(self.read(&format!("{}{path}", self.base)).await?).await
    }

    async fn read(&self, url: &str) -> anyhow::Result<Response> {
        self.send(FOLLOW_RETRIES, Failure::may_pass, || self.http.get(url).timeout(PATIENCE)).await
    }

    async fn json(&self, response: Response) -> anyhow::Result<Value> {
        response.json().await.with_context(|| format!("{} did not answer with JSON", self.base))
    }

    async fn send(
        &self,
        retries: usize,
        is_sent_again: fn(&Failure) -> bool,
        request: impl Fn() -> RequestBuilder,
    ) -> anyhow::Result<Response> {
        let attempt = || async { admitted(request().send().await.map_err(Failure::Unreachable)?).await };
        let backoff = ExponentialBuilder::default().with_min_delay(Duration::from_millis(200)).with_max_times(retries).with_jitter();
        let sent = attempt.retry(backoff).when(is_sent_again).adjust(Failure::wait).await;
        sent.map_err(|failure| match failure {
            Failure::Unreachable(error) => anyhow::Error::new(error).context(self.unreachable()),
            Failure::Refused { told, .. } => anyhow::Error::msg(told),
        })
    }

    fn unreachable(&self) -> String {
        format!("cannot reach {}; is the server running?", self.base)
    }
}

impl Failure {
    /// Whether nobody is known to have taken the request.
    fn is_on_the_way(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }

    /// Whether the same request may have an answer in a moment.
    fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused { status, .. } => matches!(status, 429 | 502..=504),
        }
    }

    /// The time until the next try, of which `backoff` is the least. None where the server wants to be left alone for too long.
    fn wait(&self, backoff: Option<Duration>) -> Option<Duration> {
        match self {
            Self::Refused { retry_after: Some(asked), .. } => {
                backoff.map(|backoff| backoff.max(*asked)).filter(|wait| *wait <= LONGEST_WAIT)
            }
            _ => backoff,
        }
    }
}

/// An answer that is none of a refusal.
async fn admitted(response: Response) -> Result<Response, Failure> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let seconds = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    // A gateway that speaks for the server has a page instead of a reason.
    let body: Value = response.json().await.unwrap_or_default();
    let reason = body["error"].as_str().map_or_else(String::new, |reason| format!(": {reason}"));
    let hint = if status.as_u16() == 401 { " (--token or ASKLAKE_TOKEN gives asklake one)" } else { "" };
    let told = format!("the server answered {status}{reason}{hint}");
    Err(Failure::Refused { status: status.as_u16(), retry_after: seconds.map(Duration::from_secs), told })
}

/// The path of something of a conversation. An id is typed by a person, and must not lead elsewhere.
fn path(id: &str, what: &str) -> anyhow::Result<String> {
    if uuid::Uuid::try_parse(id).is_err() {
        bail!("`{id}` is not the id of a conversation: those look like 9c0c3e1a-7d3b-4a52-8f0e-2d1c5b6a7e8f");
    }
    Ok(format!("/api/chat/{id}/{what}"))
}
