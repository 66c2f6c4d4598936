//! Which known names are most like one that does not exist.
//!
//! Owns the measure of likeness, for tables and columns alike: letters changed, one name within the other, words in common
//! (`release_year` and `year_of_birth`). Knows no statement and words no message.

/// Likeness from which a name is worth naming; 1 is equality.
const LIKE: f64 = 0.7;
/// Letters a word has that counts as one in common.
const WORD: usize = 3;

/// At most `most` of the known names that are like `written`, the likest first; equals in the order they are known.
#[must_use]
pub fn nearest<'a>(written: &str, known: impl Iterator<Item = &'a str>, most: usize) -> Vec<&'a str> {
    let mut scored: Vec<(f64, &str)> = Vec::new();
    for name in known {
        let score = likeness(written, name).max(likeness(last_part(written), last_part(name)));
        if score >= LIKE && !scored.iter().any(|(_, there)| there.eq_ignore_ascii_case(name)) {
            scored.push((score, name));
        }
    }
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take(most).map(|(_, name)| name).collect()
}

/// How alike two names are, 0 to 1. A name within the other is likely the one that was meant: `name` for `productName`.
#[must_use]
pub fn likeness(a: &str, b: &str) -> f64 {
    let (whole_a, whole_b) = (squeezed(a), squeezed(b));
    let letters = strsim::normalized_damerau_levenshtein(&whole_a, &whole_b);
    let within = whole_a.len().min(whole_b.len()) >= WORD && (whole_a.contains(&whole_b) || whole_b.contains(&whole_a));
    // One within the other ranks by how much of it they share, above names that merely look alike; names with a word in common
    // stand between. What a name ends with is what it is: a `productName` is a name, a `nameLength` is not.
    let end = if whole_a.ends_with(&whole_b) || whole_b.ends_with(&whole_a) { 0.05 } else { 0.0 };
    let within = if within { letters.mul_add(0.15, 0.8 + end) } else { 0.0 };
    let (words_a, words_b) = (words(a), words(b));
    let common = words_a.iter().filter(|word| word.chars().count() >= WORD && words_b.contains(word)).count();
    let words = if common == 0 { 0.0 } else { (common as f64 / words_a.len().max(words_b.len()) as f64).mul_add(0.2, 0.6) };
    letters.max(within).max(words)
}

fn squeezed(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// The words of `camelCase` and `snake_case`, in lower case, a plural's `s` left out.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![String::new()];
    let mut after_small = false;
    for letter in name.chars() {
        if !letter.is_alphanumeric() || (letter.is_uppercase() && after_small) {
            words.push(String::new());
        }
        after_small = letter.is_lowercase() || letter.is_numeric();
        if letter.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    for word in &mut words {
        if word.len() > WORD && word.ends_with('s') && !word.ends_with("ss") {
            word.pop();
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::nearest;

    const COLUMNS: [&str; 8] = ["sku", "productName", "launchYear", "weightGrams", "labels", "averageScore", "numReviews", "makerName"];

    #[test]
    fn names_are_found_by_letters_by_parts_and_by_words() {
        for (written, expected) in [
            ("product_nmae", "productName"),
            ("product", "productName"),
            ("PRODUCTS", "productName"),
            ("release_year", "launchYear"),
            ("year", "launchYear"),
            ("weight", "weightGrams"),
            ("label", "labels"),
            ("avg_score", "averageScore"),
            ("review_count", "numReviews"),
            ("maker", "makerName"),
            ("skus", "sku"),
            ("name", "makerName"),
        ] {
            assert_eq!(nearest(written, COLUMNS.into_iter(), 1), [expected], "{written}");
        }
    }

    #[test]
    fn what_is_like_nothing_finds_nothing() {
        for written in ["budget", "box_office", "x", "", "東京"] {
            assert!(nearest(written, COLUMNS.into_iter(), 3).is_empty(), "{written}");
        }
    }

    #[test]
    fn a_table_is_found_by_its_last_part() {
        let tables = ["shop.products_delta", "shop.reviews_delta"];
        assert_eq!(nearest("shop.product_delta", tables.into_iter(), 1), ["shop.products_delta"]);
        assert_eq!(nearest("reviews", tables.into_iter(), 1), ["shop.reviews_delta"]);
        assert_eq!(nearest("lake.products", tables.into_iter(), 1), ["shop.products_delta"]);
    }
}
