//! What a model is told besides the error of its statement, so that it repairs it instead of repeating it.
//!
//! Owns which of the lake's names, tables and joins have to do with a failed statement, and the known ways to write what an engine
//! refused. Reads statement and error as text: neither has to be well formed. Judges nothing; the error itself is told elsewhere.

use std::{collections::VecDeque, fmt::Write as _};

use super::{
    Catalog,
    catalog::{Column, Join, Relation, nearest::nearest},
    guard,
    words::{stem, words},
};

/// Longest advice, in characters.
const LONGEST: usize = 1_200;
/// Longest error and statement that are looked at, in characters.
const READ: usize = 20_000;
/// Names suggested for one that does not exist.
const SUGGESTED: usize = 3;
/// Unknown names that are spoken of.
const UNKNOWN: usize = 3;

/// Advice on repairing `sql`, which ended with `error`: the nearest names there are, what to write instead, and the tables of the
/// statement with their columns and joins. At most about 1,200 characters, one fact per line; never empty for a catalog with tables.
#[must_use]
pub fn advice(sql: &str, error: &str, catalog: &Catalog) -> String {
    let sql: String = sql.chars().take(READ).collect();
    let error: String = error.chars().take(READ).collect();
    let statement = Statement::read(&sql, catalog);
    let mut advice = Advice { text: String::new(), relations: statement.relations.iter().map(|found| found.relation).collect() };
    for name in unknown_names(&error).into_iter().take(UNKNOWN) {
        advice.name(&name, &statement, catalog);
    }
    for hint in hints(&error, &statement) {
        advice.line(&format!("Hint: {hint}"));
    }
    advice.catalog(catalog);
    advice.text
}

/// What can be told of a statement by its words.
struct Statement<'a> {
    /// Its words in lower case, without strings and comments.
    words: Vec<String>,
    /// Its relations of the catalog, in order, each once.
    relations: Vec<Used<'a>>,
}

/// A relation in a statement.
struct Used<'a> {
    relation: &'a Relation,
    alias: Option<String>,
}

impl<'a> Statement<'a> {
    fn read(sql: &str, catalog: &'a Catalog) -> Self {
        let words = bare_words(sql);
        let mut relations: Vec<Used<'a>> = Vec::new();
        for (at, word) in words.iter().enumerate() {
            let Some(relation) = relation_of(word, catalog) else { continue };
            if relations.iter().any(|known| std::ptr::eq(known.relation, relation)) {
                continue;
            }
            let next = words.get(at + 1).map(String::as_str);
            let alias = if next == Some("as") { words.get(at + 2).map(String::as_str) } else { next };
            relations.push(Used { relation, alias: alias.filter(|alias| is_alias(alias)).map(str::to_owned) });
        }
        Self { words, relations }
    }

    fn says(&self, word: &str) -> bool {
        self.words.iter().any(|said| said == word)
    }

    /// Whether a column of that name is used, qualified or not.
    fn uses(&self, column: &str) -> bool {
        self.words.iter().any(|word| last_part(word).eq_ignore_ascii_case(column))
    }
}

/// The relation that a word of a statement names: in full, or by its last part where one relation alone has it.
fn relation_of<'a>(word: &str, catalog: &'a Catalog) -> Option<&'a Relation> {
    if let Some(exact) = catalog.relation(word) {
        return Some(exact);
    }
    let mut same = catalog.relations().filter(|relation| last_part(&relation.name).eq_ignore_ascii_case(word));
    same.next().filter(|_| same.next().is_none())
}

/// Words that follow a table and are no alias of it.
const CLAUSES: &[&str] = &[
    "",
    ",",
    "(",
    ")",
    ".",
    "anti",
    "as",
    "cross",
    "except",
    "full",
    "group",
    "having",
    "inner",
    "intersect",
    "join",
    "lateral",
    "left",
    "limit",
    "natural",
    "on",
    "order",
    "pivot",
    "qualify",
    "right",
    "semi",
    "tablesample",
    "union",
    "unpivot",
    "using",
    "where",
    "window",
];

fn is_alias(word: &str) -> bool {
    !CLAUSES.contains(&word) && word.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// The words and signs of a statement in lower case; names with their dots, without backticks; strings and comments left out.
fn bare_words(sql: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = sql.trim_start();
    while let Some(first) = rest.chars().next() {
        let in_name = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '.' | '`');
        let length = match first {
            '\'' | '"' => closed(rest, first),
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            letter if in_name(letter) => rest.find(|letter: char| !in_name(letter)).unwrap_or(rest.len()),
            other => other.len_utf8(),
        };
        let (word, tail) = rest.split_at_checked(length).unwrap_or((rest, ""));
        if in_name(first) {
            words.push(word.replace('`', "").to_lowercase());
        } else if !matches!(first, '\'' | '"') && length == first.len_utf8() {
            words.push(word.to_owned());
        }
        rest = tail.trim_start();
    }
    words
}

