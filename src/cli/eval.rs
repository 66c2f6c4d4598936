//! `asklake eval FILE`: asks every question of a suite and says how many answers rest on the right rows; and `--compare` and `--table`,
//! which read what it wrote.

use std::{
    io::Write,
    path::{Path, PathBuf},
    pin::pin,
    time::Duration,
};

use anyhow::Context;
use futures_util::{StreamExt as _, stream};
use indicatif::{ProgressBar, ProgressStyle};

use crate::eval::{Bench, Report, Suite, figures::Prices, report::markdown, run::Judged, suite::Question};

/// What to ask, and what to do with the figures.
#[derive(Clone, Debug)]
pub struct Options {
    /// The suite.
    pub file: PathBuf,
    /// Questions asked at most.
    pub limit: Option<usize>,
    /// Ids and levels of the questions to ask; all when empty.
    pub only: Vec<String>,
    /// Where to write everything as JSON.
    pub json: Option<PathBuf>,
    /// What the model's tokens cost.
    pub prices: Option<Prices>,
    /// Name of the prompt, where there is one.
    pub profile: Option<String>,
    /// Questions in work at once.
    pub concurrency: usize,
}

/// Reads the suite.
///
/// # Errors
/// Every fault of the file.
pub fn read(options: &Options) -> anyhow::Result<Suite> {
    let mut suite = Suite::load(&options.file).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(|fault| format!("  {fault}")).collect();
        anyhow::anyhow!("{} has faults:\n{}", options.file.display(), lines.join("\n"))
    })?;
    if !options.only.is_empty() {
        let names = |name: &str, question: &Question| name == question.id || name == question.level.name();
        let is_unknown = |name: &&String| !suite.questions.iter().any(|question| names(name, question));
        if let Some(unknown) = options.only.iter().find(is_unknown) {
            anyhow::bail!("--only: the suite has no question and no level `{unknown}`");
        }
        suite.questions.retain(|question| options.only.iter().any(|name| names(name, question)));
    }
    suite.questions.truncate(options.limit.unwrap_or(usize::MAX));
    Ok(suite)
}

/// Asks the questions until all are judged or `stopped`, and prints the figures of what is done.
///
/// # Errors
/// When store, queue or warehouse fail, or the JSON cannot be written.
pub async fn run(bench: &Bench, suite: Suite, options: &Options, stopped: impl Future<Output = ()>) -> anyhow::Result<Report> {
    let (judged, fault) = ask(bench, &suite, options.concurrency, stopped).await;
    let report = Report::new(suite.name, bench.service.model_name().to_owned(), options.profile.clone(), judged, options.prices);
    if let Some(file) = &options.json {
        write_json(file, &report)?;
    }
    write!(std::io::stdout(), "{}", report.text())?;
    bench.tape.finish().context("the recording is not whole")?;
    fault.map_or(Ok(report), Err)
}

/// What is judged before the end, a stop or a failure, in the order of the suite; and the failure.
async fn ask(bench: &Bench, suite: &Suite, concurrency: usize, stopped: impl Future<Output = ()>) -> (Vec<Judged>, Option<anyhow::Error>) {
    let bar = progress(suite.questions.len());
    let mut stopped = pin!(stopped);
    let asked = stream::iter(suite.questions.iter().enumerate())
        .map(|(place, question)| async move { bench.judge(question).await.map(|judged| (place, judged)) })
        .buffer_unordered(concurrency.max(1));
    let mut asked = pin!(asked);
    let (mut judged, mut fault) = (Vec::new(), None);
    loop {
        let next = tokio::select! {
            next = asked.next() => next,
            () = &mut stopped => None,
        };
        match next {
            None => break,
            Some(Err(error)) => {
                fault = Some(error);
                break;
            }
            Some(Ok((place, next))) => {
                bar.inc(1);
                told(&bar, &next);
                judged.push((place, next));
            }
        }
    }
    bar.finish_and_clear();
    judged.sort_by_key(|(place, _)| *place);
    (judged.into_iter().map(|(_, judged)| judged).collect(), fault)
}

/// Shows where there is no bar how far it is: a run may take hours.
fn told(bar: &ProgressBar, judged: &Judged) {
    bar.set_message(judged.id.clone());
    if bar.is_hidden() {
        let (done, all) = (bar.position(), bar.length().unwrap_or_default());
        let time = Duration::from_millis(judged.cost.total_ms).as_secs();
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(std::io::stderr(), "{done} of {all}: {} {} ({time} s)", judged.verdict.name(), judged.id);
    }
}

/// Prints what changed between two runs.
///
/// # Errors
/// When a file cannot be read.
pub fn compare(before: &Path, after: &Path) -> anyhow::Result<()> {
    write!(std::io::stdout(), "{}", read_json(before)?.changes(&read_json(after)?))?;
    Ok(())
}

/// Prints runs side by side as a Markdown table.
///
/// # Errors
/// When a file cannot be read.
pub fn table(files: &[PathBuf]) -> anyhow::Result<()> {
    let reports = files.iter().map(|file| read_json(file)).collect::<anyhow::Result<Vec<Report>>>()?;
    write!(std::io::stdout(), "{}", markdown(&reports))?;
    Ok(())
}

fn read_json(file: &Path) -> anyhow::Result<Report> {
    let json = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_slice(&json).with_context(|| format!("{} is not what `asklake eval --json` writes", file.display()))
}

fn progress(questions: usize) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(questions).unwrap_or(u64::MAX));
    if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len} {elapsed} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_secs(1));
    bar
}

fn write_json(file: &Path, report: &Report) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(report)?;
    std::fs::write(file, json + "\n").with_context(|| format!("cannot write {}", file.display()))
}
