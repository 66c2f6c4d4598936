//! An issuer's discovery document and keys (OpenID Connect Discovery 1.0, JSON Web Key Set of RFC 7517), kept and read anew.
//!
//! Keys are read when the first token comes, again when they have grown old, and when a token names one that is not among them: issuers
//! change keys without notice. However many tokens name unknown keys, the issuer is asked once per interval. While it does not answer, the
//! keys that are known serve on, for a day at most. Only the configured issuer is ever asked: no address out of a token.

use std::{
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{Error, PageSignIn, jwt::PageClient};

/// Largest document that is read, in bytes. Entra ID's have about 20 KiB.
const DOCUMENT_LIMIT: usize = 256 << 10;
/// Keys of a set that are looked at.
const KEYS_LIMIT: usize = 100;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const TIMEOUT: Duration = Duration::from_secs(5);

/// Which issuer, and how often it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its name, an address: the discovery document lies below it.
    pub issuer: String,
    /// How long keys are used before they are read anew: so long may a withdrawn key be accepted.
    pub lifetime: Duration,
    /// How long keys are used while they cannot be read anew.
    pub stale_limit: Duration,
    /// The least time between two attempts to read them.
    pub interval: Duration,
}

impl Settings {
    /// The usual times for `issuer`.
    #[must_use]
    pub fn new(issuer: impl Into<String>) -> Self {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        Self { issuer: issuer.into(), lifetime: Duration::from_secs(600), stale_limit: hours(24), interval: Duration::from_secs(15) }
    }
}

/// What is used of the discovery document.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    jwks_uri: String,
    /// Where a browser is sent to sign in.
    authorization_endpoint: Option<String>,
    /// Where it gets its tokens.
    token_endpoint: Option<String>,
}

impl Metadata {
    /// How `client` signs in; `None` where the document does not say, or names an address that is not secure.
    pub(super) fn page(&self, client: &PageClient) -> Option<PageSignIn> {
        let secure = |address: &Option<String>| address.clone().filter(|address| is_secure(address));
        Some(PageSignIn::Issuer {
            issuer: self.issuer.clone(),
            authorization_endpoint: secure(&self.authorization_endpoint)?,
            token_endpoint: secure(&self.token_endpoint)?,
            client_id: client.id.clone(),
            scopes: client.scopes.clone(),
        })
    }
}

/// The keys of an issuer that may sign tokens.
pub(super) struct KeySet {
    /// Counts the sets that differ.
    pub(super) generation: u64,
    source: Vec<Jwk>,
    keys: Vec<Arc<Key>>,
}

/// A key, for one algorithm.
pub(super) struct Key {
    id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

#[derive(Clone)]
struct Known {
    metadata: Arc<Metadata>,
    keys: Arc<KeySet>,
    read_at: Instant,
}

/// When the issuer was asked last. Held while it is asked.
type Attempt = Option<Instant>;

/// The issuer.
pub(super) struct Issuer {
    client: Client,
    settings: Settings,
    known: RwLock<Option<Known>>,
    attempt: Arc<Mutex<Attempt>>,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Issuer({})", self.settings.issuer)
    }
}

