//! What of an answer's Markdown is said, and what of it is named.
//!
//! Not a renderer: code, link targets and entities become blanks of the same length, list markers are found, and quoted or emphasised
//! text is listed.

/// The answer with everything that claims nothing blanked out, as many characters as before.
pub(super) fn prose(text: &str) -> Vec<char> {
    let mut letters: Vec<char> = text.chars().collect();
    blank_fences(&mut letters);
    blank_spans(&mut letters);
    blank_links(&mut letters);
    letters
}

fn blank(letters: &mut [char]) {
    for letter in letters.iter_mut().filter(|letter| **letter != '\n') {
        *letter = ' ';
    }
}

fn lines(letters: &[char]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut start = 0;
    for (at, letter) in letters.iter().enumerate() {
        if *letter == '\n' {
            found.push((start, at));
            start = at + 1;
        }
    }
    found.push((start, letters.len()));
    found
}

fn blank_fences(letters: &mut [char]) {
    let mut open: Option<char> = None;
    for (start, end) in lines(letters) {
        let line: String = letters[start..end].iter().collect();
        let line = line.trim_start();
        let fence = if line.starts_with("```") { Some('`') } else { line.starts_with("~~~").then_some('~') };
        let is_code = open.is_some() || fence.is_some();
        match (open, fence) {
            (None, Some(fence)) => open = Some(fence),
            (Some(opened), Some(fence)) if opened == fence => open = None,
            _ => {}
        }
        if is_code {
            blank(&mut letters[start..end]);
        }
    }
}

fn blank_spans(letters: &mut [char]) {
    let mut at = 0;
    while at < letters.len() {
        if letters[at] == '\\' {
            at += 2;
            continue;
        }
        if letters[at] != '`' {
            at += 1;
            continue;
        }
        let length = letters[at..].iter().take_while(|letter| **letter == '`').count();
        let mut from = at + length;
        let mut close = None;
        while from < letters.len() {
            if letters[from] != '`' {
                from += 1;
                continue;
            }
            let other = letters[from..].iter().take_while(|letter| **letter == '`').count();
            if other == length {
                close = Some(from + other);
                break;
            }
            from += other;
        }
        match close {
            Some(end) => {
                blank(&mut letters[at..end]);
                at = end;
            }
            // No later run of this length either: what is left holds no code that this one could open.
            None => at += length,
        }
    }
}

/// Targets of links, bare addresses and character references.
fn blank_links(letters: &mut [char]) {
    let mut at = 0;
    while at < letters.len() {
        let rest = &letters[at..];
        let end = match rest {
            [']', '(', ..] => rest.iter().take(2000).position(|letter| *letter == ')').map(|end| (1, end + 1)),
            ['h', 't', 't', 'p', ':' | 's', ..] => {
                rest.iter().position(|letter| letter.is_whitespace() || *letter == ')').or(Some(rest.len())).map(|end| (0, end))
            }
            ['&', ..] => rest
                .iter()
                .take(12)
                .skip(1)
                .position(|letter| !(letter.is_ascii_alphanumeric() || *letter == '#'))
                .filter(|end| *end > 1 && rest.get(end + 1) == Some(&';'))
                .map(|end| (0, end + 2)),
            _ => None,
        };
        if let Some((from, end)) = end {
            blank(&mut letters[at + from..at + end]);
            at += end;
        } else {
            at += 1;
        }
    }
}

/// Where the numbers of ordered lists and of headings stand: `3. `, `3) `, `## 2 `. A list starts with 1 or goes on; a line that
/// starts with another number and a point is a sentence about that number.
pub(super) fn markers(letters: &[char], is_rank: impl Fn(f64) -> bool) -> std::collections::HashSet<usize> {
    let mut found = std::collections::HashSet::new();
    let mut last: Option<f64> = None;
    for (start, end) in lines(letters) {
        let line = &letters[start..end];
        let indent = line.iter().take_while(|letter| matches!(letter, ' ' | '\t' | '#' | '>' | '*' | '_' | '-' | '|')).count();
        let digits = line[indent..].iter().take_while(|letter| letter.is_ascii_digit()).count();
        if digits == 0 || digits > 4 {
            continue;
        }
        let value: f64 = line[indent..indent + digits].iter().collect::<String>().parse().unwrap_or(0.0);
        let after = &line[indent + digits..];
        let is_table = line.iter().find(|letter| !letter.is_whitespace()) == Some(&'|');
        let bare = after.iter().position(|letter| !matches!(letter, ' ' | '*' | '.')).is_some_and(|at| after[at] == '|');
        let is_marker = match after {
            ['.' | ')', rest @ ..] => {
                let spaced = matches!(rest, [' ' | '\\' | '*', ..]);
                spaced && rest.iter().any(|letter| letter.is_alphanumeric())
            }
            ['\\', '.' | ')', ..] => true,
            _ => is_table && bare && is_rank(value),
        };
        if is_marker && (near(value, 1.0) || last.is_some_and(|last| near(value, last + 1.0)) || is_rank(value)) {
            found.insert(start + indent);
            last = Some(value);
        }
    }
    found
}

