//! What a column is to a chart: a time, a category, a measure, or nothing that can be drawn.
//!
//! Read from type, name and values together: a name alone does not make a year, and a number alone no measure. Names of columns are in
//! English and a few other languages ([`YEAR`] and the tables beside it).

use serde_json::Value;
use time::{Date, format_description::BorrowedFormatItem, macros::format_description};

use super::request::folded;
use crate::conversation::result::{Column, ResultSet};

/// Characters of a text that a chart shows at most.
const LONGEST_LABEL: usize = 80;
/// How far parts of a whole that were rounded may be from it, as a part of it.
const ROUNDED: f64 = 0.01;
/// Texts that are longer than this on average, in characters, are prose.
const PROSE: usize = 60;

/// What a column is to a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A point in time, or a place in a cycle.
    Time(Scale),
    /// Names of things: texts, booleans.
    Category,
    /// A quantity.
    Measure {
        /// All values are whole.
        whole: bool,
    },
}

/// How a time is placed on an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// Dates and timestamps.
    Calendar,
    /// Years and decades as numbers.
    Year,
    /// Periods without a date, such as `2024-Q1`, or months as 1 to 12: one step each, ascending.
    Period,
}

/// A column that can be drawn. Those that cannot (identifiers, ranks, coordinates, prose, nested values, only NULL) are none.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// Its place among the columns.
    pub(super) at: usize,
    /// Its name in the specification: its own where that is a plain word, else made from its place. So no name needs escapes, no two
    /// columns share one, and none is read as a path.
    pub(super) key: String,
    /// Its name for people.
    pub(super) title: String,
    /// The words of its name, folded.
    pub(super) words: Vec<String>,
    /// What it is.
    pub(super) kind: Kind,
    /// Its cells as a chart needs them: numbers, short texts, booleans, ISO 8601 in local time; NULL and NaN are null.
    pub(super) cells: Vec<Value>,
    /// How many values it has, NULL counting as one.
    pub(super) distinct: usize,
}

impl Field {
    /// The columns of `result` that can be drawn, in order.
    pub(super) fn all(result: &ResultSet) -> Vec<Self> {
        (0..result.columns.len()).filter_map(|at| Self::of(result, at)).collect()
    }

    fn of(result: &ResultSet, at: usize) -> Option<Self> {
        let column = result.columns.get(at)?;
        let values: Vec<&Value> = result.rows.iter().map(|row| row.get(at).unwrap_or(&Value::Null)).collect();
        let words = words(&column.name);
        let (kind, cells) = classify(column, &words, &values)?;
        if cells.iter().all(Value::is_null) {
            return None;
        }
        let distinct = cells.iter().map(ToString::to_string).collect::<std::collections::HashSet<_>>().len();
        let title = title(&column.name);
        Some(Self { at, key: key(&result.columns, at), title, words, kind, cells, distinct })
    }

    /// The numbers of a measure, row by row.
    pub(super) fn numbers(&self) -> impl DoubleEndedIterator<Item = Option<f64>> + ExactSizeIterator + Clone {
        self.cells.iter().map(Value::as_f64)
    }

    /// The smallest and the largest number.
    pub(super) fn extent(&self) -> Option<(f64, f64)> {
        self.numbers().flatten().fold(None, |extent, number| {
            let (least, most) = extent.unwrap_or((number, number));
            Some((least.min(number), most.max(number)))
        })
    }

    /// Whether the rows are in the order of this column, up or down, and it changes.
    pub(super) fn is_sorted(&self) -> bool {
        let rises = |pair: &[Value]| less_or_equal(&pair[0], &pair[1]);
        let falls = |pair: &[Value]| less_or_equal(&pair[1], &pair[0]);
        self.distinct > 1 && (self.cells.windows(2).all(rises) || self.cells.windows(2).all(falls))
    }

    /// Whether every row has a value of its own.
    pub(super) fn is_distinct(&self) -> bool {
        self.distinct == self.cells.len() && !self.cells.iter().any(Value::is_null)
    }

