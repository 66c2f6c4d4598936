//! Which storage account, and how to sign in there: a connection string as the Functions host reads it, or the identity of the machine.
//!
//! The fields of a connection string are those of "Configure Azure Storage connection strings"; what concerns other services is ignored.

use std::{collections::HashMap, fmt, sync::Arc};

use azure_core::{
    credentials::{Secret, TokenCredential},
    http::Url,
};
use azure_storage_queue::{QueueClient, QueueClientOptions};

use super::shared_key::SharedKey;
use crate::azure::client_options;

/// The version of the REST API, one that Azurite 3.37 knows as well.
const VERSION: &str = "2025-11-05";

/// The account of Azurite and its key, which its documents publish.
const DEVELOPMENT_ACCOUNT: &str = "devstoreaccount1";
const DEVELOPMENT_KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Why an account cannot be used. Never holds a key or a signature.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadAccount(String);

fn bad(fault: impl Into<String>) -> BadAccount {
    BadAccount(fault.into())
}

/// A storage account's queue service.
#[derive(Clone)]
pub struct Account {
    service: Url,
    credential: Credential,
}

#[derive(Clone)]
enum Credential {
    Key {
        account: String,
        key: Secret,
    },
    /// The query that is added to every address.
    Sas(Secret),
    Token(Arc<dyn TokenCredential>),
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.credential {
            Credential::Key { .. } => "key",
            Credential::Sas(_) => "SAS",
            Credential::Token(_) => "identity",
        };
        f.debug_struct("Account").field("service", &self.service.as_str()).field("credential", &kind).finish()
    }
}

impl Account {
    /// The account of a connection string: `UseDevelopmentStorage=true`, or one with `AccountKey` or `SharedAccessSignature`.
    ///
    /// # Errors
    /// What is missing or wrong in it.
    pub fn parse(connection_string: &str) -> Result<Self, BadAccount> {
        let fields = Fields::parse(connection_string)?;
        if fields.get("usedevelopmentstorage").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Self::development(&fields);
        }
        let credential = match (fields.get("accountname"), fields.get("accountkey"), fields.get("sharedaccesssignature")) {
            (Some(account), Some(key), _) => {
                use base64::prelude::{BASE64_STANDARD, Engine as _};
                BASE64_STANDARD.decode(key).map_err(|_| bad("its AccountKey is not base64"))?;
                Credential::Key { account: account.to_owned(), key: Secret::from(key.to_owned()) }
            }
            (_, None, Some(signature)) => Credential::Sas(Secret::from(signature.trim_start_matches('?').to_owned())),
            (None, Some(_), _) => return Err(bad("it has an AccountKey, but no AccountName")),
            (_, None, None) => {
                return Err(bad("it has neither AccountKey nor SharedAccessSignature, and is not UseDevelopmentStorage=true"));
            }
        };
        Ok(Self { service: fields.queue_service()?, credential })
    }

    fn development(fields: &Fields) -> Result<Self, BadAccount> {
        let proxy = fields.get("developmentstorageproxyuri").unwrap_or("http://127.0.0.1").trim_end_matches('/');
        let service = address("DevelopmentStorageProxyUri", &format!("{proxy}:10001/{DEVELOPMENT_ACCOUNT}"))?;
        let credential = Credential::Key { account: DEVELOPMENT_ACCOUNT.into(), key: Secret::from(DEVELOPMENT_KEY) };
        Ok(Self { service, credential })
    }

    /// The queue service at `service_uri`, such as `https://account.queue.core.windows.net`, signed in to by tokens.
    ///
    /// # Errors
    /// When it is no address, or one without TLS: a token must not be sent there.
    pub fn with_identity(service_uri: &str, credential: Arc<dyn TokenCredential>) -> Result<Self, BadAccount> {
        let service = address("the address of the queue service", service_uri)?;
        if service.scheme() != "https" {
            return Err(bad(format!("{service} must begin with https://, because a token is sent there")));
        }
        Ok(Self { service, credential: Credential::Token(credential) })
    }

    /// The client of the queue `name`.
    pub(super) fn client(&self, name: &str) -> Result<QueueClient, BadAccount> {
        let mut options = QueueClientOptions { version: VERSION.into(), client_options: client_options() };
        let mut url = self.service.clone();
        let path = format!("{}/{name}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        let token = match &self.credential {
            Credential::Key { account, key } => {
                let policy = SharedKey::new(account.clone(), key.clone());
                options.client_options.per_try_policies.push(Arc::new(policy));
                None
            }
            Credential::Sas(query) => {
                url.set_query(Some(query.secret()));
                None
            }
            Credential::Token(credential) => Some(Arc::clone(credential)),
        };
        QueueClient::new(url, token, Some(options)).map_err(|error| bad(crate::azure::describe(&error)))
    }
}

