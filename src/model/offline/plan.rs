//! What a question asks for, in terms of the vocabulary: the planner's own language between words and SQL.
//!
//! Owns the types and their one-line description. Refuses to hold words of the question other than names.

use std::fmt::Write as _;

use crate::sql::catalog::vocabulary::Vocabulary;

/// What a question asks for. Numbers are indexes into the vocabulary's lists.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Plan {
    /// Entities, in an order.
    List(List),
    /// How many entities.
    Count(Selection),
    /// Aggregates of measures over entities.
    Aggregate { of: Selection, values: Vec<(Aggregate, usize)> },
    /// A number for each value of something.
    Group(Group),
    /// The values of a dimension.
    Values { dim: usize, count: bool },
    /// How many people have a role in such entities.
    CountPeople { role: Option<usize>, of: Selection },
    /// Who has a role in an entity.
    Credits { name: Name, role: Option<usize> },
    /// Facts of one entity; all of them when none is named.
    Facts { name: Name, facts: Vec<Fact> },
    /// Facts of one person.
    Person { name: Name, fact: Option<usize> },
    /// An entity or a person of that name, whichever there is.
    About { name: Name },
    /// Two entities by one measure, or by all.
    Compare { names: [Name; 2], by: Option<(usize, bool)> },
    /// Two people by the number of entities.
    ComparePeople { names: [Name; 2], role: usize, selection: Selection },
    /// Whether an entity of that name exists.
    Exists { name: Name },
    /// Whether a person has a role in an entity.
    Credited { person: Name, entity: Name, role: Option<usize> },
    /// Whether an entity has a value of a dimension.
    HasValue { name: Name, dim: usize, values: Vec<usize> },
}

/// A name as the user wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) text: String,
    /// The year that tells entities of one name apart.
    pub(super) year: Option<i64>,
    /// Whether only this very name is meant: no near one is looked for.
    pub(super) strict: bool,
}

/// A fact of one entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    Measure(usize),
    Dim(usize),
}

/// An aggregate function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aggregate {
    Average,
    Sum,
    Max,
    Min,
}

/// Which entities.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Selection {
    /// Any of these kinds; the first kind of the vocabulary when empty.
    pub(super) kinds: Vec<usize>,
    pub(super) values: Vec<Values>,
    pub(super) ranges: Vec<Range>,
    pub(super) people: Vec<Person>,
    /// Words the name must contain.
    pub(super) name_words: Vec<String>,
}

/// A condition on a dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Values {
    pub(super) dim: usize,
    /// Any of these values; several conditions must all hold.
    pub(super) any: Vec<usize>,
    pub(super) not: bool,
}

/// A condition on a measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    pub(super) measure: usize,
    pub(super) low: Option<Bound>,
    pub(super) high: Option<Bound>,
}

/// One side of a range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bound {
    pub(super) value: f64,
    pub(super) inclusive: bool,
}

/// A condition on credits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) name: Name,
    /// Any role when absent.
    pub(super) role: Option<usize>,
    pub(super) not: bool,
}

/// Entities, in an order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct List {
    pub(super) of: Selection,
    /// Measure and whether high values come first.
    pub(super) order: Order,
    pub(super) limit: Limit,
    /// Further measures to show.
    pub(super) show: Vec<usize>,
    /// The role whose people to show.
    pub(super) credits: Option<usize>,
}

/// What decides on the order of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The question names a measure.
    By { measure: usize, high: bool },
    /// The planner chose one.
    Chosen { measure: usize, high: bool },
}

impl Order {
    pub(super) fn parts(self) -> (usize, bool) {
        match self {
            Self::By { measure, high } | Self::Chosen { measure, high } => (measure, high),
        }
    }
}

/// How many rows a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// The one at the top.
    One,
    /// As many as the question says.
    Asked(u64),
    /// As many as are easily read.
    Default,
}

/// A number for each value of something.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Group {
    pub(super) of: Selection,
    pub(super) by: Key,
    pub(super) value: Number,
    /// `None`: in the order of the key.
    pub(super) high: Option<bool>,
    pub(super) limit: Limit,
}

/// What groups are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Dim(usize),
    Role(usize),
    Year,
    Decade,
}

/// The number of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Count,
    Of(Aggregate, usize),
}

