//! Whether two results say the same: the rows of a statement that is known to be right, and those an answer rests on.
//!
//! Pure. Names and order of columns do not matter, and columns beyond the known ones are allowed: the known columns are assigned to
//! columns of the answer, each to one of its own, so that the rows agree. Rows are compared as a multiset, and in order where the
//! known statement has one (see [`Order`]). `docs/eval.md` has the rules in words.

use std::{cmp::Ordering, collections::BTreeMap};

use serde_json::Value;

use crate::conversation::ResultSet;

/// What the order of the known rows means.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Order {
    /// Columns that the known rows are ordered by, as indices, most significant first. Rows that agree in them may be in any order.
    pub keys: Vec<usize>,
    /// Whether the answer must be in this order.
    pub is_required: bool,
    /// What a LIMIT left out.
    pub edge: Edge,
}

/// Where a LIMIT cut. Of rows that agree in the keys with the last one, it is chance which were kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Edge {
    /// Not within such rows.
    #[default]
    Clean,
    /// Within these, of which any may have been kept.
    Among(Vec<Vec<Value>>),
    /// Within more than are known, so that only their keys can be compared.
    Open,
}

/// How an answer agrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// Columns of the answer beyond the known ones.
    pub extra_columns: usize,
}

/// Assignments of columns that are tried at most.
const MAX_TRIES: usize = 5_000;

/// Compares the rows of an answer with the known ones.
///
/// # Errors
/// Why they do not agree, for a person.
pub fn compare(known: &ResultSet, answer: &ResultSet, order: &Order) -> Result<Agreement, String> {
    if known.rows.is_empty() {
        return Err("the known statement gives no rows, so that nothing can be compared".into());
    }
    if answer.rows.len() != known.rows.len() {
        return Err(format!("{} instead of {}", count(answer.rows.len(), "row"), known.rows.len()));
    }
    let Some(extra_columns) = answer.columns.len().checked_sub(known.columns.len()) else {
        return Err(format!("{} instead of {}", count(answer.columns.len(), "column"), known.columns.len()));
    };
    let pairing = Pairing { known, answer, order };
    let mut candidates = Vec::with_capacity(known.columns.len());
    for column in pairing.columns() {
        let found = pairing.candidates(column);
        if found.is_empty() {
            return Err(format!("no column has the values of `{}`, such as {}", name(known, column), shown(cell(known, 0, column))));
        }
        candidates.push((column, found));
    }
    let mut search = Search { pairing, candidates: &candidates, tries: 0, fault: None };
    if search.assign(&mut Vec::new()) {
        return Ok(Agreement { extra_columns });
    }
    Err(search.fault.unwrap_or_else(|| "every column has its values, but not in the same rows".into()))
}

/// A known column and the one of the answer that stands for it.
type Pair = (usize, usize);

/// The two results and what order means.
#[derive(Clone, Copy)]
struct Pairing<'a> {
    known: &'a ResultSet,
    answer: &'a ResultSet,
    order: &'a Order,
}

impl<'a> Pairing<'a> {
    /// The known columns, those of the order first.
    fn columns(self) -> Vec<usize> {
        let mut columns = self.order.keys.clone();
        columns.extend((0..self.known.columns.len()).filter(|column| !self.order.keys.contains(column)));
        columns
    }

    /// Columns of the answer that hold the values of `column`: one of its name first, then those near its place.
    fn candidates(self, column: usize) -> Vec<usize> {
        let is_chance = |row: usize| !self.order.keys.contains(&column) && self.is_at_edge(self.known, row, |key| key);
        let wanted = sorted((0..self.known.rows.len()).filter(|row| !is_chance(*row)).map(|row| cell(self.known, row, column)));
        let holds = |candidate: &usize| holds(sorted((0..self.answer.rows.len()).map(|row| cell(self.answer, row, *candidate))), &wanted);
        let mut found: Vec<usize> = (0..self.answer.columns.len()).filter(holds).collect();
        let own_name = name(self.known, column);
        found.sort_by_key(|candidate| (!name(self.answer, *candidate).eq_ignore_ascii_case(own_name), candidate.abs_diff(column)));
        found
    }

    /// Whether a row agrees in the keys with the last known one, after which a LIMIT cut. `column` gives the column of a key.
    fn is_at_edge(self, rows: &ResultSet, row: usize, column: impl Fn(usize) -> usize) -> bool {
        let last = self.known.rows.len().saturating_sub(1);
        self.order.edge != Edge::Clean
            && self.order.keys.iter().all(|key| is_same(cell(rows, row, column(*key)), cell(self.known, last, *key)))
    }

