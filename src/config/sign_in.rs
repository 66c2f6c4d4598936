//! Reads who may ask (`AUTH_MODE` and what belongs to it). A setting that the mode makes no use of is an error: whoever set it believes
//! that it protects something.

use std::{net::SocketAddr, path::PathBuf};

use super::{Error, Secret, reader::Reader, variables::AZURE_INSTANCE};

/// Set by App Service where its own authentication is on, and only there.
const APP_SERVICE_AUTHENTICATION: &str = "WEBSITE_AUTH_ENABLED";

/// Where Entra ID issues tokens, in the public cloud: tokens of version 2.0 and 1.0 ("Access tokens in the Microsoft identity platform").
pub(super) const ENTRA: &str = "https://login.microsoftonline.com";
const ENTRA_V1: &str = "https://sts.windows.net";

/// Who may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// How people prove who they are.
    pub mode: AuthMode,
    /// How scripts do.
    pub api_keys: Option<ApiKeySource>,
}

/// How people prove who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthMode {
    /// They do not.
    Anonymous {
        /// Whether others than this machine may ask like that.
        is_open: bool,
    },
    /// By a token of an issuer.
    Tokens(TokenAuth),
    /// By App Service's own authentication.
    AppService(Grants),
    /// They cannot: only scripts may ask.
    ApiKeysOnly,
}

/// Which tokens are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenAuth {
    /// The issuer whose discovery document names the keys.
    pub issuer: String,
    /// Names that tokens may be issued under, each with the tenant that they must be of.
    pub names: Vec<(String, Option<String>)>,
    /// Whom tokens must be for.
    pub audiences: Vec<String>,
    /// What they grant.
    pub grants: Grants,
    /// The page's client id and scopes.
    pub page: Option<(String, Vec<String>)>,
}

/// What is granted to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// One of these scopes or roles is needed.
    pub required: Vec<String>,
    /// The role of administrators.
    pub admin_role: Option<String>,
}

/// Where the hashes of API keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiKeySource {
    /// In the variable itself.
    Lines(Vec<Secret>),
    /// In a file, one a line.
    File(PathBuf),
}

impl TokenAuth {
    /// The first tenant whose tokens are accepted, where the issuer is Entra ID.
    pub(super) fn entra_tenant(&self) -> Option<&str> {
        self.names.first().and_then(|(_, tenant)| tenant.as_deref())
    }
}

impl Auth {
    /// Everybody on this machine.
    pub const LOCAL: Self = Self { mode: AuthMode::Anonymous { is_open: false }, api_keys: None };

    /// Refuses to listen for others where nobody has to sign in, unless that is meant.
    ///
    /// # Errors
    /// When it is not.
    pub fn check_address(&self, listen: SocketAddr) -> Result<(), Error> {
        if listen.ip().is_loopback() || self.mode != (AuthMode::Anonymous { is_open: false }) {
            return Ok(());
        }
        Err(Error {
            variable: "AUTH_MODE",
            fault: format!("on {listen} others can reach this server, and nobody has to sign in: {CHOOSE}"),
        })
    }

    /// The header by which a script says who it is, with a placeholder; none where nobody has to, or where the platform sees to it.
    #[must_use]
    pub fn header(&self) -> Option<&'static str> {
        match self.mode {
            AuthMode::Anonymous { .. } | AuthMode::AppService(_) => None,
            AuthMode::Tokens(_) if self.api_keys.is_none() => Some("Authorization: Bearer TOKEN"),
            AuthMode::Tokens(_) | AuthMode::ApiKeysOnly => Some("X-API-Key: KEY"),
        }
    }

    /// Refuses the headers of App Service where no Functions host is in between.
    ///
    /// # Errors
    /// When they are what the mode relies on.
    pub fn check_standalone(&self) -> Result<(), Error> {
        if !matches!(self.mode, AuthMode::AppService(_)) {
            return Ok(());
        }
        let fault = "easyauth is for `asklake functions`: before `asklake serve` nothing keeps clients from writing the platform's headers";
        Err(Error { variable: "AUTH_MODE", fault: fault.into() })
    }
}

const CHOOSE: &str = "set AUTH_MODE to entra, oidc, easyauth or api_key, or ALLOW_ANONYMOUS=1 if everybody may ask";

