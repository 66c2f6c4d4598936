//! The way to Application Insights: with the key in its connection string, or with tokens of the managed identity where the resource
//! takes no keys.
//!
//! The exporters run on threads of the SDK, which are in no runtime, so tokens are asked for in one of their own.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use opentelemetry_application_insights::Exporter;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use tokio::runtime::{Builder, Runtime};

use crate::{
    azure::{error_text, managed_identity},
    config::{ApplicationInsights, InsightsCredential},
};

/// What a token is for (Microsoft Learn, "Microsoft Entra authentication for Application Insights").
const SCOPE: &str = "https://monitor.azure.com/.default";

/// How long sending a batch may take.
const LIMIT: Duration = Duration::from_secs(10);

/// A client that the exporters of all signals share.
#[derive(Clone, Debug)]
pub(super) struct Client {
    http: reqwest::blocking::Client,
    identity: Option<Arc<Identity>>,
}

struct Identity {
    credential: Arc<dyn TokenCredential>,
    runtime: Runtime,
}

impl Client {
    /// A client with the credential that `insights` asks for. Reaches nothing. To be called outside of a runtime.
    ///
    /// # Errors
    /// What is wrong with the environment.
    pub(super) fn new(insights: &ApplicationInsights) -> Result<Self, String> {
        let http = reqwest::blocking::Client::builder().timeout(LIMIT).build().map_err(|error| error.to_string())?;
        let identity = match &insights.credential {
            InsightsCredential::InstrumentationKey => None,
            InsightsCredential::ManagedIdentity { client_id } => Some(Arc::new(Identity::new(client_id.as_deref())?)),
        };
        Ok(Self { http, identity })
    }

    /// An exporter of a signal to `insights`.
    ///
    /// # Errors
    /// What is wrong with the connection string.
    pub(super) fn exporter(&self, insights: &ApplicationInsights) -> Result<Exporter<Self>, String> {
        Exporter::new_from_connection_string(insights.connection.expose(), self.clone())
            .map_err(|error| format!("APPLICATIONINSIGHTS_CONNECTION_STRING: {error}"))
    }
}

impl Identity {
    fn new(client_id: Option<&str>) -> Result<Self, String> {
        let credential = managed_identity(client_id).map_err(|error| error.to_string())?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        Ok(Self { credential, runtime })
    }

    /// What a request is sent with. The credential keeps its token until it is about to expire.
    fn authorization(&self) -> Result<HeaderValue, String> {
        let token = self.runtime.block_on(self.credential.get_token(&[SCOPE], None));
        let token = token.map_err(|error| format!("no token for Application Insights: {}", error_text(&error)))?;
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.token.secret())).map_err(|error| error.to_string())?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        if let Some(identity) = &self.identity {
            request.headers_mut().insert(AUTHORIZATION, identity.authorization()?);
        }
        self.http.send_bytes(request).await
    }
}
