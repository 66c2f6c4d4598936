//! Who a request's credentials prove: tokens of an OpenID Connect issuer (Entra ID among them), App Service's own authentication, API keys.
//!
//! Reads credentials that `http` took from the headers, and gives the [`Caller`] or why there is none. Nothing here decides what a caller
//! may do (`conversation::caller`), and nothing that came from a client is logged, returned, or fetched from.

mod accepted;
pub mod api_key;
mod app_service;
pub mod issuer;
pub mod jwt;

use serde::Serialize;

pub use self::{api_key::ApiKeys, app_service::AppService, jwt::Tokens};
use crate::conversation::Caller;

/// Longest credential in bytes. Entra ID's largest tokens (200 groups) have about 12 KiB; servers before us often refuse headers above 16.
pub const TOKEN_LIMIT: usize = 16 << 10;

/// What a request says of who sent it. Nothing in it is proven.
#[derive(Clone, Copy, Debug, Default)]
pub struct Credentials<'a> {
    /// A bearer token or an API key.
    pub secret: Option<&'a str>,
    /// What App Service says, or a client that pretends to be it.
    pub principal: Option<Principal<'a>>,
}

/// The headers of App Service's own authentication.
#[derive(Clone, Copy, Debug)]
pub struct Principal<'a> {
    /// `X-MS-CLIENT-PRINCIPAL-ID`.
    pub id: &'a str,
    /// `X-MS-CLIENT-PRINCIPAL-IDP`.
    pub provider: &'a str,
    /// `X-MS-CLIENT-PRINCIPAL`: all claims, as JSON in Base64.
    pub claims: Option<&'a str>,
}

/// Why there is no caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The request has no credentials.
    #[error("sign in first: send Authorization: Bearer with a token for this service, or X-API-Key with an API key of it")]
    Missing,
    /// It has some that prove nothing.
    #[error(transparent)]
    Refused(#[from] Fault),
    /// They are in order, but the issuer has not given the principal what is required.
    #[error("you are signed in, but not permitted to use this service; ask its administrator for access")]
    Forbidden,
    /// The issuer's keys cannot be had.
    #[error("the issuer of the tokens does not answer")]
    Unavailable,
}

/// What is wrong with credentials. The texts are told to clients and have no quotation marks (RFC 6750, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is more than one.
    #[error("the request has more than one credential; send one")]
    Ambiguous,
    /// It is none by its form.
    #[error("the credential is malformed")]
    Malformed,
    /// The scheme of `Authorization` is another.
    #[error("the scheme of Authorization must be Bearer")]
    Scheme,
    /// It is longer than [`TOKEN_LIMIT`].
    #[error("the credential is longer than {TOKEN_LIMIT} bytes")]
    TooLong,
    /// The header of the token asks for what is not supported.
    #[error("the token is not a plain one signed with RS256 or ES256")]
    Algorithm,
    /// The issuer has no key of that id for that algorithm.
    #[error("the token is signed with a key that its issuer does not publish")]
    UnknownKey,
    /// The signature is not that of the key.
    #[error("the signature of the token is wrong")]
    Signature,
    /// The token is over.
    #[error("the token has expired")]
    Expired,
    /// The token is of the future.
    #[error("the token is not valid yet")]
    Premature,
    /// Somebody else issued it.
    #[error("the token is from another issuer or tenant")]
    Issuer,
    /// It is for another service.
    #[error("the token is for another audience")]
    Audience,
    /// A claim is missing, twice there, or not what it should be.
    #[error("the claims of the token are incomplete or malformed")]
    Claims,
    /// There is no such API key.
    #[error("there is no such API key")]
    ApiKey,
}

/// How people sign in.
#[derive(Debug)]
pub enum SignIn {
    /// With tokens of an issuer.
    Tokens(Box<Tokens>),
    /// Through App Service's own authentication.
    AppService(AppService),
    /// Not at all: API keys alone.
    ApiKeysOnly,
}

/// Decides who asks.
#[derive(Debug, Default)]
pub enum Authenticator {
    /// Everybody may, and is nobody in particular.
    #[default]
    Anonymous,
    /// Only who proves to be somebody.
    Required {
        /// How people do.
        sign_in: SignIn,
        /// How scripts do.
        api_keys: ApiKeys,
    },
}

impl Authenticator {
    /// Whether everybody may ask.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Anonymous)
    }

    /// Whether a browser is signed in by a cookie, of a proxy before this server, that it sends by itself.
    #[must_use]
    pub fn has_sessions(&self) -> bool {
        matches!(self, Self::Required { sign_in: SignIn::AppService(_), .. })
    }

    /// Who the credentials prove.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn caller(&self, credentials: &Credentials<'_>) -> Result<Caller, Error> {
        let Self::Required { sign_in, api_keys } = self else { return Ok(Caller::Anonymous) };
        if let Some(key) = credentials.secret.filter(|secret| secret.starts_with(api_key::PREFIX)) {
            return Ok(api_keys.caller(key)?);
        }
        match (sign_in, credentials) {
            (SignIn::Tokens(tokens), Credentials { secret: Some(token), .. }) => tokens.caller(token).await,
            (SignIn::AppService(service), Credentials { principal: Some(principal), .. }) => service.caller(principal),
            (_, Credentials { secret: Some(_), .. }) => Err(Fault::ApiKey.into()),
            _ => Err(Error::Missing),
        }
    }
}

/// How the page signs in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PageSignIn {
    /// With the authorization code flow and PKCE.
    Issuer {
        /// The issuer's name.
        issuer: String,
        /// Where the browser is sent.
        authorization_endpoint: String,
        /// Where the page gets its token.
        token_endpoint: String,
        /// The page's id there.
        client_id: String,
        /// The scopes to ask for.
        scopes: Vec<String>,
    },
    /// On App Service's own page.
    AppService,
    /// With a key that somebody types.
    ApiKey,
    /// Not now: the issuer does not answer, or says nothing of where to sign in.
    Unavailable,
}

impl Authenticator {
    /// How the page signs in; `None` where nobody has to.
    pub async fn page(&self) -> Option<PageSignIn> {
        match self {
            Self::Anonymous => None,
            Self::Required { sign_in: SignIn::ApiKeysOnly, .. } => Some(PageSignIn::ApiKey),
            Self::Required { sign_in: SignIn::AppService(_), .. } => Some(PageSignIn::AppService),
            Self::Required { sign_in: SignIn::Tokens(tokens), .. } => Some(match tokens.page().await {
                Ok(Some((client, metadata))) => metadata.page(client).unwrap_or(PageSignIn::Unavailable),
                // Only scripts sign in there; a token may be typed as a key may.
                Ok(None) => PageSignIn::ApiKey,
                Err(_) => PageSignIn::Unavailable,
            }),
        }
    }
}