/// Bytes of the string that `text` begins with.
fn closed(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        if letter == quote && !escaped {
            return at + quote.len_utf8();
        }
        escaped = letter == '\\' && !escaped;
    }
    text.len()
}

/// What comes right before a name that does not exist, in the words of Spark, of Sail, of the guard and of the local warehouse.
/// Beside each whether what follows is a column.
const LEADS: &[(&str, Kind)] = &[
    ("with name ", Kind::Column), // Spark: A column, variable, or function parameter with name `x` cannot be resolved
    ("no field named ", Kind::Column), // DataFusion
    ("unknown column ", Kind::Column), // other engines
    ("no such column: ", Kind::Column), // SQLite
    ("column ", Kind::Column),    // local warehouse: column x does not exist
    ("reference ", Kind::Column), // Spark: Reference `x` is ambiguous
    ("cannot resolve attribute ", Kind::Column), // Sail
    ("cannot resolve ", Kind::Column), // older Spark
    ("the table or view ", Kind::Table), // Spark
    ("table or view not found: ", Kind::Table), // older Spark and Sail
    ("table not found: ", Kind::Table), // other engines
    ("table ", Kind::Table),      // local warehouse: table x does not exist
];

/// What the guard says after a name.
const REFUSALS: &[(&str, Kind)] = &[
    (" is not a table of this lake", Kind::Table),
    (" is not a column of", Kind::Column),
    (" is ambiguous", Kind::Column),
    (" is an alias of SELECT", Kind::Column),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Column,
    Table,
}

/// A name that an error speaks of.
#[derive(Debug, PartialEq, Eq)]
struct Unknown {
    kind: Kind,
    /// In parts, as it is written in the error.
    name: String,
}

fn unknown_names(error: &str) -> Vec<Unknown> {
    let mut found: Vec<Unknown> = Vec::new();
    let mut push = |kind: Kind, name: String| {
        let is_name = !name.is_empty() && name.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '.' | ' ' | '-'));
        if is_name && !found.iter().any(|known| known.name.eq_ignore_ascii_case(&name)) {
            found.push(Unknown { kind, name });
        }
    };
    // Sail: attribute ObjectName([Identifier("m"), Identifier("year")]) is missing from the schema
    if let Some((_, rest)) = error.split_once("ObjectName([") {
        let inside = rest.split("])").next().unwrap_or_default();
        let parts: Vec<&str> = inside.split("Identifier(\"").skip(1).filter_map(|part| part.split('"').next()).collect();
        push(Kind::Column, parts.join("."));
    }
    // The guard: imdb.movie (line 1, column 15) is not a table of this lake
    for (words, kind) in REFUSALS {
        for (before, _) in error.match_indices(words) {
            let head = error.get(..before).unwrap_or_default();
            let name = head.rsplit_once(" (line").map_or(head, |(name, _)| name);
            push(*kind, name.rsplit([' ', '\n']).next().unwrap_or_default().to_owned());
        }
    }
    let lower = error.to_ascii_lowercase();
    for (lead, kind) in LEADS {
        for (at, _) in lower.match_indices(lead) {
            let boundary = at == 0 || lower.get(..at).is_some_and(|before| !before.ends_with(|letter: char| letter.is_alphanumeric()));
            let Some(rest) = error.get(at + lead.len()..).filter(|_| boundary) else { continue };
            let name = name_at(rest);
            let certain =
                rest.starts_with(['`', '"', '\'']) || lead.contains("not found") || lead.contains("no ") || says_missing(rest, &name);
            if certain {
                push(*kind, name.trim_end_matches('.').to_owned());
            }
        }
    }
    found
}

/// Whether the text goes on to say that the name at its beginning is not there.
fn says_missing(rest: &str, name: &str) -> bool {
    let after = rest.get(name.len()..).unwrap_or_default();
    let after = after.split_once(") ").filter(|_| after.starts_with(" (line")).map_or(after, |(_, after)| after).trim_start();
    ["does not exist", "is not a column", "is ambiguous", "cannot be", "not found", "is missing", "is in none"]
        .iter()
        .any(|words| after.starts_with(words))
}

