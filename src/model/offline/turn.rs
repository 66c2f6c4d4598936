//! One turn: what is asked of the lake, query by query, given what came of the queries so far.
//!
//! Owns the replay: a turn is a straight program that asks for rows; where a result is not there yet, it stops with the query,
//! and the next call runs the same program with one result more. It therefore never loops, and asks the same each time. Names
//! are resolved against the data here. The words of answers are in `answer`.

use serde_json::Value;

use crate::{
    conversation::{Answer, AnswerBasis, QueryDecision, ResultSet},
    model::Shown,
};

use super::{
    answer::{self, Row},
    plan::{Fact, Name, Plan, Selection},
    sql::{Keys, Writer, key_label},
};

/// What came of the queries so far, oldest first.
pub(super) type Results<'a> = &'a [&'a Result<Shown, String>];

/// Why the program of a turn stops.
pub(super) enum Stop {
    /// It needs the rows of this query.
    Query(QueryDecision),
    /// It is done.
    Answer(Box<Answer>),
}

/// A turn in progress.
pub(super) struct Turn<'a> {
    pub(super) write: Writer<'a>,
    results: Results<'a>,
    queries_left: u32,
    /// What was assumed so far.
    pub(super) assumptions: Vec<String>,
}

/// An entity that a name was resolved to: a row of the lookup.
pub(super) type Entity<'a> = Row<'a>;

/// A person that a name was resolved to.
pub(super) struct Someone<'a> {
    pub(super) row: Row<'a>,
    pub(super) key: String,
    pub(super) name: String,
}

/// How many entities of one name an answer tells of.
const NAMESAKES: usize = 5;

impl<'a> Turn<'a> {
    pub(super) fn new(write: Writer<'a>, results: Results<'a>, queries_left: u32, assumptions: Vec<String>) -> Self {
        Self { write, results, queries_left, assumptions }
    }

