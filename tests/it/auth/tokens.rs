//! Tokens that are not accepted, each wrong in one way.

use reqwest::Method;
use serde_json::{Value, json};

use super::{HISTORY, history, server};
use crate::support::issuer::{AUDIENCE, Issuer, Keys, accepting, encoded, now};

const RS256: &str = r#"{"alg":"RS256","typ":"JWT","kid":"rsa"}"#;
const ES256: &str = r#"{"alg":"ES256","typ":"JWT","kid":"ec"}"#;

/// Claims with some of them changed; null takes one away.
fn changed(mut claims: Value, changes: &Value) -> String {
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims.to_string()
}

/// `token` with one of its three parts replaced.
fn replaced(token: &str, at: usize, part: &str) -> String {
    let mut parts: Vec<&str> = token.split('.').collect();
    parts[at] = part;
    parts.join(".")
}

fn hs256(header: &str, claims: &str, secret: &[u8]) -> String {
    use hmac::{Hmac, Mac as _};
    let message = format!("{}.{}", encoded(header), encoded(claims));
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret).unwrap();
    mac.update(message.as_bytes());
    format!("{message}.{}", encoded(mac.finalize().into_bytes()))
}

/// Tokens whose header is wrong, with good claims.
fn with_wrong_headers(issuer: &Issuer) -> Vec<(String, String)> {
    let (keys, claims) = (&issuer.keys, issuer.claims("ann").to_string());
    let own = Keys::generate();
    let mut tokens: Vec<(String, String)> = [
        ("alg none, signed all the same", r#"{"alg":"none","kid":"rsa"}"#),
        ("alg None", r#"{"alg":"None","kid":"rsa"}"#),
        ("alg in lower case", r#"{"alg":"rs256","kid":"rsa"}"#),
        ("alg RS384", r#"{"alg":"RS384","kid":"rsa"}"#),
        ("alg PS256", r#"{"alg":"PS256","kid":"rsa"}"#),
        ("alg EdDSA", r#"{"alg":"EdDSA","kid":"rsa"}"#),
        ("alg ES256 of an RSA key", r#"{"alg":"ES256","kid":"rsa"}"#),
        ("alg ES256 with the key of RS256", r#"{"alg":"ES256","kid":"ec"}"#),
        ("no alg", r#"{"kid":"rsa"}"#),
        ("alg a number", r#"{"alg":256,"kid":"rsa"}"#),
        ("alg twice", r#"{"alg":"RS256","alg":"RS256","kid":"rsa"}"#),
        ("kid twice", r#"{"alg":"RS256","kid":"other","kid":"rsa"}"#),
        ("an unknown kid", r#"{"alg":"RS256","kid":"other"}"#),
        ("the kid of the other algorithm's key", r#"{"alg":"RS256","kid":"ec"}"#),
        ("an empty kid", r#"{"alg":"RS256","kid":""}"#),
        ("a kid that is a path", r#"{"alg":"RS256","kid":"../../../../dev/null"}"#),
        ("a kid that is SQL", r#"{"alg":"RS256","kid":"' OR 1=1 --"}"#),
        ("crit of what is not known", r#"{"alg":"RS256","kid":"rsa","crit":["exp"]}"#),
        ("an empty crit", r#"{"alg":"RS256","kid":"rsa","crit":[]}"#),
        ("b64 false", r#"{"alg":"RS256","kid":"rsa","b64":false}"#),
        ("cty JWT: nested", r#"{"alg":"RS256","kid":"rsa","cty":"JWT"}"#),
        ("zip", r#"{"alg":"RS256","kid":"rsa","zip":"DEF"}"#),
        ("enc", r#"{"alg":"RS256","kid":"rsa","enc":"A256GCM"}"#),
        ("a token of another kind", r#"{"alg":"RS256","kid":"rsa","typ":"logout+jwt"}"#),
        ("a proof and no token", r#"{"alg":"RS256","kid":"rsa","typ":"dpop+jwt"}"#),
        ("a header that is no object", "[]"),
        ("a header that is no JSON", "{"),
        ("an empty header", ""),
    ]
    .into_iter()
    .map(|(what, header)| (what.to_owned(), keys.rs256(header, &claims)))
    .collect();
    let unsigned = format!("{}.{}.", encoded(r#"{"alg":"none"}"#), encoded(&claims));
    let with_own_key = json!({"alg": "RS256", "kid": "rsa", "jwk": own.rsa_jwk("rsa")}).to_string();
    let with_own_address = r#"{"alg":"RS256","kid":"rsa","jku":"https://evil.example/keys","x5u":"https://evil.example/cert"}"#;
    let public_key = issuer.keys.rsa_jwk("rsa");
    let modulus = public_key["n"].as_str().unwrap();
    let hs256_header = r#"{"alg":"HS256","typ":"JWT","kid":"rsa"}"#;
    tokens.extend([
        ("alg none, unsigned".to_owned(), unsigned),
        ("a foreign key within".to_owned(), own.rs256(&with_own_key, &claims)),
        ("a foreign key at an address within".to_owned(), own.rs256(with_own_address, &claims)),
        ("a foreign key under a known kid".to_owned(), own.rs256(RS256, &claims)),
        ("a foreign key under a known kid, ES256".to_owned(), own.es256(ES256, &claims)),
        ("HS256 with the public key".to_owned(), hs256(hs256_header, &claims, public_key.to_string().as_bytes())),
        ("HS256 with the modulus".to_owned(), hs256(hs256_header, &claims, modulus.as_bytes())),
        ("HS256 with an empty key".to_owned(), hs256(hs256_header, &claims, b"")),
        ("RS256 in name, HS256 in deed".to_owned(), hs256(RS256, &claims, modulus.as_bytes())),
    ]);
    tokens
}

/// Tokens whose claims are wrong, well signed.
fn with_wrong_claims(issuer: &Issuer) -> Vec<(String, String)> {
    let name = &issuer.name;
    let changes = [
        ("expired", json!({"exp": now() - 61})),
        ("expired long ago", json!({"exp": 1})),
        ("no exp", json!({"exp": null})),
        ("exp a text", json!({"exp": (now() + 300).to_string()})),
        ("exp negative", json!({"exp": -1})),
        ("exp an array", json!({"exp": [now() + 300]})),
        ("exp true", json!({"exp": true})),
        ("not valid yet", json!({"nbf": now() + 120})),
        ("nbf a text", json!({"nbf": "soon"})),
        ("issued in the future", json!({"iat": now() + 120})),
        ("no iss", json!({"iss": null})),
        ("another issuer", json!({"iss": "https://evil.example"})),
        ("the issuer with a slash", json!({"iss": format!("{name}/")})),
        ("the issuer in capitals", json!({"iss": name.to_uppercase()})),
        ("the issuer and more", json!({"iss": format!("{name}.evil.example")})),
        ("several issuers", json!({"iss": [name, "https://evil.example"]})),
        ("no aud", json!({"aud": null})),
        ("another audience", json!({"aud": "urn:other"})),
        ("the audience and more", json!({"aud": format!("{AUDIENCE}:x")})),
        ("an empty audience", json!({"aud": ""})),
        ("no audience in the list", json!({"aud": []})),
        ("other audiences", json!({"aud": ["urn:other", "asklake"]})),
        ("aud an object", json!({"aud": {"urn:asklake": true}})),
        ("no sub", json!({"sub": null})),
        ("an empty sub", json!({"sub": ""})),
        ("sub a number", json!({"sub": 7})),
        ("a sub with a line break", json!({"sub": "ann\nbob"})),
        ("a sub that is too long", json!({"sub": "a".repeat(256)})),
        ("roles a number", json!({"roles": 7})),
    ];
    let mut tokens: Vec<(String, String)> = changes
        .iter()
        .map(|(what, changes)| ((*what).to_owned(), issuer.keys.rs256(RS256, &changed(issuer.claims("ann"), changes))))
        .collect();
    let good = issuer.claims("ann").to_string();
    let twice = |claim: &str| good.replacen('{', &format!("{{{claim},"), 1);
    for (what, claims) in [
        ("sub twice", twice(r#""sub":"bob""#)),
        ("exp twice", twice(r#""exp":9999999999"#)),
        ("aud twice", twice(r#""aud":"urn:other""#)),
        ("iss twice", twice(r#""iss":"https://evil.example""#)),
        ("roles twice", twice(r#""roles":[],"roles":["support"]"#)),
        ("claims that are no object", format!("[{good}]")),
        ("claims that are no JSON", good.replace('}', "")),
        ("claims with something behind", format!("{good}{{}}")),
        ("no claims", String::new()),
        ("a token within the token", issuer.token("ann")),
    ] {
        tokens.push((what.to_owned(), issuer.keys.rs256(RS256, &claims)));
        tokens.push((format!("{what}, ES256"), issuer.keys.es256(ES256, &claims)));
    }
    tokens
}

/// Texts that are no tokens by their form, most of them made of good ones.
fn malformed(issuer: &Issuer) -> Vec<(String, String)> {
    let (good, other) = (issuer.token("ann"), issuer.token("bob"));
    let parts: Vec<&str> = good.split('.').collect();
    let claims = issuer.claims("ann");
    let flipped: String = {
        let last = parts[2].chars().rev().nth(10).unwrap();
        let mut signature: Vec<char> = parts[2].chars().collect();
        let at = signature.len() - 11;
        signature[at] = if last == 'A' { 'B' } else { 'A' };
        signature.into_iter().collect()
    };
    [
        ("a text", "token".to_owned()),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("four parts", format!("{good}.{}", parts[2])),
        ("five parts, as an encrypted one", format!("{good}..")),
        ("no signature", replaced(&good, 2, "")),
        ("the signature of another token", replaced(&good, 2, other.split('.').nth(2).unwrap())),
        ("claims of another token", replaced(&good, 1, other.split('.').nth(1).unwrap())),
        ("a signature with one other letter", replaced(&good, 2, &flipped)),
        ("a signature that is cut", replaced(&good, 2, &parts[2][..parts[2].len() - 4])),
        ("a signature with padding", format!("{good}==")),
        ("a signature that goes on", format!("{good}AAAA")),
        ("claims in padded Base64", replaced(&good, 1, &format!("{}==", parts[1]))),
        ("an ES256 signature of zeros", {
            let token = issuer.keys.es256(ES256, &claims.to_string());
            replaced(&token, 2, &encoded([0; 64]))
        }),
        ("a good token of 17 KiB", issuer.keys.rs256(RS256, &changed(claims, &json!({"x": "x".repeat(17 << 10)})))),
        ("dots", "..".to_owned()),
        ("a good token, twice", format!("{good},{good}")),
    ]
    .map(|(what, token)| (what.to_owned(), token))
    .into()
}

#[tokio::test]
async fn no_bad_token_is_accepted() {
    let issuer = Issuer::start().await;
    let server = server(accepting(issuer.settings())).await;
    for good in [issuer.token("ann"), issuer.keys.es256(ES256, &issuer.claims("ann").to_string())] {
        assert_eq!(history(&server, &good).await.status(), 200, "what the others are made of");
    }
    let bad = [with_wrong_headers(&issuer), with_wrong_claims(&issuer), malformed(&issuer)].concat();
    assert!(bad.len() >= 40, "{}", bad.len());
    for (what, token) in &bad {
        let response = history(&server, token).await;
        assert_eq!(response.status(), 401, "{what}: {token:.200}");
        let challenge = response.headers()["www-authenticate"].to_str().unwrap().to_owned();
        assert!(challenge.starts_with("Bearer realm=\"asklake\", error=\"invalid_token\""), "{what}: {challenge}");
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{what}");
        let body = response.text().await.unwrap();
        assert!(token.len() < 20 || !body.contains(token.as_str()), "{what}: the answer repeats the token");
    }
    println!("{} bad tokens, none accepted", bad.len());
    server.stop().await;
}

#[tokio::test]
async fn a_token_counts_in_one_header_only() {
    let issuer = Issuer::start().await;
    let server = server(accepting(issuer.settings())).await;
    let token = issuer.token("ann");
    let get = |path: &str| server.request(Method::GET, path);
    let accepted = |request: reqwest::RequestBuilder| async { request.send().await.unwrap().status() == 200 };
    assert!(accepted(get(HISTORY).header("authorization", format!("bearer {token}"))).await, "the scheme in lower case");
    for (what, request) in [
        ("nothing", get(HISTORY)),
        ("in the query", get(&format!("{HISTORY}?access_token={token}"))),
        ("in a cookie", get(HISTORY).header("cookie", format!("access_token={token}; Authorization=Bearer {token}"))),
        ("without a scheme", get(HISTORY).header("authorization", &token)),
        ("as another scheme", get(HISTORY).header("authorization", format!("Basic {token}"))),
        ("as a password", get(HISTORY).basic_auth("ann", Some(&token))),
        ("twice", get(HISTORY).header("authorization", format!("Bearer {token}")).header("authorization", format!("Bearer {token}"))),
        ("beside an API key", get(HISTORY).bearer_auth(&token).header("x-api-key", "ak_x")),
        ("as an API key", get(HISTORY).header("x-api-key", "ak_x")),
        ("as App Service's principal", get(HISTORY).header("x-ms-client-principal-id", "ann").header("x-ms-client-principal-idp", "aad")),
        ("for a proxy", get(HISTORY).header("proxy-authorization", format!("Bearer {token}"))),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 401, "{what}");
        assert!(response.headers().contains_key("www-authenticate"), "{what}");
    }
    server.stop().await;
}

#[tokio::test]
async fn clocks_may_differ_by_a_minute() {
    let issuer = Issuer::start().await;
    let server = server(accepting(issuer.settings())).await;
    for changes in [json!({"exp": now() - 30}), json!({"nbf": now() + 30, "iat": now() + 30}), json!({"nbf": null, "iat": null})] {
        let token = issuer.keys.rs256(RS256, &changed(issuer.claims("ann"), &changes));
        assert_eq!(history(&server, &token).await.status(), 200, "{changes}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_tenant_is_that_of_the_issuer_and_a_scope_or_role_may_be_required() {
    let issuer = Issuer::start().await;
    let mut settings = issuer.settings();
    settings.issuers[0].tenant = Some("t1".into());
    settings.required = vec!["ask".into(), "reader".into()];
    let server = server(accepting(settings)).await;
    for (changes, status) in [
        (json!({}), 401),
        (json!({"tid": "t2"}), 401),
        (json!({"tid": ["t1"]}), 401),
        (json!({"tid": "t1"}), 200),
        (json!({"tid": "t1", "scope": "other asks"}), 403),
        (json!({"tid": "t1", "scope": null}), 403),
        (json!({"tid": "t1", "scope": null, "scp": "other ask"}), 200),
        (json!({"tid": "t1", "scope": null, "roles": ["reader"]}), 200),
        (json!({"tid": "t1", "scope": null, "groups": ["reader"]}), 403),
    ] {
        let response = history(&server, &issuer.keys.rs256(RS256, &changed(issuer.claims("ann"), &changes))).await;
        assert_eq!(response.status(), status, "{changes}");
        if status == 403 {
            assert!(response.headers()["www-authenticate"].to_str().unwrap().contains("insufficient_scope"));
        }
    }
    server.stop().await;
}
