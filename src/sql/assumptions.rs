//! What a statement assumes that the user did not say: its conditions on columns with literals, in words for people.
//!
//! Owns what counts as said and how a condition reads. The catalog's own sentences are preferred. Refuses to guess: conditions between
//! columns, on computed values or on names that the catalog does not have are left out, and so are those of what a statement excludes
//! (NOT EXISTS, NOT IN, anti joins, EXCEPT), which hold for none of its rows; synonyms count only where the catalog has them.

use std::{collections::HashSet, ops::ControlFlow};

use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, JoinConstraint, JoinOperator, LimitClause, Query,
    Select, SetExpr, SetOperator, TableFactor, UnaryOperator, Value, Visit as _, Visitor,
};

use super::{
    catalog::{Catalog, vocabulary::Vocabulary},
    guard,
    words::{folded, stem, words},
};

/// Most assumptions that are listed.
const MOST: usize = 6;
/// Row limits above this keep answers small and mean nothing.
const MEANT_LIMIT: f64 = 100.0;

/// What `sql`, a statement over the lake of `catalog`, assumes beyond `question`: sentences without a full stop, each once, at most 6,
/// in the order of the statement. Nothing for a statement that cannot be read.
#[must_use]
pub fn assumptions(sql: &str, question: &str, catalog: &Catalog) -> Vec<String> {
    let Ok(query) = guard::read(sql) else { return Vec::new() };
    let mut conditions = Conditions::default();
    let _ = query.visit(&mut conditions);
    let said = Said::new(question, catalog);
    let mut found: Vec<String> = Vec::new();
    let sentences = conditions.found.iter().filter_map(|told| told.sentence(&said, catalog));
    for sentence in sentences.chain(limit(query.limit_clause.as_ref(), &said)) {
        if found.len() < MOST && !found.contains(&sentence) {
            found.push(sentence);
        }
    }
    found
}

fn limit(clause: Option<&LimitClause>, said: &Said) -> Option<String> {
    let Some(LimitClause::LimitOffset { limit: Some(Expr::Value(value)), .. }) = clause else { return None };
    let Value::Number(digits, _) = &value.value else { return None };
    let rows: f64 = digits.parse().ok()?;
    (rows > 1.0 && rows <= MEANT_LIMIT && !said.has_number(rows)).then(|| format!("at most {} rows are shown", grouped(digits)))
}

/// A comparison of a column with literals.
#[derive(Debug)]
struct Condition {
    /// Last part of the column's name; a call as it is written.
    subject: String,
    is_column: bool,
    relation: Relation,
    negated: bool,
    values: Vec<Literal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Equal,
    Less,
    AtMost,
    More,
    AtLeast,
    Between,
    Like,
    Holds,
}

#[derive(Clone, Debug, PartialEq)]
enum Literal {
    Number(String),
    Text(String),
}

/// What holds for every row.
#[derive(Debug)]
enum Told {
    One(Condition),
    Any(Alternatives),
}

/// The sides of an OR.
#[derive(Debug, Default)]
struct Alternatives {
    /// Each with the conditions that it takes.
    known: Vec<Vec<Condition>>,
    /// Whether there is one more that cannot be told.
    is_open: bool,
}

/// Collects the conditions of every SELECT whose rows count.
#[derive(Default)]
struct Conditions {
    found: Vec<Told>,
    /// Whether there was a condition that cannot be told.
    is_open: bool,
    /// Queries whose rows are excluded.
    excluded: Vec<*const Query>,
    /// The same of sides of EXCEPT.
    excepted: Vec<*const Select>,
    /// How many queries deep within one that is excluded.
    depth: usize,
}

