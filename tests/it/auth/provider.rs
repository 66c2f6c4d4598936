//! Tokens of a real provider: accepted as they are, and not once they were tampered with.

use serde_json::Value;

use super::{history, server};
use crate::support::{
    issuer::{Keys, accepting, encoded},
    oidc::{AUDIENCE, Provider},
};
use asklake::auth::{
    issuer::Settings as KeySettings,
    jwt::{PageClient, Settings, TokenIssuer},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

fn settings(provider: &Provider) -> Settings {
    Settings {
        keys: KeySettings::new(provider.issuer()),
        issuers: vec![TokenIssuer { name: provider.issuer().to_owned(), tenant: None }],
        audiences: vec![AUDIENCE.to_owned()],
        required: vec!["ask".to_owned()],
        admin_role: Some("support".to_owned()),
        page: None,
    }
}

fn decoded(part: &str) -> String {
    String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn tokens_of_a_real_provider_are_accepted_and_those_tampered_with_are_not() {
    let provider = Provider::shared();
    let server = server(accepting(settings(provider))).await;
    let own = Keys::generate();
    for suffix in ["", "es256"] {
        let token = provider.token("ann", suffix, "ask").await;
        let parts: Vec<&str> = token.split('.').collect();
        let (header, claims) = (decoded(parts[0]), decoded(parts[1]));
        let algorithm = serde_json::from_str::<Value>(&header).unwrap()["alg"].as_str().unwrap().to_owned();
        assert_eq!(algorithm, if suffix.is_empty() { "RS256" } else { "ES256" });
        assert_eq!(history(&server, &token).await.status(), 200, "{header} {claims}");
        let as_bob = encoded(claims.replace("\"ann\"", "\"bob\""));
        let signed_anew = if suffix.is_empty() { own.rs256(&header, &claims) } else { own.es256(&header, &claims) };
        for (what, bad) in [
            ("another subject", format!("{}.{as_bob}.{}", parts[0], parts[2])),
            ("no algorithm", format!("{}.{}.", encoded(header.replace(&algorithm, "none")), parts[1])),
            ("HS256", format!("{}.{}.{}", encoded(header.replace(&algorithm, "HS256")), parts[1], parts[2])),
            ("signed by somebody else", signed_anew),
        ] {
            assert_eq!(history(&server, &bad).await.status(), 401, "{algorithm}: {what}");
        }
    }
    assert_eq!(history(&server, &provider.token("ann", "elsewhere", "ask").await).await.status(), 401, "for somebody else");
    assert_eq!(history(&server, &provider.token("ann", "", "").await).await.status(), 403, "without the scope");
    server.stop().await;
}

#[tokio::test]
async fn the_page_is_told_where_to_sign_in_and_let_through_to_there_alone() {
    let provider = Provider::shared();
    let page = PageClient { id: "page".into(), scopes: vec!["openid".into(), "ask".into()] };
    let server = server(accepting(Settings { page: Some(page), ..settings(provider) })).await;
    let response = server.get("/").await;
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    let expected = format!("connect-src 'self' {};", provider.issuer());
    assert!(policy.contains(&expected), "{policy}");
    let html = response.text().await.unwrap().replace("&quot;", "\"");
    assert!(html.contains(&format!("\"token_endpoint\":\"{}/token\"", provider.issuer())), "{html}");
    assert!(html.contains("\"client_id\":\"page\",\"scopes\":[\"openid\",\"ask\"]"), "{html}");
    server.stop().await;
}
