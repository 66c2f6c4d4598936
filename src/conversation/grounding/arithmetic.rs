//! Calculations that an answer writes out: `8.9 - 8.1 = 0.8`, `(8 + 9) / 2 = 8.5`, `12 / 40 = 30 %`.

use super::number::{Number, Reading};

/// A calculation with its result. Places are indices of numbers.
#[derive(Debug)]
pub(super) struct Equation {
    tokens: Vec<Token>,
    pub(super) result: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Token {
    Number(usize),
    Operator(char),
    Open,
    Close,
    Equals,
    /// The end of a sentence or line.
    Break,
}

/// What calculations need besides values of rows: units of time, percent and scales.
const CONSTANTS: [f64; 8] = [1.0, 10.0, 12.0, 24.0, 60.0, 100.0, 1_000.0, 1_000_000.0];

/// The equations of a text with these numbers.
pub(super) fn equations(text: &[char], numbers: &[Number]) -> Vec<Equation> {
    let tokens = tokens(text, numbers);
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let (Token::Equals, Some(Token::Number(result))) = (token, tokens.get(at + 1)) else { continue };
        let left = expression(&tokens[..at]);
        if left.iter().any(|token| matches!(token, Token::Operator(_))) {
            found.push(Equation { tokens: left.to_vec(), result: *result });
        }
    }
    found
}

fn tokens(text: &[char], numbers: &[Number]) -> Vec<Token> {
    let mut found = Vec::new();
    let mut at = 0;
    for (index, number) in numbers.iter().enumerate() {
        gap(text, at, number.start, &mut found);
        found.push(Token::Number(index));
        at = number.end;
    }
    found
}

fn gap(text: &[char], from: usize, to: usize, found: &mut Vec<Token>) {
    for at in from..to {
        let before = at.checked_sub(1).and_then(|at| text.get(at)).copied().unwrap_or(' ');
        let after = text.get(at + 1).copied().unwrap_or(' ');
        let token = match text[at] {
            '\n' | ';' | '!' | '?' | '。' | '|' => Token::Break,
            '.' | ':' if after.is_whitespace() => Token::Break,
            '=' | '≈' => Token::Equals,
            '(' | '[' => Token::Open,
            ')' | ']' => Token::Close,
            '*' if before == '*' || after == '*' => continue,
            '*' | '×' | '·' => Token::Operator('*'),
            '÷' => Token::Operator('/'),
            // Within words: `sci-fi`, `six`.
            '/' | '-' | 'x' if before.is_alphabetic() || after.is_alphabetic() => continue,
            '/' => Token::Operator('/'),
            'x' => Token::Operator('*'),
            '+' => Token::Operator('+'),
            '-' | '−' | '–' | '—' => Token::Operator('-'),
            _ => continue,
        };
        // A remark in parentheses: `8.9 (Alien) - 8.1`.
        if token == Token::Close && found.last() == Some(&Token::Open) {
            found.pop();
        } else {
            found.push(token);
        }
    }
}

/// The longest end of the tokens that is a calculation.
fn expression(tokens: &[Token]) -> &[Token] {
    let mut start = tokens.len();
    let mut depth = 0_i32;
    let mut balanced = start;
    for at in (0..tokens.len()).rev() {
        let next = tokens.get(at + 1).filter(|_| at + 1 < tokens.len());
        let fits = match (tokens[at], next) {
            (Token::Break | Token::Equals, _) => false,
            (Token::Number(_), next) => matches!(next, None | Some(Token::Operator(_) | Token::Close)),
            (Token::Operator(_), next) => matches!(next, Some(Token::Number(_) | Token::Open)),
            (Token::Close, next) => matches!(next, None | Some(Token::Operator(_) | Token::Close)),
            (Token::Open, next) => matches!(next, Some(Token::Number(_) | Token::Open)),
        };
        if !fits {
            break;
        }
        depth += match tokens[at] {
            Token::Close => 1,
            Token::Open => -1,
            _ => 0,
        };
        if depth < 0 {
            break;
        }
        start = at;
        if depth == 0 && matches!(tokens[at], Token::Number(_) | Token::Open) {
            balanced = start;
        }
    }
    &tokens[balanced..]
}

impl Equation {
    /// The numbers that it calculates with.
    pub(super) fn operands(&self) -> impl Iterator<Item = usize> + '_ {
        self.tokens.iter().filter_map(|token| if let Token::Number(index) = token { Some(*index) } else { None })
    }

    /// Whether an operand is a constant of the calculation: a unit, or how many were summed up where that is what it divides by.
    pub(super) fn is_constant(&self, operand: usize, value: f64) -> bool {
        let at = self.tokens.iter().position(|token| *token == Token::Number(operand)).unwrap_or(0);
        let divides = at > 0 && self.tokens[at - 1] == Token::Operator('/');
        let summands = self.tokens[..at].iter().filter(|token| matches!(token, Token::Operator('+'))).count() + 1;
        #[expect(clippy::cast_precision_loss, reason = "an answer does not sum up that many")]
        let is_count = divides && summands > 1 && (summands as f64 - value).abs() < f64::EPSILON;
        is_count || CONSTANTS.contains(&value)
    }

    /// Whether the result is right, as exactly as it is written. `value` gives each operand.
    pub(super) fn holds(&self, result: &Number, value: impl Fn(usize, bool) -> f64) -> bool {
        [false, true].into_iter().any(|percent_as_parts| {
            let mut rest = self.tokens.as_slice();
            let Some(got) = sum(&mut rest, &|index| value(index, percent_as_parts)) else { return false };
            let fits =
                |reading: &Reading, got: f64| (got.abs() - reading.value).abs() <= reading.unit / 2.0 * (1.0 + 1e-9) + got.abs() * 1e-12;
            rest.is_empty() && result.readings.iter().any(|reading| fits(reading, got) || result.is_percent && fits(reading, got * 100.0))
        })
    }
}

fn sum(rest: &mut &[Token], value: &impl Fn(usize) -> f64) -> Option<f64> {
    let mut total = product(rest, value)?;
    while let [Token::Operator(operator @ ('+' | '-')), tail @ ..] = *rest {
        *rest = tail;
        let next = product(rest, value)?;
        total = if *operator == '+' { total + next } else { total - next };
    }
    Some(total)
}

fn product(rest: &mut &[Token], value: &impl Fn(usize) -> f64) -> Option<f64> {
    let mut total = factor(rest, value)?;
    while let [Token::Operator(operator @ ('*' | '/')), tail @ ..] = *rest {
        *rest = tail;
        let next = factor(rest, value)?;
        total = if *operator == '*' { total * next } else { total / next };
    }
    Some(total)
}

fn factor(rest: &mut &[Token], value: &impl Fn(usize) -> f64) -> Option<f64> {
    match *rest {
        [Token::Number(index), tail @ ..] => {
            *rest = tail;
            Some(value(*index))
        }
        [Token::Open, tail @ ..] => {
            *rest = tail;
            let inner = sum(rest, value)?;
            let [Token::Close, tail @ ..] = *rest else { return None };
            *rest = tail;
            Some(inner)
        }
        _ => None,
    }
}
