//! Reads the numbers of a text, in any digits and in every way of writing them that is usual somewhere.
//!
//! A number may have several readings (`1.234` is a thousand or one and a bit); whoever checks it decides which one holds. Spelled-out
//! numbers are not read.

/// What a number may mean, and how exactly it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reading {
    /// Never negative: a minus is as often a dash, and "fell by 3" says it in words.
    pub(super) value: f64,
    /// What one in the last place shown is worth.
    pub(super) unit: f64,
}

/// A number of a text. Places are in characters.
#[derive(Clone, Debug)]
pub(super) struct Number {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) readings: Vec<Reading>,
    /// The groups of digits that separators part, for texts such as `1994,1995` and `12.05.1994`.
    pub(super) groups: Vec<f64>,
    pub(super) is_percent: bool,
    pub(super) is_decade: bool,
    pub(super) is_ordinal: bool,
    /// The word before, folded; of scripts without spaces the character before.
    pub(super) before: String,
    /// The word after, likewise.
    pub(super) after: String,
}

/// Digit zero of the scripts whose digits are read.
const ZEROS: [u32; 20] = [
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xe50, 0xed0, 0xf20, 0x1040, 0x17e0, 0x1810,
    0x1946, 0xff10,
];

/// Words after a number and what they multiply it by. `billion` is a thousand times more in some languages than in others.
const SCALES: &[(&str, &[f64])] = &[
    ("k", &[1e3, 1.0]),
    ("m", &[1e6, 1.0]),
    ("b", &[1e9, 1.0]),
    ("thousand", &[1e3]),
    ("tausend", &[1e3]),
    ("tsd", &[1e3]),
    ("mille", &[1e3]),
    ("mil", &[1e3]),
    ("тыс", &[1e3]),
    ("тысяч", &[1e3]),
    ("ألف", &[1e3]),
    ("الاف", &[1e3]),
    ("千", &[1e3]),
    ("万", &[1e4]),
    ("萬", &[1e4]),
    ("lakh", &[1e5]),
    ("लाख", &[1e5]),
    ("mio", &[1e6]),
    ("mn", &[1e6]),
    ("million", &[1e6]),
    ("millions", &[1e6]),
    ("millionen", &[1e6]),
    ("millones", &[1e6]),
    ("milioni", &[1e6]),
    ("milhoes", &[1e6]),
    ("млн", &[1e6]),
    ("миллионов", &[1e6]),
    ("مليون", &[1e6]),
    ("crore", &[1e7]),
    ("करोड़", &[1e7]),
    ("億", &[1e8]),
    ("亿", &[1e8]),
    ("bn", &[1e9]),
    ("mrd", &[1e9]),
    ("billion", &[1e9, 1e12]),
    ("billions", &[1e9, 1e12]),
    ("milliarde", &[1e9]),
    ("milliarden", &[1e9]),
    ("milliard", &[1e9]),
    ("milliards", &[1e9]),
    ("miliardi", &[1e9]),
    ("млрд", &[1e9]),
    ("مليار", &[1e9]),
    ("trillion", &[1e12, 1e18]),
    ("兆", &[1e12]),
];

const DECADES: &[&str] = &["s", "'s", "er", "ern", "年代", "х", "-х"];
const ORDINALS: &[&str] = &["st", "nd", "rd", "th", "e", "er", "re", "eme", "ª", "º", "位", "番", "-й", "-е"];

/// The text with every digit as an ASCII one, as many characters as before.
pub(super) fn plain_digits(text: &str) -> Vec<char> {
    text.chars().map(plain).collect()
}

fn plain(letter: char) -> char {
    match letter {
        '٫' => '.',
        '٬' => ',',
        '٪' | '％' => '%',
        '，' | '、' => ' ',
        '．' => '.',
        _ => {
            let code = u32::from(letter);
            let digit = ZEROS.iter().find_map(|zero| code.checked_sub(*zero).filter(|digit| *digit < 10));
            digit.and_then(|digit| char::from_digit(digit, 10)).unwrap_or(letter)
        }
    }
}

/// Whether letters of this script are parted from digits that do not belong to them.
fn is_spaced(letter: char) -> bool {
    letter.is_alphabetic() && letter < '\u{590}' || letter == '_'
}

/// Whether words of this script are written without spaces.
fn is_unspaced(letter: char) -> bool {
    letter >= '\u{2e80}'
}

