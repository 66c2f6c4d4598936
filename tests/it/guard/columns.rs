//! The pre-flight of names: what does not exist is refused with what does, and whatever may exist is admitted.

use std::{collections::BTreeSet, fmt::Write as _, sync::LazyLock};

use asklake::sql::{Catalog, Guard};
use proptest::prelude::*;
use sqlparser::{
    ast::{Expr, VisitMut, VisitorMut},
    dialect::DatabricksDialect,
    parser::Parser,
};

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog::embedded().unwrap());
static GUARD: LazyLock<Guard> = LazyLock::new(|| Guard::new(&CATALOG, 1_000));

/// Statements with a name that does not exist, and what the refusal says of it.
const UNKNOWN: &[(&str, &str)] = &[
    // One relation.
    (
        "SELECT title FROM imdb.movies_delta",
        "title (line 1, column 8) is not a column of imdb.movies_delta; nearest: primaryTitle, originalTitle",
    ),
    ("SELECT year FROM imdb.movies_delta", "nearest: endYear, startYear"),
    ("SELECT TITLE_TYP FROM imdb.movies_delta", "nearest: titleType"),
    ("SELECT m.year FROM imdb.movies_delta m", "m.year (line 1, column 8) is not a column of m (imdb.movies_delta); nearest"),
    ("SELECT m.genre[0] FROM imdb.movies_delta m", "m.genre (line 1, column 8) is not a column of m (imdb.movies_delta); nearest: genres"),
    ("SELECT movies_delta.year FROM imdb.movies_delta", "is not a column of imdb.movies_delta"),
    ("SELECT imdb.movies_delta.year FROM imdb.movies_delta", "is not a column of imdb.movies_delta"),
    ("SELECT movies_delta.tconst FROM imdb.movies_delta m", "movies_delta is no table of this FROM, which has m (imdb.movies_delta)"),
    ("SELECT x.tconst FROM imdb.movies_delta m", "x is no table of this FROM"),
    ("SELECT x.* FROM imdb.movies_delta m", "x is no table of this FROM"),
    ("SELECT averageRating FROM imdb.movies_delta", "imdb.ratings_delta or imdb.movies_with_ratings has it: join it."),
    (
        "SELECT budget FROM imdb.ratings_delta",
        "budget (line 1, column 8) is not a column of imdb.ratings_delta; there are tconst, averageRating, numVotes",
    ),
    ("SELECT tconst FROM imdb.movies_delta WHERE releaseYear > 2000", "nearest: startYear"),
    ("SELECT tconst FROM imdb.movies_delta WHERE `release year` > 2000 AND yeer = 1", "yeer"),
    ("SELECT tconst FROM imdb.movies_delta WHERE startYear BETWEEN lo AND 2000", "lo (line"),
    ("SELECT tconst FROM imdb.movies_delta WHERE runtime IN (90, 100)", "nearest: runtimeMinutes"),
    ("SELECT tconst FROM imdb.movies_delta WHERE genre IS NULL", "nearest: genres"),
    ("SELECT tconst FROM imdb.movies_delta WHERE name LIKE 'a%'", "imdb.movies_delta"),
    ("SELECT tconst FROM imdb.movies_delta WHERE NOT (adult = 1)", "nearest: isAdult"),
    ("SELECT tconst FROM imdb.movies_delta WHERE array_contains(genre, 'Drama')", "nearest: genres"),
    ("SELECT count(DISTINCT titel) FROM imdb.movies_delta", "titel"),
    ("SELECT count(*) FILTER (WHERE votes > 1) FROM imdb.ratings_delta", "nearest: numVotes"),
    ("SELECT CASE WHEN rating > 8 THEN 1 ELSE 0 END FROM imdb.ratings_delta", "nearest: averageRating"),
    ("SELECT CASE kind WHEN 'movie' THEN 1 END FROM imdb.movies_delta", "kind (line"),
    ("SELECT CAST(runtime AS STRING) FROM imdb.movies_delta", "nearest: runtimeMinutes"),
    ("SELECT runtime::string FROM imdb.movies_delta", "nearest: runtimeMinutes"),
    ("SELECT genre[0] FROM imdb.movies_delta", "nearest: genres"),
    ("SELECT genres[ordering] FROM imdb.movies_delta", "imdb.principals_delta has it"),
    ("SELECT -runtime FROM imdb.movies_delta", "nearest: runtimeMinutes"),
    ("SELECT round(avg(rating), 2) FROM imdb.ratings_delta", "nearest: averageRating"),
    ("SELECT substring(title FROM 2 FOR 3) FROM imdb.movies_delta", "nearest"),
    ("SELECT extract(YEAR FROM released) FROM imdb.movies_delta", "released"),
    ("SELECT datediff(DAY, released, current_date()) FROM imdb.movies_delta", "released"),
    ("SELECT struct(tconst, votes) FROM imdb.ratings_delta", "nearest: numVotes"),
    ("SELECT filter(genres, g -> h <> 'Drama') FROM imdb.movies_delta", "h (line"),
    ("SELECT transform(genre, g -> g) FROM imdb.movies_delta", "nearest: genres"),
    ("SELECT aggregate(genres, 0, (total, g) -> totals + 1) FROM imdb.movies_delta", "totals"),
    // Clauses.
    ("SELECT startYear FROM imdb.movies_delta GROUP BY startYear, kind", "kind"),
    ("SELECT titleType FROM imdb.movies_delta GROUP BY ROLLUP (titleType, years)", "nearest: startYear"),
    ("SELECT startYear FROM imdb.movies_delta GROUP BY startYear HAVING max(votes) > 1", "votes"),
    ("SELECT startYear FROM imdb.movies_delta ORDER BY rating", "rating"),
    ("SELECT startYear AS year FROM imdb.movies_delta ORDER BY years", "years"),
    ("SELECT startYear AS year FROM imdb.movies_delta WHERE year > 2000", "is an alias of SELECT, which WHERE and ON cannot use"),
    ("SELECT count(*) AS n FROM imdb.movies_delta WHERE n > 5 GROUP BY startYear", "n (line 1, column 51) is an alias of SELECT"),
    ("SELECT b + 1 AS a, startYear AS b FROM imdb.movies_delta", "b (line 1, column 8)"),
    ("SELECT row_number() OVER (PARTITION BY year ORDER BY tconst) FROM imdb.movies_delta", "year"),
    ("SELECT row_number() OVER (ORDER BY votes) FROM imdb.ratings_delta", "nearest: numVotes"),
    ("SELECT max(tconst) OVER w FROM imdb.ratings_delta WINDOW w AS (PARTITION BY votes)", "nearest: numVotes"),
    ("SELECT tconst FROM imdb.movies_delta QUALIFY row_number() OVER (ORDER BY votes) = 1", "votes"),
    ("SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY rating) FROM imdb.ratings_delta", "nearest: averageRating"),
    // Joins.
    (
        "SELECT m.tconst FROM imdb.movies_delta m JOIN imdb.ratings_delta r ON m.tconst = r.id",
        "r.id (line 1, column 82) is not a column of r (imdb.ratings_delta)",
    ),
    ("SELECT m.numVotes FROM imdb.movies_delta m JOIN imdb.ratings_delta r ON m.tconst = r.tconst", "m.numVotes"),
    (
        "SELECT tconst FROM imdb.movies_delta m JOIN imdb.ratings_delta r ON m.tconst = r.tconst",
        "is ambiguous: several tables of this FROM have it; write m.tconst or r.tconst.",
    ),
    ("SELECT m.tconst FROM imdb.movies_delta m JOIN imdb.ratings_delta r ON tconst = r.tconst", "is ambiguous"),
    ("SELECT m.tconst FROM imdb.movies_delta m, imdb.ratings_delta r WHERE tconst = 'tt1'", "is ambiguous"),
    ("SELECT numVotes FROM imdb.movies_delta JOIN imdb.ratings_delta USING (id)", "id (line"),
    (
        "SELECT titleType FROM imdb.movies_delta JOIN imdb.persons_delta USING (nconst)",
        "nconst (line 1, column 72) is not a column of imdb.movies_delta",
    ),
    ("SELECT r.numVotes FROM imdb.movies_delta m LEFT SEMI JOIN imdb.ratings_delta r ON m.tconst = r.tconst", "r is no table of this FROM"),
    ("SELECT numVotes FROM imdb.movies_delta m LEFT ANTI JOIN imdb.ratings_delta r ON m.tconst = r.tconst", "numVotes"),
    (
        "SELECT p.name FROM imdb.movies_delta m JOIN (imdb.principals_delta c JOIN imdb.persons_delta p ON c.nconst = p.nconst) ON m.tconst = c.tconst",
        "nearest: primaryName",
    ),
    // Derived tables, WITH and set operations.
    ("SELECT d.year FROM (SELECT startYear AS y FROM imdb.movies_delta) d", "d.year (line 1, column 8) is not a column of d; there are y"),
    ("SELECT startYear FROM (SELECT startYear AS y FROM imdb.movies_delta) d", "startYear"),
    ("SELECT y FROM (SELECT year AS y FROM imdb.movies_delta) d", "nearest: endYear, startYear"),
    ("SELECT isAdult FROM (SELECT * EXCEPT (isAdult) FROM imdb.movies_delta) d", "isAdult"),
    (
        "WITH t AS (SELECT tconst AS id FROM imdb.movies_delta) SELECT tconst FROM t",
        "tconst (line 1, column 63) is not a column of t; there are id",
    ),
    ("WITH t(a, b) AS (SELECT tconst, startYear FROM imdb.movies_delta) SELECT startYear FROM t", "is not a column of t; there are a, b"),
    ("WITH a AS (SELECT tconst FROM imdb.movies_delta), b AS (SELECT startYear FROM a) SELECT * FROM b", "startYear"),
    ("SELECT tconst FROM imdb.movies_delta UNION SELECT id FROM imdb.ratings_delta", "id (line"),
    ("SELECT tconst AS id FROM imdb.movies_delta UNION SELECT tconst FROM imdb.ratings_delta ORDER BY tconst", "tconst"),
    ("SELECT v.name FROM VALUES (1, 'a') AS v(id, n)", "v.name"),
    ("SELECT n FROM range(3) AS r", "is not a column of r; there are id"),
    // Subqueries.
    ("SELECT tconst FROM imdb.movies_delta WHERE tconst IN (SELECT id FROM imdb.ratings_delta)", "id (line"),
    ("SELECT m.tconst FROM imdb.movies_delta m WHERE EXISTS (SELECT 1 FROM imdb.ratings_delta r WHERE r.tconst = m.id)", "m.id"),
    (
        "SELECT m.tconst, (SELECT max(r.votes) FROM imdb.ratings_delta r WHERE r.tconst = m.tconst) FROM imdb.movies_delta m",
        "nearest: numVotes",
    ),
    (
        "SELECT r.numVotes FROM imdb.movies_delta m WHERE EXISTS (SELECT 1 FROM imdb.ratings_delta r WHERE r.tconst = m.tconst)",
        "r is no table of this FROM",
    ),
    // Table functions.
    ("SELECT genre FROM imdb.movies_delta LATERAL VIEW explode(genres) t AS g", "genre"),
    ("SELECT g FROM imdb.movies_delta LATERAL VIEW explode(genre) t AS g", "nearest: genres"),
    ("SELECT t.x FROM imdb.movies_delta LATERAL VIEW explode(genres) t AS g", "t.x (line 1, column 8) is not a column of t; there are g"),
    ("SELECT e.x FROM imdb.movies_delta m, LATERAL explode(m.genres) AS e(g)", "is not a column of e; there are g"),
    ("SELECT e.g FROM imdb.movies_delta m, LATERAL explode(m.genre) AS e(g)", "nearest: genres"),
    ("SELECT * FROM (SELECT startYear, titleType FROM imdb.movies_delta) PIVOT (count(*) FOR kind IN ('movie' AS movies))", "kind"),
    ("SELECT startYear", "there is no FROM"),
    // An array is no string.
    (
        "SELECT tconst FROM imdb.movies_delta WHERE genres = 'Drama'",
        "genres (line 1, column 44) is an array and cannot be compared with a string; write array_contains(genres, 'Drama').",
    ),
    ("SELECT tconst FROM imdb.movies_delta m WHERE 'Drama' <> m.genres", "array_contains(m.genres, 'Drama')"),
    ("SELECT tconst FROM imdb.movies_delta WHERE genres LIKE '%Drama%'", "array_contains"),
    ("SELECT tconst FROM imdb.movies_delta WHERE genres IN ('Drama', 'War')", "array_contains"),
    ("SELECT x FROM (SELECT genres AS x FROM imdb.movies_delta) t WHERE t.x = 'Drama'", "array_contains(t.x, 'Drama')"),
];