/// Settings by the modes that use them.
const USED_BY: &[(&str, &[&str])] = &[
    ("ALLOW_ANONYMOUS", &["anonymous"]),
    ("API_KEYS", &["entra", "oidc", "easyauth", "api_key"]),
    ("API_KEYS_FILE", &["entra", "oidc", "easyauth", "api_key"]),
    ("AUTH_ADMIN_ROLE", &["entra", "oidc", "easyauth"]),
    ("AUTH_AUDIENCE", &["entra", "oidc"]),
    ("AUTH_CLIENT_ID", &["entra", "oidc"]),
    ("AUTH_ISSUER", &["oidc"]),
    ("AUTH_PAGE_SCOPES", &["entra", "oidc"]),
    ("AUTH_REQUIRED", &["entra", "oidc", "easyauth"]),
    ("AUTH_TENANTS", &["entra"]),
];

impl<L: Fn(&str) -> Option<String>> Reader<'_, L> {
    pub(super) fn auth(&mut self) -> Auth {
        let mode = self.text("AUTH_MODE").unwrap_or_else(|| "anonymous".into());
        for (name, modes) in USED_BY {
            if self.is_set(name) && !modes.contains(&mode.as_str()) {
                self.fault(name, format!("it is set, but AUTH_MODE is {mode}, which makes no use of it"));
            }
        }
        let api_keys = self.api_keys();
        let mode = match mode.as_str() {
            "anonymous" => self.anonymous(),
            "entra" => AuthMode::Tokens(self.entra()),
            "oidc" => AuthMode::Tokens(self.oidc()),
            "easyauth" => self.app_service(),
            "api_key" => {
                if api_keys.is_none() {
                    self.fault("API_KEYS", "AUTH_MODE is api_key: set this, or API_KEYS_FILE, with what `asklake key NAME` prints");
                }
                AuthMode::ApiKeysOnly
            }
            other => {
                self.fault("AUTH_MODE", format!("{other:?} is none of anonymous, entra, oidc, easyauth and api_key"));
                AuthMode::ApiKeysOnly
            }
        };
        Auth { mode, api_keys }
    }

    fn anonymous(&mut self) -> AuthMode {
        let is_open = self.flag("ALLOW_ANONYMOUS");
        if !is_open && (self.lookup)(AZURE_INSTANCE).is_some() {
            self.fault("AUTH_MODE", format!("in Azure everybody can reach this server, and nobody has to sign in: {CHOOSE}"));
        }
        AuthMode::Anonymous { is_open }
    }

    fn app_service(&mut self) -> AuthMode {
        let is_on = (self.lookup)(APP_SERVICE_AUTHENTICATION).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
        if !is_on {
            self.fault(
                "AUTH_MODE",
                "easyauth needs App Service's authentication, which is off here (WEBSITE_AUTH_ENABLED is not True): without it, clients could \
                 write its headers themselves",
            );
        }
        AuthMode::AppService(self.grants())
    }

    fn api_keys(&mut self) -> Option<ApiKeySource> {
        let (lines, file) = (self.secret("API_KEYS"), self.text("API_KEYS_FILE"));
        let lines: Vec<Secret> = lines.iter().flat_map(|lines| parts(lines.expose())).map(Secret).collect();
        if !lines.is_empty() && file.is_some() {
            self.fault("API_KEYS_FILE", "API_KEYS is set as well; unset one of them");
        }
        file.map(|file| ApiKeySource::File(file.into())).or((!lines.is_empty()).then_some(ApiKeySource::Lines(lines)))
    }

    fn grants(&self) -> Grants {
        Grants { required: self.list("AUTH_REQUIRED"), admin_role: self.text("AUTH_ADMIN_ROLE") }
    }

    fn entra(&mut self) -> TokenAuth {
        let tenants: Vec<String> = self.list("AUTH_TENANTS").iter().map(|tenant| tenant.to_ascii_lowercase()).collect();
        let is_id = |tenant: &String| uuid::Uuid::try_parse(tenant).is_ok() && tenant.len() == 36;
        if tenants.is_empty() || !tenants.iter().all(is_id) {
            self.fault("AUTH_TENANTS", "AUTH_MODE is entra: set this to the ids (GUIDs, not names) of the tenants whose users may ask");
        }
        let client = self.text("AUTH_CLIENT_ID");
        let mut audiences = self.list("AUTH_AUDIENCE");
        if let Some(client) = client.as_ref().filter(|_| audiences.is_empty()) {
            audiences = vec![client.clone(), format!("api://{client}")];
        }
        if audiences.is_empty() {
            self.fault("AUTH_CLIENT_ID", "AUTH_MODE is entra: set this to the application id of this service, or set AUTH_AUDIENCE");
        }
        let names = tenants.iter().flat_map(|tenant| {
            [format!("{ENTRA}/{tenant}/v2.0"), format!("{ENTRA_V1}/{tenant}/")].map(|name| (name, Some(tenant.clone())))
        });
        let scope = client.as_ref().map(|client| format!("api://{client}/.default"));
        TokenAuth {
            issuer: format!("{ENTRA}/{}/v2.0", tenants.first().map_or("", String::as_str)),
            names: names.collect(),
            audiences,
            grants: self.grants(),
            page: self.page_client(client, scope),
        }
    }

    fn oidc(&mut self) -> TokenAuth {
        let issuer = self.text("AUTH_ISSUER").unwrap_or_default();
        if !is_issuer(&issuer) {
            self.fault(
                "AUTH_ISSUER",
                "AUTH_MODE is oidc: set this to the issuer, exactly as it writes itself, such as https://login.example.org; only one on this \
                 machine may begin with http",
            );
        }
        let audiences = self.list("AUTH_AUDIENCE");
        if audiences.is_empty() {
            self.fault(
                "AUTH_AUDIENCE",
                "AUTH_MODE is oidc: set this to what the issuer writes into tokens for this service as their audience",
            );
        }
        let client = self.text("AUTH_CLIENT_ID");
        TokenAuth { names: vec![(issuer.clone(), None)], issuer, audiences, grants: self.grants(), page: self.page_client(client, None) }
    }

    fn page_client(&mut self, client: Option<String>, scope: Option<String>) -> Option<(String, Vec<String>)> {
        let mut scopes = self.list("AUTH_PAGE_SCOPES");
        if client.is_none() && !scopes.is_empty() {
            self.fault("AUTH_PAGE_SCOPES", "it is set, but AUTH_CLIENT_ID is not");
        }
        if scopes.is_empty() {
            scopes = ["openid".to_owned()].into_iter().chain(scope).collect();
        }
        client.map(|client| (client, scopes))
    }

    fn list(&self, name: &'static str) -> Vec<String> {
        parts(&self.text(name).unwrap_or_default())
    }
}

