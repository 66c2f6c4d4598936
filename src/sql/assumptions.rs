//! What a statement assumes that the user did not say: its conditions on columns with literals, in words for people.
//!
//! Owns how a condition reads; `conditions` finds them, `said` tells what need not be told. The catalog's own sentences are preferred.
//! Refuses to guess: conditions between columns, on computed values or on names that the catalog does not have are left out, and so are
//! those of what a statement excludes (NOT EXISTS, NOT IN, anti joins, EXCEPT), which hold for none of its rows; synonyms count only where
//! the catalog has them.

mod conditions;
mod said;

use std::collections::HashSet;

use sqlparser::ast::{Expr, LimitClause, Value, Visit as _};

use self::{
    conditions::{Alternatives, Condition, Conditions, Literal, Relation, Told},
    said::Said,
};
use super::{
    catalog::{Catalog, vocabulary::Vocabulary},
    guard,
};

/// Most assumptions that are listed.
const MOST: usize = 6;
/// Row limits above this keep answers small and mean nothing.
const MEANT_LIMIT: f64 = 100.0;

/// What `sql`, a statement over the lake of `catalog`, assumes beyond `question`: sentences without a full stop, each once, at most 6,
/// in the order of the statement. Nothing for a statement that cannot be read.
#[must_use]
pub fn assumptions(sql: &str, question: &str, catalog: &Catalog) -> Vec<String> {
    let Ok(query) = guard::read(sql) else { return Vec::new() };
    let mut conditions = Conditions::default();
    let _ = query.visit(&mut conditions);
    let said = Said::new(question, catalog);
    let mut found: Vec<String> = Vec::new();
    let sentences = conditions.found.iter().filter_map(|told| told.sentence(&said, catalog));
    for sentence in sentences.chain(limit(query.limit_clause.as_ref(), &said)) {
        if found.len() < MOST && !found.contains(&sentence) {
            found.push(sentence);
        }
    }
    found
}

fn limit(clause: Option<&LimitClause>, said: &Said) -> Option<String> {
    let Some(LimitClause::LimitOffset { limit: Some(Expr::Value(value)), .. }) = clause else { return None };
    let Value::Number(digits, _) = &value.value else { return None };
    let rows: f64 = digits.parse().ok()?;
    (rows > 1.0 && rows <= MEANT_LIMIT && !said.has_number(rows)).then(|| format!("at most {} rows are shown", grouped(digits)))
}

impl Alternatives {
    /// All sides in one sentence, unless each was said.
    fn sentence(&self, said: &Said, catalog: &Catalog) -> Option<String> {
        let mut sides: Vec<String> = Vec::new();
        let mut is_open = self.is_open;
        for conditions in &self.known {
            let told: Option<Vec<String>> = conditions.iter().map(|condition| condition.named(catalog)).collect();
            match told {
                Some(told) if !sides.contains(&told.join(" and ")) => sides.push(told.join(" and ")),
                Some(_) => {}
                None => is_open = true,
            }
        }
        if sides.is_empty() || self.known.iter().flatten().all(|condition| condition.is_said(said, catalog)) {
            return None;
        }
        sides.extend(is_open.then(|| "another condition holds".to_owned()));
        Some(sides.join(" or "))
    }
}

impl Told {
    fn sentence(&self, said: &Said, catalog: &Catalog) -> Option<String> {
        match self {
            Self::One(condition) => condition.sentence(said, catalog),
            Self::Any(any) => any.sentence(said, catalog),
        }
    }
}

impl Condition {
    /// The condition in words, unless it was said or is on nothing that the catalog has.
    fn sentence(&self, said: &Said, catalog: &Catalog) -> Option<String> {
        let own = catalog.planner.as_ref().and_then(|words| self.kind(words).or_else(|| self.threshold(words, catalog)));
        if own.is_some() {
            return own;
        }
        if self.is_said(said, catalog) { None } else { self.named(catalog) }
    }

    fn is_said(&self, said: &Said, catalog: &Catalog) -> bool {
        self.values.iter().all(|value| said.has(value, &self.subject, self.relation, catalog))
    }

