//! Writes Spark SQL from plans: readable statements that run on Databricks and on Sail alike.
//!
//! Owns the shape of every statement the planner makes. All table and column names come from the catalog; what a user wrote
//! enters only as an escaped literal. Every ranking ends with tie-breakers, so that the order is the same each time.

mod labels;
mod lookup;

use std::fmt::Write as _;

use crate::sql::{
    Catalog,
    catalog::vocabulary::{Measure, People, Vocabulary},
};

use self::labels::GroupLabels;
pub(super) use self::labels::key_label;
use super::plan::{Aggregate, Group, Key, Limit, List, Number, Range, Selection};

/// Rows a list shows when the question does not say.
pub(super) const SHOWN: u64 = 10;
/// Rows a list shows when the question only filters.
const SHOWN_UNRANKED: u64 = 20;
/// People of a selection, resolved to keys, in the order of the selection.
pub(super) type Keys = Vec<Vec<String>>;

/// Writes statements over one catalog.
#[derive(Clone, Copy)]
pub(super) struct Writer<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) words: &'a Vocabulary,
}

/// The clauses of a statement under construction.
#[derive(Default)]
struct Select {
    columns: Vec<String>,
    from: Vec<String>,
    lateral: Option<String>,
    conditions: Vec<String>,
    group: Vec<String>,
    having: Option<String>,
    order: Vec<String>,
    limit: Option<u64>,
}

impl Select {
    fn write(self) -> String {
        let mut sql = format!("SELECT {}", self.columns.join(", "));
        for part in &self.from {
            let _ = write!(sql, "\n{part}");
        }
        if let Some(lateral) = &self.lateral {
            let _ = write!(sql, "\n{lateral}");
        }
        for (index, condition) in self.conditions.iter().enumerate() {
            let _ = write!(sql, "\n{} {condition}", if index == 0 { "WHERE" } else { "  AND" });
        }
        for (clause, parts) in [("GROUP BY", &self.group), ("HAVING", &self.having.into_iter().collect()), ("ORDER BY", &self.order)] {
            if !parts.is_empty() {
                let _ = write!(sql, "\n{clause} {}", parts.join(", "));
            }
        }
        if let Some(limit) = self.limit {
            let _ = write!(sql, "\nLIMIT {limit}");
        }
        sql
    }
}

/// A string literal of Spark SQL.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn literals(texts: &[String]) -> String {
    texts.iter().map(|text| literal(text)).collect::<Vec<_>>().join(", ")
}

fn one_of(column: &str, values: &[String]) -> String {
    match values {
        [value] => format!("{column} = {}", literal(value)),
        values => format!("{column} IN ({})", literals(values)),
    }
}

/// A number as SQL writes it: without a point when it is whole.
fn plain(number: f64) -> String {
    format!("{number}")
}

