//! The issuer's keys: kept, changed, gone, and asked for no oftener than needed.

use std::time::Duration;

use reqwest::StatusCode;

use super::{history, server};
use crate::support::issuer::{Issuer, Keys, accepting};

/// One look at the keys: the discovery document and the set.
const LOOK: usize = 2;

#[tokio::test]
async fn however_many_tokens_come_the_issuer_is_asked_once_per_interval() {
    let issuer = Issuer::start().await;
    let server = server(accepting(issuer.settings())).await;
    let own = Keys::generate();
    let strangers: Vec<String> =
        (0..100).map(|n| own.rs256(&format!(r#"{{"alg":"RS256","kid":"unknown-{n}"}}"#), &issuer.claims("ann").to_string())).collect();
    let refused = futures_util::future::join_all(strangers.iter().map(|token| history(&server, token))).await;
    assert!(refused.iter().all(|response| response.status() == 401));
    let accepted = futures_util::future::join_all((0..20).map(|n| issuer.token(&format!("user-{n}"))).map(|token| async {
        let token = token;
        history(&server, &token).await
    }))
    .await;
    assert!(accepted.iter().all(|response| response.status() == 200));
    assert_eq!(issuer.asked(), LOOK);
    server.stop().await;
}

#[tokio::test]
async fn a_new_key_is_found_and_a_withdrawn_one_is_not_accepted() {
    let issuer = Issuer::start().await;
    let mut settings = issuer.settings();
    settings.keys.interval = Duration::ZERO;
    let server = server(accepting(settings)).await;
    let old = issuer.token("ann");
    assert_eq!(history(&server, &old).await.status(), 200);
    assert_eq!(issuer.asked(), LOOK);
    let next = Keys::generate();
    issuer.publish(vec![next.rsa_jwk("next")]);
    let new = next.rs256(r#"{"alg":"RS256","kid":"next"}"#, &issuer.claims("ann").to_string());
    assert_eq!(history(&server, &new).await.status(), 200, "a key that was not there before");
    assert_eq!(issuer.asked(), 2 * LOOK);
    assert_eq!(history(&server, &old).await.status(), 401, "its key is gone, and that it was accepted before counts no more");
    server.stop().await;
}

#[tokio::test]
async fn known_keys_serve_on_while_the_issuer_is_down() {
    let issuer = Issuer::start().await;
    let mut settings = issuer.settings();
    settings.keys.lifetime = Duration::ZERO;
    settings.keys.interval = Duration::ZERO;
    let server = server(accepting(settings)).await;
    assert_eq!(history(&server, &issuer.token("ann")).await.status(), 200);
    issuer.set_down(true);
    for n in 0..10 {
        assert_eq!(history(&server, &issuer.token(&format!("user-{n}"))).await.status(), 200);
    }
    server.stop().await;
}

#[tokio::test]
async fn without_keys_nobody_is_accepted_and_told_to_come_again() {
    let issuer = Issuer::start().await;
    issuer.set_down(true);
    let mut settings = issuer.settings();
    settings.keys.interval = Duration::ZERO;
    let server = server(accepting(settings)).await;
    let response = history(&server, &issuer.token("ann")).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key("retry-after"));
    issuer.set_down(false);
    assert_eq!(history(&server, &issuer.token("ann")).await.status(), 200);
    server.stop().await;
}

#[tokio::test]
async fn keys_that_have_grown_too_old_are_not_used() {
    let issuer = Issuer::start().await;
    let mut settings = issuer.settings();
    (settings.keys.lifetime, settings.keys.stale_limit, settings.keys.interval) = (Duration::ZERO, Duration::from_nanos(1), Duration::ZERO);
    let server = server(accepting(settings)).await;
    issuer.set_down(true);
    assert_eq!(history(&server, &issuer.token("ann")).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    server.stop().await;
}

#[tokio::test]
async fn a_discovery_document_of_another_issuer_is_not_believed() {
    let issuer = Issuer::start().await;
    let mut settings = issuer.settings();
    // The same place by another name.
    settings.keys.issuer = issuer.name.replace("127.0.0.1", "localhost");
    let server = server(accepting(settings)).await;
    assert_eq!(history(&server, &issuer.token("ann")).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    server.stop().await;
}
