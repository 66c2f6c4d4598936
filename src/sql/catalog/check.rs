//! Finds what is wrong with a catalog file, all of it at once.
//!
//! Owns faults and the three passes that find them: the YAML itself, the JSON schema, and what the parts say of each other.
//! Refuses to repair anything.

use std::fmt;

use jsonschema::error::ValidationErrorKind;
use serde_json::Value;
use sqlparser::{dialect::DatabricksDialect, parser::Parser};

use super::{Catalog, lines::line_of, vocabulary::Vocabulary, yaml};

const SCHEMA: &str = include_str!("../../../catalog/schema.json");

/// Something wrong with a catalog file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// JSON pointer of the part, such as `/tables/2/columns/0/type`; empty for the whole file.
    pub pointer: String,
    /// Line of the file, from 1, where it is known.
    pub line: Option<usize>,
    /// What is wrong and, where it can be said, what would be right.
    pub problem: String,
}

impl Fault {
    /// A fault of the whole file.
    pub(super) fn whole(problem: String) -> Self {
        Self { pointer: String::new(), line: None, problem }
    }

    /// The pointer as people write it: `tables[2].columns[0].type`.
    #[must_use]
    pub fn path(&self) -> String {
        self.pointer.split('/').skip(1).fold(String::new(), |path, segment| match (segment.parse::<usize>(), path.is_empty()) {
            (Ok(index), _) => format!("{path}[{index}]"),
            (Err(_), true) => segment.to_owned(),
            (Err(_), false) => format!("{path}.{segment}"),
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.pointer.is_empty() {
            write!(f, "{}: ", self.path())?;
        }
        f.write_str(&self.problem)
    }
}

/// Reads a catalog or says everything that is wrong with it.
pub(super) fn parse(yaml: &str) -> Result<Catalog, Vec<Fault>> {
    let value = yaml::read(yaml).map_err(|fault| vec![fault])?;
    let mut faults = against_schema(&value);
    let parsed = serde_json::from_value::<Catalog>(value);
    match &parsed {
        Ok(catalog) => faults.extend(cross_checks(catalog)),
        Err(error) if faults.is_empty() => faults.push(Fault::whole(error.to_string())),
        Err(_) => {}
    }
    for fault in &mut faults {
        fault.line = line_of(yaml, &fault.pointer);
    }
    match parsed {
        Ok(catalog) if faults.is_empty() => Ok(catalog),
        _ => Err(faults),
    }
}

fn against_schema(value: &Value) -> Vec<Fault> {
    let schema: Value = match serde_json::from_str(SCHEMA) {
        Ok(schema) => schema,
        Err(error) => return vec![Fault::whole(format!("the built-in JSON schema is broken: {error}"))],
    };
    let validator = match jsonschema::validator_for(&schema) {
        Ok(validator) => validator,
        Err(error) => return vec![Fault::whole(format!("the built-in JSON schema is broken: {error}"))],
    };
    validator
        .iter_errors(value)
        .flat_map(|error| {
            let at = error.instance_path().as_str().to_owned();
            match error.kind() {
                ValidationErrorKind::AdditionalProperties { unexpected } => {
                    let known = known_keys(&schema, &at);
                    unexpected
                        .iter()
                        .map(|key| Fault {
                            pointer: format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")),
                            line: None,
                            problem: format!("unknown key `{key}`{}", did_you_mean(key, known.iter().map(String::as_str))),
                        })
                        .collect()
                }
                _ => vec![Fault { pointer: at, line: None, problem: error.to_string() }],
            }
        })
        .collect()
}

/// The keys that the schema knows for the object at `pointer`.
fn known_keys(schema: &Value, pointer: &str) -> Vec<String> {
    let mut here = schema;
    for segment in pointer.split('/').skip(1) {
        here = match here.get("items").filter(|_| segment.parse::<usize>().is_ok()) {
            Some(items) => items,
            None => here
                .get("properties")
                .and_then(|known| known.get(segment))
                .or_else(|| here.get("additionalProperties"))
                .unwrap_or(&Value::Null),
        };
        if let Some(target) = here.get("$ref").and_then(Value::as_str) {
            here = schema.pointer(target.trim_start_matches('#')).unwrap_or(&Value::Null);
        }
    }
    here.get("properties").and_then(Value::as_object).map(|known| known.keys().cloned().collect()).unwrap_or_default()
}

/// `; did you mean X?` for the nearest known name, or the list of names when none is near.
fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    let nearest = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase()), *candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.chars().count() / 3)
        .min();
    match nearest {
        Some((_, nearest)) => format!("; did you mean `{nearest}`?"),
        None if known.is_empty() => String::new(),
        None => format!("; there is {}", known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
    }
}