    /// The condition in plain words, unless it is on nothing that the catalog has.
    fn named(&self, catalog: &Catalog) -> Option<String> {
        let column = catalog.relations().find_map(|relation| relation.column(&self.subject));
        match column {
            None if self.is_column => None,
            column => Some(self.plain(column.map_or(self.subject.as_str(), |column| column.name.as_str()))),
        }
    }

    /// The catalog's sentence for the kind that the condition selects, which nobody says by its value.
    fn kind(&self, words: &Vocabulary) -> Option<String> {
        let values: HashSet<&str> =
            self.values.iter().filter_map(|value| if let Literal::Text(text) = value { Some(text.as_str()) } else { None }).collect();
        let selects = |column: &Option<String>| column.as_ref().is_some_and(|column| column.eq_ignore_ascii_case(&self.subject));
        let mut kinds = words.entity.kinds.iter().filter(|kind| selects(&kind.column));
        let kind = kinds.find(|kind| kind.values.iter().map(String::as_str).collect::<HashSet<_>>() == values)?;
        kind.assumption.clone().filter(|_| self.relation == Relation::Equal && !self.negated)
    }

    /// The catalog's sentence for a threshold, where it is the catalog's own.
    fn threshold(&self, words: &Vocabulary, catalog: &Catalog) -> Option<String> {
        let [Literal::Number(digits)] = self.values.as_slice() else { return None };
        let value: i64 = digits.parse().ok()?;
        let is_minimum = self.relation == Relation::AtLeast && !self.negated;
        let threshold = words.measures.iter().filter_map(|measure| measure.threshold.as_ref()).find(|threshold| {
            let mut measures = words.measures.iter().filter(|measure| measure.name == threshold.measure);
            measures.any(|measure| measure.column.eq_ignore_ascii_case(&self.subject))
                && catalog.parameters.get(&threshold.parameter) == Some(&value)
        })?;
        let fill = |text: String, (name, value): (&String, &i64)| text.replace(&format!("{{{name}}}"), &grouped(&value.to_string()));
        is_minimum.then(|| catalog.parameters.iter().fold(threshold.assumption.clone(), fill))
    }

    fn plain(&self, subject: &str) -> String {
        let is_year = subject.to_lowercase().contains("year");
        let shown: Vec<String> = self.values.iter().map(|value| value.shown(is_year)).collect();
        let not = if self.negated { "not " } else { "" };
        let (last, relation) = match self.relation {
            Relation::Equal => ("or", "is"),
            Relation::Less => ("or", if self.negated { "is at least" } else { "is less than" }),
            Relation::AtMost => ("or", if self.negated { "is more than" } else { "is at most" }),
            Relation::More => ("or", if self.negated { "is at most" } else { "is more than" }),
            Relation::AtLeast => ("or", if self.negated { "is less than" } else { "is at least" }),
            Relation::Between => ("and", "is"),
            Relation::Like => ("or", if self.negated { "is not like" } else { "is like" }),
            Relation::Holds => ("or", if self.negated { "do not include" } else { "include" }),
        };
        let values = match shown.as_slice() {
            [many @ .., end] if !many.is_empty() => format!("{} {last} {end}", many.join(", ")),
            _ => shown.concat(),
        };
        match self.relation {
            Relation::Equal => format!("{subject} {relation} {not}{values}"),
            Relation::Between => format!("{subject} {relation} {not}between {values}"),
            _ => format!("{subject} {relation} {values}"),
        }
    }
}

impl Literal {
    fn shown(&self, is_year: bool) -> String {
        match self {
            // No year has its thousands apart.
            Self::Number(digits) if is_year || digits.len() == 4 && digits.starts_with(['1', '2']) && !digits.ends_with("00") => {
                digits.clone()
            }
            Self::Number(digits) => grouped(digits),
            Self::Text(text) => format!("'{text}'"),
        }
    }
}

