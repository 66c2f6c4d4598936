//! An ingestion endpoint like that of Application Insights: TLS with a certificate of its own, and all that it is sent is kept and accepted.

use std::{
    convert::Infallible,
    io::Read as _,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use flate2::read::GzDecoder;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, header::AUTHORIZATION, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What a request was authorized by, and its envelopes.
type Received = Vec<(String, Vec<Value>)>;

pub struct Ingestion {
    connection: String,
    authority: String,
    received: Arc<Mutex<Received>>,
    server: tokio::task::JoinHandle<()>,
    _folder: TempDir,
}

impl Ingestion {
    pub async fn start() -> Self {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let authority = folder.path().join("authority.pem");
        std::fs::write(&authority, own.cert.pem()).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![own.cert.der().clone()], key).unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let received: Arc<Mutex<Received>> = Arc::default();
        let server = tokio::spawn(accept(listener, TlsAcceptor::from(Arc::new(config)), Arc::clone(&received)));
        let connection = format!("InstrumentationKey={};IngestionEndpoint=https://localhost:{port}/", super::KEY);
        Self { connection, authority: authority.to_str().unwrap().to_owned(), received, server, _folder: folder }
    }

    /// What a process needs that is to send to it.
    pub fn variables(&self) -> [(&str, &str); 2] {
        [("APPLICATIONINSIGHTS_CONNECTION_STRING", &self.connection), ("SSL_CERT_FILE", &self.authority)]
    }

    pub fn received(&self) -> Received {
        self.received.lock().unwrap().clone()
    }
}

impl Drop for Ingestion {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, received: Arc<Mutex<Received>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, received) = (acceptor.clone(), Arc::clone(&received));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let keep = service_fn(move |request| track(request, Arc::clone(&received)));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), keep).await;
        });
    }
}

/// `POST /v2/track`: envelopes as lines of JSON, compressed.
async fn track(request: Request<Incoming>, received: Arc<Mutex<Received>>) -> Result<Response<Full<Bytes>>, Infallible> {
    assert_eq!(request.uri().path(), "/v2/track");
    let authorization = request.headers().get(AUTHORIZATION).map_or("", |value| value.to_str().unwrap()).to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let mut json = String::new();
    GzDecoder::new(&body[..]).read_to_string(&mut json).unwrap();
    let envelopes: Vec<Value> = serde_json::from_str(&json).unwrap();
    let answer = json!({"itemsReceived": envelopes.len(), "itemsAccepted": envelopes.len(), "errors": []});
    received.lock().unwrap().push((authorization, envelopes));
    Ok(Response::new(answer.to_string().into()))
}
