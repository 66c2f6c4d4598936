//! The HTTP side: where requests go, as whom, how often, and what a refusal of the server means.
//!
//! Sends again what may pass (408, 429, 5xx, a broken connection) while the time of the call lasts, no sooner than the server asks for.
//! What the server writes about an error is neither returned nor logged above debug: it may quote the request or a part of the key.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use backon::{ExponentialBuilder, Retryable};
use reqwest::{
    RequestBuilder, Response,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use tokio::time::{Instant, timeout_at};

use super::{
    super::Error,
    Authentication, Endpoint,
    completion::{Assembler, Completion, Fault},
    draft::{Audience, Telling},
};

/// What an access token for Azure OpenAI is asked for. From Azure's documents on keyless connections.
#[cfg(feature = "azure")]
const SCOPE: &str = "https://cognitiveservices.azure.com/.default";
/// The header of a key for Azure OpenAI.
const API_KEY: HeaderName = HeaderName::from_static("api-key");
/// Time to open a connection: a server that is not there is told soon.
const CONNECT: Duration = Duration::from_secs(10);
/// Requests after the first.
const RETRIES: usize = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// Bytes of an error that are read.
const ERROR_BYTES: usize = 64 << 10;

/// Fields that a server may not know (an older version, a model that fixes its temperature): left out once it has refused them.
const DISPENSABLE: [&str; 5] = ["response_format", "stream_options", "temperature", "max_completion_tokens", "max_tokens"];

/// A server and a model on it.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    endpoint: Endpoint,
    authentication: Authentication,
    left_out: Mutex<BTreeSet<&'static str>>,
}

/// Why a request failed.
#[derive(Debug)]
enum Failure {
    /// Another try may work.
    MayPass { detail: String, retry_after: Option<Duration> },
    /// The server does not take this field.
    Field(&'static str),
    /// It stays as it is.
    Final(Error),
}

impl Client {
    pub(super) fn new(endpoint: Endpoint, authentication: Authentication) -> Result<Self, Error> {
        // A redirect would carry the key of an `api-key` header to another server.
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .redirect(Policy::none())
            .build()
            .map_err(|error| Error::Misconfigured(format!("no HTTP client can be made: {error}")))?;
        Ok(Self { http, endpoint, authentication, left_out: Mutex::default() })
    }

    /// The completion of `body`, within the time until `deadline`. `audience` is told of every try.
    pub(super) async fn complete(&self, body: &Map<String, Value>, audience: Audience<'_>, deadline: Instant) -> Result<Completion, Error> {
        let pauses =
            ExponentialBuilder::default().with_min_delay(FIRST_PAUSE).with_max_delay(LONGEST_PAUSE).with_max_times(RETRIES).with_jitter();
        let outcome = (|| self.attempt(body, audience, deadline))
            .retry(pauses)
            .when(|failure| matches!(failure, Failure::MayPass { .. }))
            .adjust(|failure, pause| {
                let asked =
                    if let Failure::MayPass { retry_after, .. } = failure { retry_after.unwrap_or_default() } else { Duration::ZERO };
                pause.map(|pause| pause.max(asked)).filter(|pause| Instant::now() + *pause < deadline)
            })
            .notify(|failure, pause| {
                if let Failure::MayPass { detail, .. } = failure {
                    tracing::warn!(pause_ms = pause.as_millis(), detail, "the model is asked again");
                }
            })
            .await;
        outcome.map_err(Failure::into_error)
    }

    /// One try, more than once only where a field has to be left out.
    async fn attempt(&self, body: &Map<String, Value>, audience: Audience<'_>, deadline: Instant) -> Result<Completion, Failure> {
        loop {
            let body = self.without_left_out(body);
            let asked = timeout_at(deadline, self.ask(&body, audience)).await;
            match asked.unwrap_or_else(|_| Err(may_pass("it did not reply in time"))) {
                Err(Failure::Field(name)) if body.contains_key(name) => {
                    tracing::info!(field = name, "the model's server does not take a field; it is left out from now on");
                    self.left_out.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
                }
                outcome => return outcome,
            }
        }
    }

