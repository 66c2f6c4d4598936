//! Whether a table of a warehouse is as the catalog describes it.
//!
//! Owns which types fit one another: a column fits when reading it as the catalog's type loses nothing, so a narrower number fits a wider one.
//! Columns that the catalog does not describe are nobody's fault: a catalog may keep them to itself.

use super::{Relation, nearest::nearest};
use crate::conversation::Column;

/// What of `described` is not in `found`, the columns that the warehouse gives: one sentence for each.
#[must_use]
pub fn misfits(described: &Relation, found: &[Column]) -> Vec<String> {
    let misfit = |column: &super::Column| {
        let Some(there) = found.iter().find(|there| there.name.eq_ignore_ascii_case(&column.name)) else {
            return Some(format!("{} has no column {}{}", described.name, column.name, hint(&column.name, found)));
        };
        let is_fit = fits(&column.data_type.to_lowercase(), &there.data_type.to_lowercase());
        (!is_fit).then(|| format!("{}.{} is {}, but {} in the catalog", described.name, column.name, there.data_type, column.data_type))
    };
    described.columns.iter().filter_map(misfit).collect()
}

fn hint(name: &str, found: &[Column]) -> String {
    let near = nearest(name, found.iter().map(|column| column.name.as_str()), 1);
    near.first().map(|near| format!("; nearest: {near}")).unwrap_or_default()
}

/// Whether `found` can be read as `described` without loss; both in lower case.
fn fits(described: &str, found: &str) -> bool {
    let (described, found) = (described.trim(), found.trim());
    match (nested(described), nested(found)) {
        (Some((outer, described)), Some((other, found))) => {
            let fits =
                |(described, found): (&&str, &&str)| if outer == "struct" { field_fits(described, found) } else { fits(described, found) };
            outer == other && described.len() == found.len() && described.iter().zip(&found).all(fits)
        }
        // Every engine shows a variant as it likes; a column of nothing but NULL has no type yet.
        _ => described == "variant" || found == "void" || plain_fits(described, found),
    }
}

fn field_fits(described: &str, found: &str) -> bool {
    let split = |field: &str| field.split_once([':', ' ']).map(|(name, data_type)| (name.trim().to_owned(), data_type.trim().to_owned()));
    match (split(described.trim()), split(found.trim())) {
        (Some((name, described)), Some((other, found))) => name == other && fits(&described, &found),
        _ => false,
    }
}

/// The name of a nested type and the types or fields in it: `map<string,int>` is `map` of `string` and `int`.
fn nested(data_type: &str) -> Option<(&str, Vec<&str>)> {
    let (outer, inner) = data_type.strip_suffix('>')?.split_once('<')?;
    let mut depth = 0_i32;
    // Commas within brackets belong to a type further inside.
    let is_between = |letter: char| {
        depth += i32::from(matches!(letter, '<' | '(')) - i32::from(matches!(letter, '>' | ')'));
        depth == 0 && letter == ','
    };
    Some((outer, inner.split(is_between).collect()))
}

fn plain_fits(described: &str, found: &str) -> bool {
    let (described, found) = (canonical(described), canonical(found));
    described == found
        || digits(described).zip(digits(found)).is_some_and(|(described, found)| described.hold(&found))
        || matches!((described, found), ("double", "float" | "int" | "smallint" | "tinyint") | ("float", "smallint" | "tinyint"))
        || matches!((described, found), ("timestamp", "timestamp_ntz") | ("timestamp_ntz", "timestamp") | ("timestamp_ntz", "date"))
}

/// The name that engines tell of a type that has several.
fn canonical(data_type: &str) -> &str {
    match data_type {
        "long" => "bigint",
        "integer" => "int",
        "short" => "smallint",
        "byte" => "tinyint",
        "real" => "float",
        other => other,
    }
}

/// The digits that an exact number may have.
struct Digits {
    before_point: i32,
    after_point: i32,
}

