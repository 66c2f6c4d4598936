//! What a request does, as far as faults and counts care, and how many of each there were.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use serde::Serialize;
use warp::http::Method;

use crate::account::Request;

/// An operation on the items of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    /// `database/container`.
    pub(crate) container: String,
    /// What it does.
    pub(crate) kind: Kind,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A point read.
    Read,
    /// A query or a feed, one for each partition and page.
    Query,
    /// A create.
    Create,
    /// An upsert.
    Upsert,
    /// A replace.
    Replace,
    /// A delete.
    Delete,
    /// A patch or a batch.
    Other,
}

impl Kind {
    pub(crate) fn is_read(self) -> bool {
        matches!(self, Self::Read | Self::Query)
    }
}

impl Operation {
    /// The operation on items that `request` is; `None` when it is about the account, a database or a container.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let segments: Vec<&str> = request.path.split('/').filter(|segment| !segment.is_empty()).collect();
        let ["dbs", database, "colls", container, "docs", item @ ..] = segments.as_slice() else { return None };
        let has = |header: &str| request.headers.get(header).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
        let kind = match (&request.method, item.len()) {
            (&Method::GET, 1) => Kind::Read,
            (&Method::GET, _) => Kind::Query,
            (&Method::PUT, 1) => Kind::Replace,
            (&Method::DELETE, 1) => Kind::Delete,
            (&Method::POST, 0) if has("x-ms-documentdb-isquery") || has("x-ms-cosmos-is-query-plan-request") => Kind::Query,
            (&Method::POST, 0) if has("x-ms-documentdb-is-upsert") => Kind::Upsert,
            (&Method::POST, 0) if !has("x-ms-cosmos-is-batch-request") => Kind::Create,
            _ => Kind::Other,
        };
        Some(Self { container: format!("{database}/{container}"), kind })
    }
}

/// How many operations there were, by container and kind.
#[derive(Default)]
pub(crate) struct Tally(Mutex<BTreeMap<String, BTreeMap<Kind, u64>>>);

impl Tally {
    pub(crate) fn add(&self, operation: &Operation) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(operation.container.clone()).or_default().entry(operation.kind).or_default() += 1;
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::to_value(&*counts).unwrap_or_default()
    }
}