/// The name at the beginning of a text, without its quotes: `a`.`b`, "a", a.b.
fn name_at(text: &str) -> String {
    let mut name = String::new();
    let mut quote: Option<char> = None;
    for letter in text.chars() {
        match quote {
            Some(open) if letter == open => quote = None,
            Some(_) => name.push(letter),
            None if matches!(letter, '`' | '"' | '\'') => quote = Some(letter),
            None if letter.is_alphanumeric() || matches!(letter, '_' | '.') => name.push(letter),
            None => break,
        }
    }
    name
}

/// The advice as it grows.
struct Advice<'a> {
    text: String,
    /// Relations to describe.
    relations: Vec<&'a Relation>,
}

impl<'a> Advice<'a> {
    /// Adds a line, if there is room for it.
    fn line(&mut self, line: &str) {
        if self.text.chars().count() + line.chars().count() < LONGEST {
            if !self.text.is_empty() {
                self.text.push('\n');
            }
            self.text.push_str(line);
        }
    }

    fn speak_of(&mut self, relation: &'a Relation) {
        if !self.relations.iter().any(|known| std::ptr::eq(*known, relation)) {
            self.relations.push(relation);
        }
    }

    fn name(&mut self, unknown: &Unknown, statement: &Statement<'a>, catalog: &'a Catalog) {
        match unknown.kind {
            Kind::Table => self.table(&unknown.name, catalog),
            Kind::Column => self.column(&unknown.name, statement, catalog),
        }
    }

    fn table(&mut self, name: &str, catalog: &'a Catalog) {
        if catalog.relation(name).is_some() {
            return;
        }
        let near = nearest(name, catalog.relations().map(|relation| relation.name.as_str()), SUGGESTED);
        if let Some(relation) = near.first().and_then(|near| catalog.relation(near)) {
            self.speak_of(relation);
            self.line(&format!("There is no table {name}; nearest: {}.", near.join(", ")));
        } else if !self.relations.iter().any(|_| true) {
            let all: Vec<&str> = catalog.relations().map(|relation| relation.name.as_str()).collect();
            self.line(&format!("There is no table {name}; there are {}.", all.join(", ")));
        }
    }

    fn column(&mut self, name: &str, statement: &Statement<'a>, catalog: &'a Catalog) {
        let bare = last_part(name);
        let qualifier = name.rsplit_once('.').map(|(qualifier, _)| last_part(qualifier));
        let holders: Vec<&Used<'a>> = statement.relations.iter().filter(|used| used.relation.column(bare).is_some()).collect();
        let called = |used: &Used<'a>| used.alias.clone().unwrap_or_else(|| used.relation.name.clone());
        match holders.as_slice() {
            [] => self.missing_column(bare, statement, catalog),
            [only] if qualifier.is_some_and(|qualifier| !qualifier.eq_ignore_ascii_case(&called(only))) => {
                self.line(&format!("{bare} is a column of {0}: write {1}.{bare}.", only.relation.name, called(only)));
            }
            [_] => {}
            several => {
                let choices: Vec<String> = several.iter().map(|used| format!("{}.{bare}", called(used))).collect();
                self.line(&format!("{bare} is in several tables of the statement: write {}.", choices.join(" or ")));
            }
        }
    }

