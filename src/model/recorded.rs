//! A model whose replies are recorded, or played from a recording: what was sent before gets the reply that it got then.
//!
//! Without either it passes everything through and is only counted.

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Entry, Error, Listener, Model, Reply, Request};
use crate::tape::{Port, Tape};

/// A model and the tape before it.
pub struct Recorded {
    live: Arc<dyn Model>,
    tape: Arc<Tape>,
}

/// What a model says to a request however often it is asked.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    Reply(Reply),
    Refused(String),
    Unusable { detail: String, prompt_tokens: u64, completion_tokens: u64 },
}

impl Recorded {
    /// `live` behind `tape`.
    #[must_use]
    pub fn new(live: Arc<dyn Model>, tape: Arc<Tape>) -> Self {
        Self { live, tape }
    }
}

impl Said {
    fn of(reply: &Result<Reply, Error>) -> Option<Self> {
        match reply {
            Ok(reply) => Some(Self::Reply(reply.clone())),
            Err(Error::Refused(detail)) => Some(Self::Refused(detail.clone())),
            Err(Error::Unusable { detail, prompt_tokens, completion_tokens }) => {
                Some(Self::Unusable { detail: detail.clone(), prompt_tokens: *prompt_tokens, completion_tokens: *completion_tokens })
            }
            Err(Error::Unavailable { .. } | Error::Misconfigured(_)) => None,
        }
    }

    fn reply(self) -> Result<Reply, Error> {
        match self {
            Self::Reply(reply) => Ok(reply),
            Self::Refused(detail) => Err(Error::Refused(detail)),
            Self::Unusable { detail, prompt_tokens, completion_tokens } => {
                Err(Error::Unusable { detail, prompt_tokens, completion_tokens })
            }
        }
    }
}

#[async_trait]
impl Model for Recorded {
    fn kind(&self) -> &'static str {
        self.live.kind()
    }

    fn remembers(&self) -> bool {
        self.live.remembers()
    }

    fn name(&self) -> &str {
        self.live.name()
    }

    fn caveat(&self) -> Option<String> {
        self.live.caveat()
    }

    fn fingerprint(&self, request: &Request) -> String {
        self.live.fingerprint(request)
    }

    async fn reply(&self, request: &Request, listener: &Listener<'_>) -> Result<Reply, Error> {
        let (key, about) = (self.fingerprint(request), question(request));
        if let Some((said, _)) = self.tape.find(Port::Model, &key)
            && let Ok(said) = serde_json::from_value::<Said>(said)
        {
            self.tape.replayed(Port::Model, &key, about);
            return said.reply();
        }
        if self.tape.is_offline() {
            self.tape.missing(Port::Model, about);
            return Err(Error::Misconfigured("this request is not recorded: run it live".into()));
        }
        let began = Instant::now();
        let reply = self.live.reply(request, listener).await;
        let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.tape.live(Port::Model, &key, about, ms, Said::of(&reply).as_ref());
        reply
    }

    async fn probe(&self) -> Result<(), Error> {
        if self.tape.is_offline() { Ok(()) } else { self.live.probe().await }
    }
}

/// The question of the running turn.
fn question(request: &Request) -> &str {
    let mut latest_first = request.transcript.iter().rev();
    latest_first.find_map(|entry| if let Entry::Question(text) = entry { Some(text.as_str()) } else { None }).unwrap_or_default()
}
