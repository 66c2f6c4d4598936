//! The words by which people speak of a lake: the only source of the offline planner's vocabulary.
//!
//! Owns the shape of the catalog's `planner` section. It describes a lake with one main table (the entity: what questions are
//! about), tables with at most one row per entity beside it, and optionally people who are credited with entities. All words
//! are given in the singular and in lower case; the planner adds regular English plurals and ignores case and punctuation.

use serde::{Deserialize, Serialize};

/// The `planner` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Vocabulary {
    /// The main table.
    pub entity: Entity,
    /// Tables with at most one row per entity.
    #[serde(default)]
    pub joins: Vec<Beside>,
    /// Columns that hold numbers.
    pub measures: Vec<Measure>,
    /// Columns by whose values entities are filtered and grouped.
    #[serde(default)]
    pub dimensions: Vec<Dimension>,
    /// Who is credited with entities.
    #[serde(default)]
    pub people: Option<People>,
    /// What people ask for and the lake does not hold.
    #[serde(default)]
    pub absent: Vec<Absent>,
    /// Words that change nothing in a question about this lake.
    #[serde(default)]
    pub skip: Vec<String>,
    /// Decades that have a word of their own.
    #[serde(default)]
    pub decades: Vec<Decade>,
    /// Parameter: how many entities a group needs before its averages are ranked.
    #[serde(default)]
    pub group_minimum: Option<String>,
}

impl Vocabulary {
    /// What the lake's own things are called, as answers may call them: its kinds of entities, measures, dimensions and their values, people
    /// and their roles.
    pub fn nouns(&self) -> impl Iterator<Item = &str> {
        let kinds = self.entity.kinds.iter().flat_map(|kind| kind.nouns.iter().chain([&kind.plural]));
        let measures = self.measures.iter().flat_map(|measure| measure.nouns.iter().chain([&measure.label]));
        let dimensions = self.dimensions.iter().flat_map(|dimension| dimension.nouns.iter().chain([&dimension.plural]));
        let values =
            self.dimensions.iter().flat_map(|dimension| &dimension.values).flat_map(|value| value.words.iter().chain([&value.value]));
        let people = self.people.iter().flat_map(|people| people.nouns.iter().chain([&people.plural]));
        let roles = self.people.iter().flat_map(|people| &people.roles).flat_map(|role| role.nouns.iter().chain([&role.plural]));
        kinds.chain(measures).chain(dimensions).chain(values).chain(people).chain(roles).map(String::as_str)
    }
}

/// The main table and what its rows are called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entity {
    /// `schema.table`.
    pub table: String,
    /// Its name within statements.
    pub alias: String,
    /// The column that identifies a row.
    pub key: String,
    /// The column that holds the name a person would use.
    pub name: String,
    /// Further columns that hold names, such as one in another language.
    #[serde(default)]
    pub other_names: Vec<String>,
    /// The word for a name, such as `title`.
    pub name_nouns: Vec<String>,
    /// What rows are called; the first is meant when a question names none.
    pub kinds: Vec<Kind>,
    /// Verbs for the beginning of an entity, such as `launched`: "when was X launched" asks for the time measure.
    #[serde(default)]
    pub events: Vec<String>,
}

/// A kind of entity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kind {
    /// Nouns, the one for answers first.
    pub nouns: Vec<String>,
    /// Its plural for answers.
    pub plural: String,
    /// The column whose value tells the kind; absent when every row is of it.
    #[serde(default)]
    pub column: Option<String>,
    /// The values of that column.
    #[serde(default)]
    pub values: Vec<String>,
    /// The rule in words, stated with every answer that used it.
    #[serde(default)]
    pub assumption: Option<String>,
}

/// A table with at most one row per entity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beside {
    /// `schema.table`.
    pub table: String,
    /// Its name within statements.
    pub alias: String,
    /// Its column that holds the entity's key.
    pub key: String,
}