fn near(left: f64, right: f64) -> bool {
    (left - right).abs() < 0.5
}

/// How a name is marked as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// By quotation marks.
    Quoted,
    /// By emphasis, which is also used for other things than names.
    Emphasised,
}

/// Text that is marked.
#[derive(Debug)]
pub(super) struct Name {
    pub(super) mark: Mark,
    pub(super) start: usize,
    pub(super) end: usize,
    /// Without the marks within it.
    pub(super) text: String,
}

/// Longest name, in characters; more than that in quotation marks is two quotation marks that do not belong together.
const LONGEST: usize = 160;

/// Quoted and emphasised texts.
pub(super) fn names(letters: &[char]) -> Vec<Name> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        if letters[at] == '\\' {
            at += 2;
            continue;
        }
        if let Some((mark, from, to)) = quoted(letters, at) {
            found.push(Name { mark, start: from, end: to, text: bare(&letters[from..to]) });
            at = to + 1;
        } else if let Some((from, to, length)) = emphasised(letters, at) {
            let label =
                letters.get(to + length) == Some(&':') || letters.get(to - 1) == Some(&':') || letters.get(to + length) == Some(&'：');
            let label = label || is_title(letters, at, to + length);
            let quotes_within = letters[from..to].iter().any(|letter| "\"“„«「『《".contains(*letter));
            if quotes_within || label {
                at = from;
            } else {
                found.push(Name { mark: Mark::Emphasised, start: from, end: to, text: bare(&letters[from..to]) });
                at = to + length;
            }
        } else {
            at += 1;
        }
    }
    found
}

fn quoted(letters: &[char], at: usize) -> Option<(Mark, usize, usize)> {
    let closing: &[char] = match letters[at] {
        '"' => &['"'],
        '“' => &['”'],
        '„' => &['“', '”'],
        '«' => &['»'],
        '»' => &['«'],
        '‹' => &['›'],
        '「' => &['」'],
        '『' => &['』'],
        '《' => &['》'],
        '‘' => &['’'],
        '\'' => &['\''],
        _ => return None,
    };
    let is_single = matches!(letters[at], '\'' | '‘');
    let is_word = |at: Option<&char>| at.is_some_and(|letter| letter.is_alphanumeric());
    if is_single && (at > 0 && is_word(letters.get(at - 1)) || !is_word(letters.get(at + 1))) {
        return None;
    }
    let inside = letters[at + 1..].iter().take(LONGEST).take_while(|letter| **letter != '\n');
    let mut ends = inside.enumerate().filter(|(_, letter)| closing.contains(letter)).map(|(end, _)| at + 1 + end);
    let end = ends.find(|end| !is_single || !is_word(letters.get(end + 1)))?;
    Some((if is_single { Mark::Emphasised } else { Mark::Quoted }, at + 1, end))
}

/// Whether what stands there is a whole line, and the title of the list or table that follows.
fn is_title(letters: &[char], from: usize, to: usize) -> bool {
    let is_blank = |letters: &[char]| letters.iter().all(|letter| letter.is_whitespace());
    let begins = letters[..from].iter().rposition(|letter| *letter == '\n').map_or(0, |at| at + 1);
    let ends = letters[to..].iter().position(|letter| *letter == '\n').map_or(letters.len(), |at| to + at);
    let follows = letters[ends..].iter().find(|letter| !letter.is_whitespace());
    is_blank(&letters[begins..from]) && is_blank(&letters[to..ends]) && follows.is_some_and(|next| matches!(next, '-' | '*' | '|' | '1'))
}

/// `**X**`, `*X*`, `__X__`, `_X_`: from, to, and the length of the mark.
fn emphasised(letters: &[char], at: usize) -> Option<(usize, usize, usize)> {
    let mark = letters[at];
    if !matches!(mark, '*' | '_') || at > 0 && letters[at - 1] == mark {
        return None;
    }
    let length = letters[at..].iter().take_while(|letter| **letter == mark).count();
    let from = at + length;
    let opens = letters.get(from).is_some_and(|letter| !letter.is_whitespace());
    let in_word = mark == '_' && at > 0 && letters[at - 1].is_alphanumeric();
    if !opens || in_word || length > 3 {
        return None;
    }
    let inside = &letters[from..(from + LONGEST).min(letters.len())];
    let mut to = 0;
    while to < inside.len() && inside[to] != '\n' {
        if inside[to] == '\\' {
            to += 2;
            continue;
        }
        let run = inside[to..].iter().take_while(|letter| **letter == mark).count();
        let follows_word = mark == '_' && letters.get(from + to + run).is_some_and(|letter| letter.is_alphanumeric());
        if run >= length && to > 0 && !inside[to - 1].is_whitespace() && !follows_word {
            return Some((from, from + to, length));
        }
        to += run.max(1);
    }
    None
}

fn bare(letters: &[char]) -> String {
    let mut text = String::new();
    let mut escaped = false;
    for letter in letters {
        if escaped || !matches!(letter, '\\' | '*' | '_') {
            text.push(*letter);
            escaped = false;
        } else {
            escaped = *letter == '\\';
        }
    }
    text.trim().to_owned()
}