impl Plan {
    /// One line that says what is planned, for tests and for the reasoning of a query.
    pub(super) fn describe(&self, words: &Vocabulary) -> String {
        let measure = |index: usize| words.measures.get(index).map_or("?", |measure| measure.name.as_str());
        let role = |index: Option<usize>| {
            index.and_then(|index| words.people.as_ref()?.roles.get(index)).map_or("anyone", |role| role.name.as_str())
        };
        let dim = |index: usize| words.dimensions.get(index).map_or("?", |dim| dim.name.as_str());
        match self {
            Self::List(list) => {
                let (by, high) = list.order.parts();
                let chosen = if matches!(list.order, Order::Chosen { .. }) { "~" } else { "" };
                let mut text = format!("list {} by {chosen}{} {}", list.of.describe(words), measure(by), direction(high));
                text.push_str(&limit(list.limit));
                for index in &list.show {
                    let _ = write!(text, " show {}", measure(*index));
                }
                if list.credits.is_some() {
                    let _ = write!(text, " with {}", role(list.credits));
                }
                text
            }
            Self::Count(of) => format!("count {}", of.describe(words)),
            Self::Aggregate { of, values } => {
                let values: Vec<String> =
                    values.iter().map(|(aggregate, index)| format!("{} {}", aggregate.word(), measure(*index))).collect();
                format!("{} of {}", values.join(", "), of.describe(words))
            }
            Self::Group(group) => {
                let key = match group.by {
                    Key::Dim(index) => dim(index),
                    Key::Role(index) => role(Some(index)),
                    Key::Year => "year",
                    Key::Decade => "decade",
                };
                let value = match group.value {
                    Number::Count => "count".to_owned(),
                    Number::Of(aggregate, index) => format!("{} {}", aggregate.word(), measure(index)),
                };
                let order = group.high.map_or(String::new(), |high| format!(" {}", direction(high)));
                format!("{value} of {} per {key}{order}{}", group.of.describe(words), limit(group.limit))
            }
            Self::Values { dim: index, count } => format!("{} of {}", if *count { "number of values" } else { "values" }, dim(*index)),
            Self::CountPeople { role: of, of: selection } if *selection == Selection::default() => format!("count people as {}", role(*of)),
            Self::CountPeople { role: of, of: selection } => format!("count people as {} of {}", role(*of), selection.describe(words)),
            Self::Credits { name, role: of } => format!("{} of {}", role(*of), name.describe()),
            Self::Facts { name, facts } => {
                let facts: Vec<&str> = facts
                    .iter()
                    .map(|fact| match fact {
                        Fact::Measure(index) => measure(*index),
                        Fact::Dim(index) => dim(*index),
                    })
                    .collect();
                format!("{} of {}", if facts.is_empty() { "facts".to_owned() } else { facts.join(", ") }, name.describe())
            }
            Self::Person { name, fact } => {
                let label = fact.and_then(|index| words.people.as_ref()?.facts.get(index)).map_or("facts", |fact| fact.label.as_str());
                format!("{label} of person {}", name.describe())
            }
            Self::About { name } => format!("about {}", name.describe()),
            Self::Compare { names: [one, other], by } => {
                let by = by.map_or("everything".to_owned(), |(index, high)| format!("{} {}", measure(index), direction(high)));
                format!("compare {} and {} by {by}", one.describe(), other.describe())
            }
            Self::ComparePeople { names: [one, other], role: of, selection } => {
                format!("compare {} and {} as {} of {}", one.describe(), other.describe(), role(Some(*of)), selection.describe(words))
            }
            Self::Exists { name } => format!("exists {}", name.describe()),
            Self::Credited { person, entity, role: of } => format!("is {} {} of {}", person.describe(), role(*of), entity.describe()),
            Self::HasValue { name, dim: index, values } => {
                let values: Vec<&str> = values
                    .iter()
                    .filter_map(|at| words.dimensions.get(*index)?.values.get(*at))
                    .map(|value| value.value.as_str())
                    .collect();
                format!("is {} of {} {}", name.describe(), dim(*index), values.join(" and "))
            }
        }
    }
}

fn direction(high: bool) -> &'static str {
    if high { "desc" } else { "asc" }
}

fn limit(limit: Limit) -> String {
    match limit {
        Limit::One => " one".into(),
        Limit::Asked(number) => format!(" limit {number}"),
        Limit::Default => String::new(),
    }
}

impl Aggregate {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Average => "average",
            Self::Sum => "total",
            Self::Max => "highest",
            Self::Min => "lowest",
        }
    }
}

impl Name {
    pub(super) fn describe(&self) -> String {
        match self.year {
            Some(year) => format!("\"{}\" ({year})", self.text),
            None => format!("\"{}\"", self.text),
        }
    }
}

impl Selection {
    fn describe(&self, words: &Vocabulary) -> String {
        let kinds: Vec<&str> =
            self.kinds.iter().filter_map(|index| words.entity.kinds.get(*index)).map(|kind| kind.plural.as_str()).collect();
        let first = words.entity.kinds.first().map_or("rows", |kind| kind.plural.as_str());
        let mut parts = vec![if kinds.is_empty() { first.to_owned() } else { kinds.join("/") }];
        for condition in &self.values {
            let values: Vec<&str> = condition
                .any
                .iter()
                .filter_map(|at| words.dimensions.get(condition.dim)?.values.get(*at))
                .map(|value| value.value.as_str())
                .collect();
            parts.push(format!("[{}{}]", if condition.not { "not " } else { "" }, values.join("|")));
        }
        for range in &self.ranges {
            parts.push(format!("[{}]", range.describe(words)));
        }
        for person in &self.people {
            let role = person.role.and_then(|index| words.people.as_ref()?.roles.get(index)).map_or("anyone", |role| role.name.as_str());
            parts.push(format!("[{}{role} {}]", if person.not { "not " } else { "" }, person.name.describe()));
        }
        for word in &self.name_words {
            parts.push(format!("[name has \"{word}\"]"));
        }
        parts.join(" ")
    }
}

impl Range {
    fn describe(&self, words: &Vocabulary) -> String {
        let name = words.measures.get(self.measure).map_or("?", |measure| measure.name.as_str());
        match (self.low, self.high) {
            (Some(low), Some(high)) if low == high => format!("{name} = {}", low.value),
            (Some(low), Some(high)) if low.inclusive && high.inclusive => format!("{name} {}..{}", low.value, high.value),
            (Some(low), Some(high)) => format!(
                "{name} >{} {} <{} {}",
                if low.inclusive { "=" } else { "" },
                low.value,
                if high.inclusive { "=" } else { "" },
                high.value
            ),
            (Some(low), None) => format!("{name} {} {}", if low.inclusive { ">=" } else { ">" }, low.value),
            (None, Some(high)) => format!("{name} {} {}", if high.inclusive { "<=" } else { "<" }, high.value),
            (None, None) => name.to_owned(),
        }
    }
}
