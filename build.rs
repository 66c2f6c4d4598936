//! Makes the table of the page's files that `src/http/page.rs` embeds: names, media types, bodies and their gzip.
//!
//! Builds no page: that takes Node and is done by `make page`. Without it the build ends with an error that says so.

use std::{
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// Where `make page` puts the page, below the root of the repository.
const DIST: &str = "web/dist";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={DIST}");
    let dist = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join(DIST);
    if !dist.join("index.html").exists() {
        println!("cargo::error=the web page is not built: run `make page`, which needs Node 20.19 or later with npm");
        return Ok(());
    }
    let mut table = format!("const PAGE: &str = include_str!({:?});\n", dist.join("index.html"));
    table += "static ASSETS: &[Asset] = &[\n";
    for file in assets(&dist)? {
        entry(&mut table, &file)?;
    }
    table += "];\n";
    fs::write(Path::new(&std::env::var("OUT_DIR")?).join("page.rs"), table)?;
    Ok(())
}

/// The files that have their gzip beside them, in the order of their names.
fn assets(dist: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let paths: Result<Vec<PathBuf>, _> = fs::read_dir(dist.join("assets"))?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths: Vec<PathBuf> = paths?.into_iter().filter(|path| path.extension().is_some_and(|extension| extension != "gz")).collect();
    paths.sort();
    Ok(paths)
}

fn entry(table: &mut String, file: &Path) -> Result<(), Box<dyn Error>> {
    let name = file.file_name().and_then(|name| name.to_str()).ok_or("a file of the page has a name that is not UTF-8")?;
    let (media_type, has_hash) = match name.rsplit_once('.') {
        Some((_, "js")) => ("text/javascript; charset=utf-8", true),
        Some((_, "css")) => ("text/css; charset=utf-8", true),
        Some((_, "svg")) => ("image/svg+xml", true),
        Some((_, "md")) => ("text/markdown; charset=utf-8", false),
        _ => return Err(format!("{DIST}/assets/{name} is of a kind that build.rs knows no media type of").into()),
    };
    let gzip = file.with_file_name(format!("{name}.gz"));
    writeln!(
        table,
        "Asset {{ name: {name:?}, media_type: {media_type:?}, has_hash: {has_hash}, body: include_bytes!({file:?}), gzip: include_bytes!({gzip:?}) }},"
    )?;
    Ok(())
}