impl Visitor for Conditions {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if self.depth > 0 || self.excluded.contains(&std::ptr::from_ref(query)) {
            self.depth += 1;
        }
        self.except(&query.body);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.depth = self.depth.saturating_sub(1);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Exists { subquery, negated: true } | Expr::InSubquery { subquery, negated: true, .. } => {
                self.excluded.push(std::ptr::from_ref(subquery));
            }
            Expr::UnaryOp { op: UnaryOperator::Not | UnaryOperator::BangNot, expr } => match bare(expr) {
                Expr::Exists { subquery, negated: false } | Expr::InSubquery { subquery, negated: false, .. } => {
                    self.excluded.push(std::ptr::from_ref(subquery));
                }
                _ => {}
            },
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        if self.depth > 0 || self.excepted.contains(&std::ptr::from_ref(select)) {
            return ControlFlow::Continue(());
        }
        for join in select.from.iter().flat_map(|from| &from.joins) {
            if is_anti(&join.join_operator) {
                if let TableFactor::Derived { subquery, .. } = &join.relation {
                    self.excluded.push(std::ptr::from_ref(subquery));
                }
            } else if let Some(on) = constraint(&join.join_operator) {
                self.read(on, false);
            }
        }
        for condition in select.selection.iter().chain(&select.having) {
            self.read(condition, false);
        }
        ControlFlow::Continue(())
    }
}

fn bare(expr: &Expr) -> &Expr {
    if let Expr::Nested(inner) = expr { bare(inner) } else { expr }
}

fn is_anti(join: &JoinOperator) -> bool {
    matches!(join, JoinOperator::LeftAnti(_) | JoinOperator::RightAnti(_) | JoinOperator::Anti(_))
}

fn constraint(join: &JoinOperator) -> Option<&Expr> {
    match join {
        JoinOperator::Join(JoinConstraint::On(on))
        | JoinOperator::Inner(JoinConstraint::On(on))
        | JoinOperator::Left(JoinConstraint::On(on))
        | JoinOperator::LeftOuter(JoinConstraint::On(on))
        | JoinOperator::Right(JoinConstraint::On(on))
        | JoinOperator::RightOuter(JoinConstraint::On(on))
        | JoinOperator::FullOuter(JoinConstraint::On(on))
        | JoinOperator::LeftSemi(JoinConstraint::On(on))
        | JoinOperator::Semi(JoinConstraint::On(on)) => Some(on),
        _ => None,
    }
}

impl Conditions {
    /// Notes the sides of an EXCEPT that take rows away.
    fn except(&mut self, body: &SetExpr) {
        if let SetExpr::SetOperation { op, left, right, .. } = body {
            if matches!(op, SetOperator::Except | SetOperator::Minus) {
                self.take_away(right);
            }
            self.except(left);
            self.except(right);
        }
    }

    fn take_away(&mut self, body: &SetExpr) {
        match body {
            SetExpr::Select(select) => self.excepted.push(std::ptr::from_ref(select)),
            SetExpr::Query(query) => self.excluded.push(std::ptr::from_ref(query)),
            SetExpr::SetOperation { left, right, .. } => {
                self.take_away(left);
                self.take_away(right);
            }
            _ => {}
        }
    }

    fn read(&mut self, expr: &Expr, negated: bool) {
        match expr {
            Expr::Nested(inner) => self.read(inner, negated),
            Expr::UnaryOp { op: UnaryOperator::Not | UnaryOperator::BangNot, expr } => self.read(expr, !negated),
            Expr::BinaryOp { left, op: BinaryOperator::And | BinaryOperator::Or, right } if !is_either(expr, negated) => {
                self.read(left, negated);
                self.read(right, negated);
            }
            either if is_either(either, negated) => {
                let mut any = Alternatives::default();
                any.add(either, negated);
                self.found.push(Told::Any(any));
            }
            Expr::BinaryOp { left, op, right } => self.compare(left, op, right, negated),
            Expr::Between { expr, negated: not, low, high } => {
                self.add(expr, Relation::Between, negated != *not, [low, high].map(AsRef::as_ref));
            }
            Expr::InList { expr, list, negated: not } => self.add(expr, Relation::Equal, negated != *not, list),
            Expr::Like { negated: not, expr, pattern, .. } | Expr::ILike { negated: not, expr, pattern, .. } => {
                self.add(expr, Relation::Like, negated != *not, [pattern.as_ref()]);
            }
            Expr::Function(call) if call.name.to_string().eq_ignore_ascii_case("array_contains") => {
                if let [column, value] = arguments(call).as_slice() {
                    self.add(column, Relation::Holds, negated, [*value]);
                }
            }
            _ => self.is_open = true,
        }
    }

