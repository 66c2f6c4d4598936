//! A run of a suite as a document, and what two of them have in common and not.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::{
    figures::{Counts, Figures, Prices},
    run::{Judged, Verdict},
};

/// A run of a suite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Name of the suite.
    pub suite: String,
    /// Name of the model.
    pub model: String,
    /// How the model was told of the lake: `small`, `large`, or `plain` for the baseline; absent where there is no prompt.
    pub profile: Option<String>,
    /// Version of asklake.
    pub asklake: String,
    /// What it comes to.
    pub figures: Figures,
    /// Every question that was asked, in the order of the suite.
    pub questions: Vec<Judged>,
}

impl Report {
    /// The report of what was asked.
    #[must_use]
    pub fn new(suite: String, model: String, profile: Option<String>, questions: Vec<Judged>, prices: Option<Prices>) -> Self {
        let figures = Figures::of(&questions, prices);
        Self { suite, model, profile, asklake: env!("CARGO_PKG_VERSION").into(), figures, questions }
    }

    /// Faults of the suite itself.
    #[must_use]
    pub fn faults(&self) -> usize {
        self.questions.iter().filter(|judged| judged.verdict == Verdict::Fault).count()
    }

    /// The report as text: every question that is not right, then the figures.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for judged in self.questions.iter().filter(|judged| judged.verdict != Verdict::Right) {
            told(&mut text, judged);
        }
        if !text.is_empty() {
            text.push('\n');
        }
        push(&mut text, &format!("{}: {}", self.suite, self.title()));
        self.counts(&mut text);
        self.measures(&mut text);
        text
    }

    fn title(&self) -> String {
        let profile = self.profile.as_ref().map(|profile| format!(", {profile} prompt")).unwrap_or_default();
        format!("{}{profile}", self.model)
    }

    fn counts(&self, text: &mut String) {
        push(text, "\nlevel         asked  right strict  wrong  error refused");
        let Figures { levels, answerable, .. } = &self.figures;
        for (level, counts) in levels {
            push(text, &line(level.name(), counts));
        }
        push(text, &line("answerable", answerable));
        let Counts { fault, unrecorded, .. } = answerable;
        if *fault > 0 {
            push(text, &format!("\n{fault} known statements are at fault, so their questions do not count: see above"));
        }
        if *unrecorded > 0 || self.figures.levels.values().any(|counts| counts.unrecorded > 0) {
            let all: usize = self.figures.levels.values().map(|counts| counts.unrecorded).sum();
            push(text, &format!("\n{all} questions ask model or warehouse something new and do not count: run them live"));
        }
    }

    fn measures(&self, text: &mut String) {
        let Figures { answerable, accuracy, strict_accuracy, .. } = &self.figures;
        text.push('\n');
        for (name, value) in self.rows() {
            push(text, &format!("{name:24} {value}"));
        }
        if let (Some(accuracy), Some(strict)) = (accuracy, strict_accuracy) {
            let (right, judged) = (answerable.right, answerable.judged());
            push(text, &format!("\nexecution accuracy       {accuracy:.1} % ({right} of {judged}; {strict:.1} % without further columns)"));
        }
    }

    /// The figures beside those of the levels, as name and value.
    fn rows(&self) -> Vec<(&'static str, String)> {
        let figures = &self.figures;
        let unanswerable = figures.levels.get(&super::suite::Level::Unanswerable).copied().unwrap_or_default();
        let mut rows = vec![
            ("refused, rightly", format!("{} of {}", unanswerable.right, unanswerable.judged())),
            ("refused, wrongly", format!("{} of {}", figures.answerable.refused, figures.answerable.judged())),
            ("repairs", format!("{} questions, of which {} ended right", figures.repaired, figures.repaired_right)),
            ("answers given back", figures.rewritten.to_string()),
            ("unverified answers", figures.unverified.to_string()),
            (
                "model calls",
                format!(
                    "{:.1} a question, at most {}; {:.0} % within 3",
                    figures.mean_model_calls, figures.max_model_calls, figures.within_three_calls
                ),
            ),
            ("tokens", format!("{} read, {} written", figures.prompt_tokens, figures.completion_tokens)),
            (
                "time of a question",
                format!("{} mean, {} median, {} p95", seconds(figures.mean_ms), seconds(figures.p50_ms), seconds(figures.p95_ms)),
            ),
            ("time in all", format!("{} model, {} warehouse", seconds(figures.model_ms), seconds(figures.warehouse_ms))),
        ];
        if let Some(cost) = figures.cost {
            rows.push(("cost of the tokens", format!("{cost:.4}")));
        }
        rows.push(("asked live", format!("{} of {} questions", figures.live, figures.asked)));
        rows
    }

    /// What changed from this run to `other`: questions with another verdict or another statement.
    #[must_use]
    pub fn changes(&self, other: &Self) -> String {
        let mut text = String::new();
        push(&mut text, &format!("{}: {} -> {}", other.suite, self.title(), other.title()));
        let mut same = 0;
        for after in &other.questions {
            let Some(before) = self.questions.iter().find(|before| before.id == after.id) else {
                push(&mut text, &format!("\nnew      {}: {}", after.id, after.verdict.name()));
                continue;
            };
            if before.verdict == after.verdict {
                same += 1;
                continue;
            }
            push(&mut text, &format!("\n{} -> {}", before.verdict.name(), after.verdict.name()));
            told(&mut text, after);
            if before.sql != after.sql {
                for (mark, sql) in [('-', &before.sql), ('+', &after.sql)] {
                    let lines = sql.as_deref().unwrap_or("(no query)").lines();
                    lines.for_each(|line| push(&mut text, &format!("    {mark} {line}")));
                }
            }
        }
        let gone = self.questions.iter().filter(|before| !other.questions.iter().any(|after| after.id == before.id));
        gone.for_each(|before| push(&mut text, &format!("\ngone     {}: {}", before.id, before.verdict.name())));
        let accuracy = |report: &Self| report.figures.accuracy.map_or("none judged".into(), |accuracy| format!("{accuracy:.1} %"));
        push(&mut text, &format!("\n{same} questions ended alike; execution accuracy {} -> {}", accuracy(self), accuracy(other)));
        text
    }
}

