//! Bearer tokens: JSON Web Tokens (RFC 7519) signed with RS256 or ES256, checked as RFC 8725 and RFC 9068 advise.
//!
//! A token is accepted only whole: by its form, the key of its issuer, issuer and tenant, audience, times and claims. Which key and which
//! algorithm may be is for the issuer's key set to say, never for the token.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, errors::ErrorKind};
use serde::Deserialize;

use super::{
    Error, Fault, TOKEN_LIMIT,
    accepted::{self, Accepted},
    issuer::{self, Issuer, Key, KeySet, Metadata},
};
use crate::conversation::{Caller, Owner};

/// How far clocks may differ, in seconds.
pub const SKEW: u64 = 60;

/// A name that tokens may be issued under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenIssuer {
    /// What `iss` must be.
    pub name: String,
    /// What `tid` must be then.
    pub tenant: Option<String>,
}

/// Which tokens are accepted, and what they grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the keys are.
    pub keys: issuer::Settings,
    /// Who may have issued a token.
    pub issuers: Vec<TokenIssuer>,
    /// One of these must be in `aud`.
    pub audiences: Vec<String>,
    /// One of these scopes or roles is needed; none is, where there are none.
    pub required: Vec<String>,
    /// The role of administrators.
    pub admin_role: Option<String>,
    /// How the page signs in.
    pub page: Option<PageClient>,
}

/// The page as a client of the issuer: a public one, without a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageClient {
    /// Its id.
    pub id: String,
    /// The scopes that it asks for.
    pub scopes: Vec<String>,
}

/// Checks tokens.
#[derive(Debug)]
pub struct Tokens {
    settings: Settings,
    issuer: Arc<Issuer>,
    accepted: Accepted,
}

/// What is read of the claims, each at most once. Issuer, audience and times are checked by `jsonwebtoken`.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    exp: f64,
    iat: Option<f64>,
    tid: Option<String>,
    scp: Option<Words>,
    scope: Option<Words>,
    roles: Option<Words>,
}

/// A list that some issuers write as one text with spaces.
#[derive(Deserialize)]
#[serde(untagged)]
enum Words {
    Text(String),
    List(Vec<String>),
}

impl Words {
    fn has(&self, word: &str) -> bool {
        match self {
            Self::Text(text) => text.split(' ').any(|found| found == word),
            Self::List(list) => list.iter().any(|found| found == word),
        }
    }
}

impl Tokens {
    /// Tokens by `settings`. Nothing is asked before the first one comes.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(settings: Settings) -> Result<Self, reqwest::Error> {
        Ok(Self { issuer: Issuer::new(settings.keys.clone())?, settings, accepted: Accepted::default() })
    }

    /// How the page signs in, and where; `None` where it cannot.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(super) async fn page(&self) -> Result<Option<(&PageClient, Arc<Metadata>)>, Error> {
        let Some(client) = &self.settings.page else { return Ok(None) };
        Ok(Some((client, self.issuer.metadata().await?)))
    }

    pub(super) async fn caller(&self, token: &str) -> Result<Caller, Error> {
        if token.len() > TOKEN_LIMIT {
            return Err(Fault::TooLong.into());
        }
        let (keys, digest, now) = (self.issuer.keys().await?, accepted::digest(token), now());
        if let Some(caller) = self.accepted.get(&digest, keys.generation, now) {
            return Ok(caller);
        }
        let header = header(token)?;
        let (keys, key) = self.key(keys, &header).await?;
        let claims = self.verified(token, &key)?;
        let caller = self.admitted(&claims, now)?;
        // A float that is too large becomes the largest number.
        let until = (claims.exp as u64).saturating_add(SKEW);
        self.accepted.insert(digest, keys.generation, caller.clone(), until, now);
        Ok(caller)
    }

    /// The key that a token names, after a second look at the issuer's where there is none.
    async fn key(&self, keys: Arc<KeySet>, header: &Header) -> Result<(Arc<KeySet>, Arc<Key>), Error> {
        let find = |keys: &KeySet| keys.find(header.kid.as_deref(), header.alg);
        if let Some(key) = find(&keys) {
            return Ok((keys, key));
        }
        let keys = self.issuer.keys_after(&keys).await;
        let key = find(&keys).ok_or(Fault::UnknownKey)?;
        Ok((keys, key))
    }

    fn verified(&self, token: &str, key: &Key) -> Result<Claims, Fault> {
        let mut validation = Validation::new(key.algorithm);
        validation.leeway = SKEW;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_audience(&self.settings.audiences);
        validation.iss = Some(self.settings.issuers.iter().map(|issuer| issuer.name.clone()).collect());
        decode::<Claims>(token, &key.key, &validation).map(|token| token.claims).map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => Fault::Signature,
            ErrorKind::ExpiredSignature => Fault::Expired,
            ErrorKind::ImmatureSignature => Fault::Premature,
            ErrorKind::InvalidIssuer => Fault::Issuer,
            ErrorKind::InvalidAudience => Fault::Audience,
            ErrorKind::InvalidAlgorithm => Fault::Algorithm,
            ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidClaimFormat(_) | ErrorKind::Json(_) => Fault::Claims,
            _ => Fault::Malformed,
        })
    }

    fn admitted(&self, claims: &Claims, now: u64) -> Result<Caller, Error> {
        let issuer = self.settings.issuers.iter().find(|issuer| issuer.name == claims.iss).ok_or(Fault::Issuer)?;
        if issuer.tenant.is_some() && issuer.tenant != claims.tid {
            return Err(Fault::Issuer.into());
        }
        if claims.iat.is_some_and(|iat| iat > (now + SKEW) as f64) {
            return Err(Fault::Premature.into());
        }
        let owner = Owner::new(&claims.iss, &claims.sub).ok_or(Fault::Claims)?;
        let has_role = |role: &str| claims.roles.as_ref().is_some_and(|roles| roles.has(role));
        let has_scope = |scope: &str| [&claims.scp, &claims.scope].into_iter().flatten().any(|scopes| scopes.has(scope));
        if !self.settings.required.is_empty() && !self.settings.required.iter().any(|needed| has_role(needed) || has_scope(needed)) {
            return Err(Error::Forbidden);
        }
        Ok(if self.settings.admin_role.as_deref().is_some_and(has_role) { Caller::Admin(owner) } else { Caller::User(owner) })
    }
}

/// Reads the header, and refuses all that would change how the token is to be read.
fn header(token: &str) -> Result<Header, Fault> {
    let header = decode_header(token).map_err(|error| match error.kind() {
        // A header that can be read but names another algorithm.
        ErrorKind::Json(_) | ErrorKind::InvalidAlgorithmName => Fault::Algorithm,
        _ => Fault::Malformed,
    })?;
    // RFC 8725, section 3.11: a token of another kind is not taken for an access token.
    let typ = header.typ.as_deref().map(|typ| typ.to_ascii_lowercase());
    let is_access_token = matches!(typ.as_deref(), None | Some("jwt" | "at+jwt" | "application/at+jwt"));
    let is_plain = header.crit.is_none()
        && header.cty.is_none()
        && header.enc.is_none()
        && header.zip.is_none()
        && !header.extras.inner().contains_key("b64");
    if is_access_token && is_plain && matches!(header.alg, Algorithm::RS256 | Algorithm::ES256) {
        Ok(header)
    } else {
        Err(Fault::Algorithm)
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
