//! What a run comes to in numbers. Nothing is guessed: what was not measured is not there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    run::{Judged, Verdict},
    suite::Level,
};

/// Prices of a model's tokens, in one currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Prices {
    /// Of a million tokens that it reads.
    pub input: f64,
    /// Of a million tokens that it writes.
    pub output: f64,
}

/// How many questions ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Asked in all.
    pub asked: usize,
    /// [`Verdict::Right`].
    pub right: usize,
    /// Right, and without columns beyond the known ones.
    pub strict: usize,
    /// [`Verdict::Wrong`].
    pub wrong: usize,
    /// [`Verdict::Error`].
    pub error: usize,
    /// [`Verdict::Refused`].
    pub refused: usize,
    /// [`Verdict::Fault`].
    pub fault: usize,
    /// [`Verdict::Unrecorded`].
    pub unrecorded: usize,
}

/// The figures of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// By level.
    pub levels: BTreeMap<Level, Counts>,
    /// Of the questions that the lake can answer.
    pub answerable: Counts,
    /// Right answers among the judged answerable questions, in percent; absent when none was judged.
    pub accuracy: Option<f64>,
    /// The same, counting only answers without further columns.
    pub strict_accuracy: Option<f64>,
    /// Questions with a repaired query.
    pub repaired: usize,
    /// Those of them that ended right.
    pub repaired_right: usize,
    /// Questions whose answer was given back to be put right.
    pub rewritten: usize,
    /// Answers that say something their rows do not.
    pub unverified: usize,
    /// Questions whose model was asked something.
    pub asked: usize,
    /// Calls of the model per such question.
    pub mean_model_calls: f64,
    /// The most calls of one question.
    pub max_model_calls: u32,
    /// Questions with at most three calls, in percent.
    pub within_three_calls: f64,
    /// Tokens the model read.
    pub prompt_tokens: u64,
    /// Tokens it wrote.
    pub completion_tokens: u64,
    /// Time of a question, in milliseconds.
    pub mean_ms: u64,
    /// Half of the questions took no longer, in milliseconds.
    pub p50_ms: u64,
    /// 95 of 100 took no longer, in milliseconds.
    pub p95_ms: u64,
    /// Waiting for the model, in milliseconds.
    pub model_ms: u64,
    /// Running queries, in milliseconds.
    pub warehouse_ms: u64,
    /// What the tokens cost, where prices are given.
    pub cost: Option<f64>,
    /// Questions for which the model was asked live.
    pub live: usize,
}

impl Counts {
    fn of<'a>(judged: impl Iterator<Item = &'a Judged>) -> Self {
        judged.fold(Self::default(), |mut counts, judged| {
            counts.asked += 1;
            counts.strict += usize::from(judged.strict == Some(true));
            *match judged.verdict {
                Verdict::Right => &mut counts.right,
                Verdict::Wrong => &mut counts.wrong,
                Verdict::Error => &mut counts.error,
                Verdict::Refused => &mut counts.refused,
                Verdict::Fault => &mut counts.fault,
                Verdict::Unrecorded => &mut counts.unrecorded,
            } += 1;
            counts
        })
    }

    /// Questions that say something about the model: not those that the suite or the recording lacks.
    #[must_use]
    pub fn judged(&self) -> usize {
        self.asked - self.fault - self.unrecorded
    }
}

impl Figures {
    /// The figures of `questions`.
    #[must_use]
    pub fn of(questions: &[Judged], prices: Option<Prices>) -> Self {
        let levels = Level::ALL.into_iter().map(|level| (level, Counts::of(questions.iter().filter(|judged| judged.level == level))));
        let answerable = Counts::of(questions.iter().filter(|judged| judged.level != Level::Unanswerable));
        let asked: Vec<&Judged> = questions.iter().filter(|judged| judged.cost.model_calls > 0).collect();
        let count = |is: fn(&Judged) -> bool| asked.iter().filter(|judged| is(judged)).count();
        let sum = |of: fn(&Judged) -> u64| asked.iter().map(|judged| of(judged)).sum::<u64>();
        let mut times: Vec<u64> = asked.iter().map(|judged| judged.cost.total_ms).collect();
        times.sort_unstable();
        let (prompt_tokens, completion_tokens) = (sum(|judged| judged.cost.prompt_tokens), sum(|judged| judged.cost.completion_tokens));
        let price = |tokens: u64, of_a_million: f64| float(tokens) * of_a_million / 1e6;
        Self {
            levels: levels.filter(|(_, counts)| counts.asked > 0).collect(),
            accuracy: percent(answerable.right, answerable.judged()),
            strict_accuracy: percent(answerable.strict, answerable.judged()),
            answerable,
            repaired: count(|judged| judged.cost.repairs > 0),
            repaired_right: count(|judged| judged.cost.repairs > 0 && judged.verdict == Verdict::Right),
            rewritten: count(|judged| judged.cost.rewrites > 0),
            unverified: count(|judged| !judged.unverified.is_empty()),
            asked: asked.len(),
            mean_model_calls: ratio(sum(|judged| judged.cost.model_calls.into()), asked.len()),
            max_model_calls: asked.iter().map(|judged| judged.cost.model_calls).max().unwrap_or_default(),
            within_three_calls: percent(count(|judged| judged.cost.model_calls <= 3), asked.len()).unwrap_or_default(),
            prompt_tokens,
            completion_tokens,
            mean_ms: times.iter().sum::<u64>().checked_div(times.len() as u64).unwrap_or_default(),
            p50_ms: percentile(&times, 50),
            p95_ms: percentile(&times, 95),
            model_ms: sum(|judged| judged.cost.model_ms),
            warehouse_ms: sum(|judged| judged.cost.warehouse_ms),
            cost: prices.map(|prices| price(prompt_tokens, prices.input) + price(completion_tokens, prices.output)),
            live: count(|judged| judged.cost.live_model_calls > 0),
        }
    }
}

/// The smallest of sorted `times` that `percent` of 100 are no longer than.
fn percentile(times: &[u64], percent: usize) -> u64 {
    let rank = (times.len() * percent).div_ceil(100);
    times.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

fn percent(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| ratio(part as u64 * 100, whole))
}

fn ratio(sum: u64, count: usize) -> f64 {
    if count == 0 { 0.0 } else { float(sum) / float(count as u64) }
}

#[expect(clippy::cast_precision_loss, reason = "figures to look at")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let times: Vec<u64> = (1..=20).collect();
        assert_eq!((percentile(&times, 50), percentile(&times, 95), percentile(&times, 100)), (10, 19, 20));
        assert_eq!((percentile(&[7], 50), percentile(&[7], 95), percentile(&[], 95)), (7, 7, 0));
    }
}