    /// A column that no relation of the statement has.
    fn missing_column(&mut self, bare: &str, statement: &Statement<'a>, catalog: &'a Catalog) {
        let of_statement = statement.relations.iter().flat_map(|used| &used.relation.columns).map(|column| column.name.as_str());
        let near = nearest(bare, of_statement, SUGGESTED);
        if !near.is_empty() {
            self.line(&format!("There is no column {bare} in the tables of the statement; nearest: {}.", near.join(", ")));
        }
        let is_array = |name: &&&str| statement.relations.iter().filter_map(|used| used.relation.column(name)).any(is_array);
        if let Some(array) = near.iter().take(1).find(is_array) {
            self.line(&format!("Hint: {}", of_array(array)));
        }
        if self.role(bare, statement, catalog) {
            return;
        }
        let tables = || catalog.tables.iter().chain(catalog.views.iter().map(|view| &view.relation));
        let exact = tables().find(|relation| relation.column(bare).is_some());
        let elsewhere = exact.or_else(|| {
            let columns = tables().flat_map(|relation| &relation.columns).map(|column| column.name.as_str());
            let first = *nearest(bare, columns, 1).first()?;
            tables().find(|relation| relation.column(first).is_some()).filter(|_| near.is_empty())
        });
        let Some(relation) = elsewhere else {
            if near.is_empty() {
                self.line(&format!("Nothing in this lake is called like {bare}; use the columns below or say that it is not there."));
            }
            return;
        };
        let column = relation.column(bare).map_or_else(
            || nearest(bare, relation.columns.iter().map(|column| column.name.as_str()), 1).first().map(|near| (*near).to_owned()),
            |column| Some(column.name.clone()),
        );
        let column = column.unwrap_or_else(|| bare.to_owned());
        let mut line = format!("{column} is a column of {}", relation.name);
        let from: Vec<&Relation> = statement.relations.iter().map(|used| used.relation).collect();
        if let Some(path) = path(&from, relation, catalog).filter(|path| !path.is_empty()) {
            let conditions: Vec<String> = path.iter().map(|join| format!("{} = {}", join.from, join.to)).collect();
            let _ = write!(line, ": join it ON {}", conditions.join(" AND "));
            for join in path {
                for side in [&join.from, &join.to] {
                    if let Some(relation) = side.rsplit_once('.').and_then(|(table, _)| catalog.relation(table)) {
                        self.speak_of(relation);
                    }
                }
            }
        }
        self.speak_of(relation);
        self.line(&format!("{line}."));
    }

    /// Tells how a part that people play, such as `director`, is stored, if the name is the catalog's word for one.
    fn role(&mut self, bare: &str, statement: &Statement<'a>, catalog: &'a Catalog) -> bool {
        let Some(people) = catalog.planner.as_ref().and_then(|vocabulary| vocabulary.people.as_ref()) else { return false };
        let stems = |text: &str| words(&text.replace('_', " ")).iter().map(|word| stem(&word.folded)).collect::<Vec<_>>();
        let wanted = stems(bare);
        let Some(role) = people.roles.iter().find(|role| role.nouns.iter().chain([&role.plural]).any(|noun| stems(noun) == wanted)) else {
            return false;
        };
        let (credits, from) = (&people.credits, statement.relations.iter().map(|used| used.relation).collect::<Vec<_>>());
        let conditions = catalog.relation(&people.table).and_then(|people| path(&from, people, catalog)).unwrap_or_default();
        let conditions: Vec<String> = conditions.iter().map(|join| format!("{} = {}", join.from, join.to)).collect();
        let values: Vec<String> = role.values.iter().map(|value| guard::literal(value)).collect();
        let joined = if conditions.is_empty() { String::new() } else { format!(" join it ON {},", conditions.join(" AND ")) };
        for relation in [&credits.table, &people.table].into_iter().filter_map(|table| catalog.relation(table)) {
            self.speak_of(relation);
        }
        self.line(&format!(
            "{bare} is no column: it is a {} in {} with the {} in {}:{joined} filter {} IN ({}) and compare {}.{}.",
            credits.role,
            credits.table,
            people.name,
            people.table,
            credits.role,
            values.join(", "),
            people.table,
            people.name
        ));
        true
    }

    /// The relations spoken of, or all where there are none, and the joins between them.
    fn catalog(&mut self, catalog: &'a Catalog) {
        let all: Vec<&Relation> = if self.relations.is_empty() { catalog.relations().collect() } else { self.relations.clone() };
        for relation in &all {
            self.line(&described(relation));
        }
        let shown = |side: &str| {
            side.rsplit_once('.').is_some_and(|(table, _)| all.iter().any(|relation| relation.name.eq_ignore_ascii_case(table)))
        };
        let joins: Vec<String> = catalog
            .joins
            .iter()
            .filter(|join| shown(&join.from) && shown(&join.to))
            .map(|join| format!("{} = {}", join.from, join.to))
            .collect();
        if !joins.is_empty() {
            self.line(&format!("Joins: {}.", joins.join("; ")));
        }
    }
}

/// `schema.table(column type, …)`.
fn described(relation: &Relation) -> String {
    let columns: Vec<String> = relation.columns.iter().map(|column| format!("{} {}", column.name, column.data_type)).collect();
    format!("{}({})", relation.name, columns.join(", "))
}

