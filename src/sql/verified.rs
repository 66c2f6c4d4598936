//! Which verified query of the catalog a statement follows.
//!
//! A statement follows one when the two differ in nothing but literals, the row limit of the whole statement, case and layout. Both are
//! read as the guard reads them; masked and printed, they are compared as texts. Refuses to judge equivalence: another order of
//! conditions or another name of a table in the statement is another statement.

use std::{collections::HashMap, ops::ControlFlow};

use sqlparser::ast::{Ident, LimitClause, TableFactor, Value, ValueWithSpan, VisitMut as _, VisitorMut};

use super::{
    catalog::{Catalog, VerifiedQuery},
    guard,
};

/// The verified queries of a catalog, ready to be compared with.
#[derive(Clone, Debug)]
pub struct Skeletons {
    by_text: HashMap<String, Vec<Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    /// Index in the catalog's queries.
    query: usize,
    literals: Vec<String>,
}

impl Skeletons {
    /// The verified queries of `catalog`, their parameters filled in. One that the guard cannot read is left out.
    #[must_use]
    pub fn new(catalog: &Catalog) -> Self {
        let mut by_text: HashMap<String, Vec<Known>> = HashMap::new();
        for (query, verified) in catalog.queries.iter().enumerate() {
            if let Some((text, literals)) = skeleton(&catalog.fill(&verified.sql)) {
                by_text.entry(text).or_default().push(Known { query, literals });
            }
        }
        Self { by_text }
    }

    /// The index, among the catalog's queries, of the one that `sql` follows; of several with the same skeleton the one with most of
    /// the same literals, then the first of the catalog. None as well for what cannot be read.
    #[must_use]
    pub fn source(&self, sql: &str) -> Option<usize> {
        let (text, given) = skeleton(sql)?;
        let same =
            |known: &Known| known.literals.iter().zip(&given).filter(|(known, given)| known.to_lowercase() == given.to_lowercase()).count();
        let (first, others) = self.by_text.get(&text)?.split_first()?;
        Some(others.iter().fold(first, |best, next| if same(next) > same(best) { next } else { best }).query)
    }
}

/// The verified query that `sql` follows, as [`Skeletons::source`] finds it; for whoever asks once.
#[must_use]
pub fn source<'a>(sql: &str, catalog: &'a Catalog) -> Option<&'a VerifiedQuery> {
    catalog.queries.get(Skeletons::new(catalog).source(sql)?)
}

/// A statement without literals, limit and case, and its literals in order.
fn skeleton(sql: &str) -> Option<(String, Vec<String>)> {
    let mut query = guard::read(sql).ok()?;
    query.limit_clause = match query.limit_clause.take() {
        Some(LimitClause::LimitOffset { offset: offset @ Some(_), .. }) => {
            Some(LimitClause::LimitOffset { limit: None, offset, limit_by: Vec::new() })
        }
        _ => None,
    };
    let mut mask = Mask::default();
    let _ = query.visit(&mut mask);
    Some((query.to_string(), mask.literals))
}

/// The literals that were masked.
#[derive(Default)]
struct Mask {
    literals: Vec<String>,
}

impl VisitorMut for Mask {
    type Break = ();

    fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<()> {
        let literal = match &value.value {
            Value::Null | Value::Boolean(_) | Value::Placeholder(_) => return ControlFlow::Continue(()),
            Value::Number(digits, _) => digits.clone(),
            text => guard::text_of(text).unwrap_or_default(),
        };
        self.literals.push(literal);
        value.value = Value::Placeholder("?".into());
        ControlFlow::Continue(())
    }

    /// `AS` before an alias is layout.
    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } = factor {
            alias.explicit = true;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_ident(&mut self, ident: &mut Ident) -> ControlFlow<()> {
        ident.quote_style = None;
        ident.value = ident.value.to_lowercase();
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Skeletons, source};
    use crate::sql::{Catalog, Guard};

    #[test]
    fn every_verified_query_is_its_own_source_as_the_guard_prints_it() {
        let catalog = Catalog::embedded().unwrap();
        let (guard, skeletons) = (Guard::new(&catalog, 100), Skeletons::new(&catalog));
        for (index, query) in catalog.queries.iter().enumerate() {
            let sql = catalog.fill(&query.sql);
            let admitted = guard.admit(&sql).unwrap();
            for form in [&sql, &admitted.sql, &guard.lay_out(&admitted), &sql.replace('\n', " ").to_lowercase()] {
                assert_eq!(skeletons.source(form), Some(index), "{}: {form}", query.question);
            }
        }
    }

    #[test]
    fn literals_limit_case_and_layout_may_differ_and_nothing_else() {
        let catalog = Catalog::embedded().unwrap();
        let found = |sql: &str| source(sql, &catalog).map(|query| query.question.as_str());
        for (sql, question) in [
            (
                "select M.primarytitle, m.STARTYEAR, m.averageRating, m.numVotes from IMDB.movies_with_ratings m \
                 where m.titleType = 'tvMovie' and m.numVotes >= 5 order by m.averageRating desc, m.numVotes desc, m.tconst limit 3",
                Some("What are the top 10 rated films?"),
            ),
            ("SELECT COUNT(*) AS films FROM imdb.movies_with_ratings AS m WHERE m.titleType = 'short'", Some("How many films are there?")),
            (
                "SELECT COUNT(*) AS films FROM imdb.movies_with_ratings AS m WHERE m.titleType = 'movie' AND m.startYear < 1930 LIMIT 101",
                Some("How many films were released before 1950?"),
            ),
            (
                "SELECT m.primaryTitle, m.startYear, m.genres FROM imdb.movies_with_ratings AS m \
                 WHERE m.titleType = 'movie' AND lower(m.primaryTitle) = 'it''s' ORDER BY m.startYear",
                Some("When did Casablanca come out, and what genre is it?"),
            ),
            ("SELECT COUNT(*) AS films FROM imdb.movies_with_ratings AS m WHERE m.titleType = 'movie' AND m.startYear <= 1950", None),
            ("SELECT COUNT(*) AS films FROM imdb.movies_with_ratings AS m WHERE m.titleType <> 'movie'", None),
            ("SELECT COUNT(*) AS films FROM imdb.movies_delta AS m WHERE m.titleType = 'movie'", None),
            ("SELECT COUNT(*) AS films FROM imdb.movies_with_ratings AS m WHERE m.titleType = 'movie' LIMIT 1 OFFSET 3", None),
            ("no statement", None),
            ("", None),
        ] {
            assert_eq!(found(sql), question, "{sql}");
        }
    }

    #[test]
    fn of_several_the_one_with_the_nearest_literals_is_meant() {
        let yaml = "\
name: shop
parameters: {least: 7}
tables:
  - name: shop.products
    description: Products.
    columns:
      - {name: sku, type: string, description: Identity.}
      - {name: price, type: double, description: Price.}
queries:
  - {question: Cheap ones?, sql: 'SELECT sku FROM shop.products WHERE price < 10 AND sku > 1'}
  - {question: Others?, sql: 'SELECT sku FROM shop.products WHERE price < {least} AND sku > 2'}
";
        let catalog = Catalog::parse(yaml).unwrap();
        let found = |price: u32, sku: u32| {
            source(&format!("SELECT sku FROM shop.products WHERE price < {price} AND sku > {sku}"), &catalog).unwrap().question.clone()
        };
        assert_eq!(found(10, 1), "Cheap ones?");
        assert_eq!(found(7, 3), "Others?");
        assert_eq!(found(99, 2), "Others?");
        assert_eq!(found(99, 99), "Cheap ones?");
    }
}
