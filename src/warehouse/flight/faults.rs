//! An engine's error messages, made fit for a person and for a model that is to repair its statement.
//!
//! Owns the knowledge of how Sail and Spark word their errors and of what the catalog has instead. Judges no statement.

use std::{borrow::Cow, ops::ControlFlow};

use sqlparser::{
    ast::{Ident, ObjectName, visit_relations},
    dialect::DatabricksDialect,
    parser::Parser,
};

use crate::sql::{Catalog, catalog::nearest::nearest};

/// Longest message that is passed on, in characters: a plan printed into an error helps nobody.
const LONGEST: usize = 600;
/// Statements up to this many bytes are parsed for their names. A chain such as `1+1+…` of 100 kB makes a tree so deep that dropping it
/// overflows the stack (sqlparser 0.63 protects its parsing, not its tree).
const LONGEST_PARSED: usize = 16 << 10;

/// The tables, views and columns that there are.
#[derive(Clone, Debug)]
pub(in crate::warehouse) struct Names(Vec<Relation>);

#[derive(Clone, Debug)]
struct Relation {
    name: String,
    columns: Vec<String>,
}

impl Names {
    pub(in crate::warehouse) fn of(catalog: &Catalog) -> Self {
        let relation = |relation: &crate::sql::catalog::Relation| Relation {
            name: relation.name.clone(),
            columns: relation.columns.iter().map(|column| column.name.clone()).collect(),
        };
        Self(catalog.relations().map(relation).collect())
    }

    /// The statement with its tables spelled as in the catalog. Spark ignores case in names; Sail ignores it in columns but not in tables.
    pub(in crate::warehouse) fn as_spelled<'a>(&self, sql: &'a str) -> Cow<'a, str> {
        let mut edits = Vec::new();
        for name in relations(sql) {
            let Some(known) = self.0.iter().find(|known| is(&known.name, &name) && known.name != dotted(&name)) else { continue };
            let parts = name.0.iter().filter_map(|part| part.as_ident());
            edits.extend(parts.zip(known.name.split('.')).filter_map(|(part, right)| edit(sql, part, right)));
        }
        if edits.is_empty() {
            return Cow::Borrowed(sql);
        }
        edits.sort_by_key(|edit| std::cmp::Reverse(edit.0));
        let mut sql = sql.to_owned();
        for (start, end, right) in edits {
            sql.replace_range(start..end, &right);
        }
        Cow::Owned(sql)
    }

    /// What went wrong with `sql`, from the engine's `message`.
    pub(in crate::warehouse) fn explain(&self, message: &str, sql: &str) -> String {
        let message = tidy(message);
        if let Some(column) = missing_column(&message) {
            return self.no_column(&column, sql);
        }
        if let Some(table) = missing_table(&message) {
            return self.no_table(&table, sql);
        }
        if let Some(function) = after(&message, "unknown function: ").or_else(|| quoted_in(&message, "UNRESOLVED_ROUTINE")) {
            return format!("function {function} does not exist in this warehouse; use another Spark SQL function");
        }
        // Sail's words for a column that is selected without being grouped or aggregated.
        if message.contains("No field named") && message.contains(".\"#") {
            return "a selected or ordered column is neither in GROUP BY nor inside an aggregate function".to_owned();
        }
        if let Some((word, at)) = syntax_error(&message) {
            return format!("syntax error at {word} (character {at}): misspelled, or a construct that this warehouse does not have");
        }
        if message.contains("Resources exhausted") {
            return "the query needs more memory than the warehouse gives one query; \
                    filter or aggregate earlier, select fewer columns, or avoid collect_list, large sorts and joins without keys"
                .to_owned();
        }
        if message.contains("disk space during the spilling") {
            return "the query needs more temporary disk space than the warehouse gives; filter or aggregate earlier".to_owned();
        }
        shorten(message)
    }

    fn no_column(&self, column: &str, sql: &str) -> String {
        let mentioned = self.mentioned(sql);
        let bare = column.rsplit('.').next().unwrap_or(column);
        if let Some(relation) = self.0.iter().find(|relation| !mentioned.contains(&relation.name.as_str()) && has(relation, bare)) {
            return format!("column {column} does not exist in the tables of this query; {} has it", relation.name);
        }
        // A description that is right leads a model to the very name: to offer it again would help nobody.
        if let Some(relation) = self.0.iter().find(|relation| mentioned.contains(&relation.name.as_str()) && has(relation, bare)) {
            return format!(
                "column {column} does not exist here, although {} is described with {bare}: \
                 an alias or a subquery hides it, or the table is not as described",
                relation.name
            );
        }
        let of_query = self.0.iter().filter(|relation| mentioned.contains(&relation.name.as_str())).flat_map(|relation| &relation.columns);
        let of_lake = self.0.iter().flat_map(|relation| &relation.columns);
        let near = [nearest(bare, of_query.map(String::as_str), 1), nearest(bare, of_lake.map(String::as_str), 1)].concat();
        near.first().map_or_else(
            || format!("column {column} does not exist{}", self.columns_of(&mentioned)),
            |name| format!("column {column} does not exist; nearest: {name}"),
        )
    }

    fn columns_of(&self, mentioned: &[&str]) -> String {
        let Some(relation) = self.0.iter().find(|relation| mentioned.contains(&relation.name.as_str())) else { return String::new() };
        format!("; the columns of {} are {}", relation.name, relation.columns.join(", "))
    }

    fn no_table(&self, table: &str, sql: &str) -> String {
        // Sail tells the last part of the name only: the statement has all of it.
        let written = relations(sql).iter().map(dotted).find(|name| name == table || name.ends_with(&format!(".{table}")));
        let table = written.as_deref().unwrap_or(table);
        if self.0.iter().any(|relation| relation.name.eq_ignore_ascii_case(table)) {
            return format!("table {table} does not exist in the warehouse, although the catalog describes it");
        }
        let all: Vec<_> = self.0.iter().map(|relation| relation.name.as_str()).collect();
        match nearest(table, all.iter().copied(), 1).first() {
            Some(name) => format!("table {table} does not exist; nearest: {name}"),
            None => format!("table {table} does not exist; there are {}", all.join(", ")),
        }
    }

    /// Names of the known tables and views that the statement reads.
    fn mentioned(&self, sql: &str) -> Vec<&str> {
        let read = relations(sql);
        self.0.iter().filter(|known| read.iter().any(|name| is(&known.name, name))).map(|known| known.name.as_str()).collect()
    }
}