    /// Whether its name has one of `names`.
    pub(super) fn is_called(&self, names: &[&str]) -> bool {
        self.words.iter().any(|word| names.contains(&word.as_str()))
    }

    /// Whether the values of a measure may be counts or sums: nothing in its name is against it, and nothing is below zero.
    pub(super) fn is_amount(&self) -> bool {
        let is_whole = self.kind == Kind::Measure { whole: true };
        let may_be = self.is_called(SUMMED) || ((is_whole || self.is_called(ADDED)) && !self.is_one_or_more_of(OF_ONE));
        may_be && !self.is_one_or_more_of(AVERAGED) && self.extent().is_some_and(|(least, _)| least >= 0.0)
    }

    /// Whether the values of a measure may be added up: its name says that they are counts or sums. Of a whole number alone nobody knows:
    /// what two teams are paid, and the minutes of two films, are whole as well.
    pub(super) fn is_additive(&self) -> bool {
        let is_known = self.is_called(SUMMED) || self.is_called(ADDED) || self.words.iter().any(|word| is_plural(word));
        is_known && self.is_amount()
    }

    /// Whether its name has one of `names`, or the plural of one.
    fn is_one_or_more_of(&self, names: &[&str]) -> bool {
        let is_among = |word: &str| names.contains(&word) || word.strip_suffix('s').is_some_and(|one| names.contains(&one));
        self.words.iter().any(|word| is_among(word))
    }

    /// Whether a measure holds the parts of a whole, all of them: they come to one, or to a hundred percent.
    pub(super) fn is_divided_whole(&self) -> bool {
        let sum: f64 = self.numbers().flatten().sum();
        self.is_called(FRACTION) && [1.0, 100.0].iter().any(|whole| (sum / whole - 1.0).abs() <= ROUNDED)
    }

    /// Whether a measure holds parts of one, such as 0.25 for a quarter.
    pub(super) fn is_fraction(&self) -> bool {
        self.is_called(FRACTION) && self.extent().is_some_and(|(least, most)| least >= 0.0 && most <= 1.0)
    }
}

const YEAR: &[&str] = &["year", "yr", "decade", "jahr", "jahrzehnt", "annee", "ano", "anno", "jaar", "rok", "год"];
const MONTH: &[&str] = &["month", "monat", "mois", "mes", "mese", "maand"];
const QUARTER: &[&str] = &["quarter", "quartal", "trimestre", "kwartaal"];
const WEEK: &[&str] = &["week", "woche", "semaine", "semana", "settimana"];
const DAY: &[&str] = &["day", "dow", "weekday", "dayofweek", "tag", "wochentag", "jour", "dia", "giorno", "dag"];
const HOUR: &[&str] = &["hour", "stunde", "heure", "hora", "ora", "uur"];
const IDENTIFIER: &[&str] = &["id", "ids", "uuid", "guid", "key", "pk"];
const CODE: &[&str] = &["code", "zip", "zipcode", "postcode", "plz", "isbn", "ean", "phone", "telefon"];
const RANK: &[&str] = &["rank", "ranking", "rang", "position", "rn", "rownum", "rownumber"];
const COORDINATE: &[&str] = &["lat", "latitude", "lon", "lng", "long", "longitude"];
/// Words that make a name a quantity, whatever else is in it: `films_per_year` is no year.
const QUANTITY: &[&str] = &["per", "pro", "par", "count", "cnt", "num", "number", "sum", "total", "avg", "average", "anzahl", "nombre"];
pub(super) const COUNT: &[&str] = &["count", "cnt", "num", "number", "anzahl", "nombre", "frequency", "freq", "n"];
/// Words of a name that make it a count or a sum of whatever else is in it.
const SUMMED: &[&str] = &["count", "cnt", "num", "number", "sum", "total", "anzahl", "summe", "nombre"];
/// Words for what adds up. What is counted adds up too, and is told by its plural: see [`is_plural`].
const ADDED: &[&str] =
    &["n", "freq", "frequency", "amount", "revenue", "turnover", "umsatz", "quantity", "qty", "people", "population", "attendance"];
