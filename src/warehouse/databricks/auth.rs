//! Signing in to a workspace: a personal access token, a service principal, or the machine's managed identity.
//!
//! Owns the access token and when it is renewed. Sends no request of the API itself, and shows no secret in an error or in `Debug`.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use azure_core::credentials::TokenCredential;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::client::{Failure, read, unreachable};
use crate::azure::error_text;

/// The Azure Databricks resource in Entra: the same for every workspace.
pub(super) const ENTRA_SCOPE: &str = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d/.default";
/// A token is renewed this long before it ends, so that it does not end on the way.
const MARGIN: Duration = Duration::from_secs(120);
/// What a token endpoint is taken to mean that names no time: an hour is what Databricks gives.
const DEFAULT_LIFE: u64 = 3600;

/// How to sign in.
#[derive(Clone)]
pub enum Credential {
    /// With a personal access token, or another bearer token that somebody else renews.
    Token(String),
    /// As a service principal of Databricks, by OAuth client credentials.
    ServicePrincipal {
        /// Its application id.
        client_id: String,
        /// Its OAuth secret.
        client_secret: String,
    },
    /// As an identity of Entra, such as the managed identity of the machine.
    Entra(Arc<dyn TokenCredential>),
    /// As somebody who asks, with a token that was made for their question.
    Person(String),
}

/// Without the secrets.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(_) => f.write_str("Token(…)"),
            Self::ServicePrincipal { client_id, .. } => {
                f.debug_struct("ServicePrincipal").field("client_id", client_id).finish_non_exhaustive()
            }
            Self::Entra(_) => f.write_str("Entra(…)"),
            Self::Person(_) => f.write_str("Person(…)"),
        }
    }
}

/// A credential with the token that it last gave.
#[derive(Debug)]
pub(super) struct Session {
    credential: Credential,
    kept: Mutex<Option<Token>>,
}

struct Token {
    text: String,
    /// When to get another one.
    until: Instant,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("until", &self.until).finish_non_exhaustive()
    }
}

impl Token {
    fn new(text: String, life: Duration) -> Self {
        Self { text, until: Instant::now() + life.saturating_sub(MARGIN) }
    }
}

impl Session {
    pub(super) fn new(credential: Credential) -> Self {
        Self { credential, kept: Mutex::new(None) }
    }

    /// The bearer token to send to `host`. While one caller fetches it, the others wait for the same one.
    ///
    /// # Errors
    /// What kept the token from being fetched.
    pub(super) async fn bearer(&self, http: &reqwest::Client, host: &str) -> Result<String, Failure> {
        if let Credential::Token(token) | Credential::Person(token) = &self.credential {
            return Ok(token.clone());
        }
        let mut kept = self.kept.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| Instant::now() < token.until) {
            return Ok(token.text.clone());
        }
        let token = self.fetch(http, host).await?;
        let text = token.text.clone();
        *kept = Some(token);
        Ok(text)
    }

    /// Throws `refused` away. Returns whether another token can be had.
    pub(super) async fn renew(&self, refused: &str) -> bool {
        let mut kept = self.kept.lock().await;
        // Another caller may have renewed it already.
        if kept.as_ref().is_some_and(|token| token.text == refused) {
            *kept = None;
        }
        !matches!(self.credential, Credential::Token(_) | Credential::Person(_))
    }

    /// Whether it is that of somebody who asks, and not the service's own.
    pub(super) fn is_a_persons(&self) -> bool {
        matches!(self.credential, Credential::Person(_))
    }

    async fn fetch(&self, http: &reqwest::Client, host: &str) -> Result<Token, Failure> {
        match &self.credential {
            Credential::Token(token) | Credential::Person(token) => Ok(Token::new(token.clone(), Duration::from_secs(DEFAULT_LIFE))),
            Credential::ServicePrincipal { client_id, client_secret } => service_principal(http, host, client_id, client_secret).await,
            Credential::Entra(credential) => entra(credential.as_ref()).await,
        }
    }
}

async fn entra(credential: &dyn TokenCredential) -> Result<Token, Failure> {
    let token = credential.get_token(&[ENTRA_SCOPE], None).await.map_err(|error| Failure::Unavailable {
        detail: format!(
            "the managed identity gave no token for Databricks ({}); check the identity and AZURE_CLIENT_ID",
            error_text(&error)
        ),
        retry_after: None,
    })?;
    let life = SystemTime::from(token.expires_on).duration_since(SystemTime::now()).unwrap_or_default();
    Ok(Token::new(token.token.secret().to_owned(), life))
}

#[derive(Deserialize)]
struct Endpoints {
    token_endpoint: String,
}

#[derive(Deserialize)]
struct Grant {
    access_token: String,
    expires_in: Option<u64>,
}

async fn service_principal(http: &reqwest::Client, host: &str, client_id: &str, client_secret: &str) -> Result<Token, Failure> {
    let well_known = format!("{host}/oidc/.well-known/oauth-authorization-server");
    let response = http.get(&well_known).send().await.map_err(|error| unreachable(host, &error))?;
    let Endpoints { token_endpoint } = read(host, response, &[]).await?;
    // The secret goes to nobody who could read it on the way: plain http is for an emulator that was configured so.
    if !token_endpoint.starts_with("https://") && !token_endpoint.starts_with(host) {
        let detail = format!("{host} names a token endpoint without TLS: {token_endpoint}");
        return Err(Failure::Unavailable { detail, retry_after: None });
    }
    let response = http
        .post(&token_endpoint)
        .basic_auth(client_id, Some(client_secret))
        .header("content-type", "application/x-www-form-urlencoded")
        .body("grant_type=client_credentials&scope=all-apis")
        .send()
        .await
        .map_err(|error| unreachable(&token_endpoint, &error))?;
    let basic = STANDARD.encode(format!("{client_id}:{client_secret}"));
    let grant: Grant = read(host, response, &[&basic, client_secret]).await?;
    Ok(Token::new(grant.access_token, Duration::from_secs(grant.expires_in.unwrap_or(DEFAULT_LIFE))))
}