    /// Whether the rows agree in the columns of `pairs`, in any order.
    fn agrees(self, pairs: &[Pair]) -> bool {
        let keys = self.order.keys.len();
        if self.order.edge == Edge::Clean || pairs.len() <= keys {
            let (left, right): (Vec<_>, Vec<_>) = (0..self.known.rows.len()).map(|row| self.cells(pairs, row)).unzip();
            return same_rows(left, right);
        }
        let of_key = |key: usize| pairs.iter().find(|(known, _)| *known == key).map_or(key, |(_, answer)| *answer);
        let rows = 0..self.known.rows.len();
        let left = rows.clone().filter(|row| !self.is_at_edge(self.known, *row, |key| key)).map(|row| self.cells(pairs, row).0);
        let (edge, right): (Vec<usize>, Vec<usize>) = rows.clone().partition(|row| self.is_at_edge(self.answer, *row, of_key));
        let right = right.into_iter().map(|row| self.cells(pairs, row).1);
        let is_possible = match &self.order.edge {
            Edge::Among(tied) => {
                let tied = tied.iter().map(|row| pairs.iter().map(|(known, _)| row.get(*known).unwrap_or(&Value::Null)).collect());
                are_among(edge.into_iter().map(|row| self.cells(pairs, row).1).collect(), tied.collect())
            }
            Edge::Clean | Edge::Open => true,
        };
        let keys_agree = same_rows(
            rows.clone().map(|row| self.cells(&pairs[..keys], row).0).collect(),
            rows.clone().map(|row| self.cells(&pairs[..keys], row).1).collect(),
        );
        keys_agree && is_possible && same_rows(left.collect(), right.collect())
    }

    /// Row `row` of either side in the columns of `pairs`.
    fn cells(self, pairs: &[Pair], row: usize) -> (Vec<&'a Value>, Vec<&'a Value>) {
        pairs.iter().map(|(known, answer)| (cell(self.known, row, *known), cell(self.answer, row, *answer))).unzip()
    }

    /// The first row that is out of order, from 0.
    fn out_of_order(self, pairs: &[Pair]) -> Option<usize> {
        if !self.order.is_required {
            return None;
        }
        let keys = pairs.get(..self.order.keys.len())?;
        (0..self.known.rows.len()).find(|row| {
            let (known, answer) = self.cells(keys, *row);
            !known.iter().zip(answer).all(|(known, answer)| is_same(known, answer))
        })
    }
}

/// Assigns the known columns one after the other, and goes back where the rows do not agree.
struct Search<'a> {
    pairing: Pairing<'a>,
    candidates: &'a [(usize, Vec<usize>)],
    tries: usize,
    /// Why the assignment that came farthest does not hold.
    fault: Option<String>,
}

impl Search<'_> {
    fn assign(&mut self, pairs: &mut Vec<Pair>) -> bool {
        let Some((column, candidates)) = self.candidates.get(pairs.len()) else { return self.is_ordered(pairs) };
        for candidate in candidates {
            if pairs.iter().any(|(_, taken)| taken == candidate) {
                continue;
            }
            self.tries += 1;
            if self.tries > MAX_TRIES {
                return false;
            }
            pairs.push((*column, *candidate));
            if self.pairing.agrees(pairs) && self.assign(pairs) {
                return true;
            }
            pairs.pop();
        }
        false
    }

    fn is_ordered(&mut self, pairs: &[Pair]) -> bool {
        let Some(row) = self.pairing.out_of_order(pairs) else { return true };
        self.fault = Some(format!("the rows are right, but not their order: row {} is another one", row + 1));
        false
    }
}

/// Whether two multisets of rows agree.
fn same_rows(left: Vec<Vec<&Value>>, right: Vec<Vec<&Value>>) -> bool {
    left.len() == right.len() && are_among(left, right)
}

/// Whether each row of `left` is one of `right`, each another one.
fn are_among(left: Vec<Vec<&Value>>, right: Vec<Vec<&Value>>) -> bool {
    let mut groups: BTreeMap<String, Vec<Vec<&Value>>> = BTreeMap::new();
    for row in right {
        groups.entry(exact_part(&row)).or_default().push(row);
    }
    groups.values_mut().for_each(|rows| rows.sort_by(|one, other| compare_rows(one, other)));
    let mut left = left;
    left.sort_by(|one, other| compare_rows(one, other));
    left.iter().all(|row| {
        let Some(rows) = groups.get_mut(&exact_part(row)) else { return false };
        let found = rows.iter().position(|other| row.iter().zip(other).all(|(one, other)| is_same(one, other)));
        found.map(|at| rows.remove(at)).is_some()
    })
}

