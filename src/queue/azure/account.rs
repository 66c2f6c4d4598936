//! Where a storage account's queues are and how requests to them are authorized: read from a connection string, or an identity.
//!
//! Owns the grammar of connection strings as far as queues need it. Refuses to repeat any part of one in an error or in `Debug` output:
//! it may be the key.

use std::{collections::HashMap, fmt, sync::Arc};

use azure_core::{
    credentials::{Secret, TokenCredential},
    http::Url,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::shared_key::SharedKey;

/// The account of the emulator and its key, which are the same everywhere and public:
/// <https://learn.microsoft.com/azure/storage/common/storage-connect-azurite>.
const DEVELOPMENT_ACCOUNT: &str = "devstoreaccount1";
const DEVELOPMENT_KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// The queue service of a storage account.
#[derive(Clone)]
pub struct Account {
    /// Address of the queue service, without a slash at its end and without a query.
    pub(super) endpoint: Url,
    pub(super) access: Access,
}

/// How requests are authorized.
#[derive(Clone)]
pub(super) enum Access {
    /// Each request is signed with the account's key.
    Key(Arc<SharedKey>),
    /// A shared access signature goes with each address.
    Signature(Secret),
    /// A bearer token goes with each request.
    Identity(Arc<dyn TokenCredential>),
}

/// What is wrong with the description of an account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// A part between semicolons, counted from 1, has no equals sign.
    #[error("part {0} of the connection string is not a name and a value with `=` between them")]
    NotAPair(usize),
    /// A name that is needed is missing, alone or beside another.
    #[error("the connection string has no {0}")]
    Missing(&'static str),
    /// Key and signature at once.
    #[error("the connection string has both an AccountKey and a SharedAccessSignature: leave one of them out")]
    TwoSecrets,
    /// A value that cannot be used.
    #[error("{name} in the connection string {fault}")]
    Invalid {
        /// Whose value.
        name: &'static str,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// The address of the queue service that an identity is used with.
    #[error("the address of the queue service {0}")]
    ServiceUri(&'static str),
}

impl Account {
    /// Reads a connection string as Azure's tools write it: `UseDevelopmentStorage=true` (perhaps with `DevelopmentStorageProxyUri`),
    /// `AccountName` with `AccountKey`, or `SharedAccessSignature`; with `QueueEndpoint`, or `DefaultEndpointsProtocol` and
    /// `EndpointSuffix`. Names are read in any case, and names of other services are passed over.
    /// Source: <https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string>.
    ///
    /// # Errors
    /// [`AccountError`], which says what is wrong without repeating a value.
    pub fn parse(connection_string: &str) -> Result<Self, AccountError> {
        let settings = Settings::parse(connection_string)?;
        if settings.get("UseDevelopmentStorage").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return settings.development();
        }
        match (settings.get("AccountKey"), settings.get("SharedAccessSignature")) {
            (Some(_), Some(_)) => Err(AccountError::TwoSecrets),
            (Some(key), None) => {
                let name = settings.get("AccountName").ok_or(AccountError::Missing("AccountName"))?;
                Self::with_key(settings.endpoint()?, name, key)
            }
            (None, Some(signature)) => {
                let signature = signature.trim_start_matches('?');
                if !signature.split('&').any(|pair| pair.len() > 4 && pair.starts_with("sig=")) {
                    return Err(AccountError::Invalid { name: "SharedAccessSignature", fault: "has no `sig`" });
                }
                Ok(Self { endpoint: settings.endpoint()?, access: Access::Signature(signature.to_owned().into()) })
            }
            (None, None) => Err(AccountError::Missing("AccountKey and no SharedAccessSignature")),
        }
    }

    /// The account whose queue service is at `queue_service_uri`, such as `https://NAME.queue.core.windows.net`, used as `credential`.
    ///
    /// # Errors
    /// [`AccountError::ServiceUri`] when it is no https address: a token is never sent without encryption.
    pub fn with_identity(queue_service_uri: &str, credential: Arc<dyn TokenCredential>) -> Result<Self, AccountError> {
        let endpoint = address(queue_service_uri).map_err(AccountError::ServiceUri)?;
        if endpoint.scheme() != "https" {
            return Err(AccountError::ServiceUri("must begin with https, because a token is sent to it"));
        }
        Ok(Self { endpoint, access: Access::Identity(credential) })
    }

    fn with_key(endpoint: Url, name: &str, key: &str) -> Result<Self, AccountError> {
        if STANDARD.decode(key).is_err() {
            return Err(AccountError::Invalid { name: "AccountKey", fault: "is not base64: copy the whole of it" });
        }
        Ok(Self { endpoint, access: Access::Key(Arc::new(SharedKey::new(name, key))) })
    }

    /// The address of a queue.
    pub(super) fn queue_url(&self, name: &str) -> Url {
        let mut url = self.endpoint.clone();
        url.set_path(&format!("{}/{name}", self.endpoint.path().trim_end_matches('/')));
        if let Access::Signature(signature) = &self.access {
            url.set_query(Some(signature.secret()));
        }
        url
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = match &self.access {
            Access::Key(_) => "key",
            Access::Signature(_) => "shared access signature",
            Access::Identity(_) => "identity",
        };
        f.debug_struct("Account").field("endpoint", &self.endpoint.as_str()).field("access", &access).finish()
    }
}

/// The pairs of a connection string, by their names in small letters.
struct Settings<'a>(HashMap<String, &'a str>);

impl<'a> Settings<'a> {
    fn parse(text: &'a str) -> Result<Self, AccountError> {
        let mut pairs = HashMap::new();
        for (index, part) in text.split(';').enumerate().filter(|(_, part)| !part.trim().is_empty()) {
            let (name, value) = part.split_once('=').ok_or(AccountError::NotAPair(index + 1))?;
            pairs.insert(name.trim().to_ascii_lowercase(), value.trim());
        }
        Ok(Self(pairs))
    }

    /// A value that is not empty.
    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.get(&name.to_ascii_lowercase()).copied().filter(|value| !value.is_empty())
    }

    fn development(&self) -> Result<Account, AccountError> {
        let proxy = self.get("DevelopmentStorageProxyUri").unwrap_or("http://127.0.0.1");
        let invalid = |fault| AccountError::Invalid { name: "DevelopmentStorageProxyUri", fault };
        let mut endpoint = address(proxy).map_err(invalid)?;
        endpoint.set_port(Some(10001)).map_err(|()| invalid("cannot have a port"))?;
        endpoint.set_path(DEVELOPMENT_ACCOUNT);
        Account::with_key(endpoint, DEVELOPMENT_ACCOUNT, DEVELOPMENT_KEY)
    }

    fn endpoint(&self) -> Result<Url, AccountError> {
        if let Some(endpoint) = self.get("QueueEndpoint") {
            return address(endpoint).map_err(|fault| AccountError::Invalid { name: "QueueEndpoint", fault });
        }
        let name = self.get("AccountName").ok_or(AccountError::Missing("QueueEndpoint and no AccountName to make it of"))?;
        if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
            return Err(AccountError::Invalid { name: "AccountName", fault: "has other characters than small letters and digits" });
        }
        let protocol = self.get("DefaultEndpointsProtocol").unwrap_or("https").to_ascii_lowercase();
        let suffix = self.get("EndpointSuffix").unwrap_or("core.windows.net");
        let invalid = |name| move |fault| AccountError::Invalid { name, fault };
        if !matches!(protocol.as_str(), "http" | "https") {
            return Err(invalid("DefaultEndpointsProtocol")("is neither http nor https"));
        }
        address(&format!("{protocol}://{name}.queue.{suffix}")).map_err(invalid("EndpointSuffix"))
    }
}