/// Values separated by commas, spaces or line breaks.
fn parts(text: &str) -> Vec<String> {
    text.split(|c: char| c == ',' || c.is_whitespace()).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// An address without query and fragment (OpenID Connect Core 1.0, section 2, `iss`), which nobody on the way can answer for.
fn is_issuer(text: &str) -> bool {
    let is_local = |rest: &str| {
        let host = rest.split('/').next().unwrap_or_default();
        let host = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit())).map_or(host, |(host, _)| host);
        matches!(host, "localhost" | "127.0.0.1" | "[::1]")
    };
    let is_plain = !text.contains(['?', '#', '@', '\\']) && text.chars().all(|c| c.is_ascii_graphic());
    is_plain
        && (text.strip_prefix("https://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
            || text.strip_prefix("http://").is_some_and(is_local))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const TENANT: &str = "9a7b330a-a736-51e5-af7f-feaf819cdc9f";

    fn read(pairs: &[(&str, &str)]) -> Result<Auth, Vec<&'static str>> {
        let lookup = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Config::from_lookup(lookup).map(|config| config.auth).map_err(|errors| errors.iter().map(|error| error.variable).collect())
    }

    #[test]
    fn nobody_has_to_sign_in_only_on_this_machine_or_where_that_is_said_twice() {
        let check =
            |pairs: &[(&str, &str)], listen: &str| read(pairs).map(|auth| auth.check_address(listen.parse().expect("an address")).is_ok());
        for local in ["127.0.0.1:1", "127.1.2.3:1", "[::1]:1"] {
            assert_eq!(check(&[], local), Ok(true), "{local}");
        }
        for open in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[::ffff:10.0.0.1]:1"] {
            assert_eq!(check(&[], open), Ok(false), "{open}");
            assert_eq!(check(&[("AUTH_MODE", "anonymous")], open), Ok(false), "{open}");
            assert_eq!(check(&[("ALLOW_ANONYMOUS", "1")], open), Ok(true), "{open}");
            assert_eq!(check(&[("AUTH_MODE", "api_key"), ("API_KEYS", "a:b")], open), Ok(true), "{open}");
        }
    }

    #[test]
    fn entra_admits_the_tenants_that_are_named() {
        let entra = |more: &[(&str, &str)]| read(&[&[("AUTH_MODE", "entra")], more].concat());
        let Ok(Auth { mode: AuthMode::Tokens(tokens), .. }) = entra(&[("AUTH_TENANTS", &TENANT.to_uppercase()), ("AUTH_CLIENT_ID", "app")])
        else {
            panic!("valid")
        };
        assert_eq!(tokens.issuer, format!("https://login.microsoftonline.com/{TENANT}/v2.0"));
        let names: Vec<&str> = tokens.names.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, [tokens.issuer.clone(), format!("https://sts.windows.net/{TENANT}/")]);
        assert!(tokens.names.iter().all(|(_, tenant)| tenant.as_deref() == Some(TENANT)));
        assert_eq!(tokens.audiences, ["app", "api://app"]);
        assert_eq!(tokens.page, Some(("app".into(), vec!["openid".into(), "api://app/.default".into()])));
        assert_eq!(entra(&[]), Err(vec!["AUTH_TENANTS", "AUTH_CLIENT_ID"]));
        assert_eq!(entra(&[("AUTH_TENANTS", "common"), ("AUTH_CLIENT_ID", "app")]), Err(vec!["AUTH_TENANTS"]));
    }

    #[test]
    fn a_script_is_told_the_header_that_its_server_takes() {
        let issuer = &[("AUTH_MODE", "oidc"), ("AUTH_ISSUER", "https://l.example"), ("AUTH_AUDIENCE", "a")][..];
        let key = ("API_KEYS", "nightly:0000000000000000000000000000000000000000000000000000000000000000");
        for (pairs, header) in [
            (vec![], None),
            (issuer.to_vec(), Some("Authorization: Bearer TOKEN")),
            ([issuer, &[key]].concat(), Some("X-API-Key: KEY")),
            (vec![("AUTH_MODE", "api_key"), key], Some("X-API-Key: KEY")),
            (vec![("AUTH_MODE", "easyauth"), ("WEBSITE_AUTH_ENABLED", "True")], None),
        ] {
            assert_eq!(read(&pairs).map(|auth| auth.header()), Ok(header), "{pairs:?}");
        }
    }

    #[test]
    fn half_a_configuration_and_one_for_another_mode_are_errors() {
        for (pairs, faults) in [
            (&[("AUTH_MODE", "none")][..], &["AUTH_MODE"][..]),
            (&[("AUTH_MODE", "oidc")], &["AUTH_ISSUER", "AUTH_AUDIENCE"]),
            (&[("AUTH_MODE", "oidc"), ("AUTH_ISSUER", "http://login.example"), ("AUTH_AUDIENCE", "a")], &["AUTH_ISSUER"]),
            (&[("AUTH_MODE", "oidc"), ("AUTH_ISSUER", "http://127.0.0.1.example"), ("AUTH_AUDIENCE", "a")], &["AUTH_ISSUER"]),
            (&[("AUTH_MODE", "oidc"), ("AUTH_ISSUER", "https://l.example?x"), ("AUTH_AUDIENCE", "a")], &["AUTH_ISSUER"]),
            (
                &[("AUTH_MODE", "oidc"), ("AUTH_ISSUER", "https://l.example"), ("AUTH_AUDIENCE", "a"), ("AUTH_PAGE_SCOPES", "s")],
                &["AUTH_PAGE_SCOPES"],
            ),
            (
                &[("AUTH_MODE", "oidc"), ("AUTH_ISSUER", "https://l.example"), ("AUTH_AUDIENCE", "a"), ("AUTH_TENANTS", "t")],
                &["AUTH_TENANTS"],
            ),
            (&[("AUTH_MODE", "api_key")], &["API_KEYS"]),
            (&[("AUTH_MODE", "api_key"), ("API_KEYS", "a:b"), ("API_KEYS_FILE", "f")], &["API_KEYS_FILE"]),
            (&[("AUTH_MODE", "api_key"), ("API_KEYS", "a:b"), ("ALLOW_ANONYMOUS", "1")], &["ALLOW_ANONYMOUS"]),
            (&[("API_KEYS", "a:b"), ("AUTH_ISSUER", "https://l.example")], &["API_KEYS", "AUTH_ISSUER"]),
            (&[("AUTH_MODE", "easyauth")], &["AUTH_MODE"]),
            (&[("AUTH_MODE", "easyauth"), ("WEBSITE_AUTH_ENABLED", "False")], &["AUTH_MODE"]),
        ] {
            assert_eq!(read(pairs).err().as_deref(), Some(faults), "{pairs:?}");
        }
    }

    #[test]
    fn the_headers_of_app_service_count_only_behind_it() {
        let auth = read(&[("AUTH_MODE", "easyauth"), ("WEBSITE_AUTH_ENABLED", "True")]).expect("valid");
        assert!(auth.check_standalone().is_err());
        assert!(Auth::LOCAL.check_standalone().is_ok());
    }
}
