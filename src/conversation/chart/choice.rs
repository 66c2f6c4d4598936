//! The rules: which chart fits these columns, these rows and this question, if any.
//!
//! A rule that cannot say what the rows mean draws nothing: a missing chart costs a glance at the table, a wrong one misleads. Knows
//! nothing of how a chart is written down.

use std::collections::HashSet;

use super::{
    column::{COUNT, Field, Kind, Scale},
    request::{Request, Shape, folded},
};
use crate::conversation::{model::LimitSource, result::ResultSet};

/// Bars, and values of an axis that has a step for each, at most.
const MOST_BARS: usize = 30;
/// The same, where a chart is asked for by name.
const MOST_BARS_WANTED: usize = 60;
/// Colours that can be told apart.
const MOST_SERIES: usize = 8;
/// Slices that can be compared.
const MOST_SLICES: usize = 8;
/// Points of time from which on a line shows more than bars.
const LEAST_OF_LINE: usize = 3;
/// Points that show how two measures hang together, where nobody asked for it.
const LEAST_OF_SCATTER: usize = 20;
/// Values that have a distribution.
const LEAST_OF_HISTOGRAM: usize = 10;
/// One axis serves measures whose largest values are within this factor.
const ONE_AXIS: f64 = 20.0;
/// Panels above each other, and bars beside each other.
const MOST_PANELS: usize = 3;

/// What is drawn.
#[derive(Clone, Debug)]
pub(super) enum Plan<'a> {
    /// Measures along an axis, joined; as areas, those at one place add up.
    Line { x: &'a Field, measures: Vec<&'a Field>, series: Option<&'a Field>, area: bool },
    /// Measures that no common scale fits, each in a panel over the same times.
    Panels { x: &'a Field, measures: Vec<&'a Field> },
    /// A bar for every value of `axis`, or one for every measure or series.
    Bar { axis: &'a Field, measures: Vec<&'a Field>, series: Option<&'a Field>, parts: Parts },
    /// Slices of a whole, if no row of it is missing.
    Pie { slices: &'a Field, measure: &'a Field, is_whole: bool },
    /// A point for every row.
    Scatter { x: &'a Field, y: &'a Field, color: Option<&'a Field>, name: Option<&'a Field> },
    /// How many rows have values within equal ranges.
    Histogram { measure: &'a Field },
}

/// What bars are to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parts {
    /// Beside each other.
    Apart,
    /// Several at one place add up.
    Stacked,
    /// Parts of a whole: of all bars, or of those at one place.
    Shares,
}

/// The chart of `fields`, the columns of `result`.
pub(super) fn plan<'a>(fields: &'a [Field], question: &str, request: &Request, result: &ResultSet) -> Option<Plan<'a>> {
    if request.refuses || result.rows.len() < 2 {
        return None;
    }
    // What is the same in every row tells no two of them apart.
    let varied = |is: fn(Kind) -> bool| fields.iter().filter(move |field| is(field.kind) && field.distinct > 1).collect::<Vec<_>>();
    let rules = Rules {
        times: varied(|kind| matches!(kind, Kind::Time(_))),
        categories: varied(|kind| kind == Kind::Category),
        measures: fields.iter().filter(|field| matches!(field.kind, Kind::Measure { .. })).collect(),
        rows: result.rows.len(),
        is_complete: !result.truncated && result.limit_source != Some(LimitSource::Model),
        truncated: result.truncated,
        question: folded(question),
        request: *request,
    };
    if rules.measures.is_empty() { None } else { rules.plan() }
}

struct Rules<'a> {
    times: Vec<&'a Field>,
    categories: Vec<&'a Field>,
    measures: Vec<&'a Field>,
    rows: usize,
    /// No row is missing that a whole would need.
    is_complete: bool,
    truncated: bool,
    question: String,
    request: Request,
}