impl Digits {
    fn hold(&self, other: &Self) -> bool {
        self.before_point >= other.before_point && self.after_point >= other.after_point
    }
}

/// Of whole numbers and decimals; of a `bigint` as many as its largest value has, which a decimal needs to hold each.
fn digits(data_type: &str) -> Option<Digits> {
    let whole = |before_point| Some(Digits { before_point, after_point: 0 });
    match data_type {
        "tinyint" => whole(3),
        "smallint" => whole(5),
        "int" => whole(10),
        "bigint" => whole(19),
        decimal => {
            let inner = decimal.strip_prefix("decimal(")?.strip_suffix(')')?;
            let (precision, scale) = inner.split_once(',').unwrap_or((inner, "0"));
            let (precision, scale): (i32, i32) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
            Some(Digits { before_point: precision - scale, after_point: scale })
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Column, Relation, fits, misfits};

    fn found(columns: &[(&str, &str)]) -> Vec<Column> {
        columns.iter().map(|&(name, data_type)| Column { name: name.into(), data_type: data_type.into() }).collect()
    }

    #[test]
    fn missing_columns_and_other_types_are_told_and_the_rest_is_not() {
        let described: Relation = serde_json::from_value(json!({"name": "shop.products", "description": "", "columns": [
            {"name": "sku", "type": "string", "description": ""},
            {"name": "prize", "type": "double", "description": ""},
            {"name": "launched", "type": "int", "description": ""},
            {"name": "zzz", "type": "int", "description": ""},
        ]}))
        .unwrap();
        let found = found(&[("SKU", "string"), ("price", "double"), ("launched", "string"), ("secret", "binary")]);
        assert_eq!(
            misfits(&described, &found),
            [
                "shop.products has no column prize; nearest: price",
                "shop.products.launched is string, but int in the catalog",
                "shop.products has no column zzz",
            ]
        );
    }

    #[test]
    fn a_type_fits_where_reading_it_loses_nothing() {
        for (described, found) in [
            ("string", "string"),
            ("bigint", "int"),
            ("long", "bigint"),
            ("int", "tinyint"),
            ("double", "float"),
            ("double", "int"),
            ("decimal(12,2)", "decimal(10,2)"),
            ("decimal(12, 2)", "int"),
            ("bigint", "decimal(19,0)"),
            ("timestamp", "timestamp_ntz"),
            ("timestamp_ntz", "date"),
            ("array<string>", "array<string>"),
            ("array<bigint>", "array<int>"),
            ("map<string, array<int>>", "map<string,array<int>>"),
            ("struct<a: decimal(10, 2), b int>", "struct<a:decimal(10,2),b:int>"),
            ("array<struct<a: int, b: map<string, int>>>", "array<struct<a:int,b:map<string,int>>>"),
            ("variant", "struct<metadata:binary,value:binary>"),
            ("int", "void"),
        ] {
            assert!(fits(described, found), "{found} as {described}");
        }
    }

    #[test]
    fn a_type_does_not_fit_where_something_is_lost_or_it_is_another_thing() {
        for (described, found) in [
            ("string", "int"),
            ("int", "string"),
            ("int", "bigint"),
            ("int", "double"),
            ("float", "double"),
            ("double", "bigint"),
            ("double", "decimal(10,2)"),
            ("decimal(10,2)", "decimal(12,2)"),
            ("decimal(10,2)", "int"),
            ("date", "timestamp"),
            ("date", "string"),
            ("string", "binary"),
            ("boolean", "int"),
            ("string", "array<string>"),
            ("array<string>", "string"),
            ("array<string>", "array<int>"),
            ("array<int>", "map<int,int>"),
            ("struct<a: int>", "struct<b:int>"),
            ("struct<a: int, b: int>", "struct<a:int>"),
        ] {
            assert!(!fits(described, found), "{found} as {described}");
        }
    }
}
