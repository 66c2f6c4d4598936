//! `asklake serve`: HTTP and the receive loop in one process.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{DRAIN, connections, worker};
use crate::{app::App, http, service};

/// The times of a step: here nothing ends one from outside, so how long a model may take is for the configuration to say.
#[must_use]
pub fn times() -> service::Settings {
    service::Settings { model_timeout: Duration::from_secs(3600), ..service::Settings::default() }
}

/// A server that listens and works.
pub struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Binds `listen` and starts serving `app`.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(app: App, listen: SocketAddr) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}; choose another address with --listen"))?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let running = tokio::spawn(serve(app, listener, stop.clone()));
        Ok(Self { address, stop, running })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops taking requests and wakes, lets what runs end for a bounded time, and returns when all is over.
    pub async fn stop(self) {
        self.stop.cancel();
        if tokio::time::timeout(DRAIN, self.running).await.is_err() {
            tracing::warn!("work was still running at the end of the drain; its wakes will be delivered again");
        }
    }
}

async fn serve(app: App, listener: TcpListener, stop: CancellationToken) {
    let App { service, receiver, worker, http, limits } = app;
    let routes = http::routes(service.clone(), http, http::Front::Direct, stop.clone());
    let server = connections::serve(listener, TowerToHyperService::new(warp::service(routes)), limits, stop.clone());
    tokio::join!(server, worker::run(service, receiver, worker, stop));
}
