//! Finding the stored spelling of a value: the statement behind "which values of this column are like that text?".
//!
//! Owns which columns can be searched and what counts as like. The text gets into the statement only as a literal in the guard's
//! own spelling; there are no patterns, so `%` and `_` are letters like others. The statement is for the guard as any other is.

use super::{
    Catalog,
    catalog::{Column, Relation, nearest, vocabulary::DimensionValue},
    guard,
    words::{stem, words},
};

/// Most characters of a text that is looked up.
pub const LONGEST: usize = 200;
/// Values that are given back.
const SHOWN: usize = 10;
/// Words of a text that are looked for one by one.
const MOST_WORDS: usize = 8;
/// Words of a text and of a value that are compared for near spellings.
const NEAR_WORDS: usize = 4;
/// Columns that a refusal lists.
const LISTED: usize = 12;

/// The values of `column` that are like `text`, with how often each occurs: the same text ignoring case first (or the value that the
/// catalog's words give for it), then values that start with it, contain it, contain all its words, and are spelled nearly so; at
/// most 10, in columns `value` and `occurrences`. `column` is `schema.table.column`, `table.column` or, where one table alone
/// has it, the column's name, in any case.
///
/// # Errors
/// A sentence for a model: the column is unknown, in several tables or holds no text (with what can be looked up), or the text is empty
/// or longer than [`LONGEST`].
pub fn statement(column: &str, text: &str, catalog: &Catalog) -> Result<String, String> {
    let text = text.trim();
    let length = text.chars().count();
    if length == 0 {
        return Err("The text to look up is empty; give the name or word to find.".to_owned());
    }
    if length > LONGEST {
        return Err(format!("The text to look up has {length} characters; at most {LONGEST} are looked up. Give the name or word alone."));
    }
    let found = resolve(column, catalog)?;
    Ok(print(&found, text, &meant(&found, text, catalog)))
}

/// A column that can be searched.
#[derive(Clone, Copy)]
struct Target<'a> {
    relation: &'a Relation,
    column: &'a Column,
}

impl Target<'_> {
    fn is_array(&self) -> bool {
        self.column.data_type.eq_ignore_ascii_case("array<string>")
    }

    fn name(&self) -> String {
        format!("{}.{}", self.relation.name, self.column.name)
    }
}

fn holds_text(column: &Column) -> bool {
    ["string", "array<string>"].iter().any(|text| column.data_type.eq_ignore_ascii_case(text))
}

fn columns(catalog: &Catalog) -> impl Iterator<Item = Target<'_>> {
    catalog.relations().flat_map(|relation| relation.columns.iter().map(move |column| Target { relation, column }))
}

fn resolve<'a>(written: &str, catalog: &'a Catalog) -> Result<Target<'a>, String> {
    let wanted = written.trim().replace('`', "").to_lowercase();
    let named = |target: &Target<'_>| {
        let name = target.name().to_lowercase();
        name == wanted || name.strip_suffix(&wanted).is_some_and(|before| before.ends_with('.'))
    };
    let (texts, others): (Vec<_>, Vec<_>) = columns(catalog).filter(named).partition(|target| holds_text(target.column));
    // A view repeats the columns of its tables: the table is meant.
    let tables: Vec<Target<'_>> =
        texts.iter().copied().filter(|target| catalog.tables.iter().any(|table| std::ptr::eq(table, target.relation))).collect();
    match (tables.as_slice(), texts.as_slice(), others.first()) {
        ([only], _, _) | ([], [only], _) => Ok(*only),
        ([], [], Some(other)) => Err(format!(
            "{} holds {}, no text: compare it in a query. {}",
            other.name(),
            other.column.data_type,
            possible(&wanted, catalog)
        )),
        ([], [], None) => Err(format!("There is no column {written}. {}", possible(&wanted, catalog))),
        _ => {
            let names: Vec<String> = texts.iter().map(Target::name).collect();
            Err(format!("{written} is in several tables: write one of {}.", names.join(", ")))
        }
    }
}

