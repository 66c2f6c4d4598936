//! The web page at `/` and `/api/`, and its files under `/api/assets/`, as `build.rs` embeds them.
//!
//! Nothing runs on the page that is not one of these files, and it makes no markup of a text that did not pass its sanitizer: the content
//! security policy sees to both. What the server writes into the page is data in an attribute, escaped.

use serde::Serialize;
use warp::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    reply::Response,
};

use super::Settings;
use crate::auth::PageSignIn as SignIn;

/// A file of the page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asset {
    name: &'static str,
    media_type: &'static str,
    /// Whether the name changes with the content, so that what was read once may be kept.
    has_hash: bool,
    body: &'static [u8],
    gzip: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/page.rs"));

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types dompurify";

/// What the page is told about the lake, and how to sign in.
#[derive(Serialize)]
struct Lake<'a> {
    title: &'a str,
    description: &'a str,
    examples: &'a [String],
    sign_in: Option<SignIn>,
}

impl Asset {
    /// The file of that name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        ASSETS.iter().find(|asset| asset.name == name)
    }
}

pub(super) async fn page(settings: &Settings) -> Response {
    let sign_in = settings.authenticator.page().await;
    let policy = match &sign_in {
        // Where the page gets its token, it must be let through to.
        Some(SignIn::Issuer { token_endpoint, .. }) => {
            POLICY.replacen("connect-src 'self'", &format!("connect-src 'self' {}", origin(token_endpoint)), 1)
        }
        _ => POLICY.to_owned(),
    };
    let lake =
        Lake { title: &settings.lake_title, description: &settings.lake_description, examples: &settings.example_questions, sign_in };
    // Strings always serialise.
    let lake = serde_json::to_string(&lake).unwrap_or_default();
    let html = PAGE.replace("{{title}}", &escaped(&settings.lake_title)).replace("{{lake}}", &escaped(&lake));
    let mut response = super::bytes_response(StatusCode::OK, "text/html; charset=utf-8", html);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static(POLICY));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

pub(super) fn asset(asset: &'static Asset, headers: &HeaderMap) -> Response {
    let takes_gzip = takes_gzip(headers);
    let mut response = super::bytes_response(StatusCode::OK, asset.media_type, if takes_gzip { asset.gzip } else { asset.body });
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    let kept = if asset.has_hash { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    if takes_gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Scheme, host and port of an address; nothing where that could say more than one of them.
fn origin(address: &str) -> &str {
    let host = address.find("://").map_or(0, |at| at + 3);
    let end = address.get(host..).and_then(|rest| rest.find(['/', '?', '#'])).map_or(address.len(), |at| host + at);
    let origin = address.get(..end).unwrap_or_default();
    let is_plain = origin.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/.-_[]".contains(&byte));
    if is_plain { origin } else { "" }
}

/// Whether `Accept-Encoding` admits gzip (RFC 9110 §12.5.3): named, and not with a weight of 0.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_some_and(|weight| weight > 0.0)
    })
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_an_origin_comes_into_the_policy() {
        assert_eq!(origin("https://login.example:8443/token?x"), "https://login.example:8443");
        assert_eq!(origin("http://[::1]:1"), "http://[::1]:1");
        assert_eq!(origin("https://a; script-src *"), "");
        assert_eq!(origin("https://a b/"), "");
    }

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        let takes = |accepted: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted));
            takes_gzip(&headers)
        };
        assert!(takes("gzip"));
        assert!(takes("br, GZIP;q=0.5"));
        assert!(!takes_gzip(&HeaderMap::new()));
        assert!(!takes("br, identity"));
        assert!(!takes("gzip;q=0"));
    }
}
