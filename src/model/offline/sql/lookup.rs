//! Statements that resolve names and read credits.
//!
//! Owns how a name is compared: the very name without case, spaces, punctuation and article; its words within a longer name; a
//! few letters off.

use super::{super::plan::Name, Select, Writer, like, literal, one_of};

/// Candidates looked at when a name is resolved.
const CANDIDATES: u64 = 12;
/// What names are compared without.
const PUNCTUATION: &str = ".,:;!?'’\"-&()/";

/// A name without case, spaces and punctuation.
fn squeezed(name: &str) -> String {
    name.to_lowercase().chars().filter(|letter| !letter.is_whitespace() && !PUNCTUATION.contains(*letter)).collect()
}

/// The same in SQL.
fn squeezed_column(column: &str) -> String {
    format!("translate(lower({column}), {}, '')", literal(&format!(" {PUNCTUATION}")))
}

/// A name without case and with blanks for punctuation, so that words can be found in it.
fn spaced(name: &str) -> String {
    let blank: String = name.to_lowercase().chars().map(|letter| if PUNCTUATION.contains(letter) { ' ' } else { letter }).collect();
    blank.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The same in SQL, with a blank at either end. Double blanks stay; a name is then found by its squeezed form.
fn spaced_column(column: &str) -> String {
    let blanks = " ".repeat(PUNCTUATION.chars().count());
    format!("concat(' ', translate(lower({column}), {}, {}), ' ')", literal(PUNCTUATION), literal(&blanks))
}

/// How far a name may be off: one letter in four, four at most.
fn tolerance(name: &str) -> usize {
    (name.chars().count() / 4).clamp(1, 4)
}

impl Writer<'_> {
    /// The statement that looks an entity up by name. Columns: `id`, `name`, `kind`, `fact_N` per measure, `dim_N` per
    /// dimension, `closeness` (0 the very name, from 1 on less). With `fuzzy`, names that are a few letters off.
    pub(in crate::model::offline) fn entity_by_name(&self, name: &Name, fuzzy: bool) -> String {
        let entity = &self.words.entity;
        let mut select = Select { from: vec![self.entity_clause()], limit: Some(CANDIDATES), ..Select::default() };
        select.columns = vec![format!("{} AS id", self.own(&entity.key)), format!("{} AS name", self.own(&entity.name))];
        select.columns.push(format!(
            "{} AS kind",
            entity.kinds.iter().find_map(|kind| kind.column.as_deref()).map_or("''".to_owned(), |column| self.own(column))
        ));
        let all: Vec<usize> = (0..self.words.measures.len()).collect();
        for (index, measure) in self.words.measures.iter().enumerate() {
            select.columns.push(format!("{} AS fact_{index}", self.column(measure)));
        }
        for (index, dimension) in self.words.dimensions.iter().enumerate() {
            select.columns.push(format!("{} AS dim_{index}", self.own(&dimension.column)));
        }
        self.join_beside(&mut select, &all, &[]);
        let names: Vec<String> = std::iter::once(&entity.name).chain(&entity.other_names).map(|column| self.own(column)).collect();
        let (condition, closeness) =
            if fuzzy { self.near(&names, &name.text) } else { Self::same_or_within(&names, &name.text, name.strict) };
        select.conditions.push(condition);
        if let (Some(year), Some(column)) = (name.year, self.year_column()) {
            select.conditions.push(format!("{column} = {year}"));
        }
        select.columns.push(format!("{closeness} AS closeness"));
        select.order = vec!["closeness".into()];
        if let Some(first) = entity.kinds.first().filter(|kind| kind.column.is_some()).and_then(|_| self.kind_condition(&[0])) {
            select.order.push(format!("CASE WHEN {first} THEN 0 ELSE 1 END"));
        }
        select.order.extend(self.known_best().map(|column| format!("{column} DESC NULLS LAST")));
        select.order.extend(self.year_column());
        select.order.push(self.own(&entity.key));
        select.write()
    }

    /// The measure by which the best known entity is told: the tie-breaker of the default one.
    fn known_best(&self) -> Option<String> {
        let default = self.words.measures.iter().find(|measure| measure.default)?;
        let name = default.tie_break.as_ref()?;
        self.words.measures.iter().find(|measure| measure.name == *name).map(|measure| self.column(measure))
    }

    /// The very name, with or without an article, or the name's words within a longer one.
    fn same_or_within(columns: &[String], name: &str, strict: bool) -> (String, String) {
        let words = spaced(name);
        let bare = ["the ", "a ", "an "].iter().find_map(|article| words.strip_prefix(article)).unwrap_or(&words).to_owned();
        let mut forms: Vec<String> = ["", "the ", "a ", "an "].iter().map(|article| squeezed(&format!("{article}{bare}"))).collect();
        forms.push(squeezed(name));
        forms.dedup();
        let same: Vec<String> = columns.iter().map(|column| one_of(&squeezed_column(column), &forms)).collect();
        let same = same.join(" OR ");
        if strict || bare.chars().count() < 2 {
            return (format!("({same})"), "0".into());
        }
        let within: Vec<String> = columns
            .iter()
            .take(1)
            .map(|column| format!("{} LIKE {}", spaced_column(column), literal(&format!("% {} %", like(&bare)))))
            .collect();
        (format!("({same} OR {})", within.join(" OR ")), format!("CASE WHEN {same} THEN 0 ELSE 1 END"))
    }

    /// Names that are a few letters off.
    fn near(&self, columns: &[String], name: &str) -> (String, String) {
        let wanted = squeezed(name);
        let distances: Vec<String> =
            columns.iter().map(|column| format!("levenshtein({}, {})", squeezed_column(column), literal(&wanted))).collect();
        let nearest = match distances.as_slice() {
            [one] => one.clone(),
            many => format!("LEAST({})", many.join(", ")),
        };
        (format!("{nearest} <= {}", tolerance(&wanted)), nearest)
    }

    /// The statement that looks a person up by name. Columns: `id`, `name`, `fact_N` per fact, `in_role` and `in_any` (numbers
    /// of entities), `closeness`.
    pub(in crate::model::offline) fn person_by_name(&self, name: &Name, role: Option<usize>, fuzzy: bool) -> String {
        let Some(people) = &self.words.people else { return String::new() };
        let credits = &people.credits;
        let (c, p) = (&credits.alias, &people.alias);
        let column = format!("{p}.{}", people.name);
        let (condition, closeness) = if fuzzy {
            let last_word = format!("substring_index({column}, ' ', -1)");
            let columns = if name.text.contains(' ') { vec![column.clone()] } else { vec![column.clone(), last_word] };
            self.near(&columns, &name.text)
        } else {
            Self::same_or_within(std::slice::from_ref(&column), &name.text, false)
        };
        let entities = format!("{c}.{}", credits.entity_key);
        let in_role = match self.role_condition(people, role) {
            Some(condition) => format!("COUNT(DISTINCT CASE WHEN {condition} THEN {entities} END)"),
            None => format!("COUNT(DISTINCT {entities})"),
        };
        let facts = people.facts.iter().map(|fact| format!("{p}.{}", fact.column));
        let mut select = Select { limit: Some(CANDIDATES), ..Select::default() };
        select.group = [format!("{p}.{}", people.key), column.clone()].into_iter().chain(facts.clone()).collect();
        select.columns = vec![format!("{p}.{} AS id", people.key), format!("{column} AS name")];
        select.columns.extend(facts.enumerate().map(|(index, column)| format!("{column} AS fact_{index}")));
        select.columns.push(format!("{in_role} AS in_role"));
        select.columns.push(format!("COUNT(DISTINCT {entities}) AS in_any"));
        select.columns.push(format!("{closeness} AS closeness"));
        select.from = vec![
            format!("FROM {} AS {p}", people.table),
            format!("LEFT JOIN {} AS {c} ON {c}.{} = {p}.{}", credits.table, credits.person_key, people.key),
        ];
        select.conditions = vec![condition];
        select.order = vec!["closeness".into(), "in_role DESC".into(), "in_any DESC".into(), "name".into(), "id".into()];
        select.write()
    }

    /// The statement for who is credited with an entity. Columns: `id`, `name`, `role`.
    pub(in crate::model::offline) fn credits(&self, entities: &[String], role: Option<usize>) -> String {
        let Some(people) = &self.words.people else { return String::new() };
        let credits = &people.credits;
        let (c, p) = (&credits.alias, &people.alias);
        let mut select = Select { limit: Some(60), ..Select::default() };
        select.columns = vec![
            format!("{c}.{} AS id", credits.entity_key),
            format!("{p}.{} AS name", people.name),
            format!("{c}.{} AS role", credits.role),
            format!("{p}.{} AS person", people.key),
        ];
        select.from = vec![
            format!("FROM {} AS {c}", credits.table),
            format!("JOIN {} AS {p} ON {p}.{} = {c}.{}", people.table, people.key, credits.person_key),
        ];
        select.conditions =
            std::iter::once(one_of(&format!("{c}.{}", credits.entity_key), entities)).chain(self.role_condition(people, role)).collect();
        select.group = vec!["1".into(), "2".into(), "3".into(), "4".into()];
        select.group = vec![
            format!("{c}.{}", credits.entity_key),
            format!("{p}.{}", people.name),
            format!("{c}.{}", credits.role),
            format!("{p}.{}", people.key),
        ];
        select.order = vec!["id".into(), "role".into(), "name".into()];
        select.write()
    }

    /// The statement for what a person is credited with, by role. Columns: `role`, `number`, `first`, `last`.
    pub(in crate::model::offline) fn career(&self, person: &str) -> String {
        let Some(people) = &self.words.people else { return String::new() };
        let credits = &people.credits;
        let c = &credits.alias;
        let mut select = Select { from: vec![self.entity_clause()], ..Select::default() };
        select.from.push(format!("JOIN {} AS {c} ON {c}.{} = {}", credits.table, credits.entity_key, self.own(&self.words.entity.key)));
        select.columns =
            vec![format!("{c}.{} AS role", credits.role), format!("COUNT(DISTINCT {}) AS number", self.own(&self.words.entity.key))];
        if let Some(year) = self.year_column() {
            select.columns.extend([format!("MIN({year}) AS first_year"), format!("MAX({year}) AS last_year")]);
        }
        select.conditions = vec![format!("{c}.{} = {}", credits.person_key, literal(person))];
        select.group = vec![format!("{c}.{}", credits.role)];
        select.order = vec!["number DESC".into(), "role".into()];
        select.write()
    }
}
