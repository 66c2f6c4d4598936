//! The web page as it is served: its files, its headers, and what of a catalog stands in it. `tests/browser/` has what it does.

use std::{io::Read as _, sync::Arc, time::Duration};

use asklake::http::Settings;
use serde_json::{Value, json};

use crate::support::{
    scripted::{ScriptedModel, ScriptedWarehouse},
    server::TestServer,
};

async fn server(settings: Settings) -> TestServer {
    let model = Arc::new(ScriptedModel::querying(0, Duration::ZERO));
    TestServer::start_with(model, Arc::new(ScriptedWarehouse::new(Duration::ZERO)), settings).await
}

#[tokio::test]
async fn the_page_and_its_files_are_served_compressed_to_those_who_take_it() {
    let server = server(Settings::default()).await;
    // What it gets is not unpacked unseen.
    let client = reqwest::Client::builder().no_gzip().build().unwrap();
    for path in ["/", "/api", "/api/"] {
        let page = server.get(path).await;
        let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("default-src 'none'; script-src 'self'; style-src 'self';") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(page.headers()["cache-control"], "no-cache");
        let html = page.text().await.unwrap();
        assert!(html.contains("<!doctype html>") && !html.contains("{{"), "{html}");
        let files: Vec<&str> = html.split("\"/api/assets/").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert_eq!(files.len(), 4, "script, what loads its parts, style and icon: {files:?}");
        for file in files {
            let get = || client.get(format!("{}/api/assets/{file}", server.base()));
            let plain = get().send().await.unwrap();
            assert_eq!(plain.headers()["cache-control"], "public, max-age=31536000, immutable");
            assert!(!plain.headers().contains_key("content-encoding"));
            let packed = get().header("Accept-Encoding", "br, gzip").send().await.unwrap();
            assert_eq!(packed.headers()["content-encoding"], "gzip");
            assert_eq!(packed.headers()["vary"], "accept-encoding");
            assert_eq!(packed.headers()["content-type"], plain.headers()["content-type"]);
            let (packed, plain) = (packed.bytes().await.unwrap(), plain.bytes().await.unwrap());
            let mut unpacked = vec![];
            flate2::read::GzDecoder::new(packed.as_ref()).read_to_end(&mut unpacked).unwrap();
            assert!(unpacked == plain, "{file} is the same either way");
        }
    }
    assert_eq!(server.get("/api/assets/index.html").await.status(), 404, "only the assets are there");
}

#[tokio::test]
async fn what_a_catalog_says_is_text_on_the_page() {
    let hostile = "</script><script>alert(1)</script>\" onload=\"alert(2) & 'x'";
    let settings = Settings {
        example_questions: vec![hostile.into()],
        lake_description: hostile.into(),
        lake_title: hostile.into(),
        ..Settings::default()
    };
    let server = server(settings).await;
    let html = server.get("/").await.text().await.unwrap();
    assert_eq!(html.matches("<script").count(), 1, "{html}");
    let lake = html.split_once("data-lake=\"").unwrap().1.split('"').next().unwrap();
    let lake = lake.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
    let expected = json!({"title": hostile, "description": hostile, "examples": [hostile], "sign_in": null});
    assert_eq!(serde_json::from_str::<Value>(&lake).unwrap(), expected);
}