    fn without_left_out(&self, body: &Map<String, Value>) -> Map<String, Value> {
        let left_out = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        body.iter().filter(|(name, _)| !left_out.contains(name.as_str())).map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    async fn ask(&self, body: &Map<String, Value>, audience: Audience<'_>) -> Result<Completion, Failure> {
        let credential = self.credential().await?;
        let request = self.authenticated(self.http.post(self.endpoint.chat_url()).json(body), &credential)?;
        let mut response = request.send().await.map_err(|error| no_connection(&error))?;
        if response.status().as_u16() != 200 {
            return Err(self.refused(response, &credential).await);
        }
        let mut assembler = Assembler::default();
        let mut telling = Telling::begin(audience);
        while let Some(piece) = response.chunk().await.map_err(|error| no_connection(&error))? {
            if assembler.push(&piece).map_err(|fault| self.broken(fault, &credential))? {
                break;
            }
            telling.go_on(assembler.so_far());
        }
        assembler.finish().map_err(|fault| self.broken(fault, &credential))
    }

    /// The key or token that goes with a request; empty where none does.
    async fn credential(&self) -> Result<String, Failure> {
        Ok(match &self.authentication {
            Authentication::None => String::new(),
            Authentication::ApiKey(key) | Authentication::Bearer(key) => key.clone(),
            #[cfg(feature = "azure")]
            Authentication::Identity(identity) => {
                let token = identity.get_token(&[SCOPE], None).await.map_err(|error| {
                    tracing::warn!(%error, "no access token for the model");
                    may_pass("the managed identity gave no access token; see the log")
                })?;
                token.token.secret().to_owned()
            }
        })
    }

    fn authenticated(&self, request: RequestBuilder, credential: &str) -> Result<RequestBuilder, Failure> {
        let (name, value) = match &self.authentication {
            Authentication::None => return Ok(request),
            Authentication::ApiKey(_) => (API_KEY, credential.to_owned()),
            _ => (AUTHORIZATION, format!("Bearer {credential}")),
        };
        let mut value = HeaderValue::from_str(&value).map_err(|_| {
            Failure::Final(Error::Misconfigured(format!("{} holds a character that no header can carry", self.endpoint.key_name())))
        })?;
        value.set_sensitive(true);
        Ok(request.header(name, value))
    }

    /// Asks what costs nothing: for the list of models, or of Azure for a completion without messages, which is refused before any
    /// model reads it, but only after the deployment is found. (Of an empty list of messages llama-server would make a completion.)
    pub(super) async fn probe(&self) -> Result<(), Error> {
        let request = match &self.endpoint {
            Endpoint::OpenAi { base_url, .. } => self.http.get(format!("{base_url}/models")),
            Endpoint::Azure { .. } => self.http.post(self.endpoint.chat_url()).json(&json!({"model": self.endpoint.model()})),
        };
        let credential = self.credential().await.map_err(Failure::into_error)?;
        let request = self.authenticated(request, &credential).map_err(Failure::into_error)?;
        let response = request.send().await.map_err(|error| no_connection(&error).into_error())?;
        match (response.status().as_u16(), &self.endpoint) {
            (200, _) | (400 | 422, Endpoint::Azure { .. }) => Ok(()),
            // A server without that list: at least it is there and takes the key.
            (404 | 405 | 501, Endpoint::OpenAi { .. }) => Ok(()),
            _ => Err(self.refused(response, &credential).await.into_error()),
        }
    }

    /// What a status other than 200 means.
    async fn refused(&self, mut response: Response, credential: &str) -> Failure {
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers(), OffsetDateTime::now_utc());
        let mut text = Vec::new();
        while let Ok(Some(piece)) = response.chunk().await {
            text.extend_from_slice(&piece);
            if text.len() > ERROR_BYTES {
                break;
            }
        }
        let text = without(credential, &String::from_utf8_lossy(&text));
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        let error = body.get("error").cloned().unwrap_or(body);
        tracing::debug!(status, error = %error, "the model's server refused a request");
        self.meaning(status, retry_after, &error)
    }