    fn compare(&mut self, left: &Expr, op: &BinaryOperator, right: &Expr, negated: bool) {
        let (relation, turned) = match op {
            BinaryOperator::Eq | BinaryOperator::Spaceship => (Relation::Equal, Relation::Equal),
            BinaryOperator::NotEq => return self.either(left, right, (Relation::Equal, Relation::Equal), !negated),
            BinaryOperator::Lt => (Relation::Less, Relation::More),
            BinaryOperator::LtEq => (Relation::AtMost, Relation::AtLeast),
            BinaryOperator::Gt => (Relation::More, Relation::Less),
            BinaryOperator::GtEq => (Relation::AtLeast, Relation::AtMost),
            _ => {
                self.is_open = true;
                return;
            }
        };
        self.either(left, right, (relation, turned), negated);
    }

    fn either(&mut self, left: &Expr, right: &Expr, (relation, turned): (Relation, Relation), negated: bool) {
        if literal(left).is_some() {
            self.add(right, turned, negated, [left]);
        } else {
            self.add(left, relation, negated, [right]);
        }
    }

    fn add<'a>(&mut self, subject: &Expr, relation: Relation, negated: bool, values: impl IntoIterator<Item = &'a Expr>) {
        let values: Option<Vec<Literal>> = values.into_iter().map(literal).collect();
        if let (Some((subject, is_column)), Some(values)) = (named(subject), values) {
            self.found.push(Told::One(Condition { subject, is_column, relation, negated, values }));
        } else {
            self.is_open = true;
        }
    }
}

/// Whether one side of the expression is enough: an OR, or an AND that is denied.
fn is_either(expr: &Expr, negated: bool) -> bool {
    matches!(expr, Expr::BinaryOp { op: BinaryOperator::Or, .. } if !negated)
        || matches!(expr, Expr::BinaryOp { op: BinaryOperator::And, .. } if negated)
}

impl Alternatives {
    fn add(&mut self, expr: &Expr, negated: bool) {
        match expr {
            Expr::Nested(inner) => self.add(inner, negated),
            Expr::BinaryOp { left, right, .. } if is_either(expr, negated) => {
                self.add(left, negated);
                self.add(right, negated);
            }
            side => {
                let mut of_side = Conditions::default();
                of_side.read(side, negated);
                let found = of_side.found.into_iter().map(|told| if let Told::One(condition) = told { Some(condition) } else { None });
                match found.collect::<Option<Vec<Condition>>>() {
                    Some(conditions) if !of_side.is_open && !conditions.is_empty() => self.known.push(conditions),
                    _ => self.is_open = true,
                }
            }
        }
    }

    /// All sides in one sentence, unless each was said.
    fn sentence(&self, said: &Said, catalog: &Catalog) -> Option<String> {
        let mut sides: Vec<String> = Vec::new();
        let mut is_open = self.is_open;
        for conditions in &self.known {
            let told: Option<Vec<String>> = conditions.iter().map(|condition| condition.named(catalog)).collect();
            match told {
                Some(told) if !sides.contains(&told.join(" and ")) => sides.push(told.join(" and ")),
                Some(_) => {}
                None => is_open = true,
            }
        }
        if sides.is_empty() || self.known.iter().flatten().all(|condition| condition.is_said(said, catalog)) {
            return None;
        }
        sides.extend(is_open.then(|| "another condition holds".to_owned()));
        Some(sides.join(" or "))
    }
}

impl Told {
    fn sentence(&self, said: &Said, catalog: &Catalog) -> Option<String> {
        match self {
            Self::One(condition) => condition.sentence(said, catalog),
            Self::Any(any) => any.sentence(said, catalog),
        }
    }
}

/// What is compared, and whether it is a column, perhaps in another case.
fn named(expr: &Expr) -> Option<(String, bool)> {
    match expr {
        Expr::Identifier(name) => Some((name.value.clone(), true)),
        Expr::CompoundIdentifier(names) => Some((names.last()?.value.clone(), true)),
        Expr::Nested(inner) => named(inner),
        Expr::Function(call) => match (call.name.to_string().to_lowercase().as_str(), arguments(call).as_slice()) {
            ("lower" | "upper" | "trim", [inner]) => named(inner),
            ("count" | "avg" | "sum" | "min" | "max", _) => Some((expr.to_string(), false)),
            _ => None,
        },
        _ => None,
    }
}