/// What can be looked up, the nearest first.
fn possible(wanted: &str, catalog: &Catalog) -> String {
    let names: Vec<String> = columns(catalog).filter(|target| holds_text(target.column)).map(|target| target.name()).collect();
    if names.is_empty() {
        return "No column of this lake holds text.".to_owned();
    }
    let mut listed = nearest::nearest(wanted, names.iter().map(String::as_str), 3);
    let rest: Vec<&str> = names.iter().map(String::as_str).filter(|name| !listed.contains(name)).collect();
    listed.extend(rest);
    let more = if listed.len() > LISTED { ", …" } else { "" };
    listed.truncate(LISTED);
    format!("Columns that can be looked up: {}{more}.", listed.join(", "))
}

/// The values for which the catalog has the text as a word: `Sci-Fi` for "science fiction".
fn meant(target: &Target<'_>, text: &str, catalog: &Catalog) -> Vec<String> {
    let Some(vocabulary) = &catalog.planner else { return Vec::new() };
    let stems = |text: &str| words(text).iter().map(|word| stem(&word.folded)).collect::<Vec<_>>();
    let wanted = stems(text);
    let says = |value: &&DimensionValue| value.words.iter().chain([&value.value]).any(|word| stems(word) == wanted);
    let dimensions = vocabulary.dimensions.iter().filter(|dimension| dimension.column.eq_ignore_ascii_case(&target.column.name));
    dimensions.flat_map(|dimension| dimension.values.iter().filter(says)).map(|value| value.value.clone()).collect()
}

/// The edits by which a spelling of so many characters is still near.
fn edits(length: usize) -> usize {
    match length {
        0..=2 => 0,
        3..=7 => 1,
        8..=11 => 2,
        _ => length.div_ceil(5),
    }
}

fn print(target: &Target<'_>, text: &str, meant: &[String]) -> String {
    let column = guard::name(&target.column.name);
    let table = guard::name(&target.relation.name);
    let from = if target.is_array() { format!("{table} LATERAL VIEW explode({column}) AS value") } else { table };
    let value = if target.is_array() { "value".to_owned() } else { format!("{column} AS value") };
    let wanted = format!("lower({})", guard::literal(text));
    let stored = "lower(value)";
    let same = std::iter::once(wanted.clone()).chain(meant.iter().map(|value| format!("lower({})", guard::literal(value))));
    let same: Vec<String> = same.map(|same| format!("{stored} = {same}")).collect();
    let words: Vec<String> = words(text).into_iter().map(|word| word.folded).take(MOST_WORDS).collect();
    let mut ranks = vec![same.join(" OR "), format!("startswith({stored}, {wanted})"), format!("contains({stored}, {wanted})")];
    if words.len() > 1 {
        let all: Vec<String> = words.iter().map(|word| format!("contains({stored}, {})", guard::literal(word))).collect();
        ranks.push(all.join(" AND "));
    }
    let near = edits(text.chars().count());
    if near > 0 {
        ranks.push(format!("levenshtein({stored}, {wanted}) <= {near}"));
    }
    if let Some(words) = near_words(stored, &words) {
        ranks.push(words);
    }
    let cases: Vec<String> = ranks.iter().enumerate().map(|(rank, condition)| format!("WHEN {condition} THEN {rank}")).collect();
    format!(
        "SELECT value, occurrences FROM (SELECT value, count(*) AS occurrences, CASE {} END AS likeness, \
         levenshtein({stored}, {wanted}) AS distance FROM (SELECT {value} FROM {from}) AS stored_values GROUP BY value) AS found \
         WHERE likeness IS NOT NULL ORDER BY likeness, distance, occurrences DESC, value LIMIT {SHOWN}",
        cases.join(" ")
    )
}

