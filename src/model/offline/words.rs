//! Cuts a question into tokens and reads numbers. Knows English number words and plurals, and nothing of any lake.

/// A word, number or quoted phrase of a question.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    /// Lower case, without punctuation; of a quoted phrase its whole content.
    pub(super) norm: String,
    /// Where it stands in the question, in bytes, quotes left out.
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether it stood in quotes.
    pub(super) quoted: bool,
    /// Whether it began with a capital letter.
    pub(super) capital: bool,
    /// Whether a bracket opened right before it.
    pub(super) bracketed: bool,
}

/// The tokens of `question`.
pub(super) fn tokens(question: &str) -> Vec<Token> {
    let chars: Vec<(usize, char)> = question.char_indices().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&(start, first)) = chars.get(at) {
        if let Some(close) = closing_quote(&chars, at) {
            let from = start + first.len_utf8();
            let to = chars.get(close).map_or(question.len(), |(index, _)| *index);
            push_quoted(&mut tokens, question, from, to);
            at = close + 1;
        } else if is_word(first) {
            at = word(question, &chars, at, &mut tokens);
        } else {
            symbol(&chars, at, &mut tokens);
            at += 1;
        }
    }
    tokens
}

/// The index of the quote that closes the one at `at`, if there is one there.
fn closing_quote(chars: &[(usize, char)], at: usize) -> Option<usize> {
    let (_, open) = chars.get(at)?;
    let close = match open {
        '"' => '"',
        '“' | '„' => '”',
        '«' => '»',
        '\'' => '\'',
        '‘' => '’',
        '`' => '`',
        _ => return None,
    };
    let before_is_word = at > 0 && chars.get(at - 1).is_some_and(|(_, before)| before.is_alphanumeric());
    if before_is_word && matches!(open, '\'' | '‘') {
        return None;
    }
    (at + 2..chars.len()).find(|index| {
        let ends = chars.get(index + 1).is_none_or(|(_, after)| !after.is_alphanumeric());
        chars
            .get(*index)
            .is_some_and(|(_, letter)| *letter == close || (*open == '“' && *letter == '"') || (*open == '„' && *letter == '“'))
            && ends
    })
}

fn push_quoted(tokens: &mut Vec<Token>, question: &str, from: usize, to: usize) {
    let content = question.get(from..to).unwrap_or_default();
    let trimmed = content.trim().trim_end_matches([',', '.', '?', '!']);
    if trimmed.is_empty() {
        return;
    }
    let start = from + (content.len() - content.trim_start().len());
    tokens.push(Token { norm: trimmed.to_lowercase(), start, end: start + trimmed.len(), quoted: true, capital: false, bracketed: false });
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric()
}

/// Reads the word at `at`, splits off `'s`, and gives the index after it.
fn word(question: &str, chars: &[(usize, char)], at: usize, tokens: &mut Vec<Token>) -> usize {
    let mut end = at;
    while let Some(&(_, letter)) = chars.get(end) {
        let next = chars.get(end + 1).map(|(_, letter)| *letter);
        let inner = match letter {
            '\'' | '’' => next.is_some_and(char::is_alphanumeric),
            '.' | ',' => {
                let before = chars.get(end - 1).is_some_and(|(_, letter)| letter.is_ascii_digit());
                before && next.is_some_and(|letter| letter.is_ascii_digit())
            }
            letter => is_word(letter),
        };
        if !inner {
            break;
        }
        end += 1;
    }
    let byte = |index: usize| chars.get(index).map_or(question.len(), |(byte, _)| *byte);
    let (start, stop) = (byte(at), byte(end));
    let text = question.get(start..stop).unwrap_or_default();
    let norm = text.to_lowercase().replace('’', "'");
    let capital = text.chars().next().is_some_and(char::is_uppercase);
    let bracketed = at > 0 && chars.get(at - 1).is_some_and(|(_, before)| matches!(before, '(' | '['));
    match norm.strip_suffix("'s") {
        Some(stem) if !stem.is_empty() => {
            let cut = stop - (text.len() - text.char_indices().rev().nth(1).map_or(0, |(index, _)| index));
            let decade = stem.parse::<u32>().is_ok_and(|number| number % 10 == 0);
            let norm = if decade { format!("{stem}s") } else { stem.to_owned() };
            tokens.push(Token { norm, start, end: cut, quoted: false, capital, bracketed });
            if !decade {
                tokens.push(Token { norm: "'s".into(), start: cut, end: stop, quoted: false, capital: false, bracketed: false });
            }
        }
        _ => tokens.push(Token { norm, start, end: stop, quoted: false, capital, bracketed }),
    }
    end
}

/// Signs that mean a word.
fn symbol(chars: &[(usize, char)], at: usize, tokens: &mut Vec<Token>) {
    let Some(&(start, sign)) = chars.get(at) else { return };
    let digit = |index: Option<usize>| index.and_then(|index| chars.get(index)).is_some_and(|(_, letter)| letter.is_ascii_digit());
    let before = at.checked_sub(1);
    let next_is_equals = chars.get(at + 1).is_some_and(|(_, next)| *next == '=');
    let previous = before.and_then(|index| chars.get(index)).map(|(_, letter)| *letter);
    let norm = match sign {
        '&' => "and",
        '+' if digit(before) || (matches!(previous, Some('k' | 'm' | 'K' | 'M')) && digit(at.checked_sub(2))) => "or more",
        '-' | '–' if digit(before) && digit(Some(at + 1)) => "to",
        '>' if next_is_equals => "at least",
        '<' if next_is_equals => "at most",
        '≥' => "at least",
        '≤' => "at most",
        '>' => "over",
        '<' => "under",
        '\'' | '’' if previous == Some('s') => "'s",
        '=' if !matches!(previous, Some('<' | '>')) => "exactly",
        '$' | '€' | '£' | '%' => return tokens.push(sign_token(sign.to_string(), start, sign)),
        _ => return,
    };
    for part in norm.split(' ') {
        tokens.push(sign_token(part.to_owned(), start, sign));
    }
}

