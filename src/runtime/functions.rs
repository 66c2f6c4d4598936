//! `asklake functions`: the custom handler of the Azure Functions host, which forwards HTTP to it and hands it queue messages.
//!
//! The host sets the port, asks `GET /` until something answers, and stops a handler with SIGKILL only; SIGTERM comes from a person or
//! a container. An exit with 0 can leave a dead handler behind, so there is none: the host starts whatever failed again.

use std::{net::Ipv4Addr, path::Path, time::Duration};

use anyhow::Context;
use hyper_util::service::TowerToHyperService;
use serde::Deserialize;
use tokio::net::TcpListener;
use warp::Filter;

use super::{DRAIN, connections};
use crate::{app::App, http, service};

/// What applies when `host.json` does not say: the shortest default there is, that of the Consumption plan.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// The longest timeout that is made use of, also when there is none.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// The times of one invocation, all well below the host's `functionTimeout`: at that time the host kills the process, and every other
/// invocation with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// When an invocation is given up.
    pub deadline: Duration,
    /// When its parts are, so that it normally ends by itself.
    pub parts: service::Settings,
}

impl Times {
    /// The times under the `functionTimeout` in the `host.json` of `root`, the folder of the Function App.
    ///
    /// # Errors
    /// When the file is there but cannot be read.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        let file = root.join("host.json");
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                tracing::warn!(file = %file.display(), "there is no host.json; the shortest default of functionTimeout applies");
                return Ok(Self::within(DEFAULT_TIMEOUT));
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
        };
        let host: HostFile = serde_json::from_str(&text).with_context(|| format!("{} is not what it should be", file.display()))?;
        let timeout = match host.function_timeout.as_deref() {
            None => DEFAULT_TIMEOUT,
            Some("-1") => LONGEST_TIMEOUT,
            Some(text) => timespan(text).with_context(|| format!("functionTimeout {text:?} of {} is no timespan", file.display()))?,
        };
        Ok(Self::within(timeout))
    }

    /// A quarter of the time is left to spare, and the slowest ways through an invocation (going on, then a call of the model, or the
    /// wait for a query and a call of the warehouse) take three quarters of the rest.
    #[must_use]
    pub fn within(function_timeout: Duration) -> Self {
        let deadline = function_timeout.min(LONGEST_TIMEOUT) * 3 / 4;
        let usual = service::Settings::default();
        let parts = service::Settings {
            invocation: usual.invocation.min(deadline / 4),
            model_timeout: deadline / 2,
            warehouse_timeout: usual.warehouse_timeout.min(deadline / 4),
            ..usual
        };
        Self { deadline, parts }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HostFile {
    function_timeout: Option<String>,
}

/// Reads a .NET timespan: `[d.]hh:mm:ss[.fraction]`.
fn timespan(text: &str) -> Option<Duration> {
    let (rest, seconds) = text.rsplit_once(':')?;
    let (hours, minutes) = rest.rsplit_once(':')?;
    let (days, hours) = hours.split_once('.').unwrap_or(("0", hours));
    let whole = |text: &str| text.parse::<u32>().ok();
    let seconds = seconds.parse::<f64>().ok().filter(|seconds| (0.0..60.0).contains(seconds))?;
    let total = (u64::from(whole(days)?) * 24 + u64::from(whole(hours)?)) * 3600 + u64::from(whole(minutes)?) * 60;
    Some(Duration::from_secs(total) + Duration::from_secs_f64(seconds)).filter(|timeout| !timeout.is_zero())
}

/// Binds the port that the host will ask, before anything else: the host gives up after 30 seconds without an answer.
///
/// # Errors
/// When the port is taken.
pub async fn bind(port: u16) -> anyhow::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.with_context(|| format!("cannot listen on 127.0.0.1:{port}"))
}

/// Serves `app` on `listener` until SIGINT or SIGTERM; then lets what is open end for a bounded time.
///
/// # Errors
/// When the signals cannot be listened for.
pub async fn serve(app: App, listener: TcpListener, deadline: Duration) -> anyhow::Result<()> {
    let stopped = super::stopped()?;
    let App { service, http, limits, .. } = app;
    let stop = tokio_util::sync::CancellationToken::new();
    let api = http::routes(service.clone(), http, http::Front::FunctionsHost, stop.clone());
    let routes = http::worker::routes(service, deadline).or(api);
    let address = listener.local_addr()?;
    let server = tokio::spawn(connections::serve(listener, TowerToHyperService::new(warp::service(routes)), limits, stop.clone()));
    tracing::info!(%address, deadline_s = deadline.as_secs(), "the handler listens");
    stopped.await;
    stop.cancel();
    if tokio::time::timeout(DRAIN, server).await.is_err() {
        tracing::warn!("invocations were still running at the end of the drain; their messages will be delivered again");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timespans_are_those_of_dotnet() {
        assert_eq!(timespan("00:05:00"), Some(Duration::from_secs(300)));
        assert_eq!(timespan("01:00:01"), Some(Duration::from_secs(3601)));
        assert_eq!(timespan("1.00:00:00"), Some(Duration::from_secs(86_400)));
        assert_eq!(timespan("00:00:00.500"), Some(Duration::from_millis(500)));
        for wrong in ["", "5", "00:05", "00:00:00", "00:00:60", "00:00:-1", "a:b:c", "00:05:00:"] {
            assert_eq!(timespan(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn the_slowest_way_through_an_invocation_ends_before_its_deadline_and_that_before_the_timeout() {
        for seconds in [4, 60, 300, 600, 3600] {
            let timeout = Duration::from_secs(seconds);
            let Times { deadline, parts } = Times::within(timeout);
            assert!(parts.invocation + parts.model_timeout < deadline, "{seconds} s");
            assert!(parts.invocation * 2 + parts.warehouse_timeout < deadline, "{seconds} s");
            // A poll that ends with the time limit of its query, which is then canceled.
            assert!(parts.invocation + parts.warehouse_timeout * 2 < deadline, "{seconds} s");
            assert!(deadline <= timeout * 3 / 4, "{seconds} s");
        }
    }

    #[test]
    fn the_timeout_is_read_from_host_json() {
        let folder = tempfile::tempdir().expect("a folder");
        let with = |text: &str| {
            std::fs::write(folder.path().join("host.json"), text).expect("written");
            Times::read(folder.path())
        };
        assert_eq!(with(r#"{"version":"2.0","functionTimeout":"00:02:00"}"#).expect("read").deadline.as_secs(), 90);
        assert_eq!(with("{}").expect("read"), Times::within(DEFAULT_TIMEOUT));
        assert_eq!(with(r#"{"functionTimeout":"-1"}"#).expect("read"), Times::within(LONGEST_TIMEOUT));
        assert!(with(r#"{"functionTimeout":"soon"}"#).is_err());
        assert!(with("no JSON").is_err());
        std::fs::remove_file(folder.path().join("host.json")).expect("removed");
        assert_eq!(Times::read(folder.path()).expect("read"), Times::within(DEFAULT_TIMEOUT));
    }
}