    fn meaning(&self, status: u16, retry_after: Option<Duration>, error: &Value) -> Failure {
        let key = self.endpoint.key_name();
        let misconfigured = |detail: String| Failure::Final(Error::Misconfigured(detail));
        if let Some(refusal) = filtered(error) {
            return Failure::Final(refusal);
        }
        match status {
            // Out of quota looks like a limit of rate, but only a person can put it right.
            429 if code(error) == Some("insufficient_quota") => {
                misconfigured("the account of the model's server has no quota left (429 insufficient_quota); top it up".into())
            }
            408 | 409 | 425 | 429 | 500..=599 => Failure::MayPass { detail: format!("its server answered {status}"), retry_after },
            401 => misconfigured(format!("the model's server does not accept the key or identity (401); check {key}")),
            403 => misconfigured(format!(
                "the model's server forbids the request (403); check {key}, the network rules of the resource, and that an identity has \
                 the role Cognitive Services OpenAI User"
            )),
            404 => {
                misconfigured(format!("the model's server does not know {} (404); check {}", self.endpoint.what(), self.endpoint.names()))
            }
            300..=399 | 405 => misconfigured(format!("the model's server answered {status}; check {}", self.endpoint.names())),
            413 => Failure::Final(Error::Refused("the conversation is too long for the model; ask in a new one".into())),
            _ if code(error).is_some_and(|code| code.contains("context_length")) || says(error, "context") => {
                Failure::Final(Error::Refused("the conversation is too long for the model; ask in a new one".into()))
            }
            _ => match unknown_field(error) {
                Some(name) => Failure::Field(name),
                None => misconfigured(format!(
                    "the model's server refuses the form of the request ({status}, {}); check the model, and on Azure the API version. \
                     The log has more at level debug",
                    code(error).unwrap_or("no error code")
                )),
            },
        }
    }