fn arguments(call: &Function) -> Vec<&Expr> {
    let FunctionArguments::List(list) = &call.args else { return Vec::new() };
    let mut found = Vec::new();
    for argument in &list.args {
        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument {
            found.push(expr);
        }
    }
    found
}

fn literal(expr: &Expr) -> Option<Literal> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => Some(Literal::Number(digits.clone())),
            text => guard::text_of(text).map(Literal::Text),
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match literal(expr)? {
            Literal::Number(digits) => Some(Literal::Number(format!("-{digits}"))),
            Literal::Text(_) => None,
        },
        Expr::Nested(inner) => literal(inner),
        Expr::Function(call) if call.name.to_string().eq_ignore_ascii_case("lower") => literal(arguments(call).first()?),
        _ => None,
    }
}

impl Condition {
    /// The condition in words, unless it was said or is on nothing that the catalog has.
    fn sentence(&self, said: &Said, catalog: &Catalog) -> Option<String> {
        let own = catalog.planner.as_ref().and_then(|words| self.kind(words).or_else(|| self.threshold(words, catalog)));
        if own.is_some() {
            return own;
        }
        if self.is_said(said, catalog) { None } else { self.named(catalog) }
    }

    fn is_said(&self, said: &Said, catalog: &Catalog) -> bool {
        self.values.iter().all(|value| said.has(value, &self.subject, self.relation, catalog))
    }

    /// The condition in plain words, unless it is on nothing that the catalog has.
    fn named(&self, catalog: &Catalog) -> Option<String> {
        let column = catalog.relations().find_map(|relation| relation.column(&self.subject));
        match column {
            None if self.is_column => None,
            column => Some(self.plain(column.map_or(self.subject.as_str(), |column| column.name.as_str()))),
        }
    }

    /// The catalog's sentence for the kind that the condition selects, which nobody says by its value.
    fn kind(&self, words: &Vocabulary) -> Option<String> {
        let values: HashSet<&str> =
            self.values.iter().filter_map(|value| if let Literal::Text(text) = value { Some(text.as_str()) } else { None }).collect();
        let selects = |column: &Option<String>| column.as_ref().is_some_and(|column| column.eq_ignore_ascii_case(&self.subject));
        let mut kinds = words.entity.kinds.iter().filter(|kind| selects(&kind.column));
        let kind = kinds.find(|kind| kind.values.iter().map(String::as_str).collect::<HashSet<_>>() == values)?;
        kind.assumption.clone().filter(|_| self.relation == Relation::Equal && !self.negated)
    }

    /// The catalog's sentence for a threshold, where it is the catalog's own.
    fn threshold(&self, words: &Vocabulary, catalog: &Catalog) -> Option<String> {
        let [Literal::Number(digits)] = self.values.as_slice() else { return None };
        let value: i64 = digits.parse().ok()?;
        let is_minimum = self.relation == Relation::AtLeast && !self.negated;
        let threshold = words.measures.iter().filter_map(|measure| measure.threshold.as_ref()).find(|threshold| {
            let mut measures = words.measures.iter().filter(|measure| measure.name == threshold.measure);
            measures.any(|measure| measure.column.eq_ignore_ascii_case(&self.subject))
                && catalog.parameters.get(&threshold.parameter) == Some(&value)
        })?;
        let fill = |text: String, (name, value): (&String, &i64)| text.replace(&format!("{{{name}}}"), &grouped(&value.to_string()));
        is_minimum.then(|| catalog.parameters.iter().fold(threshold.assumption.clone(), fill))
    }

