//! Language models behind OpenAI's chat completions: Azure OpenAI, and any server that speaks the same (OpenAI, Ollama, vLLM,
//! llama-server).
//!
//! Sent are the prompt about the lake, the questions, answers, statements and bounded rows of the conversation, and nothing else of
//! it. The reply is streamed, so that a long one does not look like a dead server; while it is written the listener is told of it, and it is
//! used when it is whole. One that cannot be
//! used is asked for once more with its fault; after that the turn ends. Parts: `messages` and `rows` make the request, `client` sends
//! it, `completion` reads what comes back, `draft` tells of it meanwhile, `reading` makes a decision of it. `docs/models.md` says how to set it up.
//!
//! Source of the protocol: OpenAI's and Azure OpenAI's API references of 2026; how servers differ was seen on llama-server (see
//! `tests/it/openai`) and is otherwise read from their documents.

mod client;
mod completion;
mod draft;
mod messages;
mod reading;
mod rows;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::Instant;

use super::{Error, Listener, Model, ROWS_SHOWN, Reply, Request};
use crate::sql::{
    Catalog,
    prompt::{Limits, Profile, Prompt},
};
use client::Client;
use draft::Audience;
use messages::Frame;

/// Where the model is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Azure OpenAI.
    Azure {
        /// Address of the resource, such as `https://NAME.openai.azure.com`, without a path.
        resource: String,
        /// Name of the deployment.
        deployment: String,
        /// Version of the API, such as `2024-10-21`; `v1` for the path without versions.
        api_version: String,
    },
    /// A server with OpenAI's paths.
    OpenAi {
        /// What stands before `/chat/completions`, such as `http://localhost:11434/v1`.
        base_url: String,
        /// Name of the model.
        model: String,
    },
}

/// How to sign in there.
#[derive(Clone)]
pub enum Authentication {
    /// Not at all: a server of one's own.
    None,
    /// With a key in the header `api-key`, as Azure has it.
    ApiKey(String),
    /// With a key as `Authorization: Bearer`.
    Bearer(String),
    /// As the identity of the machine. The credential keeps its tokens until they expire.
    #[cfg(feature = "azure")]
    Identity(std::sync::Arc<dyn azure_core::credentials::TokenCredential>),
}

/// Without the keys.
impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::ApiKey(_) => "ApiKey(…)",
            Self::Bearer(_) => "Bearer(…)",
            #[cfg(feature = "azure")]
            Self::Identity(_) => "Identity(…)",
        })
    }
}

/// How the answer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerFormat {
    /// As JSON of a schema that the server enforces, with what it rests on and what was assumed.
    JsonSchema,
    /// As plain text: for servers that do not take a schema, or not together with tools.
    Text,
}

/// What a call may use.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where the model is.
    pub endpoint: Endpoint,
    /// Time of one call, with all that is sent again.
    pub timeout: Duration,
    /// Sampling temperature, from 0 to 2.
    pub temperature: f64,
    /// Tokens of one reply.
    pub max_tokens: u32,
    /// How the answer is asked for.
    pub answer_format: AnswerFormat,
    /// Rows a query returns at most, which the model is told.
    pub max_rows: u64,
    /// For how much of a model the prompt is written.
    pub profile: Profile,
}

/// A language model on a server.
#[derive(Debug)]
pub struct OpenAi {
    client: Client,
    frame: Frame,
    timeout: Duration,
    kind: &'static str,
    catalog: Arc<Catalog>,
}

impl Endpoint {
    fn chat_url(&self) -> String {
        match self {
            Self::Azure { resource, api_version, .. } if api_version == "v1" => format!("{resource}/openai/v1/chat/completions"),
            Self::Azure { resource, deployment, api_version } => {
                format!("{resource}/openai/deployments/{deployment}/chat/completions?api-version={api_version}")
            }
            Self::OpenAi { base_url, .. } => format!("{base_url}/chat/completions"),
        }
    }