/// The fewest joins from any of `from` to `to`.
fn path<'a>(from: &[&Relation], to: &Relation, catalog: &'a Catalog) -> Option<Vec<&'a Join>> {
    let mut queue: VecDeque<(String, Vec<&Join>)> = from.iter().map(|relation| (relation.name.to_lowercase(), Vec::new())).collect();
    let mut seen: Vec<String> = queue.iter().map(|(name, _)| name.clone()).collect();
    while let Some((here, steps)) = queue.pop_front() {
        if here.eq_ignore_ascii_case(&to.name) {
            return Some(steps);
        }
        for join in &catalog.joins {
            let table = |side: &str| side.rsplit_once('.').map(|(table, _)| table.to_lowercase()).unwrap_or_default();
            let (left, right) = (table(&join.from), table(&join.to));
            let next = if left == here { right } else { left.clone() };
            if (left == here || table(&join.to) == here) && !seen.contains(&next) {
                seen.push(next.clone());
                queue.push_back((next, steps.iter().copied().chain([join]).collect()));
            }
        }
    }
    None
}

/// Words of an error (any of them, in lower case) and what to write instead.
const HINTS: &[(&[&str], &str)] = &[
    (
        &[
            "missing_aggregation",
            "missing_group_by",
            "neither in group by",
            "not participating in the group by",
            "must appear in the group by",
            "must be part of group by",
        ],
        "what is selected or ordered by outside an aggregate function must stand in GROUP BY, with the same expression; a figure over all rows \
         needs neither GROUP BY nor ORDER BY.",
    ),
    (
        &[
            "invalid_where_condition",
            "aggregate functions are not allowed in where",
            "aggregate function in where",
            "does not support logical expression aggregatefunction",
        ],
        "WHERE cannot hold aggregates; put the condition in HAVING, after GROUP BY.",
    ),
    (
        &["nested_aggregate_function", "aggregate function in the argument of another"],
        "an aggregate inside an aggregate needs a subquery: aggregate once inside, once outside.",
    ),
    (&["window function", "window_function"], "compute a window function in a subquery or WITH, then filter its result outside."),
    (
        &["scalar_subquery_too_many_rows", "more than one row returned by a subquery", "returned more than one row"],
        "a subquery used as a value must give one row: aggregate it, add LIMIT 1, or use IN (SELECT …).",
    ),
    (
        &["num_columns_mismatch", "same number of columns", "incompatible_column_type"],
        "both sides of UNION need the same number of columns with the same types, in the same order.",
    ),
    (
        &["cast_invalid_input", "cast error", "cannot be cast to", "malformed"],
        "compare text with text and numbers with numbers, or use try_cast(x AS type), which gives NULL instead of failing.",
    ),
    (&["divide_by_zero", "divide by zero", "division by zero"], "divide by nullif(x, 0)."),
    (
        &["unsupported_generator", "generators are not supported", "generator function"],
        "write explode in LATERAL VIEW explode(column) AS item, or alone in SELECT.",
    ),
    (
        &["more memory than", "resources exhausted", "disk space"],
        "filter and aggregate before joining, join on key columns, and select fewer columns.",
    ),
    (&["without a condition pairs"], "join on the key columns named below."),
];

/// Functions of other databases, and what Spark SQL has.
const FUNCTIONS: &[(&str, &str)] = &[
    ("any", "array_contains(column, value)"),
    ("array_length", "size(column)"),
    ("convert", "CAST(x AS type)"),
    ("datefromparts", "make_date(year, month, day)"),
    ("generate_series", "sequence(start, stop) in explode"),
    ("getdate", "current_timestamp()"),
    ("group_concat", "array_join(collect_list(x), ', ')"),
    ("iif", "if(condition, a, b)"),
    ("isnumeric", "try_cast(x AS double) IS NOT NULL"),
    ("json_array_contains", "array_contains(column, value)"),
    ("json_array_elements", "explode(column)"),
    ("json_each", "explode(column)"),
    ("json_extract", "get_json_object(text, '$.key')"),
    ("list_contains", "array_contains(column, value)"),
    ("percentile_disc", "percentile_approx(x, 0.5)"),
    ("regexp_matches", "x RLIKE 'pattern'"),
    ("strftime", "date_format(x, 'yyyy')"),
    ("string_agg", "array_join(collect_list(x), ', ')"),
    ("string_split", "split(x, ',')"),
    ("string_to_array", "split(x, ',')"),
    ("strpos", "instr(text, part)"),
    ("to_tsvector", "contains(lower(text), 'word')"),
    ("unnest", "LATERAL VIEW explode(column) AS item"),
];

