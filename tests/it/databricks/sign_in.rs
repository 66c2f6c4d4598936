//! Signing in: by token, as a service principal, as an identity of Entra; and that no secret shows.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use asklake::warehouse::{
    Error,
    databricks::{Credential, Parameters},
};
use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::time::{Duration, OffsetDateTime};

use super::{job, signed_in, sql_warehouse, workspace};
use crate::support::databricks::{CLIENT, Manner};

fn principal(secret: &str) -> Credential {
    Credential::ServicePrincipal { client_id: CLIENT.0.into(), client_secret: secret.into() }
}

/// A managed identity, and how often it was asked.
#[derive(Debug, Default)]
struct Identity(AtomicUsize);

#[async_trait]
impl TokenCredential for Identity {
    async fn get_token(&self, scopes: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        assert_eq!(scopes, ["2ff814a6-3304-4ab8-85cb-cd0e6f879c1d/.default"]);
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(AccessToken::new("of-entra", OffsetDateTime::now_utc() + Duration::hours(1)))
    }
}

#[tokio::test]
async fn a_service_principal_fetches_one_token_and_another_when_it_is_revoked() {
    let (stand_in, _lake) = workspace(Manner::default()).await;
    let fixture = sql_warehouse(signed_in(&stand_in, principal(CLIENT.1)));
    let probes = (0..4).map(|_| fixture.warehouse.probe());
    futures_util::future::try_join_all(probes).await.expect("signed in");
    assert_eq!(stand_in.state.grants.load(Ordering::SeqCst), 1);
    stand_in.revoke();
    fixture.warehouse.probe().await.expect("signed in again");
    assert_eq!(stand_in.state.grants.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_identity_of_entra_is_asked_once_for_the_resource_of_databricks() {
    let (stand_in, _lake) = workspace(Manner::default()).await;
    stand_in.accept("of-entra");
    let identity = Arc::new(Identity::default());
    let fixture = job(signed_in(&stand_in, Credential::Entra(Arc::clone(&identity) as _)), Parameters::Job);
    fixture.warehouse.probe().await.expect("signed in");
    assert_eq!(fixture.rows("SELECT 1", 1).await.row_count, 1);
    assert_eq!(identity.0.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_sign_in_that_is_not_accepted_is_told_without_its_secret() {
    let (stand_in, _lake) = workspace(Manner::default()).await;
    for credential in [Credential::Token("hunter2".into()), principal("hunter2")] {
        assert!(!format!("{credential:?}").contains("hunter2"));
        let fixture = sql_warehouse(signed_in(&stand_in, credential));
        let error = fixture.warehouse.probe().await.expect_err("wrong");
        assert!(matches!(&error, Error::Misconfigured(detail) if detail.contains("DATABRICKS_TOKEN")), "{error}");
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }
}