/// Statements that could be taken for wrong and are not.
const KNOWN: &[&str] = &[
    "SELECT PRIMARYTITLE, M.startyear FROM imdb.movies_delta m",
    "SELECT startYear AS year, year + 1 AS next FROM imdb.movies_delta",
    "SELECT startYear AS year, count(*) AS n FROM imdb.movies_delta GROUP BY year HAVING n > 5 ORDER BY n DESC, year",
    "SELECT m.tconst FROM imdb.movies_delta m JOIN imdb.ratings_delta r ON m.tconst = r.tconst ORDER BY tconst",
    "SELECT tconst, numVotes FROM imdb.movies_delta JOIN imdb.ratings_delta USING (tconst) WHERE tconst = 'tt1' ORDER BY tconst",
    "SELECT tconst FROM imdb.movies_delta NATURAL JOIN imdb.ratings_delta",
    "SELECT tconst FROM imdb.movies_delta m LEFT SEMI JOIN imdb.ratings_delta r ON m.tconst = r.tconst",
    "SELECT `count(1)` FROM (SELECT count(1) FROM imdb.movies_delta) t",
    "SELECT col FROM (SELECT explode(genres) FROM imdb.movies_delta) t",
    "SELECT col1 + col2 FROM VALUES (1, 2)",
    "SELECT key, value FROM (SELECT explode(map('a', 1)))",
    "SELECT id FROM range(3)",
    "SELECT range.id FROM range(3)",
    "SELECT movies FROM (SELECT titleType, startYear FROM imdb.movies_delta) PIVOT (count(*) FOR titleType IN ('movie' AS movies))",
    "SELECT what, value FROM imdb.movies_delta UNPIVOT (value FOR what IN (startYear, endYear))",
    "SELECT s.a FROM (SELECT named_struct('a', 1) AS s) t",
    "SELECT t.s.a FROM (SELECT named_struct('a', 1) AS s) t",
    "SELECT s.* FROM (SELECT named_struct('a', 1) AS s) t",
    "SELECT m.tconst FROM imdb.movies_delta m WHERE EXISTS (SELECT 1 FROM imdb.ratings_delta r WHERE r.tconst = m.tconst AND startYear > numVotes)",
    "SELECT x.n FROM imdb.movies_delta m, LATERAL (SELECT count(*) AS n FROM imdb.principals_delta p WHERE p.tconst = m.tconst) AS x",
    "SELECT a.tconst, b.tconst FROM imdb.movies_delta a, imdb.movies_delta b JOIN imdb.ratings_delta r ON r.tconst = a.tconst WHERE a.tconst = b.tconst",
    "SELECT DISTINCT m.startYear FROM imdb.movies_delta m ORDER BY m.startYear",
    "SELECT tconst FROM imdb.movies_delta WHERE genres = array('Drama') OR genres[0] = 'Drama'",
    "SELECT titleType, grouping__id FROM imdb.movies_delta GROUP BY CUBE (titleType)",
    "WITH a AS (SELECT 1 AS n), b AS (SELECT n + 1 AS n FROM a) SELECT a.n, b.n FROM a CROSS JOIN b",
    "WITH t AS (SELECT m.*, r.numVotes FROM imdb.movies_delta m JOIN imdb.ratings_delta r ON m.tconst = r.tconst) SELECT tconst, numVotes FROM t",
    "SELECT tconst FROM imdb.movies_delta UNION SELECT tconst FROM imdb.ratings_delta ORDER BY tconst",
    "SELECT genres FROM imdb.movies_delta LATERAL VIEW explode(genres) AS genres",
    "SELECT timestampdiff(YEAR, DATE '2000-01-01', make_date(startYear, 1, 1)) FROM imdb.movies_delta",
    "SELECT transform(genres, (g, i) -> concat(g, i, startYear)) FROM imdb.movies_delta",
];