    fn plain(&self, subject: &str) -> String {
        let is_year = subject.to_lowercase().contains("year");
        let shown: Vec<String> = self.values.iter().map(|value| value.shown(is_year)).collect();
        let not = if self.negated { "not " } else { "" };
        let (last, relation) = match self.relation {
            Relation::Equal => ("or", "is"),
            Relation::Less => ("or", if self.negated { "is at least" } else { "is less than" }),
            Relation::AtMost => ("or", if self.negated { "is more than" } else { "is at most" }),
            Relation::More => ("or", if self.negated { "is at most" } else { "is more than" }),
            Relation::AtLeast => ("or", if self.negated { "is less than" } else { "is at least" }),
            Relation::Between => ("and", "is"),
            Relation::Like => ("or", if self.negated { "is not like" } else { "is like" }),
            Relation::Holds => ("or", if self.negated { "do not include" } else { "include" }),
        };
        let values = match shown.as_slice() {
            [many @ .., end] if !many.is_empty() => format!("{} {last} {end}", many.join(", ")),
            _ => shown.concat(),
        };
        match self.relation {
            Relation::Equal => format!("{subject} {relation} {not}{values}"),
            Relation::Between => format!("{subject} {relation} {not}between {values}"),
            _ => format!("{subject} {relation} {values}"),
        }
    }
}

impl Literal {
    fn shown(&self, is_year: bool) -> String {
        match self {
            // No year has its thousands apart.
            Self::Number(digits) if is_year || digits.len() == 4 && digits.starts_with(['1', '2']) && !digits.ends_with("00") => {
                digits.clone()
            }
            Self::Number(digits) => grouped(digits),
            Self::Text(text) => format!("'{text}'"),
        }
    }
}

/// A number with commas between its thousands.
fn grouped(number: &str) -> String {
    let (whole, fraction) = number.split_once('.').map_or((number, None), |(whole, fraction)| (whole, Some(fraction)));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut shown = sign.to_owned();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            shown.push(',');
        }
        shown.push(digit);
    }
    if let Some(fraction) = fraction {
        shown.push('.');
        shown.push_str(fraction);
    }
    shown
}

/// English numbers that people write as words.
const SPELLED: [&str; 13] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];

/// What a question says.
#[derive(Debug)]
struct Said {
    /// Stems of its words.
    stems: HashSet<String>,
    /// Its words, folded and parted by single spaces.
    text: String,
    numbers: Vec<f64>,
    /// First years of decades.
    decades: Vec<f64>,
}

impl Said {
    fn new(question: &str, catalog: &Catalog) -> Self {
        let all: Vec<String> = words(question).into_iter().map(|word| word.folded).collect();
        let mut said = Self {
            stems: all.iter().map(|word| stem(word)).collect(),
            text: format!(" {} ", all.join(" ")),
            numbers: Vec::new(),
            decades: Vec::new(),
        };
        for word in &all {
            said.add_number(word);
        }
        if let Some(vocabulary) = &catalog.planner {
            let decades = vocabulary.decades.iter().filter(|decade| decade.words.iter().any(|word| said.phrase(word)));
            let decades: Vec<i64> = decades.map(|decade| decade.from).collect();
            #[expect(clippy::cast_precision_loss, reason = "years are small")]
            said.decades.extend(decades.into_iter().map(|year| year as f64));
            // Two hours are 120 minutes.
            let factors =
                vocabulary.measures.iter().flat_map(|measure| &measure.units).map(|unit| unit.factor).filter(|factor| *factor > 1.0);
            let converted: Vec<f64> = factors.flat_map(|factor| said.numbers.iter().map(move |number| number * factor)).collect();
            said.numbers.extend(converted);
        }
        said
    }

    fn add_number(&mut self, word: &str) {
        let end = word.find(|letter: char| !(letter.is_ascii_digit() || matches!(letter, ',' | '.'))).unwrap_or(word.len());
        let (digits, suffix) = word.split_at(end);
        if let Ok(number) = digits.replace(',', "").parse::<f64>() {
            self.numbers.push(number * if suffix == "k" { 1e3 } else { 1.0 });
            if matches!(suffix, "s" | "er" | "ern") {
                self.decades.extend(if number < 100.0 { vec![1900.0 + number, 2000.0 + number] } else { vec![number] });
            }
            if let (true, Ok(number)) = (digits.contains(','), digits.replace(',', ".").parse()) {
                self.numbers.push(number);
            }
        } else if let Some(number) = SPELLED.iter().position(|spelled| *spelled == word) {
            #[expect(clippy::cast_precision_loss, reason = "twelve at most")]
            self.numbers.push(number as f64);
        }
    }

