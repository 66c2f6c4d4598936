//! The Databricks adapters against the stand-in: the contract with Sail behind it, faults, sign-in, and whole conversations.

mod behalf;
mod conversation;
mod faults;
mod jobs;
mod notebook;
mod sdk;
mod sign_in;
mod statements;

use std::sync::Arc;

use asklake::{
    conversation::RunId,
    warehouse::{
        databricks::{Credential, Job, Parameters, SqlWarehouse, Workspace},
        sail::Sail,
    },
};
use tempfile::TempDir;

use crate::{
    contract::warehouse::{Fixture, warehouse_contract},
    lake,
    support::databricks::{JOB_ID, Manner, StandIn, TOKEN, WAREHOUSE_ID},
};

/// A workspace with the small lake.
async fn workspace(manner: Manner) -> (StandIn, TempDir) {
    let lake = lake::write();
    let sail = Sail::new(lake::config(&lake), &lake::catalog());
    (StandIn::start(Arc::new(sail), manner).await, lake)
}

fn signed_in(stand_in: &StandIn, credential: Credential) -> Workspace {
    Workspace { host: stand_in.host.clone(), credential }
}

fn with_token(stand_in: &StandIn) -> Workspace {
    signed_in(stand_in, Credential::Token(TOKEN.into()))
}

fn sql_warehouse(workspace: Workspace) -> Fixture {
    let adapter = SqlWarehouse::new(workspace, WAREHOUSE_ID.into(), None, None, &lake::catalog()).expect("TLS");
    Fixture { warehouse: Arc::new(adapter), unknown_run: RunId::Text("01f0aaaa-0000-1000-8000-000000000000".into()) }
}

fn job(workspace: Workspace, parameters: Parameters) -> Fixture {
    let adapter = Job::new(workspace, JOB_ID, parameters, 1000, &lake::catalog()).expect("TLS");
    Fixture { warehouse: Arc::new(adapter), unknown_run: RunId::Number(404) }
}

type Kept = (StandIn, TempDir);

async fn a_sql_warehouse() -> (Fixture, Kept) {
    let kept = workspace(Manner::default()).await;
    (sql_warehouse(with_token(&kept.0)), kept)
}

async fn a_job() -> (Fixture, Kept) {
    let kept = workspace(Manner::default()).await;
    (job(with_token(&kept.0), Parameters::Job), kept)
}

mod a_sql_warehouse_keeps_the_contract {
    super::warehouse_contract!(super::a_sql_warehouse);
}

mod a_job_keeps_the_contract {
    super::warehouse_contract!(super::a_job);
}