/// A pattern for LIKE that finds `text` itself.
fn like(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

impl<'a> Writer<'a> {
    fn measure(&self, index: usize) -> Option<&'a Measure> {
        self.words.measures.get(index)
    }

    fn column(&self, measure: &Measure) -> String {
        let entity = &self.words.entity;
        let alias = self.words.joins.iter().find(|beside| beside.table == measure.table).map_or(&entity.alias, |beside| &beside.alias);
        format!("{alias}.{}", measure.column)
    }

    fn own(&self, column: &str) -> String {
        format!("{}.{column}", self.words.entity.alias)
    }

    fn entity_clause(&self) -> String {
        format!("FROM {} AS {}", self.words.entity.table, self.words.entity.alias)
    }

    /// Joins the tables beside the entity that `measures` come from; with LEFT where none of `required` does.
    fn join_beside(&self, select: &mut Select, measures: &[usize], required: &[usize]) {
        let of =
            |indexes: &[usize], table: &str| indexes.iter().filter_map(|index| self.measure(*index)).any(|measure| measure.table == table);
        for beside in &self.words.joins {
            if !of(measures, &beside.table) && !of(required, &beside.table) {
                continue;
            }
            let kind = if of(required, &beside.table) { "JOIN" } else { "LEFT JOIN" };
            select.from.push(format!(
                "{kind} {} AS {1} ON {1}.{2} = {3}",
                beside.table,
                beside.alias,
                beside.key,
                self.own(&self.words.entity.key)
            ));
        }
    }

    /// The conditions of a selection.
    fn conditions(&self, of: &Selection, keys: &Keys) -> Vec<String> {
        let mut conditions = Vec::new();
        conditions.extend(self.kind_condition(&of.kinds));
        for condition in &of.values {
            conditions.extend(self.value_condition(condition.dim, &condition.any, condition.not));
        }
        for range in &of.ranges {
            conditions.extend(self.range_condition(range));
        }
        for (person, keys) in of.people.iter().zip(keys) {
            conditions.extend(self.credit_condition(person.role, keys, person.not));
        }
        for word in &of.name_words {
            conditions.push(format!(
                "lower({}) LIKE {}",
                self.own(&self.words.entity.name),
                literal(&format!("%{}%", like(&word.to_lowercase())))
            ));
        }
        conditions
    }

    fn kind_condition(&self, kinds: &[usize]) -> Option<String> {
        let wanted: Vec<_> = if kinds.is_empty() {
            self.words.entity.kinds.first().into_iter().collect()
        } else {
            kinds.iter().filter_map(|index| self.words.entity.kinds.get(*index)).collect()
        };
        let column = wanted.iter().find_map(|kind| kind.column.as_deref())?;
        if wanted.iter().any(|kind| kind.column.is_none()) {
            return None;
        }
        let values: Vec<String> = wanted.iter().flat_map(|kind| kind.values.iter().cloned()).collect();
        Some(one_of(&self.own(column), &values))
    }

    fn is_array(&self, column: &str) -> bool {
        let relation = self.catalog.relation(&self.words.entity.table);
        relation.and_then(|relation| relation.column(column)).is_some_and(|column| column.data_type.starts_with("array<"))
    }

    fn value_condition(&self, dim: usize, any: &[usize], not: bool) -> Option<String> {
        let dimension = self.words.dimensions.get(dim)?;
        let column = self.own(&dimension.column);
        let values: Vec<String> = any.iter().filter_map(|index| dimension.values.get(*index)).map(|value| value.value.clone()).collect();
        if !self.is_array(&dimension.column) {
            let condition = one_of(&column, &values);
            return Some(if not { format!("({column} IS NULL OR NOT {condition})") } else { condition });
        }
        let each: Vec<String> = values.iter().map(|value| format!("array_contains({column}, {})", literal(value))).collect();
        let any = match each.as_slice() {
            [one] => one.clone(),
            many => format!("({})", many.join(" OR ")),
        };
        // What has none at all has not that one either, which SQL would not say.
        Some(if not { format!("({column} IS NULL OR NOT {any})") } else { any })
    }

    fn range_condition(&self, range: &Range) -> Option<String> {
        let column = self.column(self.measure(range.measure)?);
        Some(match (range.low, range.high) {
            (Some(low), Some(high)) if low == high => format!("{column} = {}", plain(low.value)),
            (Some(low), Some(high)) if low.inclusive && high.inclusive => {
                format!("{column} BETWEEN {} AND {}", plain(low.value), plain(high.value))
            }
            (low, high) => {
                let sides = [low.map(|it| (it, ">")), high.map(|it| (it, "<"))];
                let parts: Vec<String> = sides
                    .into_iter()
                    .flatten()
                    .map(|(bound, sign)| format!("{column} {sign}{} {}", if bound.inclusive { "=" } else { "" }, plain(bound.value)))
                    .collect();
                parts.join(" AND ")
            }
        })
    }

    /// Membership in what someone is credited with.
    fn credit_condition(&self, role: Option<usize>, keys: &[String], not: bool) -> Option<String> {
        let people = self.words.people.as_ref()?;
        let credits = &people.credits;
        let mut inner = format!("{}.{}", credits.alias, credits.person_key);
        inner = one_of(&inner, keys);
        if let Some(condition) = self.role_condition(people, role) {
            let _ = write!(inner, " AND {condition}");
        }
        Some(format!(
            "{} {}IN (SELECT {2}.{3} FROM {4} AS {2} WHERE {inner})",
            self.own(&self.words.entity.key),
            if not { "NOT " } else { "" },
            credits.alias,
            credits.entity_key,
            credits.table
        ))
    }

    fn role_condition(&self, people: &People, role: Option<usize>) -> Option<String> {
        let role = people.roles.get(role?)?;
        Some(one_of(&format!("{}.{}", people.credits.alias, people.credits.role), &role.values))
    }

    /// The parameter of a ranking's threshold, unless the question bounds that measure itself: its measure and value.
    pub(super) fn threshold(&self, measure: usize, of: &Selection) -> Option<(usize, i64)> {
        let threshold = self.measure(measure)?.threshold.as_ref()?;
        let index = self.words.measures.iter().position(|measure| measure.name == threshold.measure)?;
        let bounded = of.ranges.iter().any(|range| range.measure == index && range.low.is_some());
        let value = *self.catalog.parameters.get(&threshold.parameter)?;
        (!bounded).then_some((index, value))
    }

    /// How many rows a list asks for.
    pub(super) fn rows(limit: Limit, ranked: bool) -> u64 {
        match limit {
            // A few more, so that the answer knows of ties.
            Limit::One => 5,
            Limit::Asked(rows) => rows,
            Limit::Default if ranked => SHOWN,
            Limit::Default => SHOWN_UNRANKED,
        }
    }

    /// The measures a list shows, the one it is ordered by first.
    pub(super) fn shown(&self, list: &List) -> Vec<usize> {
        let (by, _) = list.order.parts();
        let threshold = self.measure(by).and_then(|measure| measure.threshold.as_ref());
        let justifying = threshold.and_then(|threshold| self.words.measures.iter().position(|measure| measure.name == threshold.measure));
        let bounded = list.of.ranges.iter().map(|range| range.measure);
        let mut shown: Vec<usize> = std::iter::once(by).chain(justifying).chain(bounded).chain(list.show.iter().copied()).collect();
        let mut seen = Vec::new();
        shown.retain(|index| {
            let new = !seen.contains(index) && self.measure(*index).is_some_and(|measure| !measure.year);
            seen.push(*index);
            new
        });
        shown
    }

    /// The statement of a list. Columns: name, year (if there is one), the shown measures, perhaps people, `total`.
    pub(super) fn list(&self, list: &List, keys: &Keys) -> String {
        let entity = &self.words.entity;
        let (by, high) = list.order.parts();
        let ranked = matches!(list.order, super::plan::Order::By { .. });
        let shown = self.shown(list);
        let mut select = Select { columns: vec![self.own(&entity.name)], from: vec![self.entity_clause()], ..Select::default() };
        select.columns.extend(self.year_column());
        let columns: Vec<String> = shown.iter().filter_map(|index| self.measure(*index)).map(|measure| self.column(measure)).collect();
        select.columns.extend(columns);
        let threshold = self.threshold(by, &list.of).filter(|_| ranked);
        let mut required: Vec<usize> = list.of.ranges.iter().map(|range| range.measure).chain(threshold.map(|(index, _)| index)).collect();
        if ranked {
            required.push(by);
        }
        self.join_beside(&mut select, &[shown.as_slice(), &[by]].concat(), &required);
        select.conditions = self.conditions(&list.of, keys);
        if let Some((measure, least)) = threshold.and_then(|(index, least)| Some((self.measure(index)?, least))) {
            select.conditions.push(format!("{} >= {least}", self.column(measure)));
        } else if let Some(measure) = self.measure(by).filter(|_| ranked) {
            select.conditions.push(format!("{} IS NOT NULL", self.column(measure)));
        }
        if let Some((join, column)) = list.credits.and_then(|role| self.credited_names(role)) {
            select.from.push(join);
            select.columns.push(column);
        }
        select.columns.push("COUNT(*) OVER () AS total".into());
        select.order = self.ranking(by, high);
        select.limit = Some(Self::rows(list.limit, ranked));
        select.write()
    }

    fn year_column(&self) -> Option<String> {
        self.words.measures.iter().find(|measure| measure.year).map(|measure| self.column(measure))
    }

    /// An order by a measure with its tie-breakers.
    fn ranking(&self, by: usize, high: bool) -> Vec<String> {
        let Some(measure) = self.measure(by) else { return Vec::new() };
        let direction = if high { "DESC" } else { "ASC" };
        let mut order = vec![format!("{} {direction} NULLS LAST", self.column(measure))];
        let tie = measure.tie_break.as_ref().and_then(|name| self.words.measures.iter().find(|other| other.name == *name));
        order.extend(tie.map(|measure| format!("{} DESC NULLS LAST", self.column(measure))));
        order.push(self.own(&self.words.entity.name));
        order.push(self.own(&self.words.entity.key));
        order
    }

    /// A join that gives the names of those with a role in one column.
    fn credited_names(&self, role: usize) -> Option<(String, String)> {
        let people = self.words.people.as_ref()?;
        let credits = &people.credits;
        let condition = self.role_condition(people, Some(role))?;
        let (c, p) = (&credits.alias, &people.alias);
        let join = format!(
            "LEFT JOIN (\n  SELECT {c}.{entity_key}, array_join(array_sort(collect_set({p}.{name})), ', ') AS names\n  FROM {credits_table} AS {c}\n  JOIN {people_table} AS {p} ON {p}.{key} = {c}.{person_key}\n  WHERE {condition}\n  GROUP BY {c}.{entity_key}\n) AS credited ON credited.{entity_key} = {own}",
            entity_key = credits.entity_key,
            name = people.name,
            credits_table = credits.table,
            people_table = people.table,
            key = people.key,
            person_key = credits.person_key,
            own = self.own(&self.words.entity.key)
        );
        Some((join, "credited.names".into()))
    }

    /// The statement of a count. Column: `number`.
    pub(super) fn count(&self, of: &Selection, keys: &Keys) -> String {
        let mut select = Select { columns: vec!["COUNT(*) AS number".into()], from: vec![self.entity_clause()], ..Select::default() };
        let required: Vec<usize> = of.ranges.iter().map(|range| range.measure).collect();
        self.join_beside(&mut select, &[], &required);
        select.conditions = self.conditions(of, keys);
        select.write()
    }

    /// The statement of aggregates. Columns: `value_0`, `count_0`, `value_1`, …
    pub(super) fn aggregate(&self, of: &Selection, values: &[(Aggregate, usize)], keys: &Keys) -> String {
        let mut select = Select { from: vec![self.entity_clause()], ..Select::default() };
        let mut required: Vec<usize> = of.ranges.iter().map(|range| range.measure).collect();
        required.extend(values.iter().map(|(_, measure)| *measure));
        for (index, (aggregate, measure)) in values.iter().enumerate() {
            let Some(measure) = self.measure(*measure) else { continue };
            select.columns.push(format!("{} AS value_{index}", self.aggregated(*aggregate, measure)));
            select.columns.push(format!("COUNT({}) AS count_{index}", self.column(measure)));
        }
        self.join_beside(&mut select, &[], &required);
        select.conditions = self.conditions(of, keys);
        select.write()
    }

    fn aggregated(&self, aggregate: Aggregate, measure: &Measure) -> String {
        let column = self.column(measure);
        match aggregate {
            Aggregate::Average => format!("ROUND(AVG({column}), {})", measure.decimals.max(1)),
            Aggregate::Sum => format!("SUM({column})"),
            Aggregate::Max => format!("MAX({column})"),
            Aggregate::Min => format!("MIN({column})"),
        }
    }

    /// The least number of entities in a group whose average is ranked.
    pub(super) fn group_minimum(&self, group: &Group) -> Option<i64> {
        let average = matches!(group.value, Number::Of(Aggregate::Average, _)) && group.high.is_some();
        let parameter = self.words.group_minimum.as_ref().filter(|_| average)?;
        self.catalog.parameters.get(parameter).copied()
    }

    /// The statement of a grouping. Columns, by whose names people and charts know them: the key, the value if one is asked for, the number
    /// of entities, and `total`, the number of groups.
    pub(super) fn group(&self, group: &Group, keys: &Keys) -> String {
        let mut select = Select { from: vec![self.entity_clause()], ..Select::default() };
        let mut required: Vec<usize> = group.of.ranges.iter().map(|range| range.measure).collect();
        let number = format!("COUNT(DISTINCT {})", self.own(&self.words.entity.key));
        let number = if matches!(group.by, Key::Role(_)) { number } else { "COUNT(*)".to_owned() };
        let value = match group.value {
            Number::Count => None,
            Number::Of(aggregate, index) => {
                required.push(index);
                self.measure(index).map(|measure| (self.aggregated(aggregate, measure), self.column(measure)))
            }
        };
        self.join_beside(&mut select, &[], &required);
        select.conditions = self.conditions(&group.of, keys);
        let name = self.group_key(group.by, &mut select);
        if let Some((_, column)) = &value {
            select.conditions.push(format!("{column} IS NOT NULL"));
        }
        let labels = GroupLabels::new(self.words, group);
        select.columns.push(format!("{name} AS {}", labels.key));
        select.columns.extend(value.as_ref().map(|(value, _)| format!("{value} AS {}", labels.value)));
        select.columns.push(format!("{number} AS {}", labels.number));
        select.columns.push("COUNT(*) OVER () AS total".into());
        select.having = self.group_minimum(group).map(|least| format!("{number} >= {least}"));
        let sorted = if value.is_some() { &labels.value } else { &labels.number };
        if let Some(high) = group.high {
            select.order.push(format!("{sorted} {}", if high { "DESC" } else { "ASC" }));
            select.order.extend(value.is_some().then(|| format!("{} DESC", labels.number)));
        }
        select.order.push(labels.key);
        select.limit = Some(match (group.limit, group.by) {
            (Limit::One, _) => 5,
            (Limit::Asked(rows), _) => rows,
            (Limit::Default, Key::Role(_)) => SHOWN,
            (Limit::Default, Key::Year) if group.high.is_some() => SHOWN_UNRANKED,
            (Limit::Default, _) => 200,
        });
        select.write()
    }

    /// What a grouping is by: adds its join, view and condition, and gives the expression of its name.
    fn group_key(&self, by: Key, select: &mut Select) -> String {
        let year = self.year_column().unwrap_or_default();
        match by {
            Key::Year | Key::Decade => {
                select.conditions.push(format!("{year} IS NOT NULL"));
                let name = if by == Key::Decade { format!("{year} - {year} % 10") } else { year };
                select.group.push(name.clone());
                name
            }
            Key::Dim(dim) => {
                let column = self.words.dimensions.get(dim).map_or(String::new(), |dimension| dimension.column.clone());
                let own = self.own(&column);
                let name = if self.is_array(&column) {
                    select.lateral = Some(format!("LATERAL VIEW explode({own}) exploded AS element"));
                    "element".to_owned()
                } else {
                    select.conditions.push(format!("{own} IS NOT NULL"));
                    own
                };
                select.group.push(name.clone());
                name
            }
            Key::Role(role) => {
                let Some(people) = &self.words.people else { return String::new() };
                let credits = &people.credits;
                let (c, p) = (&credits.alias, &people.alias);
                select.from.push(format!(
                    "JOIN {} AS {c} ON {c}.{} = {}",
                    credits.table,
                    credits.entity_key,
                    self.own(&self.words.entity.key)
                ));
                select.from.push(format!("JOIN {} AS {p} ON {p}.{} = {c}.{}", people.table, people.key, credits.person_key));
                select.conditions.extend(self.role_condition(people, Some(role)));
                let name = format!("{p}.{}", people.name);
                select.group = vec![format!("{p}.{}", people.key), name.clone()];
                name
            }
        }
    }

    /// The statement for the values of a dimension. Columns: `name`, `number`, `total`.
    pub(super) fn values(&self, dim: usize) -> String {
        let mut select = Select { from: vec![self.entity_clause()], ..Select::default() };
        let name = self.group_key(Key::Dim(dim), &mut select);
        select.columns = vec![format!("{name} AS name"), "COUNT(*) AS number".into(), "COUNT(*) OVER () AS total".into()];
        select.order = vec!["name".into()];
        select.limit = Some(100);
        select.write()
    }

    /// The statement for how many people have a role in such entities. Column: `number`.
    pub(super) fn count_people(&self, role: Option<usize>, of: &Selection, keys: &Keys) -> String {
        let Some(people) = &self.words.people else { return String::new() };
        let credits = &people.credits;
        if *of != Selection::default() {
            let required: Vec<usize> = of.ranges.iter().map(|range| range.measure).collect();
            let (c, key) = (&credits.alias, self.own(&self.words.entity.key));
            let mut select = Select { from: vec![self.entity_clause()], ..Select::default() };
            select.columns = vec![format!("COUNT(DISTINCT {c}.{}) AS number", credits.person_key)];
            self.join_beside(&mut select, &[], &required);
            select.from.push(format!("JOIN {} AS {c} ON {c}.{} = {key}", credits.table, credits.entity_key));
            select.conditions = self.conditions(of, keys);
            select.conditions.extend(self.role_condition(people, role));
            return select.write();
        }
        let select = match self.role_condition(people, role) {
            Some(condition) => Select {
                columns: vec![format!("COUNT(DISTINCT {}.{}) AS number", credits.alias, credits.person_key)],
                from: vec![format!("FROM {} AS {}", credits.table, credits.alias)],
                conditions: vec![condition],
                ..Select::default()
            },
            None => Select {
                columns: vec!["COUNT(*) AS number".into()],
                from: vec![format!("FROM {} AS {}", people.table, people.alias)],
                ..Select::default()
            },
        };
        select.write()
    }
}