/// The address `text` of what `name` says.
fn address(name: &str, text: &str) -> Result<Url, BadAccount> {
    let url = Url::parse(text.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
    url.ok_or_else(|| bad(format!("{name} is not an address such as https://account.queue.core.windows.net")))
}

/// The fields of a connection string by their names in lower case.
struct Fields(HashMap<String, String>);

impl Fields {
    fn parse(connection_string: &str) -> Result<Self, BadAccount> {
        let parts = connection_string.split(';').map(str::trim).filter(|part| !part.is_empty());
        let fields = parts.map(|part| {
            let (name, value) = part.split_once('=').ok_or_else(|| bad("it is not a list of NAME=VALUE with semicolons between them"))?;
            Ok((name.trim().to_lowercase(), value.trim().to_owned()))
        });
        fields.collect::<Result<_, _>>().map(Self)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn queue_service(&self) -> Result<Url, BadAccount> {
        if let Some(endpoint) = self.get("queueendpoint") {
            return address("its QueueEndpoint", endpoint);
        }
        let account = self.get("accountname").ok_or_else(|| bad("it has neither QueueEndpoint nor AccountName"))?;
        let protocol = self.get("defaultendpointsprotocol").unwrap_or("https");
        let suffix = self.get("endpointsuffix").unwrap_or("core.windows.net");
        address("what its AccountName and EndpointSuffix make", &format!("{protocol}://{account}.queue.{suffix}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(connection_string: &str) -> Result<String, String> {
        Account::parse(connection_string).map(|account| account.service.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn connection_strings_of_every_kind_lead_to_their_queue_service() {
        for (text, expected) in [
            ("UseDevelopmentStorage=true", "http://127.0.0.1:10001/devstoreaccount1"),
            ("usedevelopmentstorage=TRUE;", "http://127.0.0.1:10001/devstoreaccount1"),
            ("UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://azurite", "http://azurite:10001/devstoreaccount1"),
            (
                "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=a2V5;EndpointSuffix=core.windows.net",
                "https://a.queue.core.windows.net/",
            ),
            ("AccountName=a;AccountKey=a2V5", "https://a.queue.core.windows.net/"),
            ("AccountName=a;AccountKey=a2V5;EndpointSuffix=core.chinacloudapi.cn", "https://a.queue.core.chinacloudapi.cn/"),
            ("AccountName=a;AccountKey=a2V5;QueueEndpoint=http://h:1/a;", "http://h:1/a"),
            ("QueueEndpoint=https://a.queue.core.windows.net/;SharedAccessSignature=sv=1&sig=x%3D", "https://a.queue.core.windows.net/"),
            ("BlobEndpoint=https://b;QueueEndpoint=https://q;SharedAccessSignature=?sv=1&sig=x", "https://q/"),
        ] {
            assert_eq!(service(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_in_a_connection_string_is_told_without_its_secrets() {
        for (text, told) in [
            ("", "neither AccountKey nor"),
            ("hunter2", "NAME=VALUE"),
            ("UseDevelopmentStorage=false", "neither AccountKey nor"),
            ("AccountName=a", "neither AccountKey nor"),
            ("AccountKey=aHVudGVyMg==", "no AccountName"),
            ("AccountName=a;AccountKey=hunter2!", "not base64"),
            ("AccountName=a b;AccountKey=aHVudGVyMg==", "not an address"),
            ("SharedAccessSignature=sig=hunter2", "neither QueueEndpoint nor AccountName"),
            ("QueueEndpoint=ftp://q;SharedAccessSignature=sig=hunter2", "QueueEndpoint is not an address"),
        ] {
            let error = service(text).expect_err(text);
            assert!(error.contains(told), "{text}: {error}");
            assert!(!error.contains("hunter2") && !error.contains("aHVudGVyMg"), "{error}");
        }
    }

    #[test]
    fn an_account_prints_no_secret() {
        for text in ["AccountName=a;AccountKey=aHVudGVyMg==", "QueueEndpoint=https://q;SharedAccessSignature=sig=aHVudGVyMg"] {
            let account = Account::parse(text).expect("valid");
            let printed = format!("{account:?}");
            assert!(!printed.contains("aHVudGVyMg"), "{printed}");
        }
    }
}