fn hints(error: &str, statement: &Statement<'_>) -> Vec<String> {
    let lower = error.to_lowercase();
    let mut hints: Vec<String> = Vec::new();
    let about_types = ["type", "array", "list(", "coerce", "incompatible", "signature", "cast"].iter().any(|word| lower.contains(word));
    if about_types && let Some((relation, column)) = array_column(statement) {
        hints.push(of_array(column).replacen(" is an", &format!(" of {relation} is an"), 1));
    }
    for (signs, hint) in HINTS {
        if signs.iter().any(|sign| lower.contains(sign)) {
            hints.push((*hint).to_owned());
        }
    }
    if ["function", "routine"].iter().any(|word| lower.contains(word)) {
        for (name, instead) in FUNCTIONS {
            if statement.says(name) && contains_word(&lower, name) {
                hints.push(format!("Spark SQL has no {name}(…) for this: write {instead}."));
            }
        }
    }
    hints.extend(alias_too_early(error, statement));
    let syntax = ["syntax error", "parse_syntax_error", "cannot be read as spark sql"].iter().any(|sign| lower.contains(sign));
    if syntax && statement.says("union") && (statement.says("limit") || statement.says("order")) {
        hints.push("in a UNION, put a SELECT that has its own ORDER BY or LIMIT in parentheses.".to_owned());
    } else if syntax {
        hints.push("write one SELECT with clauses in the order FROM, WHERE, GROUP BY, HAVING, ORDER BY, LIMIT; names with blanks in backticks, texts in single quotes.".to_owned());
    }
    hints
}

fn contains_word(text: &str, word: &str) -> bool {
    text.split(|letter: char| !(letter.is_alphanumeric() || letter == '_')).any(|said| said == word)
}

fn is_array(column: &Column) -> bool {
    column.data_type.to_lowercase().starts_with("array")
}

fn of_array(column: &str) -> String {
    format!("{column} is an array: filter with array_contains({column}, 'value'), group with LATERAL VIEW explode({column}) AS item.")
}

/// An array column of the statement's tables that the statement uses.
fn array_column<'a>(statement: &Statement<'a>) -> Option<(&'a str, &'a str)> {
    statement.relations.iter().find_map(|used| {
        let column = used.relation.columns.iter().find(|column| is_array(column) && statement.uses(&column.name))?;
        Some((used.relation.name.as_str(), column.name.as_str()))
    })
}