    fn model(&self) -> &str {
        match self {
            Self::Azure { deployment: name, .. } | Self::OpenAi { model: name, .. } => name,
        }
    }

    /// What the server did not find.
    fn what(&self) -> String {
        match self {
            Self::Azure { deployment, .. } => format!("the deployment {deployment}, or not yet"),
            Self::OpenAi { model, .. } => format!("the address or the model {model}"),
        }
    }

    /// The settings that say where the model is.
    fn names(&self) -> &'static str {
        match self {
            Self::Azure { .. } => "AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_DEPLOYMENT and AZURE_OPENAI_API_VERSION",
            Self::OpenAi { .. } => "OPENAI_BASE_URL (it mostly ends with /v1) and OPENAI_MODEL",
        }
    }

    fn key_name(&self) -> &'static str {
        match self {
            Self::Azure { .. } => "AZURE_OPENAI_API_KEY or the managed identity",
            Self::OpenAi { .. } => "OPENAI_API_KEY",
        }
    }
}

impl OpenAi {
    /// The model that `config` names, told about `catalog`, whose parameters are already those of its profile. Reaches nothing yet.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] when this machine has no usable TLS.
    pub fn new(config: Config, authentication: Authentication, catalog: &Arc<Catalog>) -> Result<Self, Error> {
        let Config { endpoint, timeout, temperature, max_tokens, answer_format, max_rows, profile } = config;
        let (kind, max_tokens_name) = match &endpoint {
            Endpoint::Azure { .. } => ("Azure OpenAI", "max_completion_tokens"),
            // The older name is the one that every server knows.
            Endpoint::OpenAi { .. } => ("OpenAI-compatible server", "max_tokens"),
        };
        let prompt = Prompt::new(Arc::clone(catalog), profile, Limits { max_rows, rows_shown: ROWS_SHOWN });
        let frame = Frame { prompt, model: endpoint.model().to_owned(), temperature, max_tokens, max_tokens_name, answer_format };
        Ok(Self { client: Client::new(endpoint, authentication)?, frame, timeout, kind, catalog: Arc::clone(catalog) })
    }
}

#[async_trait]
impl Model for OpenAi {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn name(&self) -> &str {
        &self.frame.model
    }

    fn fingerprint(&self, request: &Request) -> String {
        super::digest(&self.frame.body(request).into())
    }

    async fn reply(&self, request: &Request, listener: &Listener<'_>) -> Result<Reply, Error> {
        let deadline = Instant::now() + self.timeout;
        let mut body = self.frame.body(request);
        let (mut prompt_tokens, mut completion_tokens) = (0, 0);
        let audience = Audience { listener, text_is_answer: reading::can_only_answer(request) };
        let mut is_repair = false;
        loop {
            let completion = self.client.complete(&body, audience, deadline).await?;
            prompt_tokens += completion.prompt_tokens;
            completion_tokens += completion.completion_tokens;
            if completion.finish.as_deref() == Some("content_filter") {
                return Err(client::filter_refusal(&[]));
            }
            if !completion.refusal.trim().is_empty() {
                return Err(Error::Refused(rows::clip(completion.refusal.trim(), 500)));
            }
            match reading::decision(&completion, request, &self.catalog) {
                Ok(decision) => return Ok(Reply { decision, prompt_tokens, completion_tokens }),
                Err(detail) if is_repair => return Err(Error::Unusable { detail, prompt_tokens, completion_tokens }),
                Err(fault) => {
                    tracing::info!(fault, "the model's reply cannot be used; it is asked once more");
                    messages::ask_again(&mut body, &completion.as_written(), &fault);
                    is_repair = true;
                }
            }
        }
    }

    /// Asks for the list of models: the server is there and takes the key. Of Azure, a completion without messages, which is refused
    /// before it costs anything: the resource is there, takes the key or identity, and has the deployment. Whether the quota
    /// suffices, only a question shows.
    async fn probe(&self) -> Result<(), Error> {
        self.client.probe().await
    }
}
