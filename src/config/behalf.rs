//! Reads in whose name the warehouse is queried (`WAREHOUSE_IDENTITY` and what belongs to it). What would leave somebody with the rights of
//! another is an error.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Auth, AuthMode, DatabricksCompute, Secret, Warehouse, reader::Reader, sign_in::ENTRA};

/// How queries come to run in the name of whoever asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behalf {
    /// Who exchanges the callers' tokens.
    pub exchange: TokenExchange,
    /// Base64 of the 32 bytes by which exchanged tokens are sealed.
    pub key: Secret,
}

/// Who exchanges the callers' tokens for tokens of the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenExchange {
    /// Entra ID.
    Entra {
        /// Where.
        token_endpoint: String,
        /// The application id of this service.
        client_id: String,
        /// How the service proves to be that application.
        proof: ApplicationProof,
    },
    /// The workspace itself, by a federation policy.
    Workspace,
}

/// How the service proves to be an application of Entra ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplicationProof {
    /// By its secret.
    Secret(Secret),
    /// By a user-assigned managed identity, of this client id, that is a federated credential of it.
    Identity(String),
}

const SETTING: &str = "WAREHOUSE_IDENTITY";

impl<L: Fn(&str) -> Option<String>> Reader<'_, L> {
    pub(super) fn behalf(&mut self, auth: &Auth, warehouse: &Warehouse) -> Option<Behalf> {
        let (secret, key) = (self.secret("AUTH_CLIENT_SECRET"), self.secret("DELEGATION_KEY"));
        match self.text(SETTING).as_deref() {
            Some("user") => {}
            None | Some("app") => {
                for (name, is_set) in [("AUTH_CLIENT_SECRET", secret.is_some()), ("DELEGATION_KEY", key.is_some())] {
                    if is_set {
                        self.fault(name, format!("it is set, but {SETTING} is not user, which alone makes use of it"));
                    }
                }
                return None;
            }
            Some(other) => {
                let fault = format!("{other:?} is neither app nor user");
                self.fault(SETTING, fault);
                return None;
            }
        }
        self.check_behalf(auth, warehouse);
        let is_key = |key: &Secret| STANDARD.decode(key.expose()).is_ok_and(|key| key.len() == 32);
        if !key.as_ref().is_some_and(is_key) {
            self.fault(
                "DELEGATION_KEY",
                format!("{SETTING} is user: set this to 32 random bytes in Base64, as `openssl rand -base64 32` prints"),
            );
        }
        let AuthMode::Tokens(tokens) = &auth.mode else { return None };
        let exchange = match tokens.entra_tenant() {
            Some(tenant) => TokenExchange::Entra {
                token_endpoint: format!("{ENTRA}/{tenant}/oauth2/v2.0/token"),
                client_id: self.entra_application(tokens.names.len() > 2),
                proof: self.application_proof(secret),
            },
            None => {
                if secret.is_some() {
                    self.fault("AUTH_CLIENT_SECRET", "it is set, but AUTH_MODE is oidc: the workspace exchanges tokens without it");
                }
                TokenExchange::Workspace
            }
        };
        Some(Behalf { exchange, key: key? })
    }

    /// A system-assigned identity cannot be a federated credential (Microsoft Learn, "Configure an application to trust a managed identity").
    fn application_proof(&mut self, secret: Option<Secret>) -> ApplicationProof {
        match (secret, self.text("AZURE_CLIENT_ID")) {
            (Some(secret), _) => ApplicationProof::Secret(secret),
            (None, Some(identity)) => ApplicationProof::Identity(identity),
            (None, None) => {
                let fault = format!(
                    "{SETTING} is user: set this, or AZURE_CLIENT_ID to a user-assigned identity that is a federated credential of AUTH_CLIENT_ID"
                );
                self.fault("AUTH_CLIENT_SECRET", fault);
                ApplicationProof::Identity(String::new())
            }
        }
    }

    fn check_behalf(&mut self, auth: &Auth, warehouse: &Warehouse) {
        if !matches!(warehouse, Warehouse::Databricks { compute: DatabricksCompute::SqlWarehouse { .. }, .. }) {
            self.fault(
                SETTING,
                "user needs DATABRICKS_HOST and DATABRICKS_WAREHOUSE_ID: a job and other engines have one identity for everybody",
            );
        }
        if !matches!(auth.mode, AuthMode::Tokens(_)) {
            self.fault(SETTING, "user needs AUTH_MODE=entra or oidc: only a token can be exchanged for one of Databricks");
        }
        if auth.api_keys.is_some() {
            let fault = format!("{SETTING} is user, and who asks with a key is no user of Databricks; unset one of them");
            self.fault("API_KEYS", fault);
        }
        if self.text("CACHE_SCOPE").as_deref() == Some("app") {
            let fault = format!("{SETTING} is user: what one may see is not to be shown to others; unset this");
            self.fault("CACHE_SCOPE", fault);
        }
    }

    /// The application whose tokens are exchanged. Tokens of several tenants would have to be exchanged by each of them.
    fn entra_application(&mut self, are_several: bool) -> String {
        if are_several {
            self.fault("AUTH_TENANTS", format!("{SETTING} is user: name the one tenant that the workspace belongs to"));
        }
        self.text("AUTH_CLIENT_ID").unwrap_or_else(|| {
            self.fault("AUTH_CLIENT_ID", format!("{SETTING} is user: set this to the application id of this service"));
            String::new()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CacheScope, Config};

    const TENANT: &str = "9a7b330a-a736-51e5-af7f-feaf819cdc9f";
    const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const WAREHOUSE: [(&str, &str); 2] = [("DATABRICKS_HOST", "https://w"), ("DATABRICKS_WAREHOUSE_ID", "1")];
    const ENTRA: [(&str, &str); 3] = [("AUTH_MODE", "entra"), ("AUTH_TENANTS", TENANT), ("AUTH_CLIENT_ID", "app")];
    const OIDC: [(&str, &str); 3] = [("AUTH_MODE", "oidc"), ("AUTH_ISSUER", "https://l.example"), ("AUTH_AUDIENCE", "a")];
    const USER: [(&str, &str); 2] = [("WAREHOUSE_IDENTITY", "user"), ("DELEGATION_KEY", KEY)];

    fn read(parts: &[&[(&str, &str)]]) -> Result<Config, Vec<&'static str>> {
        let pairs = parts.concat();
        // The last one counts, so that a test can change one of the usual ones.
        let lookup = |name: &str| pairs.iter().rfind(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Config::from_lookup(lookup).map_err(|errors| errors.iter().map(|error| error.variable).collect())
    }

    fn exchange(parts: &[&[(&str, &str)]]) -> TokenExchange {
        read(parts).expect("valid").behalf.expect("as the user").exchange
    }

    #[test]
    fn entra_exchanges_with_a_secret_or_with_the_managed_identity_and_others_tokens_the_workspace() {
        let entra = |proof| TokenExchange::Entra {
            token_endpoint: format!("https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token"),
            client_id: "app".into(),
            proof,
        };
        let identity = [("AZURE_CLIENT_ID", "i")];
        let secret = [("AUTH_CLIENT_SECRET", "hunter2")];
        let (by_identity, by_secret) = (ApplicationProof::Identity("i".into()), ApplicationProof::Secret(Secret("hunter2".into())));
        assert_eq!(exchange(&[&WAREHOUSE, &ENTRA, &USER, &identity]), entra(by_identity));
        assert_eq!(exchange(&[&WAREHOUSE, &ENTRA, &USER, &identity, &secret]), entra(by_secret));
        assert_eq!(exchange(&[&WAREHOUSE, &OIDC, &USER]), TokenExchange::Workspace);
        assert_eq!(read(&[&WAREHOUSE, &OIDC]).expect("valid").behalf, None);
    }

    #[test]
    fn answers_are_given_again_to_the_same_person_alone() {
        assert_eq!(read(&[&WAREHOUSE, &OIDC, &USER]).expect("valid").cache_scope, CacheScope::Principal);
        assert_eq!(read(&[&WAREHOUSE, &OIDC]).expect("valid").cache_scope, CacheScope::App);
    }

    #[test]
    fn what_would_leave_somebody_with_the_rights_of_another_is_an_error() {
        let job = [("DATABRICKS_HOST", "https://w"), ("DATABRICKS_JOB_ID", "1")];
        let keys = [("API_KEYS", "a:b")];
        let identity = [("AZURE_CLIENT_ID", "i")];
        for (parts, faults) in [
            (&[&USER[..]][..], &["WAREHOUSE_IDENTITY", "WAREHOUSE_IDENTITY"][..]),
            (&[&job, &OIDC, &USER], &["WAREHOUSE_IDENTITY"]),
            (&[&WAREHOUSE, &[("AUTH_MODE", "api_key")], &keys, &USER], &["WAREHOUSE_IDENTITY", "API_KEYS"]),
            (&[&WAREHOUSE, &OIDC, &keys, &USER], &["API_KEYS"]),
            (&[&WAREHOUSE, &OIDC, &USER, &[("CACHE_SCOPE", "app")]], &["CACHE_SCOPE"]),
            (&[&WAREHOUSE, &OIDC, &USER, &[("DELEGATION_KEY", "")]], &["DELEGATION_KEY"]),
            (&[&WAREHOUSE, &OIDC, &USER, &[("DELEGATION_KEY", "hunter2")]], &["DELEGATION_KEY"]),
            (&[&WAREHOUSE, &OIDC, &USER, &[("AUTH_CLIENT_SECRET", "s")]], &["AUTH_CLIENT_SECRET"]),
            (&[&WAREHOUSE, &OIDC, &USER, &[("WAREHOUSE_IDENTITY", "me")]], &["WAREHOUSE_IDENTITY"]),
            (&[&WAREHOUSE, &OIDC, &[("DELEGATION_KEY", KEY)]], &["DELEGATION_KEY"]),
            (
                &[&WAREHOUSE, &ENTRA, &USER, &identity, &[("AUTH_TENANTS", &[TENANT, "0a7b330a-a736-51e5-af7f-feaf819cdc9f"].join(","))]],
                &["AUTH_TENANTS"],
            ),
            (&[&WAREHOUSE, &ENTRA, &USER, &identity, &[("AUTH_CLIENT_ID", ""), ("AUTH_AUDIENCE", "a")]], &["AUTH_CLIENT_ID"]),
            (&[&WAREHOUSE, &ENTRA, &USER], &["AUTH_CLIENT_SECRET"]),
        ] {
            assert_eq!(read(parts).err().as_deref(), Some(faults), "{parts:?}");
        }
    }
}