/// Words of a name that make it an average, a rate or an extreme of whatever else is in it.
const AVERAGED: &[&str] = &[
    "avg",
    "average",
    "mean",
    "median",
    "min",
    "max",
    "minimum",
    "maximum",
    "rate",
    "ratio",
    "share",
    "percent",
    "percentage",
    "pct",
    "per",
    "highest",
    "lowest",
    "longest",
    "shortest",
    "oldest",
    "youngest",
    "newest",
    "latest",
    "earliest",
    "largest",
    "biggest",
    "smallest",
    "best",
    "worst",
    "most",
    "least",
    "fewest",
    "peak",
    "durchschnitt",
    "mittelwert",
    "hochste",
    "niedrigste",
    "langste",
    "kurzeste",
    "moyenne",
    "promedio",
    "media",
];
/// Words for what one thing has, and two together do not have more of, unless a word of [`SUMMED`] stands by.
const OF_ONE: &[&str] = &[
    "score",
    "rating",
    "grade",
    "level",
    "star",
    "point",
    "age",
    "price",
    "pay",
    "wage",
    "salary",
    "salaries",
    "income",
    "earning",
    "runtime",
    "duration",
    "seconds",
    "secs",
    "minutes",
    "mins",
    "hours",
    "hrs",
    "days",
    "weeks",
    "months",
    "years",
    "size",
    "length",
    "width",
    "height",
    "depth",
    "distance",
    "weight",
    "speed",
    "temperature",
    "degree",
    "bewertung",
    "alter",
    "preis",
    "gehalt",
    "lohn",
    "dauer",
    "laufzeit",
    "prix",
    "salaire",
    "duree",
    "precio",
    "salario",
    "edad",
    "duracion",
];
const FRACTION: &[&str] = &["share", "ratio", "fraction", "percent", "percentage", "pct", "proportion", "rate", "anteil", "quote", "part"];

fn classify(column: &Column, words: &[String], values: &[&Value]) -> Option<(Kind, Vec<Value>)> {
    let base = column.data_type.split(['(', ' ']).next().unwrap_or_default();
    match base {
        "tinyint" | "smallint" | "int" | "integer" | "bigint" | "byte" | "short" | "long" | "float" | "real" | "double" | "decimal"
        | "numeric" => number(words, values),
        "date" | "timestamp" | "timestamp_ntz" | "timestamp_ltz" => Some((Kind::Time(Scale::Calendar), each(values, calendar))),
        "boolean" => Some((Kind::Category, each(values, |value| value.as_bool().map(Value::from)))),
        "string" | "varchar" | "char" => text(words, values),
        _ => None,
    }
}

fn each(values: &[&Value], read: impl Fn(&Value) -> Option<Value>) -> Vec<Value> {
    values.iter().map(|value| read(value).unwrap_or(Value::Null)).collect()
}

fn number(words: &[String], values: &[&Value]) -> Option<(Kind, Vec<Value>)> {
    let cells = each(values, finite);
    let ends_in = |names: &[&str]| words.last().is_some_and(|word| names.contains(&word.as_str()));
    let is_place = |names: &[&str]| words.iter().any(|word| names.contains(&word.as_str()));
    if ends_in(IDENTIFIER) || ends_in(CODE) || ends_in(COORDINATE) || ends_in(RANK) || words.ends_with(&["row".into(), "number".into()]) {
        return None;
    }
    let numbers: Vec<f64> = cells.iter().filter_map(Value::as_f64).collect();
    let whole = numbers.iter().all(|number| number.fract() == 0.0);
    let within = |least: f64, most: f64| whole && numbers.iter().all(|number| (least..=most).contains(number));
    let is_quantity = is_place(QUANTITY);
    let kind = if !is_quantity && is_place(YEAR) && within(1000.0, 2999.0) {
        Kind::Time(Scale::Year)
    } else if !is_quantity
        && [(MONTH, 1.0, 12.0), (QUARTER, 1.0, 4.0), (WEEK, 0.0, 53.0), (DAY, 0.0, 31.0), (HOUR, 0.0, 24.0)]
            .into_iter()
            .any(|(names, least, most)| is_place(names) && within(least, most))
    {
        Kind::Time(Scale::Period)
    } else {
        Kind::Measure { whole }
    };
    Some((kind, cells))
}

