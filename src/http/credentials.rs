//! Reads who asks out of a request's headers: `Authorization: Bearer`, `X-API-Key`, and what App Service's own authentication adds.
//!
//! Never out of the query or a cookie: addresses end up in logs and histories, and a cookie is sent by foreign pages too. What is there
//! twice, or beside another credential, is refused: a proxy may have read the other one.

use warp::http::{HeaderMap, Method, header::AUTHORIZATION};

use super::{Context, cors, problem::Problem, socket::is_own_page};
use crate::{
    auth::{Credentials, Error, Fault, Principal, TOKEN_LIMIT, api_key},
    conversation::Caller,
    service::Proof,
};

const API_KEY: &str = "x-api-key";
/// "Work with user identities in Azure App Service authentication", section "Access user claims in app code".
const PRINCIPAL: &str = "x-ms-client-principal";
const PRINCIPAL_ID: &str = "x-ms-client-principal-id";
const PRINCIPAL_PROVIDER: &str = "x-ms-client-principal-idp";

/// Who sent the request.
pub(super) async fn caller(context: &Context, method: &Method, headers: &HeaderMap) -> Result<Caller, Problem> {
    let authenticator = &context.settings.authenticator;
    if authenticator.is_open() {
        return Ok(Caller::Anonymous);
    }
    let caller = authenticator.caller(&credentials(headers)?).await?;
    // App Service's session is a cookie, which a browser sends with what a foreign page posts.
    let may_come_from_a_page = authenticator.has_sessions() && !method.is_safe();
    if may_come_from_a_page && !is_own_page(headers) && cors::allowed(&context.settings.cors_allowed_origins, headers).is_none() {
        return Err(Problem::foreign_origin());
    }
    Ok(caller)
}

/// The token that a caller was accepted for; none where that was an API key or something else.
pub(super) fn proof(headers: &HeaderMap) -> Option<Proof> {
    let secret = credentials(headers).ok()?.secret?;
    (!secret.starts_with(api_key::PREFIX)).then(|| Proof::new(secret))
}

fn credentials(headers: &HeaderMap) -> Result<Credentials<'_>, Error> {
    let bearer = single(headers, AUTHORIZATION.as_str())?.map(bearer).transpose()?;
    let api_key = single(headers, API_KEY)?;
    let principal = match (single(headers, PRINCIPAL_ID)?, single(headers, PRINCIPAL_PROVIDER)?) {
        (Some(id), Some(provider)) => Some(Principal { id, provider, claims: single(headers, PRINCIPAL)? }),
        _ => None,
    };
    let secret = match (bearer, api_key) {
        (Some(_), Some(_)) => return Err(Fault::Ambiguous.into()),
        (secret, None) | (None, secret) => secret,
    };
    Ok(Credentials { secret, principal })
}

/// The value of a header that may stand there once.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Error> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Fault::Ambiguous.into());
    }
    if value.len() > TOKEN_LIMIT {
        return Err(Fault::TooLong.into());
    }
    value.to_str().map(Some).map_err(|_| Fault::Malformed.into())
}

/// The token of `Bearer TOKEN` (RFC 6750, section 2.1); the scheme is read without regard to case (RFC 9110, section 11.1).
fn bearer(value: &str) -> Result<&str, Error> {
    let (scheme, token) = value.split_once(' ').ok_or(Fault::Malformed)?;
    let is_token = |token: &str| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Fault::Scheme.into());
    }
    if is_token(token) { Ok(token) } else { Err(Fault::Malformed.into()) }
}