    fn has_number(&self, number: f64) -> bool {
        self.numbers.iter().any(|said| (said - number).abs() <= number.abs() * 1e-12)
    }

    /// A phrase of the catalog, in the singular or with an ending.
    fn phrase(&self, phrase: &str) -> bool {
        let parts: Vec<String> = words(phrase).into_iter().map(|word| word.folded).collect();
        match parts.as_slice() {
            [] => false,
            [one] => self.stems.contains(&stem(one)),
            many => self.text.contains(&format!(" {} ", many.join(" "))) || many.iter().all(|word| self.stems.contains(&stem(word))),
        }
    }

    fn has(&self, value: &Literal, column: &str, relation: Relation, catalog: &Catalog) -> bool {
        match value {
            Literal::Number(digits) => digits.parse().is_ok_and(|number: f64| self.has_bound(number, relation)),
            Literal::Text(text) => {
                let text = text.trim_matches('%');
                let is_within = !folded(text).trim().is_empty() && self.text.contains(folded(text).trim());
                text.is_empty()
                    || self.phrase(text)
                    || is_within
                    || catalog.planner.as_ref().is_some_and(|words| self.synonym(text, column, words))
            }
        }
    }

    /// A number that was said, or the next one where a bound leaves that out: after 1990 is at least 1991. Also the bounds of a decade.
    fn has_bound(&self, number: f64, relation: Relation) -> bool {
        let beside = match relation {
            Relation::AtLeast => [1.0, 0.0],
            Relation::AtMost => [-1.0, 0.0],
            Relation::Less => [1.0, 0.0],
            Relation::More => [-1.0, 0.0],
            Relation::Between => [1.0, -1.0],
            _ => [0.0, 0.0],
        };
        beside.iter().any(|beside| self.has_number(number - beside))
            || self.has_number(number)
            || self.decades.iter().any(|from| number >= from - 1.0 && number <= from + 10.0)
    }

    /// Whether the question has one of the catalog's words for a stored value.
    fn synonym(&self, value: &str, column: &str, words: &Vocabulary) -> bool {
        let same = |other: &String| other.eq_ignore_ascii_case(value);
        let any = |words: &[String]| words.iter().any(|word| self.phrase(word));
        let dimensions = words.dimensions.iter().filter(|dimension| dimension.column.eq_ignore_ascii_case(column));
        let by_value = dimensions.clone().flat_map(|dimension| &dimension.values).any(|known| same(&known.value) && any(&known.words));
        let by_several =
            dimensions.flat_map(|dimension| &dimension.combinations).any(|known| known.all.iter().any(same) && any(&known.words));
        let kinds = words.entity.kinds.iter().filter(|kind| kind.column.as_ref().is_some_and(|known| known.eq_ignore_ascii_case(column)));
        let by_kind = kinds.into_iter().any(|kind| kind.values.iter().any(same) && any(&kind.nouns));
        let people = words.people.iter().filter(|people| people.credits.role.eq_ignore_ascii_case(column));
        let mut roles = people.flat_map(|people| &people.roles).filter(|role| role.values.iter().any(same));
        let by_role = roles.any(|role| {
            any(&role.nouns) || any(&role.verbs) || any(&role.before_name) || role.passive.iter().any(|word| self.phrase(word))
        });
        by_value || by_several || by_kind || by_role
    }
}

#[cfg(test)]
mod tests {
    use super::assumptions;
    use crate::sql::Catalog;

    #[track_caller]
    fn check(catalog: &Catalog, cases: &[(&str, &str, &[&str])]) {
        for (question, sql, expected) in cases {
            assert_eq!(assumptions(sql, question, catalog), *expected, "{question}: {sql}");
        }
    }

