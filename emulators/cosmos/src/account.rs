//! The account: the SDK's emulator, asked with bytes and answering with bytes.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context as _, anyhow};
use azure_core::{credentials::Secret, http::Url};
use azure_data_cosmos::{
    AccountEndpoint, AccountReference, CosmosClient, CosmosRuntimeBuilder,
    options::{BinaryEncodingOptions, RoutingStrategy},
};
use azure_data_cosmos_driver::in_memory_emulator::{ConsistencyLevel, InMemoryEmulatorHttpClient, VirtualAccountConfig, VirtualRegion};
use bytes::Bytes;
use warp::http::{HeaderMap, Method, Response, StatusCode};

/// One region with session consistency, as a serverless account has it.
#[derive(Clone)]
pub(crate) struct Account {
    endpoint: Url,
    emulator: Arc<InMemoryEmulatorHttpClient>,
}

/// A request as it came.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Account {
    /// An empty account that clients reach at `address`.
    pub(crate) fn at(address: SocketAddr) -> anyhow::Result<Self> {
        let endpoint: Url = format!("http://{address}/").parse().context("the address makes no URL")?;
        let config = VirtualAccountConfig::new(vec![VirtualRegion::new("East US", endpoint.clone())])?;
        let emulator = InMemoryEmulatorHttpClient::try_new(config.with_consistency(ConsistencyLevel::Session))?;
        Ok(Self { endpoint, emulator: Arc::new(emulator) })
    }

    pub(crate) fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    /// A client of this account that goes past the server, its faults and its counts.
    pub(crate) async fn client(&self) -> anyhow::Result<CosmosClient> {
        let runtime = CosmosRuntimeBuilder::from(self.emulator.runtime_builder()).build().await?;
        let account = AccountReference::with_authentication_key(AccountEndpoint::from(self.endpoint.clone()), Secret::from("YW55IGtleQ=="));
        let client = CosmosClient::builder()
            .with_runtime(runtime)
            .with_binary_encoding_options(BinaryEncodingOptions::new().with_enabled(false))
            .build(account, RoutingStrategy::PreferredRegions(Vec::new()));
        Ok(client.await?)
    }

    /// Does what `request` asks; a fault of the emulator itself is a 500.
    pub(crate) async fn execute(&self, request: &Request) -> Response<Bytes> {
        self.try_execute(request).await.unwrap_or_else(|error| answer(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")))
    }

    async fn try_execute(&self, request: &Request) -> anyhow::Result<Response<Bytes>> {
        let mut url = self.endpoint.clone();
        url.set_path(&request.path);
        url.set_query(Some(request.query.as_str()).filter(|query| !query.is_empty()));
        let method = request.method.as_str().parse().map_err(|_| anyhow!("no such method: {}", request.method))?;
        let mut asked = azure_core::http::Request::new(url, method);
        for (name, value) in &request.headers {
            if let Ok(value) = value.to_str() {
                asked.insert_header(name.as_str().to_owned(), value.to_owned());
            }
        }
        asked.set_body(request.body.clone());
        let answered = self.emulator.execute_request(&asked).await?.try_into_raw_response().await?;
        let mut response = Response::builder().status(u16::from(answered.status()));
        for (name, value) in answered.headers().iter() {
            // The server writes these itself.
            if !["content-length", "transfer-encoding"].contains(&name.as_str().to_ascii_lowercase().as_str()) {
                response = response.header(name.as_str(), value.as_str());
            }
        }
        let body: &[u8] = answered.body().as_ref();
        Ok(response.body(Bytes::copy_from_slice(body))?)
    }
}

/// A plain response.
pub(crate) fn answer(status: StatusCode, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
}
