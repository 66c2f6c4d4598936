//! `asklake check`: what is configured, what is embedded, what answers, and whether the lake is as its catalog describes it; every
//! configuration error at once.

use std::{io::Write, path::Path};

use crate::{
    app::{App, read_catalog},
    config::{Config, Error, VARIABLES},
    service::{Service, Settings},
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
    let outcome = match config {
        Err(errors) => {
            writeln!(out, "\nConfiguration errors")?;
            errors.iter().try_for_each(|error| writeln!(out, "  {error}"))?;
            // Nothing can be built, but a faulty catalog can be told of as well.
            let file = std::env::var_os("CATALOG_FILE").filter(|file| !file.is_empty());
            if let Err(error) = read_catalog(file.as_deref().map(Path::new)) {
                writeln!(out, "  {error:#}")?;
            }
            Outcome::Faulty
        }
        Ok(config) => answers(&config, &mut out).await?,
    };
    let closing = match outcome {
        Outcome::Ready => "Everything answers.",
        Outcome::Limited => "Everything answers, but see above what whoever writes the answers cannot do.",
        Outcome::Faulty => "Not everything works: see above.",
    };
    writeln!(out, "\n{closing}")?;
    std::io::stdout().write_all(&out)?;
    Ok(outcome != Outcome::Faulty)
}

/// What the check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Ready,
    /// All works, and yet most questions will be refused.
    Limited,
    Faulty,
}

async fn answers(config: &Config, out: &mut Vec<u8>) -> anyhow::Result<Outcome> {
    let app = match App::build(config, Settings::default()) {
        Ok(app) => app,
        Err(error) => {
            writeln!(out, "\nErrors\n  {error:#}")?;
            return Ok(Outcome::Faulty);
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
    let answers = |name: &str| readiness.dependencies.iter().any(|dependency| dependency.name == name && dependency.fault.is_none());
    let is_fit = fits(&app.service, answers("warehouse"), out).await?;
    writeln!(out, "  answers are written by: {}", readiness.model)?;
    if let Some(caveat) = &readiness.caveat {
        writeln!(out, "    {caveat}")?;
    }
    writeln!(out, "  queries run as: {}", if app.service.is_on_behalf() { "whoever asks" } else { "asklake" })?;
    let is_ready = is_fit && readiness.dependencies.iter().all(|dependency| dependency.fault.is_none());
    Ok(match (is_ready, &readiness.caveat) {
        (false, _) => Outcome::Faulty,
        (true, Some(_)) => Outcome::Limited,
        (true, None) => Outcome::Ready,
    })
}

/// Tells whether the tables and views are as the catalog describes them, and returns false where they are not.
async fn fits(service: &Service, answers: bool, out: &mut Vec<u8>) -> anyhow::Result<bool> {
    let misfits = if answers { service.misfits().await } else { None };
    let state = match &misfits {
        None if answers => "not asked for: it would start a warehouse that is paid for",
        None => "unknown: the warehouse does not answer",
        Some(misfits) if misfits.is_empty() => "ok",
        Some(_) => "FAILED:",
    };
    writeln!(out, "  {:10} {:22} {state}", "tables", "as the catalog says")?;
    let misfits = misfits.unwrap_or_default();
    misfits.iter().try_for_each(|misfit| writeln!(out, "    {misfit}"))?;
    Ok(misfits.is_empty())
}