/// Why an issuer's documents could not be read. For the log.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("{0} cannot be read: {1}")]
    Http(&'static str, reqwest::Error),
    #[error("{0} has more than {DOCUMENT_LIMIT} bytes")]
    TooLarge(&'static str),
    #[error("{0} is not what it should be: {1}")]
    Json(&'static str, serde_json::Error),
    #[error("the discovery document is that of another issuer")]
    OtherIssuer,
    #[error("the discovery document names keys at an address that is not https")]
    Insecure,
    #[error("no key of the issuer can sign with RS256 or ES256")]
    NoKey,
}

impl Issuer {
    /// # Errors
    /// When no HTTP client can be made.
    pub(super) fn new(settings: Settings) -> reqwest::Result<Arc<Self>> {
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .user_agent(concat!("asklake/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Arc::new(Self { client, settings, known: RwLock::default(), attempt: Arc::default() }))
    }

    /// The keys that are known; read first where there are none.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(super) async fn keys(self: &Arc<Self>) -> Result<Arc<KeySet>, Error> {
        self.current().await.map(|known| known.keys)
    }

    /// The discovery document that is known; read first where there is none.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(super) async fn metadata(self: &Arc<Self>) -> Result<Arc<Metadata>, Error> {
        self.current().await.map(|known| known.metadata)
    }

    async fn current(self: &Arc<Self>) -> Result<Known, Error> {
        let known = self.known();
        let age = known.as_ref().map(|known| known.read_at.elapsed());
        match (known, age) {
            (Some(known), Some(age)) if age < self.settings.stale_limit => {
                if age >= self.settings.lifetime {
                    self.read_in_background();
                }
                Ok(known)
            }
            (known, _) => {
                self.read_since(known.map(|known| known.read_at)).await;
                self.known().filter(|known| known.read_at.elapsed() < self.settings.stale_limit).ok_or(Error::Unavailable)
            }
        }
    }

    /// The keys after they were read anew because one was not among `keys`; the same if the issuer was asked a moment ago.
    pub(super) async fn keys_after(self: &Arc<Self>, keys: &Arc<KeySet>) -> Arc<KeySet> {
        let read_at = self.known().filter(|known| Arc::ptr_eq(&known.keys, keys)).map(|known| known.read_at);
        if read_at.is_some() {
            self.read_since(read_at).await;
        }
        self.known().map_or_else(|| Arc::clone(keys), |known| known.keys)
    }

    fn known(&self) -> Option<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_due(&self, attempt: Attempt) -> bool {
        attempt.is_none_or(|at| at.elapsed() >= self.settings.interval)
    }

    /// Reads unless somebody else has since `read_at`, or has tried within the interval.
    async fn read_since(self: &Arc<Self>, read_at: Option<Instant>) {
        let attempt = Arc::clone(&self.attempt).lock_owned().await;
        if self.known().map(|known| known.read_at) == read_at && self.is_due(*attempt) {
            // In a task of its own, so that a client that leaves does not end what others wait for.
            let reading = tokio::spawn(Arc::clone(self).read(attempt));
            // It does not panic, and nobody aborts it.
            let _ = reading.await;
        }
    }

    fn read_in_background(self: &Arc<Self>) {
        if let Ok(attempt) = Arc::clone(&self.attempt).try_lock_owned()
            && self.is_due(*attempt)
        {
            tokio::spawn(Arc::clone(self).read(attempt));
        }
    }

    async fn read(self: Arc<Self>, mut attempt: OwnedMutexGuard<Attempt>) {
        *attempt = Some(Instant::now());
        match self.documents().await {
            Ok((metadata, source)) => {
                let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
                let keys = KeySet::succeeding(known.as_ref().map(|known| &known.keys), source);
                *known = Some(Known { metadata: Arc::new(metadata), keys, read_at: Instant::now() });
            }
            Err(error) => tracing::warn!(issuer = self.settings.issuer, %error, "could not read the keys of the issuer"),
        }
    }

    async fn documents(&self) -> Result<(Metadata, Vec<Jwk>), ReadError> {
        // OpenID Connect Discovery 1.0, section 4.1: a slash at the end of the issuer is left out.
        let address = format!("{}/.well-known/openid-configuration", self.settings.issuer.trim_end_matches('/'));
        let metadata: Metadata = self.document("the discovery document", &address).await?;
        if metadata.issuer != self.settings.issuer {
            return Err(ReadError::OtherIssuer);
        }
        if !is_secure(&metadata.jwks_uri) {
            return Err(ReadError::Insecure);
        }
        let keys: Keys = self.document("the set of keys", &metadata.jwks_uri).await?;
        let usable: Vec<Jwk> = keys.keys.into_iter().take(KEYS_LIMIT).filter_map(|key| serde_json::from_value(key).ok()).collect();
        if usable.iter().any(|jwk| Key::of(jwk).is_some()) { Ok((metadata, usable)) } else { Err(ReadError::NoKey) }
    }

    async fn document<T: serde::de::DeserializeOwned>(&self, what: &'static str, address: &str) -> Result<T, ReadError> {
        let failed = |error: reqwest::Error| ReadError::Http(what, error);
        let mut response = self.client.get(address).send().await.and_then(reqwest::Response::error_for_status).map_err(failed)?;
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(failed)? {
            if body.len() + part.len() > DOCUMENT_LIMIT {
                return Err(ReadError::TooLarge(what));
            }
            body.extend_from_slice(&part);
        }
        serde_json::from_slice(&body).map_err(|error| ReadError::Json(what, error))
    }
}

/// A key of a kind that we do not know is no reason to refuse the others.
#[derive(Deserialize)]
struct Keys {
    keys: Vec<Value>,
}

impl KeySet {
    /// The set after `before`: the same, where nothing has changed.
    fn succeeding(before: Option<&Arc<Self>>, source: Vec<Jwk>) -> Arc<Self> {
        match before {
            // Another allocation, so that who has looked through the one before sees that it was read anew.
            Some(before) if before.source == source => Arc::new(Self { generation: before.generation, keys: before.keys.clone(), source }),
            _ => {
                let keys = source.iter().filter_map(Key::of).map(Arc::new).collect();
                Arc::new(Self { generation: before.map_or(1, |before| before.generation + 1), keys, source })
            }
        }
    }

    /// The key of that id for that algorithm. A token without an id means the only one there is (RFC 7515, section 4.1.4; OpenID Connect
    /// Core 1.0, section 10.1).
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<Arc<Key>> {
        let mut keys = self.keys.iter().filter(|key| key.algorithm == algorithm && id.is_none_or(|id| key.id.as_deref() == Some(id)));
        let key = keys.next()?;
        (id.is_some() || keys.next().is_none()).then(|| Arc::clone(key))
    }
}

impl Key {
    /// The key, if it is public, may sign, and is one for RS256 or ES256: its kind says for which, never the token.
    fn of(jwk: &Jwk) -> Option<Self> {
        let (algorithm, named) = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => (Algorithm::ES256, KeyAlgorithm::ES256),
            _ => return None,
        };
        let common = &jwk.common;
        let may_sign = common.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature)
            && common.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify))
            && common.key_algorithm.is_none_or(|algorithm| algorithm == named);
        let key = may_sign.then(|| DecodingKey::from_jwk(jwk).ok()).flatten()?;
        Some(Self { id: common.key_id.clone(), algorithm, key })
    }
}

