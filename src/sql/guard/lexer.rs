//! Reads text into tokens by Spark's lexical rules (`SqlBaseLexer.g4` of Spark 4).
//!
//! sqlparser's own tokenizer accepts more than Spark does (dollar quotes, `#` comments, national strings) and keeps backslash
//! escapes in a form that its printer can get wrong, so that a literal could end elsewhere for Spark than for the guard. Here
//! every literal is decoded to its value and put back in one canonical spelling (see [`mod@super::literal`]); comments and hints
//! vanish. Refused: characters Spark's grammar gives no meaning to, parameters and variables, and whatever hides from a reader.

use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan};

use super::{Refusal, literal};

/// The tokens of `sql` with the places where they start, without whitespace and comments.
pub(super) fn tokens(sql: &str) -> Result<Vec<TokenWithSpan>, Refusal> {
    let mut lexer = Lexer { chars: sql.chars().collect(), at: 0, line: 1, column: 1, tokens: Vec::new() };
    while lexer.step()? {}
    Ok(lexer.tokens)
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: u64,
    column: u64,
    tokens: Vec<TokenWithSpan>,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn bump(&mut self) -> Option<char> {
        let found = self.peek(0)?;
        self.at += 1;
        if found == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
        Some(found)
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(found) = self.peek(0).filter(|&found| accept(found)) {
            taken.push(found);
            self.bump();
        }
        taken
    }

    fn here(&self) -> Location {
        Location { line: self.line, column: self.column }
    }

    fn push(&mut self, token: Token, start: Location) {
        self.tokens.push(TokenWithSpan { token, span: Span::new(start, self.here()) });
    }

    /// Reads one token, comment or run of whitespace; false at the end.
    fn step(&mut self) -> Result<bool, Refusal> {
        let start = self.here();
        let Some(first) = self.peek(0) else { return Ok(false) };
        match (first, self.peek(1)) {
            (' ' | '\t' | '\n' | '\r' | '\u{c}', _) => {
                self.bump();
            }
            ('-', Some('-')) => self.line_comment(),
            ('/', Some('*')) => self.bracketed_comment(start)?,
            ('\'' | '"', _) => self.string(start, false)?,
            ('`', _) => self.quoted_identifier(start)?,
            ('a'..='z' | 'A'..='Z' | '_', _) => self.word(start)?,
            ('0'..='9', _) => self.number(start)?,
            ('.', Some('0'..='9')) if !self.after_operand() => self.number(start)?,
            _ => self.operator(start)?,
        }
        Ok(true)
    }

    /// Whether the last token touches this place, so that a dot is a field access and not the start of a number.
    fn after_operand(&self) -> bool {
        self.tokens.last().is_some_and(|last| {
            last.span.end == self.here() && matches!(last.token, Token::Word(_) | Token::RParen | Token::RBracket | Token::Number(..))
        })
    }

    /// Spark lets a backslash before the line's end carry the comment on; so does this.
    fn line_comment(&mut self) {
        while let Some(found) = self.peek(0) {
            if found == '\\' && self.peek(1) == Some('\n') {
                self.bump();
            } else if matches!(found, '\n' | '\r') {
                return;
            }
            self.bump();
        }
    }

    /// Bracketed comments nest in Spark. Hints (`/*+ … */`) are left out like comments.
    fn bracketed_comment(&mut self, start: Location) -> Result<(), Refusal> {
        let mut depth = 0_usize;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => depth += 1,
                (Some('*'), Some('/')) => depth -= 1,
                (Some(_), _) => {
                    self.bump();
                    continue;
                }
                (None, _) => {
                    return Err(Refusal::new(format!("The comment opened at {} is never closed; close it with */.", place(start))));
                }
            }
            self.bump();
            self.bump();
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// A string in either quote. Spark joins literals with nothing but blanks between them; so does this, except that a doubled quote
    /// is a quote (see [`mod@super::literal`]).
    fn string(&mut self, start: Location, raw: bool) -> Result<(), Refusal> {
        let quote = self.bump().unwrap_or('\'');
        let mut body = String::new();
        loop {
            match self.bump() {
                None => return Err(Refusal::new(format!("The string opened at {} is never closed.", place(start)))),
                Some(found) if found == quote && !raw && self.peek(0) == Some(quote) => {
                    self.bump();
                    body.push('\\');
                    body.push(quote);
                }
                Some(found) if found == quote => break,
                Some('\\') if !raw => {
                    body.push('\\');
                    body.extend(self.bump());
                }
                Some(found) => body.push(found),
            }
        }
        let value = if raw { body } else { literal::decode(&body).map_err(|fault| fault.at(&place(start)))? };
        if let Some(TokenWithSpan { token: Token::SingleQuotedString(before), .. }) = self.tokens.last_mut() {
            // Joined as values: '$' '{x}' must not become ${x}.
            let joined = literal::decode(before).map_err(|fault| fault.at(&place(start)))? + &value;
            *before = literal::encode(&joined);
        } else {
            self.push(Token::SingleQuotedString(literal::encode(&value)), start);
        }
        Ok(())
    }

    fn quoted_identifier(&mut self, start: Location) -> Result<(), Refusal> {
        self.bump();
        let name = self.take_while(|found| found != '`');
        if self.bump().is_none() {
            return Err(Refusal::new(format!("The name opened with ` at {} is never closed.", place(start))));
        }
        let doubled = self.peek(0) == Some('`');
        let odd = name.chars().find(|&found| matches!(found, '\\' | '$') || literal::is_hidden(found));
        if name.is_empty() || doubled || odd.is_some() {
            let what = odd.map_or_else(|| "a backtick or nothing".to_owned(), |found| format!("U+{:04X}", u32::from(found)));
            return Err(Refusal::new(format!("The quoted name at {} contains {what}; use letters, digits, spaces and _.", place(start))));
        }
        self.push(Token::make_word(&name, Some('`')), start);
        Ok(())
    }

    fn word(&mut self, start: Location) -> Result<(), Refusal> {
        let word = self.take_while(|found| found.is_ascii_alphanumeric() || found == '_');
        match (word.as_str(), self.peek(0)) {
            ("r" | "R", Some('\'' | '"')) => self.string(start, true),
            ("x" | "X", Some('\'')) => self.hex(start),
            (_, Some(quote @ ('\'' | '"'))) => match word.to_ascii_lowercase().as_str() {
                "b" | "n" | "e" | "u" | "q" | "x" => Err(Refusal::new(format!(
                    "Spark has no string prefix {word}{quote}…{quote} ({}); write a plain string '…' or a raw one r'…'.",
                    place(start)
                ))),
                _ => {
                    self.push(Token::make_word(&word, None), start);
                    Ok(())
                }
            },
            (_, Some(found)) if !found.is_ascii() => Err(self.unreadable(found)),
            _ => {
                self.push(Token::make_word(&word, None), start);
                Ok(())
            }
        }
    }

    fn hex(&mut self, start: Location) -> Result<(), Refusal> {
        self.bump();
        let digits = self.take_while(|found| found.is_ascii_hexdigit());
        if self.bump() != Some('\'') || !digits.len().is_multiple_of(2) {
            return Err(Refusal::new(format!("The hexadecimal literal at {} needs an even number of digits 0-9, A-F.", place(start))));
        }
        self.push(Token::HexStringLiteral(digits.to_ascii_uppercase()), start);
        Ok(())
    }

    /// `12`, `1.5`, `.5`, `1e-3`, each with Spark's type suffix (L, S, Y, F, D, BD) if any.
    fn number(&mut self, start: Location) -> Result<(), Refusal> {
        let digit = |found: char| found.is_ascii_digit();
        let mut number = self.take_while(digit);
        if self.peek(0) == Some('.') && self.peek(1).is_some_and(digit) {
            number.extend(self.bump());
            number.push_str(&self.take_while(digit));
        }
        if self.peek(0) == Some('.') {
            // Spark reads `1.` as a decimal or as `1` and a field access, by what follows.
            return Err(Refusal::new(format!("The number {number} at {} ends in a dot; write {number}.0.", place(start))));
        }
        let exponent = matches!(self.peek(0), Some('e' | 'E'));
        let signed = matches!(self.peek(1), Some('+' | '-'));
        if exponent && self.peek(1 + usize::from(signed)).is_some_and(digit) {
            number.extend(self.bump());
            if signed {
                number.extend(self.bump());
            }
            number.push_str(&self.take_while(digit));
        }
        let suffix = self.take_while(|found| found.is_alphanumeric() || found == '_');
        if !matches!(suffix.to_ascii_uppercase().as_str(), "" | "L" | "S" | "Y" | "F" | "D" | "BD") {
            return Err(Refusal::new(format!(
                "{number}{suffix} at {} is neither a number nor a name; put names that start with a digit in backticks.",
                place(start)
            )));
        }
        number.push_str(&suffix);
        if number.starts_with('.') {
            number.insert(0, '0');
        }
        self.push(Token::Number(number, false), start);
        Ok(())
    }

    fn operator(&mut self, start: Location) -> Result<(), Refusal> {
        let ahead: [Option<char>; 3] = [self.peek(0), self.peek(1), self.peek(2)];
        let (token, length) = match ahead {
            [Some('<'), Some('='), Some('>')] => (Token::Spaceship, 3),
            [Some('>'), Some('>'), Some('>')] if !self.in_type() => return Err(self.unreadable('>')),
            [Some('<'), Some('='), _] => (Token::LtEq, 2),
            [Some('>'), Some('='), _] => (Token::GtEq, 2),
            [Some('<'), Some('>'), _] | [Some('!'), Some('='), _] => (Token::Neq, 2),
            [Some('<'), Some('<'), _] => (Token::ShiftLeft, 2),
            [Some('>'), Some('>'), _] => (Token::ShiftRight, 2),
            [Some('='), Some('='), _] => (Token::DoubleEq, 2),
            [Some('='), Some('>'), _] => {
                return Err(Refusal::new(format!("Named arguments (=>, {}) are not admitted; pass arguments by position.", place(start))));
            }
            [Some('|'), Some('|'), _] => (Token::StringConcat, 2),
            [Some('|'), Some('>'), _] => {
                return Err(Refusal::new(format!("Pipe syntax (|>, {}) is not admitted; write an ordinary SELECT.", place(start))));
            }
            [Some('&'), Some('&'), _] => return Err(Refusal::new(format!("&& at {} is not Spark SQL; write AND.", place(start)))),
            [Some('-'), Some('>'), _] => (Token::Arrow, 2),
            [Some(':'), Some(':'), _] => (Token::DoubleColon, 2),
            [Some('!'), Some('<' | '>'), _] => {
                return Err(Refusal::new(format!("!< and !> at {} are not admitted; write >= or <=.", place(start))));
            }
            [Some(one), ..] => (single(one).ok_or_else(|| self.unreadable(one))?, 1),
            [None, ..] => return Ok(()),
        };
        for _ in 0..length {
            self.bump();
        }
        self.push(token, start);
        Ok(())
    }

    /// Whether an angle bracket is open right here, as in `ARRAY<ARRAY<ARRAY<INT>>>`.
    fn in_type(&self) -> bool {
        let mut open = 0_i32;
        for token in self.tokens.iter().rev() {
            match &token.token {
                Token::Lt => open += 1,
                Token::Gt => open -= 1,
                Token::Word(_) | Token::Comma | Token::LParen | Token::RParen | Token::Number(..) => {}
                _ => break,
            }
        }
        open >= 3
    }

    fn unreadable(&self, found: char) -> Refusal {
        let place = place(self.here());
        let reason = match found {
            '?' => format!("Parameters (? at {place}) have no value here; write the value itself."),
            ':' => format!("Parameters and JSON paths (: at {place}) are not admitted; write the value, or get_json_object."),
            '$' => format!("Variables ($ at {place}) are not admitted; write the value itself."),
            '@' => format!("@ at {place} is not admitted: neither variables nor table versions can be read."),
            '#' => format!("# at {place} starts no comment in Spark SQL; leave it out."),
            '{' | '}' => format!("Braces at {place} are not Spark SQL; leave them out."),
            ';' => format!("Only one statement may run; a second one starts after {place}."),
            found if found.is_ascii_graphic() => format!("{found} at {place} is not Spark SQL here."),
            found => format!(
                "The character U+{:04X} at {place} stands outside a string; use plain ASCII there, and put other letters in 'strings' or `quoted aliases`.",
                u32::from(found)
            ),
        };
        Refusal::new(reason)
    }
}

fn single(found: char) -> Option<Token> {
    Some(match found {
        '(' => Token::LParen,
        ')' => Token::RParen,
        '[' => Token::LBracket,
        ']' => Token::RBracket,
        ',' => Token::Comma,
        '.' => Token::Period,
        ';' => Token::SemiColon,
        '=' => Token::Eq,
        '<' => Token::Lt,
        '>' => Token::Gt,
        '+' => Token::Plus,
        '-' => Token::Minus,
        '*' => Token::Mul,
        '/' => Token::Div,
        '%' => Token::Mod,
        '|' => Token::Pipe,
        '&' => Token::Ampersand,
        '^' => Token::Caret,
        '~' => Token::Tilde,
        '!' => Token::ExclamationMark,
        _ => return None,
    })
}

/// `line 1, column 5`.
pub(super) fn place(location: Location) -> String {
    format!("line {}, column {}", location.line, location.column)
}
