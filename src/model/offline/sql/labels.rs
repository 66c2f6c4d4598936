//! What the columns of a grouping are called, for the people and charts that see them: `decade`, `average_price`, `orders`.
//!
//! Words come from the catalog; only what any SQL engine takes as a name without quotes becomes one.

use sqlparser::keywords::{ALL_KEYWORDS, ALL_KEYWORDS_INDEX, RESERVED_FOR_COLUMN_ALIAS, RESERVED_FOR_IDENTIFIER, RESERVED_FOR_TABLE_ALIAS};

use super::super::plan::{Group, Key, Number};
use crate::sql::catalog::vocabulary::Vocabulary;

/// The column that [`super::Writer::group`] adds by itself.
const TOTAL: &str = "total";

/// The names of the columns, all different.
pub(super) struct GroupLabels {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) number: String,
}

impl GroupLabels {
    pub(super) fn new(words: &Vocabulary, group: &Group) -> Self {
        let kinds = &words.entity.kinds;
        let kind = match group.of.kinds.as_slice() {
            [kind] => kinds.get(*kind),
            [] => kinds.first(),
            _ => kinds.iter().find(|kind| kind.column.is_none()),
        };
        let value = match group.value {
            Number::Count => String::new(),
            Number::Of(aggregate, measure) => {
                let label = words.measures.get(measure).map_or("", |measure| measure.label.as_str());
                format!("{} {label}", aggregate.word())
            }
        };
        let key = identifier(&key_label(words, group.by), "name", &[]);
        let value = identifier(&value, "value", &[&key]);
        let number = identifier(kind.map_or("", |kind| &kind.plural), "number", &[&key, &value]);
        Self { key, value, number }
    }
}

/// What a grouping is by, in a word.
pub(in crate::model::offline) fn key_label(words: &Vocabulary, key: Key) -> String {
    match key {
        Key::Dim(index) => words.dimensions.get(index).map_or(String::new(), |dimension| dimension.name.clone()),
        Key::Role(index) => {
            words.people.as_ref().and_then(|people| people.roles.get(index)).map_or(String::new(), |role| role.name.clone())
        }
        Key::Year => "year".into(),
        Key::Decade => "decade".into(),
    }
}

/// `text` as a name, or `otherwise` where it makes none, is reserved, or is `taken`.
fn identifier(text: &str, otherwise: &str, taken: &[&str]) -> String {
    let name = text.trim().to_lowercase().replace([' ', '-'], "_");
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let keyword = ALL_KEYWORDS.binary_search(&name.to_uppercase().as_str()).ok().and_then(|at| ALL_KEYWORDS_INDEX.get(at));
    let reserved = [RESERVED_FOR_COLUMN_ALIAS, RESERVED_FOR_IDENTIFIER, RESERVED_FOR_TABLE_ALIAS];
    let is_reserved = keyword.is_some_and(|keyword| reserved.iter().any(|words| words.contains(keyword)));
    let is_free = name != TOTAL && !taken.contains(&name.as_str());
    if is_plain && !is_reserved && is_free { name } else { otherwise.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_catalog_become_names_that_need_no_quotes() {
        for (text, name) in [("decade", "decade"), ("average price", "average_price"), ("Sub-Items", "sub_items"), ("orders", "orders")] {
            assert_eq!(identifier(text, "otherwise", &[]), name);
        }
        for text in ["", "where", "group", "größe", "a.b", "1st", "x; drop", "a`b", "total"] {
            assert_eq!(identifier(text, "otherwise", &[]), "otherwise", "{text}");
        }
        assert_eq!(identifier("item", "number", &["item"]), "number");
    }
}