/// Whether nobody in between can change what comes from there: https, or this machine.
#[must_use]
pub fn is_secure(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    let is_loopback = |host: &str| {
        host == "localhost" || host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    };
    match url.scheme() {
        "https" => url.has_host(),
        "http" => url.host_str().is_some_and(is_loopback),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_this_machine_are_secure() {
        for secure in ["https://a.example", "http://127.0.0.1:1/x", "http://[::1]:1", "http://localhost:1"] {
            assert!(is_secure(secure), "{secure}");
        }
        for not in [
            "",
            "a",
            "http://a.example",
            "http://127.0.0.1.a.example",
            "http://localhost.a.example",
            "ftp://127.0.0.1",
            "file:///etc",
            "http://10.0.0.1",
        ] {
            assert!(!is_secure(not), "{not}");
        }
    }

    #[test]
    fn keys_that_may_not_sign_are_left_out() -> Result<(), serde_json::Error> {
        let key = |extra: &str| {
            serde_json::from_str::<Jwk>(&format!(r#"{{"kty":"RSA","n":"AQAB","e":"AQAB"{extra}}}"#)).map(|jwk| Key::of(&jwk).is_some())
        };
        assert!(key("")?);
        assert!(key(r#","use":"sig","alg":"RS256""#)?);
        assert!(!key(r#","use":"enc""#)?);
        assert!(!key(r#","alg":"RS512""#)?);
        assert!(!key(r#","key_ops":["encrypt"]"#)?);
        let symmetric: Jwk = serde_json::from_str(r#"{"kty":"oct","k":"AQAB"}"#)?;
        assert!(Key::of(&symmetric).is_none());
        Ok(())
    }
}