    fn broken(&self, fault: Fault, credential: &str) -> Failure {
        match fault {
            Fault::TooLong => may_pass("its reply was longer than any reply can be"),
            Fault::CutOff => may_pass("its reply was cut off"),
            Fault::Foreign => Failure::Final(Error::Misconfigured(format!(
                "what answers at the model's address is not an OpenAI-compatible server; check {}",
                self.endpoint.names()
            ))),
            Fault::Error(error) => {
                tracing::debug!(error = without(credential, &error.to_string()), "the model's server ended a reply with an error");
                filtered(&error).map_or_else(|| may_pass("its server ended the reply with an error"), Failure::Final)
            }
        }
    }
}

impl Failure {
    fn into_error(self) -> Error {
        match self {
            Self::MayPass { detail, retry_after } => Error::Unavailable { detail, retry_after },
            Self::Field(name) => Error::Misconfigured(format!("the model's server does not take the field {name}")),
            Self::Final(error) => error,
        }
    }
}

/// `text` of the server without the credential that it was sent, which careless ones say back.
fn without(credential: &str, text: &str) -> String {
    if credential.is_empty() { text.to_owned() } else { text.replace(credential, "…") }
}

fn may_pass(detail: &str) -> Failure {
    Failure::MayPass { detail: detail.to_owned(), retry_after: None }
}

/// Without the address, which may hold more than a host.
fn no_connection(error: &reqwest::Error) -> Failure {
    may_pass(if error.is_connect() { "it cannot be reached" } else { "the connection to it broke" })
}

fn code(error: &Value) -> Option<&str> {
    error.get("code").or_else(|| error.get("type")).and_then(Value::as_str)
}

fn message(error: &Value) -> &str {
    error.as_str().or_else(|| error.get("message")?.as_str()).unwrap_or_default()
}

fn says(error: &Value, word: &str) -> bool {
    let text = message(error).to_ascii_lowercase();
    text.contains(word) && ["exceed", "too long", "maximum", "too large"].iter().any(|sign| text.contains(sign))
}

/// The refusal where the error is one of Azure's content filter, with the categories it found.
fn filtered(error: &Value) -> Option<Error> {
    let inner = error.get("innererror");
    let inner_code = inner.and_then(|inner| inner.get("code")).and_then(Value::as_str);
    if code(error) != Some("content_filter") && inner_code != Some("ResponsibleAIPolicyViolation") {
        return None;
    }
    let categories = inner.and_then(|inner| inner.get("content_filter_result")).and_then(Value::as_object);
    let is_hit = |category: &Value| ["filtered", "detected"].iter().any(|key| category.get(*key) == Some(&Value::Bool(true)));
    let hit: Vec<&str> = categories.into_iter().flatten().filter(|(_, found)| is_hit(found)).map(|(name, _)| name.as_str()).collect();
    Some(filter_refusal(&hit))
}

/// The refusal of a content filter.
pub(super) fn filter_refusal(categories: &[&str]) -> Error {
    let found = if categories.is_empty() { String::new() } else { format!(" ({})", categories.join(", ")) };
    Error::Refused(format!("the content filter of the model's service stopped it{found}. Ask in other words"))
}

/// The dispensable field that the error is about: the one it names as its `param`, else the one its message names first.
fn unknown_field(error: &Value) -> Option<&'static str> {
    let param = error.get("param").and_then(Value::as_str).unwrap_or_default();
    let named = DISPENSABLE.into_iter().find(|name| param == *name || param.starts_with(&format!("{name}.")));
    named.or_else(|| {
        let text = message(error);
        let found = DISPENSABLE.into_iter().filter_map(|name| Some((text.find(name)?, name)));
        found.min().map(|(_, name)| name)
    })
}

/// What the server asks to wait: `retry-after-ms` of Azure, else `Retry-After` in seconds or as a date.
fn retry_after(headers: &HeaderMap, now: OffsetDateTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    if let Some(milliseconds) = text("retry-after-ms").and_then(|text| text.parse().ok()) {
        return Some(Duration::from_millis(milliseconds));
    }
    let text = text("retry-after")?;
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Duration::try_from(OffsetDateTime::parse(text, &Rfc2822).ok()? - now).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().expect("a name"), HeaderValue::from_static(value))])
    }

    #[test]
    fn the_time_to_wait_is_read_in_each_form() {
        let now = time::macros::datetime!(2026-11-23 02:00:00 UTC);
        let wait = |name, value| retry_after(&headers(name, value), now);
        assert_eq!(wait("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("retry-after-ms", "250"), Some(Duration::from_millis(250)));
        assert_eq!(wait("retry-after", "Mon, 23 Nov 2026 02:00:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(wait("retry-after", "Mon, 23 Nov 2026 01:00:00 GMT"), None);
        assert_eq!(wait("retry-after", "soon"), None);
    }

    #[test]
    fn the_field_that_a_server_refuses_is_found() {
        for (error, field) in [
            (json!({"param": "temperature", "message": "max_tokens is fine"}), Some("temperature")),
            (json!({"param": "response_format.type", "message": ""}), Some("response_format")),
            (json!({"message": "Unrecognized request argument supplied: stream_options"}), Some("stream_options")),
            (json!({"message": "'max_tokens' is not supported, use 'max_completion_tokens'"}), Some("max_tokens")),
            (json!("temperature: extra field"), Some("temperature")),
            (json!({"message": "messages must not be empty"}), None),
            (Value::Null, None),
        ] {
            assert_eq!(unknown_field(&error), field, "{error}");
        }
    }
}