    /// The rows of `sql`, or the stop that asks for them.
    fn ask(&mut self, sql: String, reasoning: String) -> Result<&'a ResultSet, Stop> {
        match self.results.split_first() {
            Some((first, rest)) => {
                self.results = rest;
                match first {
                    Ok(shown) => Ok(&shown.result),
                    Err(error) => Err(self.none(format!("The query failed, so there is no answer: {}", answer::escape(error)))),
                }
            }
            None if self.queries_left == 0 => {
                Err(self.none("Answering this would take more queries than one question may run. Ask about fewer names at a time.".into()))
            }
            None => Err(Stop::Query(QueryDecision { call_id: String::new(), sql_query: sql, lookup: None, reasoning })),
        }
    }

    fn none(&self, text: String) -> Stop {
        Stop::Answer(Box::new(Answer {
            text,
            basis: AnswerBasis::None,
            assumptions: self.assumptions.clone(),
            suggested_questions: Vec::new(),
        }))
    }

    fn data(&self, text: String) -> Stop {
        Stop::Answer(Box::new(Answer {
            text,
            basis: AnswerBasis::Data,
            assumptions: self.assumptions.clone(),
            suggested_questions: Vec::new(),
        }))
    }

    /// Runs the program of `plan` up to where it stops.
    pub(super) fn run(mut self, plan: &Plan) -> Stop {
        let text = match plan {
            Plan::List(list) => self.list(list),
            Plan::Count(of) => self.count(of),
            Plan::Aggregate { of, values } => self.resolved(of).and_then(|keys| {
                let of = &self.named(of, &keys);
                let rows = self.ask(self.write.aggregate(of, values, &keys.0), format!("The {} in one row", self.phrase(of)))?;
                Ok(answer::aggregate(&self.write, of, values, rows))
            }),
            Plan::Group(group) => self.group(group),
            Plan::Values { dim, count } => {
                let dim = *dim;
                let sql = self.write.values(dim);
                self.ask(sql, "The values there are, with how often each occurs".into())
                    .map(|rows| answer::values(&self.write, dim, *count, rows))
            }
            Plan::CountPeople { role, of } => self.count_people(*role, of),
            Plan::Credits { name, role } => self.credits(name, *role),
            Plan::Facts { name, facts } => self.entity(name).map(|found| answer::facts(&self.write, &found, facts)),
            Plan::Person { name, fact } => self.person_facts(name, *fact),
            Plan::About { name } => self.about(name),
            Plan::Compare { names: [one, other], by } => self.entity(one).and_then(|first| {
                let second = self.entity(other)?;
                Ok(answer::compare(&self.write, first, second, *by, &mut self.assumptions))
            }),
            Plan::ComparePeople { names: [one, other], role, selection } => self.compare_people([one, other], *role, selection),
            Plan::Exists { name } => self.exists(name),
            Plan::Credited { person, entity, role } => self.credited(person, entity, *role),
            Plan::HasValue { name, dim, values } => self.entity(name).map(|found| answer::has_value(&self.write, &found, *dim, values)),
        };
        match text {
            Ok(text) => {
                self.assume_kinds(plan);
                self.data(text)
            }
            Err(stop) => stop,
        }
    }

    fn phrase(&self, of: &Selection) -> String {
        answer::selection(&self.write, of)
    }

    /// States the rule of the kinds that a plan counted or ranked.
    fn assume_kinds(&mut self, plan: &Plan) {
        let of = match plan {
            Plan::List(list) => &list.of,
            Plan::CountPeople { of, .. } if *of == Selection::default() => return,
            Plan::Count(of) | Plan::CountPeople { of, .. } | Plan::Aggregate { of, .. } | Plan::ComparePeople { selection: of, .. } => of,
            Plan::Group(group) => &group.of,
            _ => return,
        };
        let kinds = &self.write.words.entity.kinds;
        let used: Vec<usize> = if of.kinds.is_empty() { vec![0] } else { of.kinds.clone() };
        let rules = used.into_iter().filter_map(|index| kinds.get(index)?.assumption.clone());
        self.assumptions.extend(rules);
    }

    fn list(&mut self, list: &super::plan::List) -> Result<String, Stop> {
        let keys = self.resolved(&list.of)?;
        let mut list = list.clone();
        list.of = self.named(&list.of, &keys);
        let ranked = matches!(list.order, super::plan::Order::By { .. });
        if ranked {
            self.assume_threshold(list.order.parts().0, &list.of);
        }
        let reasoning = format!("{} by {}", self.phrase(&list.of), answer::measure_label(&self.write, list.order.parts().0));
        let rows = self.ask(self.write.list(&list, &keys.0), reasoning)?;
        Ok(answer::list(&self.write, &list, rows))
    }

    fn assume_threshold(&mut self, measure: usize, of: &Selection) {
        let applies = self.write.threshold(measure, of).is_some();
        let rule = self.write.words.measures.get(measure).and_then(|measure| measure.threshold.as_ref()).filter(|_| applies);
        self.assumptions.extend(rule.map(|rule| answer::filled(&self.write, &rule.assumption)));
    }

    fn count(&mut self, of: &Selection) -> Result<String, Stop> {
        let keys = self.resolved(of)?;
        let of = self.named(of, &keys);
        let rows = self.ask(self.write.count(&of, &keys.0), format!("The number of {}", self.phrase(&of)))?;
        Ok(answer::count(&self.write, &of, rows))
    }

    fn count_people(&mut self, role: Option<usize>, of: &Selection) -> Result<String, Stop> {
        let keys = self.resolved(of)?;
        let of = self.named(of, &keys);
        let rows = self.ask(self.write.count_people(role, &of, &keys.0), "How many people there are".into())?;
        Ok(answer::count_people(&self.write, role, &of, rows))
    }

    fn group(&mut self, group: &super::plan::Group) -> Result<String, Stop> {
        let keys = self.resolved(&group.of)?;
        let mut group = group.clone();
        group.of = self.named(&group.of, &keys);
        if let Some(least) = self.write.group_minimum(&group) {
            self.assumptions
                .push(format!("a group needs at least {least} rated or measured {}", answer::plural_kind(&self.write, &group.of)));
        }
        let reasoning = format!("{} for each {}", self.phrase(&group.of), key_label(self.write.words, group.by));
        let rows = self.ask(self.write.group(&group, &keys.0), reasoning)?;
        Ok(answer::group(&self.write, &group, rows))
    }

    /// The keys of a selection's people, and their names as the lake has them.
    fn resolved(&mut self, of: &Selection) -> Result<(Keys, Vec<String>), Stop> {
        let mut keys = Keys::new();
        let mut names = Vec::new();
        for person in &of.people {
            let found = self.person(&person.name, person.role)?;
            keys.push(vec![found.key]);
            names.push(found.name);
        }
        Ok((keys, names))
    }

    /// The selection with the names as the lake has them.
    fn named(&self, of: &Selection, keys: &(Keys, Vec<String>)) -> Selection {
        let mut of = of.clone();
        for (person, name) in of.people.iter_mut().zip(&keys.1) {
            person.name.text.clone_from(name);
        }
        of
    }

    fn credits(&mut self, name: &Name, role: Option<usize>) -> Result<String, Stop> {
        let found = self.entity(name)?;
        let keys: Vec<String> = found.iter().map(|row| row.text("id")).collect();
        let reasoning = format!("Who is credited with {}", found.first().map(|row| row.text("name")).unwrap_or_default());
        let rows = self.ask(self.write.credits(&keys, role), reasoning)?;
        Ok(answer::credits(&self.write, &found, role, rows))
    }

    fn person_facts(&mut self, name: &Name, fact: Option<usize>) -> Result<String, Stop> {
        let found = self.person(name, None)?;
        self.person_text(&found, fact)
    }

    fn person_text(&mut self, found: &Someone<'a>, fact: Option<usize>) -> Result<String, Stop> {
        if fact.is_some() {
            return Ok(answer::person(&self.write, found, fact, None));
        }
        let rows = self.ask(self.write.career(&found.key), format!("What {} is credited with", found.name))?;
        Ok(answer::person(&self.write, found, None, Some(rows)))
    }

    /// An entity of the very name, else a person of it, else what is near.
    fn about(&mut self, name: &Name) -> Result<String, Stop> {
        let rows = self.ask(self.write.entity_by_name(name, false), format!("Look up {}", name.text))?;
        let exact = Self::closest(rows, 0);
        if !exact.is_empty() {
            return Ok(answer::facts(&self.write, &self.main_kinds(exact), &[]));
        }
        if self.write.words.people.is_some() {
            let people = self.ask(self.write.person_by_name(name, None, false), format!("Look up {} among people", name.text))?;
            let exact = Self::closest(people, 0);
            if let Some(row) = exact.into_iter().next() {
                let someone = Someone { key: row.text("id"), name: row.text("name"), row };
                return self.person_text(&someone, None);
            }
        }
        let found = self.near_entity(name, rows)?;
        Ok(answer::facts(&self.write, &found, &[]))
    }

    fn exists(&mut self, name: &Name) -> Result<String, Stop> {
        let rows = self.ask(self.write.entity_by_name(name, false), format!("Look up {}", name.text))?;
        let exact = Self::closest(rows, 0);
        let within = Self::closest(rows, 1);
        Ok(answer::exists(&self.write, name, &exact, &within))
    }

    fn credited(&mut self, person: &Name, entity: &Name, role: Option<usize>) -> Result<String, Stop> {
        let found = self.entity(entity)?;
        let someone = self.person(person, role)?;
        let keys: Vec<String> = found.iter().map(|row| row.text("id")).collect();
        let rows = self.ask(self.write.credits(&keys, role), format!("Whether {} is credited with it", someone.name))?;
        Ok(answer::credited(&self.write, &someone, &found, role, rows))
    }

    fn compare_people(&mut self, names: [&Name; 2], role: usize, of: &Selection) -> Result<String, Stop> {
        let mut counts = Vec::new();
        for name in names {
            let found = self.person(name, Some(role))?;
            let mut selection = of.clone();
            selection.people.push(super::plan::Person { name: name.clone(), role: Some(role), not: false });
            let sql = self.write.count(&selection, &vec![vec![found.key.clone()]]);
            let rows = self.ask(sql, format!("The number for {}", found.name))?;
            counts.push((found.name, answer::first_number(rows, "number")));
        }
        Ok(answer::compare_people(&self.write, role, of, &counts))
    }

    fn closest(rows: &'a ResultSet, closeness: i64) -> Vec<Row<'a>> {
        answer::rows(rows)
            .into_iter()
            .filter(|row| row.number("closeness") == Some(f64::from(i32::try_from(closeness).unwrap_or(0))))
            .collect()
    }

    /// The entities of the first kind, if any are, and no more than can be told of.
    fn main_kinds(&self, mut found: Vec<Entity<'a>>) -> Vec<Entity<'a>> {
        let main = self.write.words.entity.kinds.first().map(|kind| kind.values.as_slice()).unwrap_or_default();
        if found.iter().any(|row| main.contains(&row.text("kind"))) {
            found.retain(|row| main.contains(&row.text("kind")));
        }
        found.truncate(NAMESAKES);
        found
    }

    /// The entities that a name means: all of that very name, or the only near one.
    fn entity(&mut self, name: &Name) -> Result<Vec<Entity<'a>>, Stop> {
        let rows = self.ask(self.write.entity_by_name(name, false), format!("Look up {}", name.text))?;
        let exact = Self::closest(rows, 0);
        if exact.is_empty() { self.near_entity(name, rows) } else { Ok(self.main_kinds(exact)) }
    }

    fn near_entity(&mut self, name: &Name, rows: &'a ResultSet) -> Result<Vec<Entity<'a>>, Stop> {
        let mut candidates = answer::rows(rows);
        if candidates.is_empty() && !name.strict {
            let rows = self.ask(self.write.entity_by_name(name, true), format!("Look up names that are close to {}", name.text))?;
            candidates = answer::rows(rows);
            let best = candidates.first().and_then(|row| row.number("closeness"));
            candidates.retain(|row| row.number("closeness") == best);
        }
        let candidates = self.main_kinds(candidates);
        match candidates.as_slice() {
            [] => Err(self.none(answer::unknown_entity(&self.write, name))),
            [only] => {
                self.assumptions.push(format!("by “{}” you mean {}", answer::escape(&name.text), answer::title(&self.write, only)));
                Ok(candidates)
            }
            many => Err(self.none(answer::which_entity(&self.write, name, many))),
        }
    }

    /// The person that a name means.
    fn person(&mut self, name: &Name, role: Option<usize>) -> Result<Someone<'a>, Stop> {
        let rows = self.ask(self.write.person_by_name(name, role, false), format!("Look up the person {}", name.text))?;
        let mut candidates = Self::closest(rows, 0);
        let exact = !candidates.is_empty();
        if !exact {
            candidates = answer::rows(rows);
        }
        // A short word that only its place made a name is near too many names.
        let guessed = name.strict && !name.text.contains(' ') && name.text.chars().count() < 8;
        if candidates.is_empty() && !guessed {
            let rows =
                self.ask(self.write.person_by_name(name, role, true), format!("Look up people whose names are close to {}", name.text))?;
            candidates = answer::rows(rows);
            let best = candidates.first().and_then(|row| row.number("closeness"));
            candidates.retain(|row| row.number("closeness") == best);
        }
        let weight = |row: &Row<'_>| row.number("in_role").unwrap_or(0.0);
        let clear = match candidates.as_slice() {
            [] => return Err(self.none(answer::unknown_person(&self.write, name))),
            [_] => true,
            [first, second, ..] => weight(first) > 0.0 && weight(first) >= 3.0 * weight(second),
        };
        if !clear {
            return Err(self.none(answer::which_person(&self.write, name, &candidates)));
        }
        let alone = candidates.len() == 1;
        let Some(row) = candidates.into_iter().next() else { return Err(self.none(answer::unknown_person(&self.write, name))) };
        let someone = Someone { key: row.text("id"), name: row.text("name"), row };
        if weight(&someone.row) == 0.0 && role.is_some() {
            return Err(self.data(answer::other_role(&self.write, &someone, role)));
        }
        if !exact || !alone {
            self.assumptions.push(format!("by “{}” you mean {}", answer::escape(&name.text), answer::escape(&someone.name)));
        }
        Ok(someone)
    }
}

/// A cell as text.
pub(super) fn cell_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// All facts of the vocabulary.
pub(super) fn all_facts(write: &Writer<'_>) -> Vec<Fact> {
    let measures = (0..write.words.measures.len()).map(Fact::Measure);
    measures.chain((0..write.words.dimensions.len()).map(Fact::Dim)).collect()
}