/// A number that an axis can hold. Decimals may come as texts.
fn finite(value: &Value) -> Option<Value> {
    match value {
        Value::Number(number) => number.as_f64().filter(|number| number.is_finite()).map(|_| value.clone()),
        Value::String(text) => text.trim().parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from),
        _ => None,
    }
}

fn text(words: &[String], values: &[&Value]) -> Option<(Kind, Vec<Value>)> {
    let texts: Vec<&str> = values.iter().filter_map(|value| value.as_str()).collect();
    let ends_in = |names: &[&str]| words.last().is_some_and(|word| names.contains(&word.as_str()));
    let all = |is: fn(&str) -> bool| !texts.is_empty() && texts.iter().all(|text| is(text));
    if all(|text| calendar_text(text).is_some()) {
        return Some((Kind::Time(Scale::Calendar), each(values, calendar)));
    }
    if all(is_year) && words.iter().any(|word| YEAR.contains(&word.as_str())) {
        return Some((Kind::Time(Scale::Year), each(values, finite)));
    }
    if all(|text| period(text).is_some()) {
        return Some((Kind::Time(Scale::Period), each(values, |value| period(value.as_str()?).map(Value::from))));
    }
    let distinct = texts.iter().collect::<std::collections::HashSet<_>>().len();
    let is_identifier = all(is_opaque) && distinct * 2 > texts.len();
    let letters: usize = texts.iter().map(|text| text.chars().count()).sum();
    if is_identifier || (ends_in(IDENTIFIER) && distinct == texts.len()) || letters > PROSE * texts.len() {
        return None;
    }
    Some((Kind::Category, each(values, |value| value.as_str().map(|text| label(text, LONGEST_LABEL).into()))))
}

/// A text on one line, cut with an ellipsis.
pub(super) fn label(text: &str, longest: usize) -> String {
    let plain = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let mut label: String = plain.clone().take(longest).collect();
    if plain.count() > longest {
        label.pop();
        label.push('…');
    }
    label
}

fn calendar(value: &Value) -> Option<Value> {
    calendar_text(value.as_str()?).map(Value::from)
}

const DAY_FORMAT: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");

/// `2024-01`, `2024-01-31` and `2024-01-31T10:00:00Z` as a date and time without a zone. ECMAScript reads that as local time and shows local
/// time, so that every reader sees the date that the row has; a date alone it would read as UTC, and show the day before west of Greenwich.
fn calendar_text(text: &str) -> Option<String> {
    let (day, clock) = match text.split_once(['T', ' ']) {
        Some((day, clock)) => (day, Some(clock)),
        None => (text, None),
    };
    let day = if day.len() == 7 { format!("{day}-01") } else { day.to_owned() };
    Date::parse(&day, DAY_FORMAT).ok()?;
    let clock = clock.unwrap_or("00:00:00");
    let seconds = clock.get(..8)?;
    let is_clock = seconds.split(':').count() == 3 && seconds.chars().all(|c| c.is_ascii_digit() || c == ':');
    is_clock.then(|| format!("{day}T{seconds}"))
}

fn is_year(text: &str) -> bool {
    text.len() == 4 && text.parse::<u16>().is_ok_and(|year| (1000..=2999).contains(&year))
}

/// `2024-Q1`, `2024Q1`, `2024-W05`, `1990s`: in the order of their letters they are in the order of time. For that weeks are written as in
/// ISO 8601, because `2024-W10` would come before `2024-W9`.
fn period(text: &str) -> Option<String> {
    let (year, rest) = text.split_at_checked(4)?;
    let rest = rest.trim_start_matches(['-', ' ']);
    let (unit, number) = rest.split_at_checked(1)?;
    let is_numbered = (1..=2).contains(&number.len()) && number.chars().all(|c| c.is_ascii_digit());
    match (unit, is_numbered) {
        ("W", true) if is_year(year) => Some(format!("{year}-W{number:0>2}")),
        ("Q", true) if is_year(year) => Some(text.to_owned()),
        ("s", false) if is_year(year) && number.is_empty() => Some(text.to_owned()),
        _ => None,
    }
}

