//! Whether a text is a statement, and whether that reads the lake at all: one without a table gives rows that its writer made up.
//!
//! Judges no statement and resolves nothing else of it; what may be read is for the guard.

use std::ops::ControlFlow;

use sqlparser::ast::visit_relations;

use super::{Catalog, guard};

/// Whether `text` can be read as one query, admitted or not.
#[must_use]
pub fn is_query(text: &str) -> bool {
    guard::read(text).is_ok()
}

/// Whether `sql` reads a table or view of `catalog`, also in a subquery. A statement that cannot be read reads none.
#[must_use]
pub fn reads_lake(sql: &str, catalog: &Catalog) -> bool {
    let Ok(query) = guard::read(sql) else { return false };
    let found = visit_relations(&query, |name| {
        let parts: Vec<&str> = name.0.iter().filter_map(|part| part.as_ident()).map(|part| part.value.as_str()).collect();
        if catalog.relation(&parts.join(".")).is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    found.is_break()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_reads_the_lake_where_it_names_a_table_of_it() {
        let catalog = Catalog::embedded().expect("valid");
        for (sql, reads) in [
            ("SELECT 'Bong Joon-ho' AS director, 2019 AS year", false),
            ("WITH made AS (SELECT 1 AS x) SELECT x FROM made", false),
            ("VALUES (1), (2)", false),
            ("no statement", false),
            ("SELECT COUNT(*) FROM imdb.movies_delta", true),
            ("SELECT COUNT(*) FROM `IMDB`.`movies_delta` m", true),
            ("WITH films AS (SELECT tconst FROM imdb.movies_delta) SELECT COUNT(*) FROM films", true),
            ("SELECT (SELECT COUNT(*) FROM imdb.ratings_delta) AS n", true),
        ] {
            assert_eq!(reads_lake(sql, &catalog), reads, "{sql}");
        }
    }
}