/// A name that is not found because it is an alias of SELECT, used where there are none yet.
fn alias_too_early(error: &str, statement: &Statement<'_>) -> Option<String> {
    let unknown = unknown_names(error).into_iter().find(|unknown| {
        let name = unknown.name.to_lowercase();
        unknown.kind == Kind::Column
            && statement.words.windows(2).any(|pair| matches!(pair, [word, alias] if word == "as" && *alias == name))
    })?;
    Some(format!(
        "{} is an alias of SELECT: WHERE and ON cannot use it; repeat the expression there, use HAVING for aggregates, or select from a subquery.",
        unknown.name
    ))
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, advice};
    use crate::sql::Catalog;

    /// Statements, the errors that engines, the local warehouse or the guard give for them, and what the advice must say.
    const CASES: &[(&str, &str, &[&str])] = &[
        // Databricks.
        (
            "SELECT m.title FROM imdb.movies_delta m",
            "[UNRESOLVED_COLUMN.WITH_SUGGESTION] A column, variable, or function parameter with name `m`.`title` cannot be resolved. Did you mean one of the following? [`m`.`tconst`]. SQLSTATE: 42703",
            &[
                "There is no column title in the tables of the statement; nearest: primaryTitle, originalTitle, titleType",
                "imdb.movies_delta(tconst string, titleType string",
            ],
        ),
        (
            "SELECT primaryTitle FROM imdb.movies_delta ORDER BY averageRating",
            "[UNRESOLVED_COLUMN.WITH_SUGGESTION] A column, variable, or function parameter with name `averageRating` cannot be resolved. SQLSTATE: 42703",
            &[
                "averageRating is a column of imdb.ratings_delta: join it ON imdb.movies_delta.tconst = imdb.ratings_delta.tconst.",
                "imdb.ratings_delta(tconst string, averageRating double, numVotes int)",
            ],
        ),
        (
            "SELECT primaryName FROM imdb.movies_delta",
            "[UNRESOLVED_COLUMN.WITH_SUGGESTION] A column, variable, or function parameter with name `primaryName` cannot be resolved.",
            &[
                "primaryName is a column of imdb.persons_delta: join it ON imdb.movies_delta.tconst = imdb.principals_delta.tconst AND \
                 imdb.principals_delta.nconst = imdb.persons_delta.nconst.",
                "imdb.principals_delta(",
            ],
        ),
        (
            "SELECT r.primaryTitle FROM imdb.movies_delta AS m JOIN imdb.ratings_delta AS r ON m.tconst = r.tconst",
            "[UNRESOLVED_COLUMN.WITH_SUGGESTION] A column, variable, or function parameter with name `r`.`primaryTitle` cannot be resolved.",
            &["primaryTitle is a column of imdb.movies_delta: write m.primaryTitle."],
        ),
        (
            "SELECT tconst FROM imdb.movies_delta m JOIN imdb.ratings_delta r ON m.tconst = r.tconst",
            "[AMBIGUOUS_REFERENCE] Reference `tconst` is ambiguous, could be: [`m`.`tconst`, `r`.`tconst`]. SQLSTATE: 42704",
            &["tconst is in several tables of the statement: write m.tconst or r.tconst."],
        ),
        (
            "SELECT * FROM imdb.movies",
            "[TABLE_OR_VIEW_NOT_FOUND] The table or view `imdb`.`movies` cannot be found. Verify the spelling and correctness of the schema and catalog. SQLSTATE: 42P01",
            &["There is no table imdb.movies; nearest: imdb.movies_delta", "imdb.movies_delta(tconst string"],
        ),
        (
            "SELECT tconst FROM imdb.movies_delta WHERE genres = 'Drama'",
            "[DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES] Cannot resolve \"(genres = Drama)\" due to data type mismatch: the left and right operands of the binary operator have incompatible types (\"ARRAY<STRING>\" and \"STRING\"). SQLSTATE: 42K09",
            &["genres of imdb.movies_delta is an array: filter with array_contains(genres, 'value')"],
        ),
        (
            "SELECT startYear, primaryTitle, count(*) FROM imdb.movies_delta GROUP BY startYear",
            "[MISSING_AGGREGATION] The non-aggregating expression \"primaryTitle\" is based on columns which are not participating in the GROUP BY clause. SQLSTATE: 42803",
            &["must stand in GROUP BY"],
        ),
        (
            "SELECT startYear FROM imdb.movies_delta WHERE count(*) > 1",
            "[INVALID_WHERE_CONDITION] The WHERE condition \"(count(1) > 1)\" contains invalid expressions: count(1). SQLSTATE: 42903",
            &["put the condition in HAVING"],
        ),
        (
            "SELECT startYear AS year FROM imdb.movies_delta WHERE year > 2000",
            "[UNRESOLVED_COLUMN.WITH_SUGGESTION] A column, variable, or function parameter with name `year` cannot be resolved.",
            &["year is an alias of SELECT: WHERE and ON cannot use it"],
        ),
        (
            "SELECT string_agg(primaryTitle, ', ') FROM imdb.movies_delta",
            "[UNRESOLVED_ROUTINE] Cannot resolve routine `string_agg` on search path [`system`.`builtin`]. SQLSTATE: 42883",
            &["write array_join(collect_list(x), ', ')"],
        ),
        (
            "SELECT tconst FROM imdb.movies_delta LIMIT 3 UNION SELECT tconst FROM imdb.ratings_delta",
            "[PARSE_SYNTAX_ERROR] Syntax error at or near 'UNION'. SQLSTATE: 42601 (line 1, pos 44)",
            &["in a UNION, put a SELECT that has its own ORDER BY or LIMIT in parentheses"],
        ),
        (
            "SELECT 1 / 0",
            "[DIVIDE_BY_ZERO] Division by zero. Use `try_divide` to tolerate divisor being 0. SQLSTATE: 22012",
            &["nullif(x, 0)"],
        ),
        (
            "SELECT CAST(primaryTitle AS INT) FROM imdb.movies_delta",
            "[CAST_INVALID_INPUT] The value 'Jaws' of the type \"STRING\" cannot be cast to \"INT\" because it is malformed. SQLSTATE: 22018",
            &["try_cast"],
        ),
        // The local warehouse and Sail itself.
        (
            "SELECT m.year FROM imdb.movies_delta m",
            "column m.year does not exist; nearest: startYear",
            &["There is no column year in the tables of the statement; nearest: endYear, startYear"],
        ),
        (
            "SELECT * FROM imdb.actors",
            "table imdb.actors does not exist; there are imdb.movies_delta",
            &["There is no table imdb.actors", "imdb.movies_delta("],
        ),
        (
            "SELECT budget FROM imdb.movies_delta",
            "plan error: analysis error: attribute ObjectName([Identifier(\"budget\")]) is missing from the schema: cannot resolve attribute",
            &["Nothing in this lake is called like budget"],
        ),
        (
            "SELECT startYear, primaryTitle, count(*) FROM imdb.movies_delta GROUP BY startYear",
            "a selected or ordered column is neither in GROUP BY nor inside an aggregate function",
            &["must stand in GROUP BY"],
        ),
        (
            "SELECT strftime('%Y', x) FROM imdb.movies_delta",
            "function strftime does not exist in this warehouse; use another Spark SQL function",
            &["write date_format(x, 'yyyy')"],
        ),
        // The guard.
        (
            "SELECT tconst FROM imdb.movie_delta",
            "imdb.movie_delta (line 1, column 20) is not a table of this lake; nearest: imdb.movies_delta. Tables: imdb.movies_delta.",
            &["There is no table imdb.movie_delta; nearest: imdb.movies_delta", "imdb.movies_delta("],
        ),
        (
            "SELECT numVotes FROM imdb.movies_delta",
            "numVotes (line 1, column 8) is not a column of imdb.movies_delta. imdb.ratings_delta or imdb.movies_with_ratings has it: join it.",
            &["join it ON imdb.movies_delta.tconst = imdb.ratings_delta.tconst", "imdb.ratings_delta("],
        ),
        (
            "SELECT tconst FROM imdb.movies_delta WHERE genre = 'Drama'",
            "genre (line 1, column 43) is not a column of imdb.movies_delta; nearest: genres.",
            &["array_contains(genres, 'value')"],
        ),
        (
            "SELECT primaryTitle FROM imdb.movies_delta WHERE director = 'John Ford'",
            "director (line 1, column 51) is not a column of imdb.movies_delta; there are tconst.",
            &[
                "director is no column: it is a category in imdb.principals_delta with the primaryName in imdb.persons_delta: join it ON imdb.movies_delta.tconst = imdb.principals_delta.tconst AND imdb.principals_delta.nconst = imdb.persons_delta.nconst, filter category IN ('director') and compare imdb.persons_delta.primaryName.",
            ],
        ),
        (
            "SELECT unnest(genres) FROM imdb.movies_delta",
            "The function unnest (line 1, column 8) may not be called. Use built-in functions of Spark SQL that only compute.",
            &["LATERAL VIEW explode(column) AS item"],
        ),
        // What cannot be read at all.
        (
            "SELEC primaryTitle FRM imdb.movies_delta, `imdb`.`ratings_delta` WHERE x = 'imdb.persons_delta",
            "The statement cannot be read as Spark SQL: expected SELECT, found SELEC at line 1, column 1.",
            &[
                "clauses in the order FROM, WHERE",
                "imdb.movies_delta(",
                "imdb.ratings_delta(",
                "Joins: imdb.movies_delta.tconst = imdb.ratings_delta.tconst.",
            ],
        ),
        ("", "The statement is empty; write a SELECT.", &["imdb.movies_delta(", "imdb.persons_delta("]),
    ];

    #[test]
    fn advice_names_what_there_is_and_what_to_write() {
        let catalog = Catalog::embedded().unwrap();
        let mut faults = String::new();
        for (sql, error, expected) in CASES {
            let advice = advice(sql, error, &catalog);
            for expected in *expected {
                if !advice.contains(expected) {
                    faults.push_str(&format!("{error}\n  expected {expected:?} in:\n{advice}\n\n"));
                }
            }
            assert!(advice.chars().count() <= LONGEST, "{} characters", advice.chars().count());
        }
        assert!(faults.is_empty(), "{faults}");
    }

    #[test]
    fn names_that_exist_are_not_called_unknown() {
        let catalog = Catalog::embedded().unwrap();
        let error = "[MISSING_AGGREGATION] The non-aggregating expression \"primaryTitle\" is based on columns which are not participating in the GROUP BY clause.";
        let advice = advice("SELECT primaryTitle, count(*) FROM imdb.movies_delta", error, &catalog);
        assert!(!advice.contains("There is no"), "{advice}");
        assert!(!advice.contains("imdb.persons_delta("), "{advice}");
    }

    #[test]
    fn odd_texts_do_no_harm() {
        let catalog = Catalog::embedded().unwrap();
        for text in
            ["", "`", "'", "\u{0}", "column `", "ObjectName([", "é".repeat(50_000).as_str(), "İ column `x` İ with name `", "/*", "--"]
        {
            assert!(advice(text, text, &catalog).chars().count() <= LONGEST);
        }
    }
}