fn sign_token(norm: String, start: usize, sign: char) -> Token {
    Token { norm, start, end: start + sign.len_utf8(), quoted: false, capital: false, bracketed: false }
}

/// A number at the beginning of `tokens` and how many tokens it takes: `1,000`, `8.5`, `25k`, `2 million`, `twenty five`.
pub(super) fn number(tokens: &[Token]) -> Option<(f64, usize)> {
    let first = tokens.first().filter(|token| !token.quoted)?;
    let (mut value, mut taken) = match digits(&first.norm) {
        Some(value) => (value, 1),
        None => spelled(tokens)?,
    };
    let says = |at: usize, word: &str| tokens.get(at).is_some_and(|token| token.norm == word);
    if says(taken, "and") && says(taken + 1, "a") && says(taken + 2, "half") {
        value += 0.5;
        taken += 3;
    }
    while let Some(factor) = tokens.get(taken).and_then(|token| multiple(&token.norm)) {
        value *= factor;
        taken += 1;
    }
    Some((value, taken))
}

fn digits(norm: &str) -> Option<f64> {
    if !norm.starts_with(|letter: char| letter.is_ascii_digit()) {
        return None;
    }
    let (body, factor) = match norm.strip_suffix('k') {
        Some(body) => (body, 1e3),
        None => norm.strip_suffix('m').map_or((norm, 1.0), |body| (body, 1e6)),
    };
    let plain = body.replace(',', "");
    plain.parse::<f64>().ok().filter(|value| value.is_finite() && *value < 1e15).map(|value| value * factor)
}

fn multiple(norm: &str) -> Option<f64> {
    match norm {
        "hundred" => Some(1e2),
        "thousand" => Some(1e3),
        "million" => Some(1e6),
        "dozen" => Some(12.0),
        _ => None,
    }
}

const UNITS: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

fn spelled(tokens: &[Token]) -> Option<(f64, usize)> {
    let unit = |at: usize| -> Option<u32> {
        let token = tokens.get(at)?;
        UNITS.iter().position(|word| *word == token.norm).and_then(|index| u32::try_from(index).ok())
    };
    if let Some(index) = TENS.iter().position(|word| tokens.first().is_some_and(|token| token.norm == *word)) {
        let tens = u32::try_from(index + 2).unwrap_or(0) * 10;
        return Some(match unit(1).filter(|unit| (1..10).contains(unit)) {
            Some(unit) => (f64::from(tens + unit), 2),
            None => (f64::from(tens), 1),
        });
    }
    match unit(0) {
        Some(unit) => Some((f64::from(unit), 1)),
        None if tokens.first()?.norm == "dozen" => Some((12.0, 1)),
        None => None,
    }
}

/// The first year of a decade written in digits: `1990s`, `90s`, `00s`.
pub(super) fn decade(norm: &str) -> Option<i64> {
    let digits = norm.strip_suffix('s')?;
    let number: i64 = digits.parse().ok().filter(|number| number % 10 == 0)?;
    match digits.len() {
        4 if (1000..3000).contains(&number) => Some(number),
        2 => Some(if number < 20 { 2000 + number } else { 1900 + number }),
        _ => None,
    }
}

/// The regular English plural of the last word of `phrase`.
pub(super) fn plural(phrase: &str) -> String {
    let consonant_before_y = |stem: &str| stem.chars().last().is_some_and(|letter| !"aeiou".contains(letter));
    match phrase.strip_suffix('y') {
        Some(stem) if consonant_before_y(stem) => format!("{stem}ies"),
        _ if ["s", "x", "z", "ch", "sh"].iter().any(|end| phrase.ends_with(end)) => format!("{phrase}es"),
        _ => format!("{phrase}s"),
    }
}

/// `phrase` in the words that [`tokens`] would cut it into.
pub(super) fn normal_words(phrase: &str) -> Vec<String> {
    tokens(phrase).into_iter().map(|token| token.norm).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn norms(question: &str) -> Vec<String> {
        normal_words(question)
    }

    #[test]
    fn questions_are_cut_into_words() {
        assert_eq!(norms("Low-Key lamps, rated 8.5+!"), ["low", "key", "lamps", "rated", "8.5", "or", "more"]);
        assert_eq!(norms("X's lamps in the '90s or 1990's"), ["x", "'s", "lamps", "in", "the", "90s", "or", "1990s"]);
        assert_eq!(norms("with 'the end' or “Two Words” in it"), ["with", "the end", "or", "two words", "in", "it"]);
        assert_eq!(norms("200k+ votes"), ["200k", "or", "more", "votes"]);
        assert_eq!(norms("1990-1999 >= 1,000"), ["1990", "to", "1999", "at", "least", "1,000"]);
        assert_eq!(norms("O'Hara isn't"), ["o'hara", "isn't"]);
    }

    #[test]
    fn numbers_are_read_in_digits_and_words() {
        let read = |text: &str| number(&tokens(text));
        assert_eq!(read("25k votes"), Some((25_000.0, 1)));
        assert_eq!(read("2 million"), Some((2_000_000.0, 2)));
        assert_eq!(read("twenty five things"), Some((25.0, 2)));
        assert_eq!(read("one hundred"), Some((100.0, 2)));
        assert_eq!(read("8.5"), Some((8.5, 1)));
        assert_eq!(read("things"), None);
        assert_eq!(decade("90s"), Some(1990));
        assert_eq!(decade("2010s"), Some(2010));
        assert_eq!(decade("95s"), None);
    }
}
