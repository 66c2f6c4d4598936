//! Words of what people write, brought to a form in which they can be compared.
//!
//! Owns how a text is cut into words, and what of them does not count: case, accents, English endings. Knows no lake; words of
//! other languages keep their endings.

use icu_normalizer::DecomposingNormalizerBorrowed;

/// A word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Lower case, without accents.
    pub(super) folded: String,
    /// Whether it begins with a capital letter.
    pub(super) capital: bool,
    /// Whether it stands in quotes.
    pub(super) quoted: bool,
}

/// The words of a text: runs of letters and digits of any script, with marks in them; `'s` at the end of one is left out.
pub(super) fn words(text: &str) -> Vec<Word> {
    let mut found = Vec::new();
    for (part, quoted) in quotes(text) {
        // Dots, commas and apostrophes within a word belong to it: 10,000 and 7.5 are one number, O'Hara one name.
        for run in part.split(|letter: char| !(letter.is_alphanumeric() || matches!(letter, '\'' | '’' | ',' | '.') || is_mark(letter))) {
            for piece in pieces(run) {
                let bare = piece.trim_matches(['\'', '’', ',', '.']);
                let bare = bare.strip_suffix("'s").or_else(|| bare.strip_suffix("’s")).unwrap_or(bare);
                if !bare.is_empty() {
                    let capital = bare.chars().next().is_some_and(char::is_uppercase);
                    found.push(Word { folded: folded(bare), capital, quoted });
                }
            }
        }
    }
    found
}

/// Splits a run at commas and dots that are not within a number.
fn pieces(run: &str) -> Vec<&str> {
    let numeric = run.chars().all(|letter| letter.is_numeric() || matches!(letter, ',' | '.'));
    if numeric { vec![run] } else { run.split([',', '.']).collect() }
}

/// The parts of a text, and whether each stands in double quotes.
fn quotes(text: &str) -> Vec<(&str, bool)> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(['"', '“', '„', '«']) {
        let Some((inside, tail)) = after.split_once(['"', '”', '“', '»']) else { break };
        parts.extend([(before, false), (inside, true)]);
        rest = tail;
    }
    parts.push((rest, false));
    parts
}

/// In lower case and without accents.
pub(super) fn folded(text: &str) -> String {
    let lower = text.to_lowercase();
    let decomposed = DecomposingNormalizerBorrowed::new_nfkd().normalize(&lower).into_owned();
    decomposed.chars().filter(|letter| !is_mark(*letter)).collect()
}

/// Combining marks of Latin, Greek and Cyrillic; those of other scripts are letters' vowels and stay.
fn is_mark(letter: char) -> bool {
    matches!(letter, '\u{300}'..='\u{36f}')
}

/// An English word without the endings of plurals and verbs, so that `rated`, `rating` and `rates` are one. Meant for comparing
/// words with words, not for showing.
pub(super) fn stem(word: &str) -> String {
    if !word.is_ascii() || word.len() < 4 {
        return word.to_owned();
    }
    let cut = |ending: &str, least: usize| word.strip_suffix(ending).filter(|stem| stem.len() >= least);
    if let Some(stem) = cut("ies", 2) {
        return format!("{stem}i");
    }
    let plain = cut("ings", 3)
        .or_else(|| cut("ing", 3))
        .or_else(|| cut("ed", 3))
        .or_else(|| cut("es", 3))
        .or_else(|| word.strip_suffix('s').filter(|stem| !stem.ends_with(['s', 'u', 'i'])))
        .unwrap_or(word);
    let mut stem = plain.strip_suffix('e').filter(|stem| stem.len() >= 3).unwrap_or(plain).to_owned();
    // A doubled last letter comes from the ending: `starred`.
    let mut last = stem.chars().rev();
    if let (Some(a), Some(b)) = (last.next(), last.next())
        && a == b
        && plain.len() < word.len()
        && !matches!(a, 'l' | 's')
    {
        stem.pop();
    }
    if let Some(before) = stem.strip_suffix('y').filter(|before| before.len() >= 2) {
        return format!("{before}i");
    }
    stem
}

#[cfg(test)]
mod tests {
    use super::{folded, stem, words};

    #[test]
    fn forms_of_a_word_have_one_stem() {
        for forms in [
            &["rated", "rating", "ratings", "rates", "rate"][..],
            &["film", "films", "filmed"],
            &["comedy", "comedies"],
            &["starred", "star", "stars", "starring"],
            &["direct", "directed", "directs", "directing"],
            &["director", "directors"],
            &["movie", "movies"],
            &["genre", "genres"],
            &["series"],
            &["make", "makes", "making"],
            &["title", "titles", "titled"],
        ] {
            for form in forms {
                assert_eq!(stem(form), stem(forms[0]), "{form}");
            }
        }
        assert_ne!(stem("year"), stem("yes"));
    }

    #[test]
    fn case_accents_and_punctuation_do_not_count() {
        let plain = |text: &str| words(text).into_iter().map(|word| word.folded).collect::<Vec<_>>();
        assert_eq!(plain("Amélie's café, 10,000 or 7.5?"), ["amelie", "cafe", "10,000", "or", "7.5"]);
        assert_eq!(plain("Sci-Fi"), ["sci", "fi"]);
        assert_eq!(plain("Welche Filme über Zürich?"), ["welche", "filme", "uber", "zurich"]);
        assert_eq!(plain("O'Hara and J.R.R. Tolkien"), ["o'hara", "and", "j", "r", "r", "tolkien"]);
        assert_eq!(folded("ÅNGSTRÖM"), "angstrom");
        assert_eq!(words("Who made \"Jaws 2\"?").iter().filter(|word| word.quoted).count(), 2);
        assert!(words("Jaws").first().is_some_and(|word| word.capital));
    }
}