/// What of a row must agree exactly: everything but the values of numbers.
fn exact_part(row: &[&Value]) -> String {
    row.iter().fold(String::new(), |mut text, value| {
        write_exact(value, &mut text);
        text.push('\u{1f}');
        text
    })
}

fn write_exact(value: &Value, text: &mut String) {
    match value {
        Value::Number(_) => text.push('#'),
        Value::String(string) => {
            text.push('\'');
            text.push_str(string.trim());
        }
        Value::Array(values) => {
            for value in values {
                text.push('[');
                write_exact(value, text);
            }
            text.push(']');
        }
        other => text.push_str(&other.to_string()),
    }
}

/// Whether sorted `values` hold all of sorted `wanted`.
fn holds(values: Vec<&Value>, wanted: &[&Value]) -> bool {
    let mut values = values.into_iter();
    wanted.iter().all(|wanted| values.any(|value| is_same(value, wanted)))
}

fn sorted<'a>(values: impl Iterator<Item = &'a Value>) -> Vec<&'a Value> {
    let mut values: Vec<&Value> = values.collect();
    values.sort_by(|one, other| compare_values(one, other));
    values
}

fn compare_rows(one: &[&Value], other: &[&Value]) -> Ordering {
    let differing = one.iter().zip(other).map(|(one, other)| compare_values(one, other)).find(|order| order.is_ne());
    differing.unwrap_or(Ordering::Equal)
}

/// An order in which values that are the same stand next to each other.
fn compare_values(one: &Value, other: &Value) -> Ordering {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64().unwrap_or(f64::NAN).total_cmp(&other.as_f64().unwrap_or(f64::NAN)),
        (Value::String(one), Value::String(other)) => one.trim().cmp(other.trim()),
        (Value::Array(one), Value::Array(other)) => {
            compare_rows(&one.iter().collect::<Vec<_>>(), &other.iter().collect::<Vec<_>>()).then(one.len().cmp(&other.len()))
        }
        (Value::Bool(one), Value::Bool(other)) => one.cmp(other),
        _ => {
            rank(one).cmp(&rank(other)).then_with(|| if rank(one) == 5 { one.to_string().cmp(&other.to_string()) } else { Ordering::Equal })
        }
    }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

/// Whether two cells say the same: strings but for space around them, numbers within rounding, NULL only with NULL.
#[must_use]
pub fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => same_number(one, other),
        (Value::String(one), Value::String(other)) => one.trim() == other.trim(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        _ => one == other,
    }
}

/// Numbers are the same when they are equal but for the noise of floating point, or when one of them is the other rounded to the
/// decimals that it shows: at least one, and off by no more than a hundredth.
fn same_number(one: &serde_json::Number, other: &serde_json::Number) -> bool {
    if let (Some(one), Some(other)) = (one.as_i64(), other.as_i64()) {
        return one == other;
    }
    let (Some(left), Some(right)) = (one.as_f64(), other.as_f64()) else { return false };
    let (difference, size) = ((left - right).abs(), left.abs().max(right.abs()));
    if difference <= size * 1e-9 {
        return true;
    }
    let shown = decimals(one).min(decimals(other));
    shown >= 1 && difference <= size * 0.01 && difference <= 0.5 * 0.1_f64.powi(shown) * (1.0 + 1e-6)
}

/// Digits after the point as the number is written; none for one that has no point or an exponent.
fn decimals(number: &serde_json::Number) -> i32 {
    let text = number.to_string();
    let written = text.split_once('.').filter(|_| !text.contains(['e', 'E'])).map_or(0, |(_, digits)| digits.len());
    i32::try_from(written).unwrap_or(i32::MAX)
}

fn cell(rows: &ResultSet, row: usize, column: usize) -> &Value {
    rows.rows.get(row).and_then(|row| row.get(column)).unwrap_or(&Value::Null)
}

fn name(rows: &ResultSet, column: usize) -> &str {
    rows.columns.get(column).map_or("", |column| column.name.as_str())
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    text.char_indices().nth(60).map_or(text.clone(), |(cut, _)| format!("{}…", &text[..cut]))
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