/// Letters and digits that name nothing to a person: `tt0111161`, a UUID, a long hexadecimal number.
fn is_opaque(text: &str) -> bool {
    let is_numbered = {
        let digits = text.trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == '-' || c == '_');
        text.len() - digits.len() <= 4 && digits.len() >= 4 && digits.chars().all(|c| c.is_ascii_digit())
    };
    let is_hexadecimal = text.len() >= 16 && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    is_numbered || is_hexadecimal
}

/// Whether a word names several things, as what is counted is named: `orders`, but not `gross`, `bonus` and `basis`. Words of other
/// languages that end like English ones are taken for them.
fn is_plural(word: &str) -> bool {
    word.chars().count() > 3 && word.ends_with('s') && !["ss", "us", "is"].iter().any(|end| word.ends_with(end))
}

/// By value for numbers, by letters for texts; NULL is below all.
fn less_or_equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Null, _) => true,
        (_, Value::Null) => false,
        (Value::String(left), Value::String(right)) => left <= right,
        (left, right) => left.as_f64().zip(right.as_f64()).is_none_or(|(left, right)| left <= right),
    }
}

/// Field names that the specification gives itself.
pub(super) const SERIES: &str = "series";
/// See [`SERIES`].
pub(super) const VALUE: &str = "value";

fn key(columns: &[Column], at: usize) -> String {
    let name = columns.get(at).map(|column| column.name.as_str()).unwrap_or_default();
    let is_plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.len() <= 64
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && ![SERIES, VALUE].contains(&name)
        && !name.starts_with("column_");
    let is_only = columns.iter().filter(|column| column.name == name).count() == 1;
    if is_plain && is_only { name.to_owned() } else { format!("column_{}", at + 1) }
}

