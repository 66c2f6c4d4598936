//! An issuer whose keys a test holds: it signs whatever it is told to, and counts what it is asked.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use asklake::auth::{
    ApiKeys, Authenticator, SignIn, Tokens,
    issuer::Settings as KeySettings,
    jwt::{Settings, TokenIssuer},
};
use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use warp::{Filter, http::StatusCode};

/// Whom its tokens are for.
pub const AUDIENCE: &str = "urn:asklake";

/// Base64url without padding.
pub fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A pair of keys, one for each algorithm.
pub struct Keys {
    /// The RSA key.
    pub rsa: RsaKeyPair,
    /// The P-256 key.
    pub ec: EcdsaKeyPair,
}

impl Keys {
    /// New ones.
    pub fn generate() -> Self {
        Self { rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(), ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap() }
    }

    /// The public RSA key.
    pub fn rsa_jwk(&self, id: &str) -> Value {
        let key = self.rsa.public_key();
        let part = |bytes: &[u8]| encoded(bytes);
        json!({"kty": "RSA", "kid": id, "use": "sig", "alg": "RS256",
               "n": part(key.modulus().big_endian_without_leading_zero()), "e": part(key.exponent().big_endian_without_leading_zero())})
    }

    /// The public P-256 key.
    pub fn ec_jwk(&self, id: &str) -> Value {
        let point = self.ec.public_key().as_ref();
        json!({"kty": "EC", "crv": "P-256", "kid": id, "use": "sig", "x": encoded(&point[1..33]), "y": encoded(&point[33..65])})
    }

    /// The token with these texts as header and claims, signed with RS256 whatever the header says.
    pub fn rs256(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", encoded(header), encoded(claims));
        let mut signature = vec![0; self.rsa.public_modulus_len()];
        self.rsa.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
        format!("{message}.{}", encoded(signature))
    }

    /// The same, signed with ES256.
    pub fn es256(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", encoded(header), encoded(claims));
        let signature = self.ec.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", encoded(signature))
    }
}

/// What it serves, and what it was asked.
#[derive(Default)]
struct State {
    keys: Mutex<Vec<Value>>,
    is_down: Mutex<bool>,
    asked: AtomicUsize,
}

/// A running issuer.
pub struct Issuer {
    /// Its name.
    pub name: String,
    /// The keys that it publishes as `rsa` and `ec`.
    pub keys: Keys,
    state: Arc<State>,
}

impl Issuer {
    /// Starts one.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let name = format!("http://{}", listener.local_addr().unwrap());
        let (keys, state) = (Keys::generate(), Arc::new(State::default()));
        *state.keys.lock().unwrap() = vec![keys.rsa_jwk("rsa"), keys.ec_jwk("ec")];
        let (issuer, served) = (name.clone(), Arc::clone(&state));
        let routes = warp::path::full().map(move |path: warp::path::FullPath| {
            served.asked.fetch_add(1, Ordering::SeqCst);
            let body = match path.as_str() {
                "/.well-known/openid-configuration" => json!({"issuer": issuer, "jwks_uri": format!("{issuer}/keys")}),
                _ => json!({"keys": *served.keys.lock().unwrap()}),
            };
            let status = if *served.is_down.lock().unwrap() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
            warp::reply::with_status(warp::reply::json(&body), status)
        });
        tokio::spawn(warp::serve(routes).incoming(listener).run());
        Self { name, keys, state }
    }

    /// Publishes these keys from now on.
    pub fn publish(&self, keys: Vec<Value>) {
        *self.state.keys.lock().unwrap() = keys;
    }

    /// Answers nothing but 503 from now on, or answers again.
    pub fn set_down(&self, is_down: bool) {
        *self.state.is_down.lock().unwrap() = is_down;
    }

    /// Requests so far. One look at the keys is two.
    pub fn asked(&self) -> usize {
        self.state.asked.load(Ordering::SeqCst)
    }

    /// Claims of a good token of `subject`.
    pub fn claims(&self, subject: &str) -> Value {
        json!({"iss": self.name, "sub": subject, "aud": AUDIENCE, "iat": now(), "nbf": now(), "exp": now() + 300, "scope": "ask"})
    }

    /// A good token of `subject`.
    pub fn token(&self, subject: &str) -> String {
        self.keys.rs256(r#"{"alg":"RS256","typ":"at+jwt","kid":"rsa"}"#, &self.claims(subject).to_string())
    }

    /// How a server accepts its tokens.
    pub fn settings(&self) -> Settings {
        settings(&self.name)
    }
}

/// How a server accepts the tokens of `issuer`.
pub fn settings(issuer: &str) -> Settings {
    Settings {
        keys: KeySettings { interval: Duration::from_secs(15), ..KeySettings::new(issuer) },
        issuers: vec![TokenIssuer { name: issuer.to_owned(), tenant: None }],
        audiences: vec![AUDIENCE.into()],
        required: Vec::new(),
        admin_role: Some("support".into()),
        page: None,
    }
}

/// What accepts tokens by `settings` and nothing else.
pub fn accepting(settings: Settings) -> Arc<Authenticator> {
    let sign_in = SignIn::Tokens(Box::new(Tokens::new(settings).unwrap()));
    Arc::new(Authenticator::Required { sign_in, api_keys: ApiKeys::default() })
}