impl<'a> Rules<'a> {
    fn plan(&self) -> Option<Plan<'a>> {
        let asked = match self.request.shape {
            Some(Shape::Pie) => self.pie(),
            Some(Shape::Scatter) => self.scatter(LEAST_OF_LINE),
            Some(Shape::Histogram) => self.buckets().or_else(|| self.histogram()),
            Some(Shape::Bar) => self.bars_over_time(),
            Some(Shape::Line | Shape::Area) => self.over_time().or_else(|| self.line_of_steps()),
            None => None,
        };
        asked
            .or_else(|| self.related())
            .or_else(|| self.over_time())
            .or_else(|| self.bars())
            .or_else(|| self.buckets())
            .or_else(|| if self.request.distribution { self.histogram() } else { None })
            .or_else(|| self.scatter(LEAST_OF_SCATTER))
    }

    fn most_bars(&self) -> usize {
        if self.request.wants { MOST_BARS_WANTED } else { MOST_BARS }
    }

    /// A column with a name of its own for every row: then rows are things, not points of an axis.
    fn thing(&self) -> Option<&'a Field> {
        self.categories.iter().copied().find(|field| field.is_distinct())
    }

    /// The measure that the question is about: for bars what the rows are sorted by, then what the question names, then the first.
    fn lead(&self, by_order: bool) -> Option<&'a Field> {
        let sorted: Vec<&'a Field> =
            if by_order { self.measures.iter().copied().filter(|field| field.is_sorted()).collect() } else { Vec::new() };
        let candidates = if sorted.is_empty() { &self.measures } else { &sorted };
        // Of equals, max_by_key would take the last.
        candidates.iter().rev().copied().max_by_key(|field| self.mentions(field))
    }

    /// How many words of the column's name the question has.
    fn mentions(&self, field: &Field) -> usize {
        let is_said = |word: &str| {
            let stem = word.strip_suffix('s').unwrap_or(word);
            stem.chars().count() > 2 && self.question.contains(&format!(" {stem}"))
        };
        field.words.iter().filter(|word| is_said(word)).count()
    }

    /// The lead and the measures that one axis serves as well.
    fn comparable(&self, lead: &'a Field) -> Vec<&'a Field> {
        self.measures.iter().copied().filter(|field| field.at == lead.at || is_comparable(lead, field)).take(MOST_SERIES).collect()
    }

    /// How two measures hang together, where the question asks that. One thing beside another over time is not that, nor is what depends on
    /// time alone.
    fn related(&self) -> Option<Plan<'a>> {
        let Request { relation, versus, .. } = self.request;
        if relation && self.names_two(&self.measures) {
            return self.scatter(LEAST_OF_LINE);
        }
        if !(relation || versus) || self.along_time().is_some() {
            return None;
        }
        let are_all = self.measures.len() == 2 && self.times.is_empty() && self.categories.is_empty();
        if relation || are_all || self.names_two(&self.quantities()) { self.scatter(LEAST_OF_LINE) } else { None }
    }

    /// Whether the question names more than one of `fields`.
    fn names_two(&self, fields: &[&Field]) -> bool {
        fields.iter().filter(|field| self.mentions(field) > 0).count() > 1
    }

    fn over_time(&self) -> Option<Plan<'a>> {
        self.along_time().or_else(|| self.cloud_over_time())
    }

    /// Measures along a time that has each point once, or once for each of a few series.
    fn along_time(&self) -> Option<Plan<'a>> {
        let x = self.finest_time()?;
        let lead = self.lead(false)?;
        if is_unique(&[x]) {
            let is_of_things = self.thing().is_some_and(|thing| !(x.at < thing.at && x.is_sorted()));
            if is_of_things {
                return None;
            }
            let measures = self.comparable(lead);
            if x.distinct < LEAST_OF_LINE {
                return Some(Plan::Bar { axis: x, measures, series: None, parts: Parts::Apart });
            }
            let many_scales = measures.len() < self.measures.len() && self.measures.len() <= MOST_PANELS;
            return Some(if many_scales {
                Plan::Panels { x, measures: self.measures.clone() }
            } else {
                let area = self.is_area(&measures, measures.len() > 1);
                Plan::Line { x, measures, series: None, area }
            });
        }
        let series = self.series(x)?;
        let measures = vec![lead];
        Some(if x.distinct < LEAST_OF_LINE {
            Plan::Bar { axis: x, measures, series: Some(series), parts: self.parts(lead, true) }
        } else {
            let area = self.is_area(&measures, true);
            Plan::Line { x, measures, series: Some(series), area }
        })
    }

    fn cloud_over_time(&self) -> Option<Plan<'a>> {
        let x = self.finest_time().filter(|x| x.kind != Kind::Time(Scale::Period))?;
        let is_cloud = self.thing().is_none() && self.rows >= LEAST_OF_SCATTER;
        let y = self.lead(false)?;
        is_cloud.then_some(Plan::Scatter { x, y, color: None, name: self.categories.first().copied() })
    }

    /// Whether areas are asked for and can be drawn: several at one place add up, as bars do.
    fn is_area(&self, measures: &[&Field], several: bool) -> bool {
        self.request.shape == Some(Shape::Area) && measures.iter().all(|field| is_positive(field) && (!several || field.is_additive()))
    }

    /// Of a year and a month, the month: the years are its series.
    fn finest_time(&self) -> Option<&'a Field> {
        let finer = self.times.iter().find(|field| field.kind != Kind::Time(Scale::Year));
        finer.or(self.times.first()).copied()
    }

    /// What makes every point of `axis` one: few values, each at most once there. Names of which every row has another are things, no series.
    fn series(&self, axis: &Field) -> Option<&'a Field> {
        let candidates = self.categories.iter().chain(&self.times).copied().filter(|field| field.at != axis.at && !field.is_distinct());
        candidates.filter(|field| field.distinct <= MOST_SERIES && is_unique(&[axis, field])).min_by_key(|field| field.distinct)
    }

    fn bars_over_time(&self) -> Option<Plan<'a>> {
        let x = self.finest_time().filter(|x| x.distinct <= MOST_BARS_WANTED && self.thing().is_none_or(|thing| x.at < thing.at))?;
        let lead = self.lead(false)?;
        if is_unique(&[x]) {
            return Some(Plan::Bar { axis: x, measures: self.comparable(lead), series: None, parts: Parts::Apart });
        }
        let series = self.series(x)?;
        Some(Plan::Bar { axis: x, measures: vec![lead], series: Some(series), parts: self.parts(lead, true) })
    }

    fn bars(&self) -> Option<Plan<'a>> {
        let lead = self.lead(true)?;
        let only = self.categories.iter().copied().find(|field| is_unique(&[field]));
        if let Some(axis) = only {
            let is_spread = (self.request.shape == Some(Shape::Histogram) || self.request.distribution) && axis.distinct > MOST_BARS;
            if axis.distinct > self.most_bars() || is_spread {
                return None;
            }
            let alike: Vec<&'a Field> =
                self.measures.iter().copied().filter(|field| field.at == lead.at || has_word_in_common(lead, field)).collect();
            let fits_beside =
                axis.distinct <= MOST_BARS / 2 && alike.len() <= MOST_PANELS && alike.iter().all(|field| is_on_one_scale(lead, field));
            let measures = if fits_beside { alike } else { vec![lead] };
            let parts = if measures.len() == 1 { self.parts(lead, false) } else { Parts::Apart };
            return Some(Plan::Bar { axis, measures, series: None, parts });
        }
        let axes = self.categories.iter().copied().filter(|field| field.distinct <= self.most_bars());
        let (axis, series) = axes.filter_map(|axis| Some((axis, self.series(axis)?))).max_by_key(|(axis, _)| axis.distinct)?;
        Some(Plan::Bar { axis, measures: vec![lead], series: Some(series), parts: self.parts(lead, true) })
    }

    /// Bars that stand at one place add up where their measure does. Shares are of a whole, so all of it must be there.
    fn parts(&self, measure: &Field, several: bool) -> Parts {
        match (measure.is_additive(), self.request.share && self.is_complete && is_positive(measure) && !measure.is_fraction()) {
            (true, true) => Parts::Shares,
            (true, false) if several => Parts::Stacked,
            _ => Parts::Apart,
        }
    }

    /// Slices of what adds up to a whole. Averages do not, and percentages do where they come to a hundred.
    fn pie(&self) -> Option<Plan<'a>> {
        let measure = self.lead(true).filter(|field| is_positive(field) && field.numbers().all(|number| number.is_some()))?;
        let slices = self.categories.iter().chain(&self.times).copied().find(|field| is_unique(&[field]))?;
        let is_cut = self.rows <= MOST_SLICES && (measure.is_additive() || measure.is_divided_whole());
        is_cut.then_some(Plan::Pie { slices, measure, is_whole: self.is_complete })
    }

    /// Values that the statement has already counted: one row for each, and how many there are.
    fn buckets(&self) -> Option<Plan<'a>> {
        let [value, counted @ ..] = self.measures.as_slice() else { return None };
        let is_asked = self.request.distribution || self.request.shape == Some(Shape::Histogram);
        let count = counted
            .iter()
            .copied()
            .find(|field| field.is_called(COUNT))
            .or_else(|| counted.iter().copied().find(|field| field.is_amount()))?;
        let is_axis = self.times.is_empty() && self.categories.is_empty() && is_unique(&[value]) && value.distinct <= MOST_BARS_WANTED;
        let is_counted = is_asked || (value.is_sorted() && value.distinct <= self.most_bars());
        (is_axis && is_counted).then(|| Plan::Bar { axis: value, measures: vec![count], series: None, parts: Parts::Apart })
    }

    fn histogram(&self) -> Option<Plan<'a>> {
        let measure = self.lead(false)?;
        let enough = measure.numbers().flatten().count() >= LEAST_OF_HISTOGRAM && measure.distinct > LEAST_OF_LINE;
        // The first rows of many say nothing of how all are spread.
        (enough && !self.truncated).then_some(Plan::Histogram { measure })
    }

    /// What an axis can be made of: measures, and years.
    fn quantities(&self) -> Vec<&'a Field> {
        let years = self.times.iter().copied().filter(|field| field.kind == Kind::Time(Scale::Year));
        self.measures.iter().copied().chain(years).collect()
    }

    fn scatter(&self, least: usize) -> Option<Plan<'a>> {
        let mut candidates = self.quantities();
        // The two that the question names, as they stand in the row.
        candidates.sort_by_key(|field| std::cmp::Reverse(self.mentions(field)));
        candidates.truncate(2);
        candidates.sort_by_key(|field| (field.kind != Kind::Time(Scale::Year), field.at));
        let [x, y] = candidates.as_slice() else { return None };
        let points = x.numbers().zip(y.numbers()).filter(|(x, y)| x.is_some() && y.is_some()).count();
        let is_spread = x.distinct >= LEAST_OF_LINE && y.distinct >= LEAST_OF_LINE;
        let color = self.categories.iter().copied().find(|field| field.distinct <= MOST_SERIES && !is_unique(&[field]));
        let name = self.thing().or_else(|| self.categories.iter().copied().find(|field| color.is_none_or(|color| color.at != field.at)));
        (points >= least && is_spread).then_some(Plan::Scatter { x, y, color, name })
    }

    /// A line where one is asked for and there is no time: over categories in their order, or over a measure.
    fn line_of_steps(&self) -> Option<Plan<'a>> {
        let category = self.categories.iter().copied().find(|field| is_unique(&[field]) && field.distinct <= MOST_BARS);
        if let Some(x) = category {
            return Some(Plan::Line { x, measures: self.comparable(self.lead(true)?), series: None, area: false });
        }
        let [x, y, ..] = self.measures.as_slice() else { return None };
        is_unique(&[x]).then(|| Plan::Line { x, measures: vec![y], series: None, area: false })
    }
}