#[test]
fn unknown_names_are_refused_with_the_ones_there_are() {
    assert!(UNKNOWN.len() >= 60);
    let mut faults = String::new();
    for (sql, expected) in UNKNOWN {
        match GUARD.admit(sql) {
            Ok(_) => writeln!(faults, "admitted: {sql}").unwrap(),
            Err(refusal) if refusal.reason.contains(expected) => {}
            Err(refusal) => writeln!(faults, "{sql}\n  expected {expected}\n  in: {}", refusal.reason).unwrap(),
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

#[test]
fn what_may_exist_is_admitted() {
    let mut faults = String::new();
    let corpus: Vec<String> =
        super::legitimate().into_iter().map(|entry| entry.sql).filter(|sql| !sql.contains("imdb.title_case")).collect();
    let verified: Vec<String> = CATALOG.queries.iter().map(|query| CATALOG.fill(&query.sql)).collect();
    for sql in KNOWN.iter().copied().chain(corpus.iter().map(String::as_str)).chain(verified.iter().map(String::as_str)) {
        if let Err(refusal) = GUARD.admit(sql) {
            writeln!(faults, "{sql}\n  {}", refusal.reason).unwrap();
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

/// Renames the reference to a column at a position.
struct Rename(usize);

impl VisitorMut for Rename {
    type Break = ();
    fn pre_visit_expr(&mut self, expr: &mut Expr) -> std::ops::ControlFlow<()> {
        let ident = match expr {
            Expr::Identifier(ident) => ident,
            Expr::CompoundIdentifier(idents) => idents.last_mut().unwrap(),
            _ => return std::ops::ControlFlow::Continue(()),
        };
        if self.0 == 0 {
            ident.value = "fresh_name_of_nothing".to_owned();
            ident.quote_style = None;
            return std::ops::ControlFlow::Break(());
        }
        self.0 -= 1;
        std::ops::ControlFlow::Continue(())
    }
}

/// The statements whose every column comes from tables that are known, and how many references to columns each has.
static RENAMED: LazyLock<Vec<(String, usize)>> = LazyLock::new(|| {
    let open = BTreeSet::from(["PIVOT", "UNPIVOT", "range(", "explode(map", "timestampdiff", "named_struct", "grouping__id"]);
    let statements = CATALOG.queries.iter().map(|query| CATALOG.fill(&query.sql)).chain(KNOWN.iter().map(|&sql| sql.to_owned()));
    statements
        .filter(|sql| !open.iter().any(|open| sql.contains(open)) && !sql.contains("col") && !sql.contains("count(1)"))
        .filter_map(|sql| {
            let count = (0..).take_while(|at| renamed(&sql, *at).is_some()).count();
            (count > 0).then_some((sql, count))
        })
        .collect()
});

fn renamed(sql: &str, at: usize) -> Option<String> {
    let mut statements = Parser::parse_sql(&DatabricksDialect {}, sql).ok()?;
    let mut rename = Rename(at);
    let renamed = VisitMut::visit(&mut statements, &mut rename).is_break();
    renamed.then(|| statements[0].to_string())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]
    #[test]
    fn a_column_that_is_renamed_to_nothing_is_refused(statement in any::<prop::sample::Index>(), column in any::<prop::sample::Index>()) {
        let (sql, columns) = statement.get(&RENAMED);
        let renamed = renamed(sql, column.index(*columns)).unwrap();
        let refusal = GUARD.admit(&renamed).expect_err(&renamed);
        prop_assert!(refusal.reason.contains("fresh_name_of_nothing"), "{}: {}", renamed, refusal.reason);
    }
}

#[test]
fn wide_and_deep_statements_are_judged_in_time_and_space() {
    let wide = (0..12)
        .map(|level| format!("t{} AS (SELECT a.*, b.* FROM {t} a CROSS JOIN {t} b WHERE a.x = b.x)", level + 1, t = format!("t{level}")));
    let sql = format!("WITH t0 AS (SELECT 1 AS x), {} SELECT * FROM t12", wide.collect::<Vec<_>>().join(", "));
    let _ = GUARD.admit(&sql);
    let deep = format!("SELECT {}startYear{} FROM imdb.movies_delta", "(".repeat(30), ")".repeat(30));
    assert!(GUARD.admit(&deep).is_ok());
}

#[test]
fn pieces_of_statements_are_judged_without_a_panic() {
    for entry in super::hostile().into_iter().chain(super::legitimate()) {
        for (at, _) in entry.sql.char_indices().step_by(9).take(60) {
            let _ = GUARD.admit(&entry.sql[..at]);
            let _ = GUARD.admit(&format!("SELECT {}", &entry.sql[at..]));
        }
    }
}