fn has(relation: &Relation, column: &str) -> bool {
    relation.columns.iter().any(|name| name.eq_ignore_ascii_case(column))
}

fn relations(sql: &str) -> Vec<ObjectName> {
    let mut names = Vec::new();
    if sql.len() > LONGEST_PARSED {
        return names;
    }
    if let Ok(statements) = Parser::parse_sql(&DatabricksDialect {}, sql) {
        let _: ControlFlow<()> = visit_relations(&statements, |name| {
            names.push(name.clone());
            ControlFlow::Continue(())
        });
    }
    names
}

fn dotted(name: &ObjectName) -> String {
    let parts: Vec<_> = name.0.iter().filter_map(|part| part.as_ident()).map(|ident| ident.value.as_str()).collect();
    parts.join(".")
}

fn is(known: &str, name: &ObjectName) -> bool {
    known.eq_ignore_ascii_case(&dotted(name))
}

/// Byte range of `part` in `sql`, and what to write there.
fn edit(sql: &str, part: &Ident, right: &str) -> Option<(usize, usize, String)> {
    let span = part.span;
    let (start, end) = (offset(sql, span.start.line, span.start.column)?, offset(sql, span.end.line, span.end.column)?);
    let right = part.quote_style.map_or_else(|| right.to_owned(), |quote| format!("{quote}{right}{quote}"));
    // A span that is not the name's own text is not to be touched.
    let written = sql.get(start..end)?;
    written.trim_matches(['`', '"']).eq_ignore_ascii_case(&part.value).then_some((start, end, right))
}

/// Byte offset of a line and column, both from 1.
fn offset(sql: &str, line: u64, column: u64) -> Option<usize> {
    let line_start = if line <= 1 { 0 } else { sql.match_indices('\n').nth(usize::try_from(line - 2).ok()?).map(|(at, _)| at + 1)? };
    let column = usize::try_from(column.checked_sub(1)?).ok()?;
    let rest = sql.get(line_start..)?;
    rest.char_indices().map(|(at, _)| at).chain([rest.len()]).nth(column).map(|at| line_start + at)
}