/// Whether no two rows agree in all of `fields`. Rows without a value do not count: they are not drawn.
fn is_unique(fields: &[&Field]) -> bool {
    let rows = fields.iter().map(|field| field.cells.len()).min().unwrap_or_default();
    let mut seen = HashSet::new();
    (0..rows).all(|row| {
        let cells: Vec<String> = fields.iter().filter_map(|field| field.cells.get(row)).map(ToString::to_string).collect();
        let is_missing =
            fields.iter().any(|field| matches!(field.kind, Kind::Time(_)) && field.cells.get(row).is_none_or(serde_json::Value::is_null));
        is_missing || seen.insert(cells)
    })
}

fn is_positive(field: &Field) -> bool {
    field.extent().is_some_and(|(least, most)| least >= 0.0 && most > 0.0)
}

/// Whether one axis serves both, and comparing them makes sense.
fn is_comparable(lead: &Field, other: &Field) -> bool {
    is_on_one_scale(lead, other) && (has_word_in_common(lead, other) || (lead.is_amount() && other.is_amount()))
}

fn is_on_one_scale(left: &Field, right: &Field) -> bool {
    let size = |field: &Field| field.extent().map_or(0.0, |(least, most)| least.abs().max(most.abs()));
    let (left, right) = (size(left), size(right));
    left > 0.0 && right > 0.0 && left / right <= ONE_AXIS && right / left <= ONE_AXIS
}

/// Words that say how a value was come by, not of what it is.
const MANNER: &[&str] = &[
    "avg", "average", "mean", "median", "min", "minimum", "max", "maximum", "sum", "total", "count", "cnt", "num", "number", "of", "in",
    "per",
];

fn has_word_in_common(left: &Field, right: &Field) -> bool {
    left.words.iter().any(|word| !MANNER.contains(&word.as_str()) && right.words.contains(word))
}
