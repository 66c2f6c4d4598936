//! `asklake check`: what is configured, what is embedded, what answers; every configuration error at once.

use std::{io::Write, path::Path};

use crate::{
    app::{App, read_catalog},
    config::{Config, Error, VARIABLES},
    service::Settings,
};

/// Prints what there is and returns whether all of it works.
///
/// # Errors
/// When standard output cannot be written.
pub async fn run(config: Result<Config, Vec<Error>>) -> anyhow::Result<bool> {
    let mut out = Vec::new();
    writeln!(out, "Configuration")?;
    let width = VARIABLES.iter().map(|variable| variable.name.len()).max().unwrap_or_default();
    for variable in VARIABLES {
        let is_set = std::env::var(variable.name).is_ok_and(|value| !value.trim().is_empty());
        let state = if is_set { "set".to_owned() } else { format!("default: {}", variable.default) };
        writeln!(out, "  {:width$} {state}", variable.name)?;
    }
    let is_ready = match config {
        Err(errors) => {
            writeln!(out, "\nConfiguration errors")?;
            errors.iter().try_for_each(|error| writeln!(out, "  {error}"))?;
            // Nothing can be built, but a faulty catalog can be told of as well.
            let file = std::env::var_os("CATALOG_FILE").filter(|file| !file.is_empty());
            if let Err(error) = read_catalog(file.as_deref().map(Path::new)) {
                writeln!(out, "  {error:#}")?;
            }
            false
        }
        Ok(config) => answers(&config, &mut out).await?,
    };
    writeln!(out, "\n{}", if is_ready { "Everything answers." } else { "Not everything works: see above." })?;
    std::io::stdout().write_all(&out)?;
    Ok(is_ready)
}

async fn answers(config: &Config, out: &mut Vec<u8>) -> anyhow::Result<bool> {
    let app = match App::build(config, Settings::default()) {
        Ok(app) => app,
        Err(error) => {
            writeln!(out, "\nErrors\n  {error:#}")?;
            return Ok(false);
        }
    };
    writeln!(out, "\nDependencies")?;
    let readiness = app.service.readiness().await;
    for dependency in &readiness.dependencies {
        let state = dependency
            .fault
            .as_ref()
            .map_or_else(|| format!("ok, {} ms", dependency.latency.as_millis()), |fault| format!("FAILED: {fault}"));
        writeln!(out, "  {:10} {:22} {state}", dependency.name, dependency.kind)?;
    }
    writeln!(out, "  answers are written by: {}", readiness.model)?;
    writeln!(out, "  queries run as: {}", if app.service.is_on_behalf() { "whoever asks" } else { "asklake" })?;
    Ok(readiness.dependencies.iter().all(|dependency| dependency.fault.is_none()))
}
