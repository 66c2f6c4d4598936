//! A SQL warehouse in the name of whoever asks: the exchange of their token for one of the workspace, and queries by that.
//!
//! Entra ID exchanges by its on-behalf-of flow (Microsoft Learn, "Microsoft identity platform and OAuth 2.0 On-Behalf-Of flow"), any other
//! issuer's tokens the workspace itself, by a federation policy of the account (Databricks, "Authenticate with an identity provider token";
//! RFC 8693). A token is exchanged once and used for many questions; it is kept in this process by the digest of what it was exchanged for.
//!
//! Only for SQL warehouses: a job runs as the identity that its definition names, whoever starts it.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use aws_lc_rs::digest;
use azure_core::credentials::TokenCredential;
use serde::Deserialize;

use super::{Seal, SqlWarehouse, auth::ENTRA_SCOPE};
use crate::{
    azure::{error_text, innermost},
    conversation::{Delegation, Phase, RunId, Timestamp},
    warehouse::{
        self, Run, RunState, Statement, Warehouse,
        behalf::{Error, Holder, OnBehalf, Proof},
    },
};

/// Time for one exchange: the caller waits for it.
const REQUEST: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(3);
/// Largest answer that is read, in bytes: a token has a few thousand.
const LARGEST: usize = 64 << 10;
/// Exchanged tokens that are kept.
const KEPT: usize = 4096;
/// A delegation ends so long before its token, so that no query begins with one that ends on the way.
const MARGIN: Duration = Duration::from_secs(60);
/// How long a delegation must last: most questions are answered within it.
const LEAST: Duration = Duration::from_secs(120);
/// Longest description of a refusal that is logged, in characters.
const LOGGED: usize = 1000;
/// What an answer is taken to mean that names no time.
const DEFAULT_LIFE: u64 = 3600;
/// Whom an assertion of a managed identity is for that stands in for an application's secret (Microsoft Learn, "Configure an application to
/// trust a managed identity").
const ASSERTION_SCOPE: &str = "api://AzureADTokenExchange/.default";

/// Who exchanges tokens.
#[derive(Clone, Debug)]
pub enum Exchange {
    /// Entra ID, at the token endpoint of a tenant.
    Entra {
        /// Such as `https://login.microsoftonline.com/TENANT/oauth2/v2.0/token`.
        token_endpoint: String,
        /// The application id of this service, for which the callers' tokens are.
        client_id: String,
        /// How the service proves to be that application.
        proof: ClientProof,
    },
    /// The workspace, at its address.
    Workspace {
        /// Its address without a path.
        host: String,
    },
}

/// How the service proves to be the application that it says it is.
#[derive(Clone)]
pub enum ClientProof {
    /// By a secret of it.
    Secret(String),
    /// By a managed identity, which is a federated credential of it.
    Identity(Arc<dyn TokenCredential>),
}

/// Without the secret.
impl fmt::Debug for ClientProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret(_) => "Secret(…)",
            Self::Identity(_) => "Identity(…)",
        })
    }
}

/// A SQL warehouse that persons query as themselves.
#[derive(Debug)]
pub struct Persons {
    warehouse: SqlWarehouse,
    exchange: Exchange,
    seal: Seal,
    http: reqwest::Client,
    kept: Arc<Kept>,
}

/// The tokens that were exchanged, by the digest of what each was exchanged for.
#[derive(Debug, Default)]
struct Kept(Mutex<HashMap<Digest, Exchanged>>);

type Digest = [u8; digest::SHA256_OUTPUT_LEN];

/// A token of the workspace.
#[derive(Clone)]
struct Exchanged {
    token: String,
    from: Timestamp,
    until: Timestamp,
}

impl fmt::Debug for Exchanged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchanged").field("until", &self.until).finish_non_exhaustive()
    }
}

impl Exchanged {
    /// Whether a question that begins at `now` is likely to end before it does: less than half of its time is over.
    fn is_fresh(&self, now: Timestamp) -> bool {
        self.until.since(now) > now.since(self.from)
    }
}

#[derive(Deserialize)]
struct Grant {
    access_token: String,
    expires_in: Option<u64>,
}

/// RFC 6749, section 5.2.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Denial {
    error: String,
    error_description: String,
}