/// An address of a service.
fn address(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text.trim().trim_end_matches('/')).map_err(|_| "is not an address such as https://NAME.queue.core.windows.net")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("begins with neither http:// nor https://");
    }
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err("has more than a host and a path: a signature belongs into SharedAccessSignature");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "c2VjcmV0LWtleQ==";

    fn url(connection_string: &str) -> String {
        let account = Account::parse(connection_string).unwrap_or_else(|error| panic!("{connection_string}: {error}"));
        account.queue_url("q").to_string()
    }

    #[test]
    fn connection_strings_name_the_queue() {
        let cases = [
            ("UseDevelopmentStorage=true", "http://127.0.0.1:10001/devstoreaccount1/q"),
            (" usedevelopmentstorage=TRUE; ", "http://127.0.0.1:10001/devstoreaccount1/q"),
            ("UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://azurite", "http://azurite:10001/devstoreaccount1/q"),
            ("AccountName=acc;AccountKey=c2VjcmV0LWtleQ==", "https://acc.queue.core.windows.net/q"),
            (
                "DefaultEndpointsProtocol=http;AccountName=acc;AccountKey=c2VjcmV0LWtleQ==;EndpointSuffix=core.chinacloudapi.cn",
                "http://acc.queue.core.chinacloudapi.cn/q",
            ),
            ("AccountName=acc;AccountKey=c2VjcmV0LWtleQ==;QueueEndpoint=http://h:1/acc/;BlobEndpoint=x", "http://h:1/acc/q"),
            (
                "QueueEndpoint=https://acc.queue.core.windows.net/;SharedAccessSignature=sv=1&sig=a%3D",
                "https://acc.queue.core.windows.net/q?sv=1&sig=a%3D",
            ),
            ("AccountName=acc;SharedAccessSignature=?sv=1&sig=a%3D", "https://acc.queue.core.windows.net/q?sv=1&sig=a%3D"),
        ];
        for (connection_string, expected) in cases {
            assert_eq!(url(connection_string), expected, "{connection_string}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_connection_string_is_said_without_its_secrets() {
        let cases = [
            ("", "no AccountKey and no SharedAccessSignature"),
            (KEY.trim_end_matches('='), "part 1"),
            ("AccountName=acc;c2VjcmV0LWtleQ", "part 2"),
            ("UseDevelopmentStorage=false", "no AccountKey"),
            ("UseDevelopmentStorage=true;DevelopmentStorageProxyUri=c2VjcmV0LWtleQ", "DevelopmentStorageProxyUri"),
            ("AccountKey=c2VjcmV0LWtleQ==", "no AccountName"),
            ("AccountName=acc;AccountKey=", "no AccountKey"),
            ("AccountName=acc;AccountKey=c2VjcmV0LWtleQ=", "not base64"),
            ("AccountName=Acc/c2VjcmV0LWtleQ;AccountKey=c2VjcmV0LWtleQ==", "AccountName"),
            ("AccountName=acc;AccountKey=c2VjcmV0LWtleQ==;DefaultEndpointsProtocol=c2VjcmV0LWtleQ", "neither http nor https"),
            ("AccountName=acc;AccountKey=c2VjcmV0LWtleQ==;EndpointSuffix=c2VjcmV0LWtleQ c", "EndpointSuffix"),
            ("AccountName=acc;AccountKey=c2VjcmV0LWtleQ==;QueueEndpoint=c2VjcmV0LWtleQ", "QueueEndpoint"),
            ("AccountName=acc;AccountKey=c2VjcmV0LWtleQ==;QueueEndpoint=ftp://c2VjcmV0LWtleQ", "QueueEndpoint"),
            ("AccountName=acc;AccountKey=c2VjcmV0LWtleQ==;SharedAccessSignature=sig=c2VjcmV0LWtleQ", "both"),
            ("SharedAccessSignature=sig=c2VjcmV0LWtleQ", "no QueueEndpoint"),
            ("QueueEndpoint=https://h/;SharedAccessSignature=sv=c2VjcmV0LWtleQ", "no `sig`"),
            ("QueueEndpoint=https://h/?sig=c2VjcmV0LWtleQ;SharedAccessSignature=sig=c2VjcmV0LWtleQ", "more than a host"),
        ];
        for (connection_string, expected) in cases {
            let error = Account::parse(connection_string).expect_err(connection_string);
            let text = format!("{error} {error:?}");
            assert!(text.contains(expected) && !text.contains("c2VjcmV0"), "{connection_string}: {text}");
        }
    }

    #[test]
    fn debug_output_has_no_secret() {
        for connection_string in [
            "AccountName=acc;AccountKey=c2VjcmV0LWtleQ==",
            "QueueEndpoint=https://acc.queue.core.windows.net/;SharedAccessSignature=sv=1&sig=c2VjcmV0LWtleQ",
        ] {
            let text = format!("{:?}", Account::parse(connection_string));
            assert!(text.contains("acc.queue") && !text.contains("c2VjcmV0"), "{text}");
        }
    }
}