    #[test]
    fn what_the_question_does_not_say_is_told() {
        let catalog = Catalog::embedded().unwrap();
        let film = "a film is titleType = 'movie'";
        let votes = "ranking by rating needs at least 25,000 votes";
        let from = "SELECT primaryTitle FROM imdb.movies_with_ratings AS m";
        let statement = |rest: &str| format!("{from} {rest}");
        let cases: &[(&str, &str, &[&str])] = &[
            ("top 10 films", "WHERE titleType = 'movie' AND numVotes >= 25000 ORDER BY averageRating DESC LIMIT 10", &[film, votes]),
            ("best films", "WHERE m.titleType IN ('movie') AND 25000 <= m.numVotes LIMIT 10", &[film, votes, "at most 10 rows are shown"]),
            ("best film", "WHERE numVotes >= 1000 LIMIT 1", &["numVotes is at least 1,000"]),
            ("films with 1,000 votes", "WHERE numVotes >= 1000 LIMIT 1001", &[]),
            (
                "top ten series",
                "WHERE titleType IN ('tvMiniSeries', 'tvSeries') LIMIT 10",
                &["a series is titleType = 'tvSeries' or 'tvMiniSeries'"],
            ),
            ("television", "WHERE titleType IN ('tvSeries', 'tvMovie')", &["titleType is 'tvSeries' or 'tvMovie'"]),
            ("scary pictures of the 80s", "WHERE array_contains(genres, 'Horror') AND startYear BETWEEN 1980 AND 1989", &[]),
            (
                "date films",
                "WHERE array_contains(genres, 'Romance') AND array_contains(genres, 'Comedy')",
                &["genres include 'Romance'", "genres include 'Comedy'"],
            ),
            ("rom com", "WHERE array_contains(genres, 'Romance') AND array_contains(genres, 'Comedy')", &[]),
            (
                "dark films",
                "WHERE array_contains(genres, 'Film-Noir') AND NOT array_contains(genres, 'Comedy')",
                &["genres include 'Film-Noir'", "genres do not include 'Comedy'"],
            ),
            ("after 1990", "WHERE startYear >= 1991", &[]),
            ("until 1990", "WHERE startYear < 1991 OR startYear <= 1990", &[]),
            ("recent films", "WHERE startYear > 2015 AND startYear <> 2020", &["startYear is more than 2015", "startYear is not 2020"]),
            ("longer than two hours", "WHERE runtimeMinutes > 120", &[]),
            (
                "long films",
                "WHERE NOT runtimeMinutes < 150 AND runtimeMinutes NOT BETWEEN 200 AND 1000",
                &["runtimeMinutes is at least 150", "runtimeMinutes is not between 200 and 1,000"],
            ),
            ("How long is Jaws?", "WHERE lower(primaryTitle) = 'jaws' AND runtimeMinutes IS NOT NULL", &[]),
            (
                "films with star in the title",
                "WHERE lower(primaryTitle) LIKE '%star%' AND originalTitle NOT LIKE '%wars%'",
                &["originalTitle is not like '%wars%'"],
            ),
            ("Amelie", "WHERE primaryTitle = 'Amélie' AND isAdult = 0", &["isAdult is 0"]),
            ("", "WHERE m.startYear = m.endYear AND numVotes > averageRating", &[]),
            (
                "of this century",
                "WHERE startYear >= 2000 AND startYear < 2100",
                &["startYear is at least 2000", "startYear is less than 2100"],
            ),
            (
                "great films",
                "WHERE averageRating >= 8.5 OR numVotes >= 100000 AND isAdult = 0",
                &["averageRating is at least 8.5 or numVotes is at least 100,000 and isAdult is 0"],
            ),
            (
                "great films",
                "WHERE averageRating >= 8.5 OR m.startYear = m.endYear",
                &["averageRating is at least 8.5 or another condition holds"],
            ),
            ("films", "WHERE NOT (startYear = 2000 AND isAdult = 1)", &["startYear is not 2000 or isAdult is not 1"]),
            ("rated 8.5 or with 1,000 votes", "WHERE averageRating >= 8.5 OR numVotes >= 1000", &[]),
            (
                "films nobody composed for",
                "WHERE NOT EXISTS (SELECT 1 FROM imdb.movie_cast AS c WHERE c.tconst = m.tconst AND c.category = 'composer')",
                &[],
            ),
            ("films", "WHERE tconst NOT IN (SELECT tconst FROM imdb.ratings_delta WHERE numVotes >= 7)", &[]),
            (
                "films",
                "WHERE NOT (tconst IN (SELECT tconst FROM imdb.ratings_delta WHERE numVotes >= 7)) AND isAdult = 0",
                &["isAdult is 0"],
            ),
            ("films", "EXCEPT SELECT primaryTitle FROM imdb.movies_with_ratings WHERE numVotes >= 7", &[]),
            (
                "films",
                "LEFT ANTI JOIN imdb.ratings_delta AS r ON r.tconst = m.tconst AND r.numVotes >= 1000 WHERE isAdult = 0",
                &["isAdult is 0"],
            ),
            ("films", "LEFT ANTI JOIN (SELECT tconst FROM imdb.ratings_delta WHERE numVotes >= 7) AS r ON r.tconst = m.tconst", &[]),
        ];
        for (question, rest, expected) in cases {
            check(&catalog, &[(question, &statement(rest), expected)]);
        }
    }