/// A number with commas between its thousands.
fn grouped(number: &str) -> String {
    let (whole, fraction) = number.split_once('.').map_or((number, None), |(whole, fraction)| (whole, Some(fraction)));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut shown = sign.to_owned();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            shown.push(',');
        }
        shown.push(digit);
    }
    if let Some(fraction) = fraction {
        shown.push('.');
        shown.push_str(fraction);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::assumptions;
    use crate::sql::Catalog;

    #[track_caller]
    fn check(catalog: &Catalog, cases: &[(&str, &str, &[&str])]) {
        for (question, sql, expected) in cases {
            assert_eq!(assumptions(sql, question, catalog), *expected, "{question}: {sql}");
        }
    }

    #[test]
    fn what_the_question_does_not_say_is_told() {
        let catalog = Catalog::embedded().unwrap();
        let film = "a film is titleType = 'movie'";
        let votes = "ranking by rating needs at least 25,000 votes";
        let from = "SELECT primaryTitle FROM imdb.movies_with_ratings AS m";
        let statement = |rest: &str| format!("{from} {rest}");
        let cases: &[(&str, &str, &[&str])] = &[
            ("top 10 films", "WHERE titleType = 'movie' AND numVotes >= 25000 ORDER BY averageRating DESC LIMIT 10", &[film, votes]),
            ("best films", "WHERE m.titleType IN ('movie') AND 25000 <= m.numVotes LIMIT 10", &[film, votes, "at most 10 rows are shown"]),
            ("best film", "WHERE numVotes >= 1000 LIMIT 1", &["numVotes is at least 1,000"]),
            ("films with 1,000 votes", "WHERE numVotes >= 1000 LIMIT 1001", &[]),
            (
                "top ten series",
                "WHERE titleType IN ('tvMiniSeries', 'tvSeries') LIMIT 10",
                &["a series is titleType = 'tvSeries' or 'tvMiniSeries'"],
            ),
            ("television", "WHERE titleType IN ('tvSeries', 'tvMovie')", &["titleType is 'tvSeries' or 'tvMovie'"]),
            ("scary pictures of the 80s", "WHERE array_contains(genres, 'Horror') AND startYear BETWEEN 1980 AND 1989", &[]),
            (
                "date films",
                "WHERE array_contains(genres, 'Romance') AND array_contains(genres, 'Comedy')",
                &["genres include 'Romance'", "genres include 'Comedy'"],
            ),
            ("rom com", "WHERE array_contains(genres, 'Romance') AND array_contains(genres, 'Comedy')", &[]),
            (
                "dark films",
                "WHERE array_contains(genres, 'Film-Noir') AND NOT array_contains(genres, 'Comedy')",
                &["genres include 'Film-Noir'", "genres do not include 'Comedy'"],
            ),
            ("after 1990", "WHERE startYear >= 1991", &[]),
            ("until 1990", "WHERE startYear < 1991 OR startYear <= 1990", &[]),
            ("recent films", "WHERE startYear > 2015 AND startYear <> 2020", &["startYear is more than 2015", "startYear is not 2020"]),
            ("longer than two hours", "WHERE runtimeMinutes > 120", &[]),
            (
                "long films",
                "WHERE NOT runtimeMinutes < 150 AND runtimeMinutes NOT BETWEEN 200 AND 1000",
                &["runtimeMinutes is at least 150", "runtimeMinutes is not between 200 and 1,000"],
            ),
            ("How long is Jaws?", "WHERE lower(primaryTitle) = 'jaws' AND runtimeMinutes IS NOT NULL", &[]),
            (
                "films with star in the title",
                "WHERE lower(primaryTitle) LIKE '%star%' AND originalTitle NOT LIKE '%wars%'",
                &["originalTitle is not like '%wars%'"],
            ),
            ("Amelie", "WHERE primaryTitle = 'Amélie' AND isAdult = 0", &["isAdult is 0"]),
            ("", "WHERE m.startYear = m.endYear AND numVotes > averageRating", &[]),
            (
                "of this century",
                "WHERE startYear >= 2000 AND startYear < 2100",
                &["startYear is at least 2000", "startYear is less than 2100"],
            ),
            (
                "great films",
                "WHERE averageRating >= 8.5 OR numVotes >= 100000 AND isAdult = 0",
                &["averageRating is at least 8.5 or numVotes is at least 100,000 and isAdult is 0"],
            ),
            (
                "great films",
                "WHERE averageRating >= 8.5 OR m.startYear = m.endYear",
                &["averageRating is at least 8.5 or another condition holds"],
            ),
            ("films", "WHERE NOT (startYear = 2000 AND isAdult = 1)", &["startYear is not 2000 or isAdult is not 1"]),
            ("rated 8.5 or with 1,000 votes", "WHERE averageRating >= 8.5 OR numVotes >= 1000", &[]),
            (
                "films nobody composed for",
                "WHERE NOT EXISTS (SELECT 1 FROM imdb.movie_cast AS c WHERE c.tconst = m.tconst AND c.category = 'composer')",
                &[],
            ),
            ("films", "WHERE tconst NOT IN (SELECT tconst FROM imdb.ratings_delta WHERE numVotes >= 7)", &[]),
            (
                "films",
                "WHERE NOT (tconst IN (SELECT tconst FROM imdb.ratings_delta WHERE numVotes >= 7)) AND isAdult = 0",
                &["isAdult is 0"],
            ),
            ("films", "EXCEPT SELECT primaryTitle FROM imdb.movies_with_ratings WHERE numVotes >= 7", &[]),
            (
                "films",
                "LEFT ANTI JOIN imdb.ratings_delta AS r ON r.tconst = m.tconst AND r.numVotes >= 1000 WHERE isAdult = 0",
                &["isAdult is 0"],
            ),
            ("films", "LEFT ANTI JOIN (SELECT tconst FROM imdb.ratings_delta WHERE numVotes >= 7) AS r ON r.tconst = m.tconst", &[]),
        ];
        for (question, rest, expected) in cases {
            check(&catalog, &[(question, &statement(rest), expected)]);
        }
    }

    #[test]
    fn conditions_are_found_in_every_select_and_only_there() {
        let catalog = Catalog::embedded().unwrap();
        check(
            &catalog,
            &[
                (
                    "Which directors have the best average rating?",
                    "SELECT c.primaryName FROM imdb.movie_cast AS c JOIN imdb.movies_with_ratings AS m ON m.tconst = c.tconst AND m.isAdult = 0 \
                     WHERE c.category = 'director' GROUP BY c.primaryName HAVING COUNT(DISTINCT m.tconst) >= 5",
                    &["isAdult is 0", "COUNT(DISTINCT m.tconst) is at least 5"],
                ),
                (
                    "best of each year",
                    "WITH r AS (SELECT startYear, ROW_NUMBER() OVER (ORDER BY numVotes) AS place FROM imdb.movies_with_ratings WHERE startYear >= 2010) \
                     SELECT startYear FROM r WHERE place = 1 AND startYear IN (SELECT m.startYear FROM imdb.movies_delta AS m WHERE m.runtimeMinutes > 60)",
                    &["startYear is at least 2010", "runtimeMinutes is more than 60"],
                ),
                ("how many", "SELECT SUM(CASE WHEN averageRating >= 8 THEN 1 ELSE 0 END) AS n FROM imdb.ratings_delta", &[]),
                (
                    "who",
                    "SELECT 1 FROM imdb.movie_cast WHERE category = 'director' OR category = 'director' OR primaryName = 'It''s'",
                    &["category is 'director' or primaryName is 'It's'"],
                ),
                (
                    "all",
                    "SELECT 1 FROM imdb.movies_delta WHERE startYear NOT IN (1, 2, 3, 4) AND startYear > 5 AND startYear > 6 AND startYear > 7 \
                     AND startYear > 8 AND startYear > 9 AND startYear > 10",
                    &[
                        "startYear is not 1, 2, 3 or 4",
                        "startYear is more than 5",
                        "startYear is more than 6",
                        "startYear is more than 7",
                        "startYear is more than 8",
                        "startYear is more than 9",
                    ],
                ),
                ("not SQL", "DROP TABLE x", &[]),
            ],
        );
    }

    #[test]
    fn another_lake_has_its_own_sentences() {
        let catalog = Catalog::parse(include_str!("../../tests/planner/shop.yaml")).unwrap();
        check(
            &catalog,
            &[
                (
                    "best menswear",
                    r"SELECT p.label FROM shop.products AS p JOIN shop.reviews AS v ON v.sku = p.sku WHERE p.category = 'Men\'s Wear' AND v.reviews >= 50",
                    &["at least 50 reviews"],
                ),
                (
                    "cheap things for the garden",
                    "SELECT label FROM shop.products WHERE category = 'Garden' AND price < 20.5 AND launched = 2020",
                    &["price is less than 20.5", "launched is 2020"],
                ),
                ("what did Dieter Rams design?", "SELECT 1 FROM shop.made_by WHERE part = 'designer'", &[]),
            ],
        );
    }
}
