//! App Service's own authentication: the platform signs people in and adds headers that say who they are.
//!
//! The platform removes these headers from what clients send, and only where its authentication is on ("Work with user identities in Azure
//! App Service authentication", section "Access user claims in app code"). Without it they are whatever a client writes: `config` refuses
//! the mode anywhere else.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;

use super::{Error, Fault, Principal};
use crate::conversation::{Caller, Owner};

/// What it grants whom.
#[derive(Clone, Debug, Default)]
pub struct AppService {
    /// One of these roles is needed; none is, where there are none.
    pub required: Vec<String>,
    /// The role of administrators.
    pub admin_role: Option<String>,
}

/// `X-MS-CLIENT-PRINCIPAL` ("Decode the client principal header").
#[derive(Deserialize)]
struct Claims {
    claims: Vec<Claim>,
    #[serde(default)]
    role_typ: Option<String>,
}

#[derive(Deserialize)]
struct Claim {
    typ: String,
    val: String,
}

impl AppService {
    pub(super) fn caller(&self, principal: &Principal<'_>) -> Result<Caller, Error> {
        let owner = Owner::new(&format!("app-service:{}", principal.provider), principal.id).ok_or(Fault::Claims)?;
        let roles = roles(principal.claims)?;
        let has = |role: &String| roles.contains(role);
        if !self.required.is_empty() && !self.required.iter().any(has) {
            return Err(Error::Forbidden);
        }
        Ok(if self.admin_role.as_ref().is_some_and(has) { Caller::Admin(owner) } else { Caller::User(owner) })
    }
}

fn roles(claims: Option<&str>) -> Result<Vec<String>, Fault> {
    let Some(claims) = claims else { return Ok(Vec::new()) };
    let json = STANDARD.decode(claims).map_err(|_| Fault::Malformed)?;
    let Claims { claims, role_typ } = serde_json::from_slice(&json).map_err(|_| Fault::Claims)?;
    let is_role = |claim: &Claim| claim.typ == "roles" || role_typ.as_ref() == Some(&claim.typ);
    Ok(claims.into_iter().filter(is_role).map(|claim| claim.val).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_from_the_principal() -> Result<(), Error> {
        let claims = |json: &str| STANDARD.encode(json);
        let service = AppService { required: vec!["reader".into(), "support".into()], admin_role: Some("support".into()) };
        let caller = |claims: Option<&str>| service.caller(&Principal { id: "7", provider: "aad", claims });
        let reader = claims(r#"{"auth_typ":"aad","claims":[{"typ":"roles","val":"reader"}],"name_typ":"n","role_typ":"r"}"#);
        let support = claims(r#"{"claims":[{"typ":"r","val":"support"}],"role_typ":"r"}"#);
        let name = claims(r#"{"claims":[{"typ":"name","val":"support"}],"role_typ":"r"}"#);
        assert!(matches!(caller(Some(&reader))?, Caller::User(owner) if owner.as_str() == "app-service:aad 7"));
        assert!(matches!(caller(Some(&support))?, Caller::Admin(_)));
        assert_eq!(caller(Some(&name)), Err(Error::Forbidden));
        assert_eq!(caller(None), Err(Error::Forbidden));
        assert_eq!(caller(Some("no Base64")), Err(Fault::Malformed.into()));
        assert_eq!(caller(Some(&claims("{}"))), Err(Fault::Claims.into()));
        Ok(())
    }
}