/// That every word of the text is near one of the value's first words, so that one misspelt name of several is found; none where the
/// words are too many or too short for that to mean anything. Without lambdas: those over columns give wrong rows on Sail 0.7.2.
fn near_words(stored: &str, words: &[String]) -> Option<String> {
    let near = |word: &String| {
        let most = edits(word.chars().count());
        let parts =
            (1..=NEAR_WORDS).map(|part| format!("levenshtein(split_part({stored}, ' ', {part}), {}) <= {most}", guard::literal(word)));
        (most > 0).then(|| format!("({})", parts.collect::<Vec<_>>().join(" OR ")))
    };
    let conditions: Vec<String> = words.iter().map_while(near).collect();
    (!conditions.is_empty() && conditions.len() == words.len() && words.len() <= NEAR_WORDS).then(|| conditions.join(" AND "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{LONGEST, statement};
    use crate::sql::{Catalog, Guard, guard};

    fn looked_up(column: &str, text: &str) -> Result<String, String> {
        statement(column, text, &Catalog::embedded().unwrap())
    }

    fn assert_admitted(column: &str, text: &str) {
        let catalog = Catalog::embedded().unwrap();
        let sql = statement(column, text, &catalog).unwrap();
        let admitted = Guard::new(&catalog, 1_000).admit(&sql).unwrap_or_else(|refusal| panic!("{text:?}: {} in {sql}", refusal.reason));
        assert_eq!(admitted.max_rows, 10);
        let literals = guard::literals(&admitted.sql);
        let text = text.trim();
        assert!(literals.iter().any(|literal| literal == text), "{text:?} in {}", admitted.sql);
    }

    #[test]
    fn a_column_is_found_by_any_part_of_its_name_in_any_case() {
        for column in ["imdb.persons_delta.primaryName", "PERSONS_DELTA.primaryname", "primaryName", "`imdb`.`persons_delta`.`primaryName`"]
        {
            assert!(looked_up(column, "x").unwrap().contains("FROM imdb.persons_delta"), "{column}");
        }
        assert!(looked_up("imdb.movie_cast.primaryName", "x").unwrap().contains("FROM imdb.movie_cast"));
        assert!(looked_up("genres", "x").unwrap().contains("LATERAL VIEW explode(genres)"));
    }

    #[test]
    fn what_cannot_be_looked_up_says_what_can() {
        let error = looked_up("imdb.movies_delta.title", "x").unwrap_err();
        assert!(
            error.starts_with("There is no column imdb.movies_delta.title. Columns that can be looked up: imdb.movies_delta.t"),
            "{error}"
        );
        assert!(error.contains("imdb.movies_delta.primaryTitle"), "{error}");
        assert!(looked_up("startYear", "x").unwrap_err().starts_with("imdb.movies_delta.startYear holds int, no text"));
        assert_eq!(
            looked_up("tconst", "x").unwrap_err(),
            "tconst is in several tables: write one of imdb.movies_delta.tconst, imdb.ratings_delta.tconst, \
             imdb.principals_delta.tconst, imdb.movies_with_ratings.tconst, imdb.movie_cast.tconst."
        );
        assert!(looked_up("genres", " ").unwrap_err().contains("is empty"));
        assert!(looked_up("genres", &"x".repeat(LONGEST + 1)).unwrap_err().contains("at most 200"));
    }

    #[test]
    fn the_catalogs_words_for_a_value_find_it() {
        assert!(looked_up("genres", "Science fiction").unwrap().contains("lower(value) = lower('Sci-Fi')"));
        assert!(looked_up("genres", "comedies").unwrap().contains("lower(value) = lower('Comedy')"));
        assert!(!looked_up("category", "comedies").unwrap().contains("'Comedy'"));
    }

    #[test]
    fn awkward_texts_stay_literals() {
        for text in
            ["it's", "\\", "a\\' OR 1=1 --", "100%_", "\n\t", "${env:HOME}", "'; DROP TABLE x; --", "\u{202e}東京", "a\"b`c", "\\u0027"]
        {
            if !text.trim().is_empty() {
                assert_admitted("imdb.movies_delta.primaryTitle", text);
                assert_admitted("genres", text);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
        #[test]
        fn whatever_the_text_it_is_a_literal_that_means_the_text(text in prop_oneof!["\\PC{1,40}", "[ -~]{1,60}", "(?s).{1,40}"]) {
            prop_assume!(!text.trim().is_empty());
            assert_admitted("primaryName", &text);
        }
    }
}