/// Runs side by side as a Markdown table.
#[must_use]
pub fn markdown(reports: &[Report]) -> String {
    let mut text = String::new();
    let row = |name: &str, values: Vec<String>| format!("| {name} | {} |", values.join(" | "));
    push(&mut text, &row("", reports.iter().map(Report::title).collect()));
    push(&mut text, &row("---", reports.iter().map(|_| "---".to_owned()).collect()));
    let share = |right: usize, judged: usize| if judged == 0 { "-".to_owned() } else { format!("{right} of {judged}") };
    for level in super::suite::Level::ALL {
        let of = |report: &Report| report.figures.levels.get(&level).copied().unwrap_or_default();
        if reports.iter().any(|report| of(report).asked > 0) {
            push(&mut text, &row(level.name(), reports.iter().map(|report| share(of(report).right, of(report).judged())).collect()));
        }
    }
    let accuracy = |report: &Report| report.figures.accuracy.map_or("-".into(), |accuracy| format!("**{accuracy:.1} %**"));
    push(&mut text, &row("**execution accuracy**", reports.iter().map(accuracy).collect()));
    let counts = |of: fn(&Counts) -> usize| reports.iter().map(|report| of(&report.figures.answerable).to_string()).collect();
    push(&mut text, &row("without further columns", counts(|counts| counts.strict)));
    push(&mut text, &row("failed", counts(|counts| counts.error)));
    let rows: Vec<Vec<(&str, String)>> = reports.iter().map(Report::rows).collect();
    for (index, (name, _)) in rows.first().into_iter().flatten().enumerate().filter(|(_, (name, _))| *name != "asked live") {
        let values =
            rows.iter().map(|rows| rows.get(index).filter(|(other, _)| other == name).map_or("-".into(), |(_, value)| value.clone()));
        push(&mut text, &row(name, values.collect()));
    }
    text
}

fn told(text: &mut String, judged: &Judged) {
    push(text, &format!("{:10} {:12} {}: {}", judged.verdict.name(), judged.level, judged.id, judged.question));
    for line in judged.reason.iter().flat_map(|reason| reason.lines()) {
        push(text, &format!("           {line}"));
    }
}

fn line(name: &str, counts: &Counts) -> String {
    let Counts { asked, right, strict, wrong, error, refused, .. } = counts;
    format!("{name:12} {asked:>6} {right:>6} {strict:>6} {wrong:>6} {error:>6} {refused:>7}")
}

fn push(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}

#[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
fn seconds(milliseconds: u64) -> String {
    format!("{:.1} s", milliseconds as f64 / 1000.0)
}