/// The numbers of a text; digits within words (`tt0073195`) are not numbers.
pub(super) fn numbers(text: &[char]) -> Vec<Number> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        if !text[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let end = run_end(text, at);
        let is_in_word = at > 0 && is_spaced(text[at - 1]);
        if is_in_word {
            at = word_end(text, at);
            continue;
        }
        let number = number(text, at, end);
        at = number.end.max(end);
        found.push(number);
    }
    found
}

/// Words in which digits follow letters, and which have three digits at least: identities.
pub(super) fn identities(text: &[char]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        if !is_spaced(text[at]) {
            at = if text[at].is_ascii_digit() { word_end(text, at) } else { at + 1 };
            continue;
        }
        let end = word_end(text, at);
        if text[at..end].iter().filter(|letter| letter.is_ascii_digit()).count() >= 3 {
            found.push((at, end));
        }
        at = end;
    }
    found
}

fn word_end(text: &[char], from: usize) -> usize {
    text[from..].iter().position(|letter| !(is_spaced(*letter) || letter.is_ascii_digit())).map_or(text.len(), |length| from + length)
}

fn is_space(letter: char) -> bool {
    matches!(letter, ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}')
}

/// The end of digits with separators between them. A space separates only groups of three.
fn run_end(text: &[char], start: usize) -> usize {
    let digits = |from: usize| text[from..].iter().take_while(|letter| letter.is_ascii_digit()).count();
    let mut end = start + digits(start);
    let mut separator = None;
    while let Some(found) = text.get(end).copied() {
        let length = if end + 1 < text.len() { digits(end + 1) } else { 0 };
        if length == 0 {
            break;
        }
        let first = separator.is_none();
        let joins = match found {
            ',' | '.' => true,
            '\'' | '’' => length == 3,
            letter if is_space(letter) => length == 3 && (if first { end - start <= 3 } else { separator == Some(found) }),
            _ => false,
        };
        if !joins {
            break;
        }
        separator = Some(found);
        end += 1 + length;
    }
    end
}

fn number(text: &[char], start: usize, run_end: usize) -> Number {
    let run = &text[start..run_end];
    let mut readings = readings(run);
    let groups = run.split(|letter| !letter.is_ascii_digit()).filter_map(|digits| digits.iter().collect::<String>().parse().ok()).collect();
    let (suffix, spaced_suffix) = (word_at(text, run_end), word_at(text, skip_space(text, run_end)));
    let mut end = run_end;
    let mut is_decade = false;
    let mut is_ordinal = is_ranked(text, start);
    if let Some(quote_s) = text.get(run_end..run_end + 2).filter(|next| matches!(next, ['\'' | '’', 's'])) {
        is_decade = true;
        end += quote_s.len();
    } else if DECADES.contains(&suffix.as_str()) {
        is_decade = true;
        is_ordinal |= suffix == "er";
        end += suffix.chars().count();
    } else if suffix.starts_with('年') && text.get(run_end + 1) == Some(&'代') {
        is_decade = true;
    } else if ORDINALS.contains(&suffix.as_str()) {
        is_ordinal = true;
        end += suffix.chars().count();
    }
    let scale = |word: &str| SCALES.iter().find(|(known, _)| *known == word).map(|(_, factors)| *factors);
    // A single letter after a space is a word of its own: "5 m", "12 k".
    let scaled = scale(&suffix).map(|factors| (factors, run_end + suffix.chars().count())).or_else(|| {
        let end = skip_space(text, run_end) + spaced_suffix.chars().count();
        scale(&spaced_suffix)
            .filter(|_| end > run_end && (spaced_suffix.chars().count() > 1 || spaced_suffix.starts_with(is_unspaced)))
            .map(|factors| (factors, end))
    });
    if let Some((factors, scaled_end)) = scaled {
        let bare = std::mem::take(&mut readings);
        readings = factors
            .iter()
            .flat_map(|factor| bare.iter().map(move |reading| Reading { value: reading.value * factor, unit: reading.unit * factor }))
            .collect();
        end = scaled_end;
        // `37万4000`.
        if text[end - 1] >= '\u{2e80}' && text.get(end).is_some_and(char::is_ascii_digit) {
            let rest = number(text, end, self::run_end(text, end));
            let both = |high: &Reading| rest.readings.first().map(|low| Reading { value: high.value + low.value, unit: low.unit });
            readings = readings.iter().filter_map(both).collect();
            end = rest.end;
        }
    }
    let percent_at = skip_space(text, end);
    let is_percent = text.get(percent_at) == Some(&'%') || ["percent", "prozent", "pour"].contains(&word_at(text, percent_at).as_str());
    if text.get(percent_at) == Some(&'%') {
        end = percent_at + 1;
    }
    Number {
        start,
        end,
        readings,
        groups,
        is_percent,
        is_decade,
        is_ordinal,
        before: word_before(text, start),
        after: next_word(text, end),
    }
}