/// Collects faults with their pointers.
struct Findings<'a> {
    catalog: &'a Catalog,
    faults: Vec<Fault>,
}

fn cross_checks(catalog: &Catalog) -> Vec<Fault> {
    let mut findings = Findings { catalog, faults: Vec::new() };
    findings.relations();
    findings.joins();
    findings.parameters();
    findings.statements();
    if let Some(planner) = &catalog.planner {
        findings.planner(planner);
    }
    findings.faults
}

impl Findings<'_> {
    fn add(&mut self, pointer: impl Into<String>, problem: impl Into<String>) {
        self.faults.push(Fault { pointer: pointer.into(), line: None, problem: problem.into() });
    }

    fn relations(&mut self) {
        let catalog = self.catalog;
        let mut seen: Vec<String> = Vec::new();
        let tables = catalog.tables.iter().enumerate().map(|(at, table)| (format!("/tables/{at}"), table));
        let views = catalog.views.iter().enumerate().map(|(at, view)| (format!("/views/{at}"), &view.relation));
        for (at, relation) in tables.chain(views) {
            let name = relation.name.to_lowercase();
            if seen.contains(&name) {
                self.add(format!("{at}/name"), format!("`{}` is described twice", relation.name));
            }
            seen.push(name);
            for (index, column) in relation.columns.iter().enumerate() {
                let first = relation.columns.iter().position(|other| other.name.eq_ignore_ascii_case(&column.name));
                if first != Some(index) {
                    self.add(format!("{at}/columns/{index}/name"), format!("`{}` is described twice", column.name));
                }
                self.data_type(&format!("{at}/columns/{index}/type"), &column.data_type);
            }
            for (index, key) in relation.primary_key.iter().enumerate() {
                self.column(&format!("{at}/primary_key/{index}"), &relation.name, key);
            }
        }
    }

    fn data_type(&mut self, at: &str, data_type: &str) {
        const PLAIN: [&str; 14] = [
            "string",
            "int",
            "bigint",
            "smallint",
            "tinyint",
            "double",
            "float",
            "boolean",
            "date",
            "timestamp",
            "timestamp_ntz",
            "binary",
            "long",
            "variant",
        ];
        let known = PLAIN.contains(&data_type)
            || ["array<", "map<", "struct<"].iter().any(|start| data_type.starts_with(start) && data_type.ends_with('>'))
            || data_type.starts_with("decimal(") && data_type.ends_with(')');
        if !known {
            let hint = did_you_mean(data_type, PLAIN.into_iter());
            self.add(at, format!("`{data_type}` is no Spark SQL type in lower case{hint}"));
        }
    }

    fn joins(&mut self) {
        for (at, join) in self.catalog.joins.iter().enumerate() {
            for (side, path) in [("from", &join.from), ("to", &join.to)] {
                let pointer = format!("/joins/{at}/{side}");
                match path.rsplit_once('.') {
                    Some((table, column)) => self.column(&pointer, table, column),
                    None => self.add(pointer, format!("`{path}` is not schema.table.column")),
                }
            }
        }
    }

    fn parameters(&mut self) {
        let catalog = self.catalog;
        for (name, profile) in &catalog.profiles {
            if let Some(when) = &profile.when {
                self.table(&format!("/profiles/{name}/when/table"), &when.table);
            }
            for parameter in profile.parameters.keys() {
                self.parameter(&format!("/profiles/{name}/parameters/{parameter}"), parameter);
            }
        }
        let rules = catalog.rules.iter().enumerate().map(|(at, rule)| (format!("/rules/{at}"), rule));
        let queries = catalog.queries.iter().enumerate().map(|(at, query)| (format!("/queries/{at}/sql"), &query.sql));
        for (at, text) in rules.chain(queries) {
            for name in placeholders(text) {
                self.parameter(&at, name);
            }
        }
    }

    fn statements(&mut self) {
        for (at, view) in self.catalog.views.iter().enumerate() {
            self.parses(&format!("/views/{at}/sql"), &view.sql);
        }
        for (at, query) in self.catalog.queries.iter().enumerate() {
            self.parses(&format!("/queries/{at}/sql"), &self.catalog.fill(&query.sql));
        }
    }

    fn parses(&mut self, at: &str, sql: &str) {
        match Parser::parse_sql(&DatabricksDialect {}, sql) {
            Ok(statements) if statements.len() == 1 => {}
            Ok(statements) => self.add(at, format!("must be one statement, not {}", statements.len())),
            Err(error) => self.add(at, format!("cannot be read as Databricks SQL: {error}")),
        }
    }

    fn planner(&mut self, planner: &Vocabulary) {
        let entity = &planner.entity;
        let at = "/planner/entity";
        self.table(&format!("{at}/table"), &entity.table);
        self.column(&format!("{at}/key"), &entity.table, &entity.key);
        self.column(&format!("{at}/name"), &entity.table, &entity.name);
        for (index, column) in entity.other_names.iter().enumerate() {
            self.column(&format!("{at}/other_names/{index}"), &entity.table, column);
        }
        for (index, kind) in entity.kinds.iter().enumerate() {
            match (&kind.column, kind.values.is_empty()) {
                (Some(column), false) => self.column(&format!("{at}/kinds/{index}/column"), &entity.table, column),
                (None, true) => {}
                _ => self.add(format!("{at}/kinds/{index}"), "`column` and `values` belong together"),
            }
        }
        for (index, beside) in planner.joins.iter().enumerate() {
            self.column(&format!("/planner/joins/{index}/key"), &beside.table, &beside.key);
        }
        self.measures(planner);
        for (index, dimension) in planner.dimensions.iter().enumerate() {
            let at = format!("/planner/dimensions/{index}");
            self.column(&format!("{at}/column"), &entity.table, &dimension.column);
            for (number, combination) in dimension.combinations.iter().enumerate() {
                for value in &combination.all {
                    if !dimension.values.iter().any(|known| known.value == *value) {
                        let hint = did_you_mean(value, dimension.values.iter().map(|known| known.value.as_str()));
                        self.add(format!("{at}/combinations/{number}/all"), format!("`{value}` is no value of the dimension{hint}"));
                    }
                }
            }
        }
        self.people(planner);
        if let Some(parameter) = &planner.group_minimum {
            self.parameter("/planner/group_minimum", parameter);
        }
        self.aliases(planner);
    }

    fn measures(&mut self, planner: &Vocabulary) {
        let names = || planner.measures.iter().map(|measure| measure.name.as_str());
        for (index, measure) in planner.measures.iter().enumerate() {
            let at = format!("/planner/measures/{index}");
            self.column(&format!("{at}/column"), &measure.table, &measure.column);
            if measure.table != planner.entity.table && !planner.joins.iter().any(|beside| beside.table == measure.table) {
                self.add(format!("{at}/table"), format!("`{}` is neither the entity's table nor one of /planner/joins", measure.table));
            }
            let threshold = measure.threshold.as_ref();
            for (key, wanted) in [("threshold/measure", threshold.map(|it| &it.measure)), ("tie_break", measure.tie_break.as_ref())] {
                if let Some(wanted) = wanted.filter(|wanted| !names().any(|name| name == wanted.as_str())) {
                    self.add(format!("{at}/{key}"), format!("`{wanted}` is no measure{}", did_you_mean(wanted, names())));
                }
            }
            if let Some(threshold) = threshold {
                self.parameter(&format!("{at}/threshold/parameter"), &threshold.parameter);
            }
        }
        for (what, count) in [
            ("year", planner.measures.iter().filter(|it| it.year).count()),
            ("default", planner.measures.iter().filter(|it| it.default).count()),
        ] {
            if count > 1 {
                self.add("/planner/measures", format!("{count} measures are marked `{what}`; at most one may be"));
            }
        }
    }

    fn people(&mut self, planner: &Vocabulary) {
        let Some(people) = &planner.people else { return };
        let at = "/planner/people";
        self.column(&format!("{at}/key"), &people.table, &people.key);
        self.column(&format!("{at}/name"), &people.table, &people.name);
        for (index, fact) in people.facts.iter().enumerate() {
            self.column(&format!("{at}/facts/{index}/column"), &people.table, &fact.column);
        }
        let credits = &people.credits;
        for (key, column) in [("entity_key", &credits.entity_key), ("person_key", &credits.person_key), ("role", &credits.role)] {
            self.column(&format!("{at}/credits/{key}"), &credits.table, column);
        }
    }

    fn aliases(&mut self, planner: &Vocabulary) {
        let joins = planner.joins.iter().enumerate().map(|(at, beside)| (format!("/planner/joins/{at}/alias"), &beside.alias));
        let people = planner.people.iter().flat_map(|people| {
            [("/planner/people/alias".to_owned(), &people.alias), ("/planner/people/credits/alias".to_owned(), &people.credits.alias)]
        });
        let mut seen = vec![&planner.entity.alias];
        for (at, alias) in joins.chain(people) {
            if seen.contains(&alias) {
                self.add(at, format!("the alias `{alias}` is used twice"));
            }
            seen.push(alias);
        }
    }

    fn parameter(&mut self, at: &str, name: &str) {
        if !self.catalog.parameters.contains_key(name) {
            let hint = did_you_mean(name, self.catalog.parameters.keys().map(String::as_str));
            self.add(at, format!("`{name}` is not under /parameters{hint}"));
        }
    }

    fn table(&mut self, at: &str, name: &str) {
        if self.catalog.relation(name).is_none() {
            let hint = did_you_mean(name, self.catalog.relations().map(|relation| relation.name.as_str()));
            self.add(at, format!("`{name}` is no table or view of the catalog{hint}"));
        }
    }

    fn column(&mut self, at: &str, table: &str, name: &str) {
        match self.catalog.relation(table) {
            None => self.table(at, table),
            Some(relation) if relation.column(name).is_none() => {
                let hint = did_you_mean(name, relation.columns.iter().map(|column| column.name.as_str()));
                self.add(at, format!("`{table}` has no column `{name}`{hint}"));
            }
            Some(_) => {}
        }
    }
}

/// The names in `{…}` of a text that look like parameters.
fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name)).filter(|name| {
        !name.is_empty() && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
    })
}

/// The verified queries and views that `admit` refuses.
pub(super) fn queries(catalog: &Catalog, admit: impl Fn(&str) -> Result<(), String>) -> Vec<Fault> {
    let queries = catalog.queries.iter().enumerate().map(|(at, query)| (format!("/queries/{at}/sql"), catalog.fill(&query.sql)));
    let views = catalog.views.iter().enumerate().map(|(at, view)| (format!("/views/{at}/sql"), view.sql.clone()));
    queries
        .chain(views)
        .filter_map(|(pointer, sql)| {
            let reason = admit(&sql).err()?;
            Some(Fault { pointer, line: None, problem: format!("the guard refuses it: {reason}") })
        })
        .collect()
}
