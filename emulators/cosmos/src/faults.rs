//! The faults that were ordered and are not used up.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use warp::http::{HeaderName, HeaderValue, Response, StatusCode};

use crate::{
    account::{Request, answer},
    operation::Operation,
};

/// What goes wrong; see the crate's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    #[serde(rename = "429")]
    Throttled,
    #[serde(rename = "503")]
    Unavailable,
    #[serde(rename = "412")]
    PreconditionFailed,
    #[serde(rename = "timeout")]
    Timeout,
    #[serde(rename = "lost")]
    Lost,
    #[serde(rename = "stale")]
    Stale,
}

/// Which operations it meets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum On {
    #[default]
    All,
    Reads,
    Writes,
}

/// A fault as it is ordered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    #[serde(default)]
    on: On,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    container: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

impl Fault {
    fn meets(&self, request: &Request, operation: &Operation) -> bool {
        let is_read = operation.kind.is_read();
        let on = match self.on {
            On::All => true,
            On::Reads => is_read,
            On::Writes => !is_read,
        };
        let possible = match self.kind {
            Kind::PreconditionFailed => !is_read && request.headers.contains_key("if-match"),
            Kind::Lost => !is_read,
            Kind::Stale => operation.kind == crate::operation::Kind::Read,
            Kind::Throttled | Kind::Unavailable | Kind::Timeout => true,
        };
        on && possible && self.container.as_ref().is_none_or(|container| *container == operation.container)
    }

    /// The answer in place of the real one, where the fault is a status.
    pub(crate) fn response(&self) -> Response<Bytes> {
        let (status, code, sub_status) = match self.kind {
            Kind::Throttled => (StatusCode::TOO_MANY_REQUESTS, "429", Some("3200")),
            Kind::PreconditionFailed => (StatusCode::PRECONDITION_FAILED, "PreconditionFailed", None),
            _ => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", None),
        };
        let body = serde_json::json!({ "code": code, "message": "A fault was ordered through /_faults." });
        let mut response = answer(status, body.to_string());
        let retry_after = (self.kind == Kind::Throttled).then(|| self.retry_after_ms.unwrap_or(100).to_string());
        let headers =
            [("content-type", Some("application/json")), ("x-ms-substatus", sub_status), ("x-ms-retry-after-ms", retry_after.as_deref())];
        for (name, value) in headers {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
                response.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}

/// A fault with what is left of it.
struct Ordered {
    fault: Fault,
    until: Option<Instant>,
}

/// All faults, oldest first: the first that meets an operation is the one it gets.
#[derive(Default)]
pub(crate) struct Faults(Mutex<Vec<Ordered>>);

impl Faults {
    pub(crate) fn order(&self, fault: Fault) {
        let until = fault.duration_ms.map(|millis| Instant::now() + Duration::from_millis(millis));
        self.with(|faults| faults.push(Ordered { fault, until }));
    }

    pub(crate) fn clear(&self) {
        self.with(Vec::clear);
    }

    /// What is left.
    pub(crate) fn left(&self) -> Vec<Fault> {
        self.with(|faults| faults.iter().map(|ordered| ordered.fault.clone()).collect())
    }

    /// The fault that `operation` meets, counted down.
    pub(crate) fn meeting(&self, request: &Request, operation: &Operation) -> Option<Fault> {
        self.with(|faults| {
            let Ordered { fault, .. } = faults.iter_mut().find(|ordered| ordered.fault.meets(request, operation))?;
            if let Some(count) = &mut fault.count {
                *count -= 1;
            }
            Some(fault.clone())
        })
    }

    fn with<T>(&self, action: impl FnOnce(&mut Vec<Ordered>) -> T) -> T {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        faults.retain(|ordered| ordered.fault.count != Some(0) && ordered.until.is_none_or(|until| now < until));
        action(&mut faults)
    }
}
