//! The figures of a run and how they are shown.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::{
    run::{Judged, Verdict},
    suite::Level,
};

/// A run of a suite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Name of the suite.
    pub suite: String,
    /// Name of the model.
    pub model: String,
    /// Every question that was asked, in the order of the suite.
    pub questions: Vec<Judged>,
}

impl Report {
    fn of(&self, level: Level) -> impl Iterator<Item = &Judged> {
        self.questions.iter().filter(move |judged| judged.level == level)
    }

    /// The figures as text: a line per question that is not right, a table of levels, and what it took.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for judged in &self.questions {
            // Writing to a String cannot fail.
            let reason = judged.reason.as_deref().unwrap_or_default();
            let _ = writeln!(text, "{:7} {:12} {}: {}", name(judged.verdict), judged.level, judged.id, judged.question);
            if !reason.is_empty() {
                let _ = writeln!(text, "        {}", reason.replace('\n', "\n        "));
            }
        }
        let _ = writeln!(text, "\n{:14} asked  right strict  wrong  error refused  fault", "level");
        for level in Level::ALL {
            let asked: Vec<&Judged> = self.of(level).collect();
            if !asked.is_empty() {
                let _ = writeln!(text, "{}", line(level.name(), &asked));
            }
        }
        let answerable: Vec<&Judged> = self.questions.iter().filter(|judged| judged.level != Level::Unanswerable).collect();
        let _ = writeln!(text, "{}", line("answerable", &answerable));
        let right = answerable.iter().filter(|judged| judged.verdict == Verdict::Right).count();
        let _ = writeln!(text, "\nexecution accuracy: {}", share(right, answerable.len()));
        let all = &self.questions;
        let sum = |of: fn(&Judged) -> u64| all.iter().map(of).sum::<u64>();
        let _ = writeln!(
            text,
            "repairs: {}; model calls: {}; tokens: {} read, {} written; model {:.1} s, warehouse {:.1} s",
            sum(|judged| judged.cost.repairs.into()),
            sum(|judged| judged.cost.model_calls.into()),
            sum(|judged| judged.cost.prompt_tokens),
            sum(|judged| judged.cost.completion_tokens),
            seconds(sum(|judged| judged.cost.model_ms)),
            seconds(sum(|judged| judged.cost.warehouse_ms)),
        );
        text
    }
}

fn line(name: &str, asked: &[&Judged]) -> String {
    let count = |verdict: Verdict| asked.iter().filter(|judged| judged.verdict == verdict).count();
    let strict = asked.iter().filter(|judged| judged.strict == Some(true)).count();
    format!(
        "{name:14} {:>5} {:>6} {strict:>6} {:>6} {:>6} {:>7} {:>6}",
        asked.len(),
        count(Verdict::Right),
        count(Verdict::Wrong),
        count(Verdict::Error),
        count(Verdict::Refused),
        count(Verdict::Fault)
    )
}

fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Right => "right",
        Verdict::Wrong => "WRONG",
        Verdict::Error => "ERROR",
        Verdict::Refused => "REFUSED",
        Verdict::Fault => "FAULT",
    }
}

fn share(part: usize, whole: usize) -> String {
    let percent = if whole == 0 { 0 } else { part * 100 / whole };
    format!("{part} of {whole} ({percent} %)")
}

#[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1000.0
}