/// The words of a name as they stand, those in camel case apart.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut before = ' ';
    for letter in name.chars() {
        if !letter.is_alphanumeric() || (letter.is_uppercase() && before.is_lowercase()) {
            parts.push(String::new());
        }
        if letter.is_alphanumeric()
            && let Some(part) = parts.last_mut()
        {
            part.push(letter);
        }
        before = letter;
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn words(name: &str) -> Vec<String> {
    parts(name).iter().map(|part| folded(part).trim().to_owned()).collect()
}

/// Short forms in names of columns, written out.
const WRITTEN_OUT: &[(&str, &str)] = &[
    ("num", "number of"),
    ("no", "number of"),
    ("cnt", "count"),
    ("avg", "average"),
    ("min", "minimum"),
    ("max", "maximum"),
    ("pct", "percent"),
    ("qty", "quantity"),
    ("amt", "amount"),
    ("yr", "year"),
];

/// A name for people: `averageRating` is `Average rating`, `num_votes` `Number of votes`, `GDP` stays.
fn title(name: &str) -> String {
    let mut words: Vec<String> = parts(name);
    // What a call such as count(1) has in its parentheses says nothing.
    if words.len() > 1 && words.iter().skip(1).all(|word| word.chars().all(|c| c.is_ascii_digit())) && name.ends_with(')') {
        words.truncate(1);
    }
    let last = words.len().saturating_sub(1);
    let words = words.iter().enumerate().map(|(at, word)| {
        let is_short_form =
            (2..=4).contains(&word.chars().count()) && word.chars().all(|letter| letter.is_uppercase() || letter.is_numeric());
        let lower = word.to_lowercase();
        let written_out = WRITTEN_OUT.iter().find(|(short, long)| *short == lower && !(at == last && long.ends_with(" of")));
        match written_out {
            Some((_, long)) => (*long).to_owned(),
            None if is_short_form => word.clone(),
            None => lower,
        }
    });
    let mut words: Vec<String> = words.collect();
    // avg(averageRating) averages once.
    words.dedup();
    let title = words.join(" ");
    let mut letters = title.chars();
    let title = letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>());
    title.map_or_else(|| label(name, LONGEST_LABEL), |title| label(&title, LONGEST_LABEL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_titles() {
        let names = [
            ("averageRating", "Average rating"),
            ("num_votes", "Number of votes"),
            ("count(1)", "Count"),
            ("avg(averagePrice)", "Average price"),
            ("GDP", "GDP"),
            ("startYear", "Start year"),
            ("Größe in m²", "Größe in m²"),
            ("*", "*"),
            ("a.b[0]", "A b 0"),
        ];
        for (name, expected) in names {
            assert_eq!(title(name), expected, "{name}");
        }
    }

    #[test]
    fn dates_keep_their_day_wherever_they_are_read() {
        assert_eq!(calendar_text("2024-01").as_deref(), Some("2024-01-01T00:00:00"));
        assert_eq!(calendar_text("2024-02-29").as_deref(), Some("2024-02-29T00:00:00"));
        assert_eq!(calendar_text("2024-01-31T10:11:12.500Z").as_deref(), Some("2024-01-31T10:11:12"));
        for text in ["", "2024", "2024-13", "2023-02-29", "2024-01-31Tnoon", "2024-01-31T1é:00:00", "12:00", "1990s"] {
            assert_eq!(calendar_text(text), None, "{text}");
        }
    }

    #[test]
    fn periods_are_in_the_order_of_their_letters() {
        for (text, expected) in [
            ("2024-W5", "2024-W05"),
            ("2024W14", "2024-W14"),
            ("2024 W05", "2024-W05"),
            ("2024-Q1", "2024-Q1"),
            ("2024Q1", "2024Q1"),
            ("1990s", "1990s"),
        ] {
            assert_eq!(period(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "2024", "2024-W", "2024-W123", "2024-Wé", "2024-q1", "1990sW1", "24-W5", "é990s", "990s"] {
            assert_eq!(period(text), None, "{text}");
        }
    }

    #[test]
    fn only_what_a_name_says_to_be_a_count_or_a_sum_adds_up() {
        let is_additive = |name: &str, number: Value| {
            let column = Column { name: name.into(), data_type: "double".into() };
            let result = ResultSet { columns: vec![column], rows: vec![vec![number]], row_count: 1, truncated: false, limit_source: None };
            Field::all(&result)[0].is_additive()
        };
        for name in ["orders", "count(1)", "num_votes", "ratingCount", "total_minutes", "n", "sales", "revenue", "orders_shipped"] {
            assert!(is_additive(name, Value::from(7)), "{name}");
        }
        for name in [
            "pay",
            "salaries",
            "longest_minutes",
            "minutes",
            "oldest",
            "highest",
            "avg_orders",
            "most_orders",
            "max(orders)",
            "orders_per_day",
            "ratings",
            "runtime",
            "price_amount",
            "gross",
            "status",
            "x",
        ] {
            assert!(!is_additive(name, Value::from(7)), "{name}");
        }
        assert!(is_additive("revenue", Value::from(7.5)));
        assert!(!is_additive("orders", Value::from(7.5)), "no count");
        assert!(!is_additive("orders", Value::from(-7)), "below zero");
    }

    #[test]
    fn keys_are_plain_and_apart() {
        let columns: Vec<Column> = ["a", "a", "b.c", "value", "__proto__", "column_1", "ok_1", "naïve", "d[0]", "e'\"\\"]
            .iter()
            .map(|name| Column { name: (*name).into(), data_type: "int".into() })
            .collect();
        let keys: Vec<String> = (0..columns.len()).map(|at| key(&columns, at)).collect();
        let made: Vec<String> = [1, 2, 3, 4, 5, 6]
            .iter()
            .map(|n| format!("column_{n}"))
            .chain(["ok_1".into()])
            .chain([8, 9, 10].iter().map(|n| format!("column_{n}")))
            .collect();
        assert_eq!(keys, made);
    }
}
