//! The web page at `/` and its two files. Everything is embedded, and nothing on it runs that is not in `page.js`.

use warp::{
    http::{HeaderValue, StatusCode, header},
    reply::Response,
};

use super::{Settings, route::Asset};

const PAGE: &str = include_str!("../../web/index.html");
const SCRIPT: &str = include_str!("../../web/page.js");
const STYLE: &str = include_str!("../../web/page.css");
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) fn page(settings: &Settings) -> Response {
    let questions =
        settings.example_questions.iter().map(|question| format!("<li><button type=\"button\">{}</button></li>", escaped(question)));
    let html = PAGE.replace("{{title}}", &escaped(&settings.lake_title)).replace("{{examples}}", &questions.collect::<String>());
    let mut response = super::bytes_response(StatusCode::OK, "text/html; charset=utf-8", html);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

pub(super) fn asset(asset: Asset) -> Response {
    match asset {
        Asset::Script => super::bytes_response(StatusCode::OK, "text/javascript; charset=utf-8", SCRIPT),
        Asset::Style => super::bytes_response(StatusCode::OK, "text/css; charset=utf-8", STYLE),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
