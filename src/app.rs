//! The composition root: builds the ports from the configuration. The only file that names concrete adapters.

use std::sync::Arc;

use anyhow::Context;

use crate::{
    config::{self, Config},
    conversation::Budgets,
    http,
    model::{Model, offline::Planner},
    queue::Receiver,
    runtime::worker,
    service::{Ports, Service, Settings},
    sql::{Catalog, Guard},
    warehouse::Warehouse,
};