/// Strips what layers of the engine put before the message.
fn tidy(message: &str) -> String {
    const NOISE: [&str; 12] = [
        "plan error: ",
        "parse error: ",
        "encoding error: ",
        "analysis error: ",
        "session error: ",
        "error in DataFusion: ",
        "error in Arrow: ",
        "error in SQL parser: ",
        "External error: ",
        "Execution error: ",
        "Arrow error: ",
        "Error during planning: ",
    ];
    let mut message = message.trim();
    loop {
        let before = message;
        for noise in NOISE {
            message = message.strip_prefix(noise).unwrap_or(message);
        }
        if message.starts_with("Optimizer rule") {
            message = message.split_once("caused by").map_or(message, |(_, cause)| cause.trim());
        }
        if message == before {
            return message.to_owned();
        }
    }
}

fn shorten(message: String) -> String {
    match message.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message,
    }
}

fn missing_column(message: &str) -> Option<String> {
    // Sail: attribute ObjectName([Identifier("t"), Identifier("nope")]) is missing from the schema: cannot resolve attribute
    if message.contains("cannot resolve attribute") {
        let parts: Vec<_> = message.split("Identifier(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        return (!parts.is_empty()).then(|| parts.join("."));
    }
    quoted_in(message, "UNRESOLVED_COLUMN")
}

fn missing_table(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("TABLE_OR_VIEW_NOT_FOUND]")?;
    // Sail: Table or view not found: foo. Spark: The table or view `a`.`b` cannot be found.
    after(rest, "not found: ").or_else(|| quoted_in(rest, ""))
}

/// Sail: found QUALIFY at 24:31 expected 'AS', identifier, … (30 more)
fn syntax_error(message: &str) -> Option<(&str, usize)> {
    let (found, _) = message.strip_prefix("found ")?.split_once(" expected ")?;
    if found == "end of input" {
        return None;
    }
    let (word, span) = found.rsplit_once(" at ")?;
    let at: usize = span.split(':').next()?.parse().ok()?;
    Some((word, at + 1))
}

/// The first word after `lead`.
fn after(message: &str, lead: &str) -> Option<String> {
    let (_, rest) = message.split_once(lead)?;
    rest.split_whitespace().next().map(|word| word.trim_matches(['`', '.', ',']).to_owned())
}

/// The first name in backticks after `lead`, its parts joined by dots.
fn quoted_in(message: &str, lead: &str) -> Option<String> {
    let (_, rest) = message.split_once(lead)?;
    let word = rest.split_whitespace().find(|word| word.starts_with('`'))?;
    Some(word.replace('`', "").trim_end_matches(['.', ',', ';']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let relation = |name: &str, columns: &[&str]| Relation {
            name: name.into(),
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
        };
        Names(vec![
            relation("imdb.movies_delta", &["tconst", "primaryTitle", "originalTitle", "startYear", "genres"]),
            relation("imdb.ratings_delta", &["tconst", "averageRating", "numVotes"]),
        ])
    }

    fn no_column(column: &str, sql: &str) -> String {
        let message = format!(
            "plan error: analysis error: attribute ObjectName([Identifier(\"m\"), Identifier(\"{column}\")]) is missing from the schema: cannot resolve attribute"
        );
        names().explain(&message, sql)
    }

    const MOVIES: &str = "SELECT x FROM imdb.movies_delta m";

    #[test]
    fn an_unknown_column_comes_with_the_nearest_one() {
        assert_eq!(no_column("primary_titel", MOVIES), "column m.primary_titel does not exist; nearest: primaryTitle");
        assert_eq!(no_column("year", MOVIES), "column m.year does not exist; nearest: startYear");
        assert_eq!(
            no_column("numvotes", MOVIES),
            "column m.numvotes does not exist in the tables of this query; imdb.ratings_delta has it"
        );
        assert_eq!(
            no_column("budget", MOVIES),
            "column m.budget does not exist; the columns of imdb.movies_delta are tconst, primaryTitle, originalTitle, startYear, genres"
        );
    }

    #[test]
    fn a_name_that_is_described_is_not_offered_as_nearest_to_itself() {
        assert_eq!(
            no_column("primarytitle", MOVIES),
            "column m.primarytitle does not exist here, although imdb.movies_delta is described with primarytitle: \
             an alias or a subquery hides it, or the table is not as described"
        );
        let message = "plan error: analysis error: Table not found: [TABLE_OR_VIEW_NOT_FOUND] Table or view not found: movies_delta";
        assert_eq!(
            names().explain(message, "SELECT 1 FROM imdb.movies_delta"),
            "table imdb.movies_delta does not exist in the warehouse, although the catalog describes it"
        );
    }

    #[test]
    fn sparks_own_words_are_understood_too() {
        let message = "[UNRESOLVED_COLUMN.WITH_SUGGESTION] A column, variable, or function parameter with name `m`.`start_year` cannot be resolved. \
                       Did you mean one of the following? [`m`.`tconst`]. SQLSTATE: 42703";
        assert_eq!(names().explain(message, MOVIES), "column m.start_year does not exist; nearest: startYear");
        let message = "[TABLE_OR_VIEW_NOT_FOUND] The table or view `imdb`.`ratings` cannot be found. Verify the spelling.";
        assert_eq!(
            names().explain(message, "SELECT 1 FROM imdb.ratings"),
            "table imdb.ratings does not exist; nearest: imdb.ratings_delta"
        );
    }

    #[test]
    fn an_unknown_table_is_named_in_full_with_the_nearest_one() {
        let message = "plan error: analysis error: Table not found: [TABLE_OR_VIEW_NOT_FOUND] Table or view not found: movies";
        assert_eq!(names().explain(message, "SELECT 1 FROM lake.movies"), "table lake.movies does not exist; nearest: imdb.movies_delta");
        let message = message.replace("movies", "weather");
        assert_eq!(
            names().explain(&message, "SELECT 1 FROM weather"),
            "table weather does not exist; there are imdb.movies_delta, imdb.ratings_delta"
        );
    }

    #[test]
    fn a_syntax_error_is_short_and_says_where() {
        let message = "parse error: error in SQL parser: found QUALIFY at 24:31 expected 'AS', identifier, 'NATURAL', 'INNER'";
        assert_eq!(
            names().explain(message, MOVIES),
            "syntax error at QUALIFY (character 25): misspelled, or a construct that this warehouse does not have"
        );
    }

    #[test]
    fn a_statement_that_is_too_deep_to_drop_is_left_alone() {
        let sql = format!("SELECT {} FROM IMDB.movies_delta", vec!["1"; 50_000].join("+"));
        assert!(matches!(names().as_spelled(&sql), Cow::Borrowed(_)));
    }

    #[test]
    fn layers_of_the_engine_do_not_show() {
        let message = "plan error: error in DataFusion: Optimizer rule 'simplify_expressions' failed\ncaused by\nArrow error: Cast error: Cannot cast string 'a' to value of Int32 type";
        assert_eq!(names().explain(message, MOVIES), "Cast error: Cannot cast string 'a' to value of Int32 type");
        assert!(names().explain(&"x".repeat(5_000), MOVIES).chars().count() <= LONGEST + 1);
    }

    #[test]
    fn tables_are_respelled_as_the_catalog_has_them_and_nothing_else_is_touched() {
        let sql = "SELECT m.STARTYEAR, 'é IMDB.Movies_Delta' AS x FROM IMDB.Movies_Delta m\n  JOIN `Imdb`.`RATINGS_DELTA` r ON m.tconst = r.tconst";
        let right = "SELECT m.STARTYEAR, 'é IMDB.Movies_Delta' AS x FROM imdb.movies_delta m\n  JOIN `imdb`.`ratings_delta` r ON m.tconst = r.tconst";
        assert_eq!(names().as_spelled(sql), right);
        assert!(matches!(names().as_spelled(MOVIES), Cow::Borrowed(_)));
        assert!(matches!(names().as_spelled("not SQL at all"), Cow::Borrowed(_)));
    }
}