impl Persons {
    /// Persons who query `warehouse` by what `exchange` gives for their tokens; `seal` is the same on every instance. Nothing is asked before
    /// the first question comes.
    ///
    /// # Errors
    /// When TLS cannot be set up on this machine.
    pub fn new(warehouse: SqlWarehouse, exchange: Exchange, seal: Seal) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("asklake/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(REQUEST)
            // A redirection would take the token along to who knows where.
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { warehouse, exchange, seal, http, kept: Arc::default() })
    }

    /// The token of the workspace for what `proof` is of: one that is kept, else a new one.
    async fn exchanged(&self, proof: &Proof, now: Timestamp) -> Result<Exchanged, Error> {
        let key = key(proof);
        if let Some(kept) = self.kept.get(&key, now) {
            return Ok(kept);
        }
        let Grant { access_token, expires_in } = self.ask(proof).await?;
        let life = Duration::from_secs(expires_in.unwrap_or(DEFAULT_LIFE)).saturating_sub(MARGIN);
        if life < LEAST {
            return Err(Error::EndsSoon);
        }
        // Entra ID exchanges for whoever it knows, also those whom the workspace does not.
        if !self.warehouse.as_person(access_token.clone()).is_known().await {
            return Err(Error::Refused("you are not a user of the Databricks workspace; ask its administrator to add you".into()));
        }
        let exchanged = Exchanged { token: access_token, from: now, until: now.plus(life) };
        self.kept.insert(key, exchanged.clone(), now);
        Ok(exchanged)
    }

    async fn ask(&self, proof: &Proof) -> Result<Grant, Error> {
        let (endpoint, form) = self.form(proof).await?;
        let body = serde_urlencoded::to_string(&form).map_err(|error| Error::Unavailable(error.to_string()))?;
        let request = self.http.post(&endpoint).header("content-type", "application/x-www-form-urlencoded").body(body);
        let broken = |error: reqwest::Error| Error::Unavailable(format!("{endpoint}: {}", innermost(&error)));
        let mut response = request.send().await.map_err(broken)?;
        let mut answer = Vec::new();
        while let Some(part) = response.chunk().await.map_err(broken)? {
            answer.extend_from_slice(&part);
            if answer.len() > LARGEST {
                return Err(Error::Unavailable(format!("{endpoint} answers with more than {LARGEST} bytes")));
            }
        }
        match response.status().as_u16() {
            200 => serde_json::from_slice(&answer).map_err(|_| Error::Unavailable(format!("{endpoint} gives no token that can be read"))),
            status @ 400..=403 => {
                let denial = serde_json::from_slice(&answer).unwrap_or_default();
                Err(denied(status, &denial, &form.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>()))
            }
            status => Err(Error::Unavailable(format!("{endpoint} answers with HTTP {status}"))),
        }
    }

    async fn form(&self, proof: &Proof) -> Result<(String, Vec<(&'static str, String)>), Error> {
        let token = proof.expose().to_owned();
        Ok(match &self.exchange {
            Exchange::Workspace { host } => {
                let form = vec![
                    ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange".to_owned()),
                    ("subject_token", token),
                    ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt".to_owned()),
                    ("scope", "all-apis".to_owned()),
                ];
                (format!("{host}/oidc/v1/token"), form)
            }
            Exchange::Entra { token_endpoint, client_id, proof } => {
                let mut form = vec![
                    ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned()),
                    ("requested_token_use", "on_behalf_of".to_owned()),
                    ("assertion", token),
                    ("scope", ENTRA_SCOPE.to_owned()),
                    ("client_id", client_id.clone()),
                ];
                match proof {
                    ClientProof::Secret(secret) => form.push(("client_secret", secret.clone())),
                    ClientProof::Identity(identity) => {
                        form.push(("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned()));
                        form.push(("client_assertion", assertion(identity.as_ref()).await?));
                    }
                }
                (token_endpoint.clone(), form)
            }
        })
    }
}

impl Kept {
    fn get(&self, key: &Digest, now: Timestamp) -> Option<Exchanged> {
        self.entries().get(key).filter(|kept| kept.is_fresh(now)).cloned()
    }

    fn insert(&self, key: Digest, exchanged: Exchanged, now: Timestamp) {
        let mut entries = self.entries();
        if entries.len() >= KEPT {
            entries.retain(|_, kept| kept.is_fresh(now));
        }
        if entries.len() >= KEPT {
            entries.clear();
        }
        entries.insert(key, exchanged);
    }

    /// Forgets a token that the workspace does not accept any more, so that the next question has another.
    fn forget(&self, token: &str) {
        self.entries().retain(|_, kept| kept.token != token);
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Digest, Exchanged>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn assertion(identity: &dyn TokenCredential) -> Result<String, Error> {
    let unavailable = |why: String| Error::Unavailable(format!("the managed identity gives no assertion: {why}"));
    let token = tokio::time::timeout(REQUEST, identity.get_token(&[ASSERTION_SCOPE], None)).await;
    let token =
        token.map_err(|_| unavailable(format!("no answer within {REQUEST:?}")))?.map_err(|error| unavailable(error_text(&error)))?;
    Ok(token.token.secret().to_owned())
}

/// What a refusal means. The caller is told its code, and of Entra ID its number, which its documents explain; the rest is for the log, without
/// what was `sent`.
fn denied(status: u16, Denial { error, error_description }: &Denial, sent: &[&str]) -> Error {
    let redacted = sent.iter().fold(error_description.clone(), |text, sent| text.replace(sent, "…"));
    let described: String = redacted.chars().take(LOGGED).collect();
    let number = error_description.split([':', ' ']).next().filter(|word| word.starts_with("AADSTS")).unwrap_or_default();
    let error = if error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') { error.as_str() } else { "" };
    let told = [error, number].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ");
    let is_of_the_service = matches!(error, "" | "invalid_client" | "unauthorized_client" | "unsupported_grant_type" | "invalid_scope");
    // The token is for another application than the one that exchanges it.
    if is_of_the_service || number == "AADSTS500131" {
        return Error::Misconfigured(format!(
            "HTTP {status}, {told}: {described}; check AUTH_CLIENT_ID, its AUTH_CLIENT_SECRET or federated credential, and that tokens are for it, or \
             the federation policy of the workspace"
        ));
    }
    tracing::warn!(status, fault = told, detail = described, "a token was not exchanged");
    Error::Refused(format!("its sign-in says {told}; sign in again, or ask your administrator for access to Databricks"))
}

fn key(proof: &Proof) -> Digest {
    let mut key = Digest::default();
    key.copy_from_slice(digest::digest(&digest::SHA256, proof.expose().as_bytes()).as_ref());
    key
}

#[async_trait]
impl OnBehalf for Persons {
    async fn delegate(&self, proof: &Proof, holder: Holder<'_>, now: Timestamp) -> Result<Delegation, Error> {
        let Exchanged { token, until, .. } = self.exchanged(proof, now).await?;
        let sealed = self.seal.close(&token, holder).ok_or_else(|| Error::Unavailable("a token cannot be sealed".into()))?;
        Ok(Delegation { sealed, until })
    }

    fn warehouse(&self, delegation: &Delegation, holder: Holder<'_>, now: Timestamp) -> Result<Arc<dyn Warehouse>, Error> {
        let token = self.seal.open(&delegation.sealed, holder).filter(|_| now < delegation.until).ok_or(Error::Over)?;
        Ok(Arc::new(Person { warehouse: self.warehouse.as_person(token.clone()), token, kept: Arc::clone(&self.kept) }))
    }
}

/// The warehouse as one person.
struct Person {
    warehouse: SqlWarehouse,
    token: String,
    kept: Arc<Kept>,
}

impl Person {
    fn noted<T>(&self, end: Result<T, warehouse::Error>) -> Result<T, warehouse::Error> {
        if matches!(end, Err(warehouse::Error::NotAdmitted(_))) {
            self.kept.forget(&self.token);
        }
        end
    }
}

#[async_trait]
impl Warehouse for Person {
    fn kind(&self) -> &'static str {
        self.warehouse.kind()
    }

    async fn launch(&self, statement: &Statement) -> Result<Run, warehouse::Error> {
        self.noted(self.warehouse.launch(statement).await)
    }

    async fn poll(&self, run: &RunId, known: Phase, wait: Duration) -> Result<RunState, warehouse::Error> {
        self.noted(self.warehouse.poll(run, known, wait).await)
    }

    async fn cancel(&self, run: &RunId) -> Result<(), warehouse::Error> {
        self.noted(self.warehouse.cancel(run).await)
    }

    async fn probe(&self) -> Result<(), warehouse::Error> {
        self.noted(self.warehouse.probe().await)
    }
}