/// A column that holds a number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// How the rest of the section refers to it.
    pub name: String,
    /// The entity's table or one of `joins`.
    pub table: String,
    /// Its column.
    pub column: String,
    /// Its name in answers.
    pub label: String,
    /// Nouns.
    pub nouns: Vec<String>,
    /// Superlatives that put high values first.
    #[serde(default)]
    pub high: Vec<String>,
    /// Superlatives that put low values first.
    #[serde(default)]
    pub low: Vec<String>,
    /// Comparatives for higher values.
    #[serde(default)]
    pub more: Vec<String>,
    /// Comparatives for lower values.
    #[serde(default)]
    pub less: Vec<String>,
    /// Words before a bound: "rated above 8".
    #[serde(default)]
    pub before_bound: Vec<String>,
    /// Openings that ask for the measure of one entity: "how long is".
    #[serde(default)]
    pub asks: Vec<String>,
    /// Units people give bounds in.
    #[serde(default)]
    pub units: Vec<Unit>,
    /// The word after a value in answers.
    #[serde(default)]
    pub suffix: Option<String>,
    /// A sentence for the value of one entity, with `{name}` and `{value}`.
    #[serde(default)]
    pub sentence: Option<String>,
    /// Digits after the point of an average.
    #[serde(default)]
    pub decimals: u32,
    /// Whether it is the year of the entity: bare years, decades and "when" are about it.
    #[serde(default)]
    pub year: bool,
    /// Whether "top 10" without more is about it.
    #[serde(default)]
    pub default: bool,
    /// Whether sums of it mean something.
    #[serde(default)]
    pub additive: bool,
    /// What an entity must have before it is ranked by this measure.
    #[serde(default)]
    pub threshold: Option<Threshold>,
    /// The measure that decides between equals.
    #[serde(default)]
    pub tie_break: Option<String>,
}

/// A unit of a measure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unit {
    /// Its names.
    pub words: Vec<String>,
    /// How many of the column's own unit it is.
    pub factor: f64,
}

/// A minimum for a ranking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// The measure that must reach it.
    pub measure: String,
    /// The parameter that holds it.
    pub parameter: String,
    /// The rule in words, with `{parameter}`.
    pub assumption: String,
}

/// A column by whose values entities are filtered and grouped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dimension {
    /// How answers and the rest of the section refer to it.
    pub name: String,
    /// Column of the entity's table: a string or an array of strings.
    pub column: String,
    /// Nouns.
    pub nouns: Vec<String>,
    /// Its plural for answers.
    pub plural: String,
    /// The values there may be.
    pub values: Vec<DimensionValue>,
    /// Words that mean several values at once.
    #[serde(default)]
    pub combinations: Vec<Combination>,
}

/// A value of a dimension.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DimensionValue {
    /// As it is stored.
    pub value: String,
    /// What people say for it, besides the value itself.
    #[serde(default)]
    pub words: Vec<String>,
}

/// Words that mean several values at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Combination {
    /// The words.
    pub words: Vec<String>,
    /// The values, all of which must hold.
    pub all: Vec<String>,
}

/// Who is credited with entities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct People {
    /// `schema.table` of the people.
    pub table: String,
    /// Its name within statements.
    pub alias: String,
    /// The column that identifies a person.
    pub key: String,
    /// The column that holds the name.
    pub name: String,
    /// Nouns for a person of any role.
    pub nouns: Vec<String>,
    /// Their plural for answers.
    pub plural: String,
    /// Facts of one person.
    #[serde(default)]
    pub facts: Vec<PersonFact>,
    /// The table between people and entities.
    pub credits: Credits,
    /// The parts people play; the first is meant by "by".
    pub roles: Vec<Role>,
}

/// The table between people and entities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Credits {
    /// `schema.table`.
    pub table: String,
    /// Its name within statements.
    pub alias: String,
    /// Its column that holds the entity's key.
    pub entity_key: String,
    /// Its column that holds the person's key.
    pub person_key: String,
    /// Its column that tells the role.
    pub role: String,
}

/// A fact of one person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PersonFact {
    /// Column of the people's table.
    pub column: String,
    /// Its name in answers.
    pub label: String,
    /// Openings or verbs that ask for it, such as `born`.
    #[serde(default)]
    pub words: Vec<String>,
}

/// A part people play.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Role {
    /// How answers refer to it.
    pub name: String,
    /// Its plural for answers.
    pub plural: String,
    /// Values of the role column.
    pub values: Vec<String>,
    /// Nouns for a person of the role.
    pub nouns: Vec<String>,
    /// Verbs with the person as subject, in every form that is used: "who directed X", "did P direct X".
    pub verbs: Vec<String>,
    /// Words after an entity and before the person: "films directed by P".
    pub before_name: Vec<String>,
    /// Words after an entity's name and `is` or `in` that ask for the role: "who is in X".
    #[serde(default)]
    pub passive: Option<String>,
    /// The verb of answers in the past tense: "P directed 3 films".
    pub past: String,
}

/// Something people ask for and the lake does not hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Absent {
    /// What it is, as a plural or mass noun: "box office figures".
    pub label: String,
    /// Words that ask for it.
    pub words: Vec<String>,
}

/// A decade with a word of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decade {
    /// Its words.
    pub words: Vec<String>,
    /// Its first year.
    pub from: i64,
}