    #[test]
    fn conditions_are_found_in_every_select_and_only_there() {
        let catalog = Catalog::embedded().unwrap();
        check(
            &catalog,
            &[
                (
                    "Which directors have the best average rating?",
                    "SELECT c.primaryName FROM imdb.movie_cast AS c JOIN imdb.movies_with_ratings AS m ON m.tconst = c.tconst AND m.isAdult = 0 \
                     WHERE c.category = 'director' GROUP BY c.primaryName HAVING COUNT(DISTINCT m.tconst) >= 5",
                    &["isAdult is 0", "COUNT(DISTINCT m.tconst) is at least 5"],
                ),
                (
                    "best of each year",
                    "WITH r AS (SELECT startYear, ROW_NUMBER() OVER (ORDER BY numVotes) AS place FROM imdb.movies_with_ratings WHERE startYear >= 2010) \
                     SELECT startYear FROM r WHERE place = 1 AND startYear IN (SELECT m.startYear FROM imdb.movies_delta AS m WHERE m.runtimeMinutes > 60)",
                    &["startYear is at least 2010", "runtimeMinutes is more than 60"],
                ),
                ("how many", "SELECT SUM(CASE WHEN averageRating >= 8 THEN 1 ELSE 0 END) AS n FROM imdb.ratings_delta", &[]),
                (
                    "who",
                    "SELECT 1 FROM imdb.movie_cast WHERE category = 'director' OR category = 'director' OR primaryName = 'It''s'",
                    &["category is 'director' or primaryName is 'It's'"],
                ),
                (
                    "all",
                    "SELECT 1 FROM imdb.movies_delta WHERE startYear NOT IN (1, 2, 3, 4) AND startYear > 5 AND startYear > 6 AND startYear > 7 \
                     AND startYear > 8 AND startYear > 9 AND startYear > 10",
                    &[
                        "startYear is not 1, 2, 3 or 4",
                        "startYear is more than 5",
                        "startYear is more than 6",
                        "startYear is more than 7",
                        "startYear is more than 8",
                        "startYear is more than 9",
                    ],
                ),
                ("not SQL", "DROP TABLE x", &[]),
            ],
        );
    }

    #[test]
    fn another_lake_has_its_own_sentences() {
        let catalog = Catalog::parse(include_str!("../../tests/planner/shop.yaml")).unwrap();
        check(
            &catalog,
            &[
                (
                    "best menswear",
                    r"SELECT p.label FROM shop.products AS p JOIN shop.reviews AS v ON v.sku = p.sku WHERE p.category = 'Men\'s Wear' AND v.reviews >= 50",
                    &["at least 50 reviews"],
                ),
                (
                    "cheap things for the garden",
                    "SELECT label FROM shop.products WHERE category = 'Garden' AND price < 20.5 AND launched = 2020",
                    &["price is less than 20.5", "launched is 2020"],
                ),
                ("what did Dieter Rams design?", "SELECT 1 FROM shop.made_by WHERE part = 'designer'", &[]),
            ],
        );
    }
}