/// `#3`, `No. 3`, `Nr. 3`, `第3`.
fn is_ranked(text: &[char], start: usize) -> bool {
    let before: String = text[start.saturating_sub(5)..start].iter().collect::<String>().to_lowercase();
    let before = before.trim_end();
    before.ends_with(['#', '第', '№'])
        || ["no.", "nr.", "n°", "nº", " no", "rank", "place", "platz"].iter().any(|end| before.ends_with(end))
}

fn skip_space(text: &[char], from: usize) -> usize {
    from + text[from.min(text.len())..].iter().take_while(|letter| is_space(**letter)).count()
}

/// The word that starts here, folded.
fn word_at(text: &[char], from: usize) -> String {
    let mut word: Vec<char> = Vec::new();
    for letter in text[from.min(text.len())..].iter().take(40) {
        if !letter.is_alphabetic() && !is_combining(*letter) || word.first().is_some_and(|first| is_unspaced(*first)) {
            break;
        }
        word.push(*letter);
    }
    super::evidence::folded(&word.iter().collect::<String>())
}

fn is_combining(letter: char) -> bool {
    matches!(letter, '\u{300}'..='\u{36f}' | '\u{64b}'..='\u{65f}' | '\u{900}'..='\u{903}' | '\u{93a}'..='\u{94f}')
}

/// The next word or number after a place, however it is parted from it, on the same line.
fn next_word(text: &[char], from: usize) -> String {
    let from = from.min(text.len());
    let gap = text[from..].iter().take_while(|letter| !letter.is_alphanumeric() && **letter != '\n').count();
    let rest = &text[from + gap..];
    let word: String = if rest.first().is_some_and(|first| is_unspaced(*first)) {
        rest.iter().take(1).collect()
    } else {
        rest.iter().take(40).take_while(|letter| letter.is_alphanumeric() && !is_unspaced(**letter)).collect()
    };
    super::evidence::folded(&word)
}

fn word_before(text: &[char], until: usize) -> String {
    let gap = text[..until].iter().rev().take_while(|letter| !letter.is_alphanumeric() && **letter != '\n').count();
    let rest = &text[..until - gap];
    let length = if rest.last().is_some_and(|last| is_unspaced(*last)) {
        1
    } else {
        rest.iter().rev().take(40).take_while(|letter| letter.is_alphanumeric() && !is_unspaced(**letter)).count()
    };
    super::evidence::folded(&rest[rest.len() - length..].iter().collect::<String>())
}

/// Every usual way to read digits with separators.
fn readings(run: &[char]) -> Vec<Reading> {
    let text: String = run.iter().collect();
    let separators: Vec<(usize, char)> = text.char_indices().filter(|(_, letter)| !letter.is_ascii_digit()).collect();
    let mut found = Vec::new();
    let Some((last_at, last)) = separators.last().copied() else {
        found.extend(decimal(&text, ""));
        return found;
    };
    if is_grouped(&text) {
        found.extend(decimal(&digits(&text), ""));
    }
    let (whole, fraction) = (&text[..last_at], &text[last_at + last.len_utf8()..]);
    let differs = separators.iter().filter(|(_, separator)| *separator == last).count() == 1;
    if matches!(last, ',' | '.') && differs && (separators.len() == 1 || is_grouped(whole)) {
        found.extend(decimal(&digits(whole), fraction));
    }
    found
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// Groups of three, or of two before the last three as in India, by one separator.
fn is_grouped(text: &str) -> bool {
    let groups: Vec<&str> = text.split(|letter: char| !letter.is_ascii_digit()).collect();
    let mut separators: Vec<char> = text.chars().filter(|letter| !letter.is_ascii_digit()).collect();
    separators.dedup();
    let [first, middle @ .., last] = groups.as_slice() else { return false };
    let of_three = (1..=3).contains(&first.len()) && middle.iter().all(|group| group.len() == 3);
    let of_two = (1..=2).contains(&first.len()) && middle.iter().all(|group| group.len() == 2) && separators.first() == Some(&',');
    separators.len() == 1 && last.len() == 3 && (of_three || of_two)
}

fn decimal(whole: &str, fraction: &str) -> Option<Reading> {
    let places = i32::try_from(fraction.len()).ok()?;
    let value = format!("{whole}.{fraction}0").parse().ok()?;
    Some(Reading { value, unit: 10_f64.powi(-places) })
}
