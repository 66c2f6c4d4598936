//! The SQL guard: admits exactly one read-only statement over the catalog's tables, with a row limit.
//!
//! What runs is what was judged. A statement is read by Spark's lexical rules (`lexer`), parsed with sqlparser's Databricks
//! dialect, walked with a list of the constructs that are admitted (`query`, `expr`, `functions`, `types`: whatever they do not
//! name is refused, so that a new version of the parser admits nothing by itself), given its row limit (`limit`) and printed
//! from the syntax tree: without comments and hints, every table and CTE under its own spelling, keywords used as names in
//! backticks, strings in a spelling that ends at the same place for every reader. Then the printed text itself is judged again
//! and must come out unchanged; a construct that the printer would alter is refused.
//!
//! Functions are on an allow-list, not a deny-list: Spark has hundreds and each release, each library and each `CREATE FUNCTION`
//! adds some, of which a deny-list would know nothing; a name refused for want of an entry costs one repair, an unknown one
//! that reads a file costs the file. The catalog may admit functions of the lake by name.
//!
//! Columns that certainly do not exist are refused as well (`columns`), so that no cold warehouse is started and paid for a
//! misspelt name.
//!
//! Limits of this: types are left to the engine; time, memory and the size of intermediate results to the warehouse (only
//! literal arguments of functions that make rows or long strings are bounded, and joins of tables without any condition on columns
//! refused; those of subqueries are not, since one of a single row is joined so).
//! The guard is defence in depth; the warehouse's principal must be read-only as well.

mod columns;
mod dialect;
mod expr;
mod functions;
mod keywords;
mod lexer;
mod limit;
mod literal;
mod query;
mod relations;
mod types;

use std::{ops::ControlFlow, sync::Arc};

use sqlformat::{FormatOptions, QueryParams};
use sqlparser::{
    ast::{Ident, Query, Value, VisitMut as _, VisitorMut},
    keywords::Keyword,
    parser::{Parser, ParserError},
    tokenizer::{Token, TokenWithSpan},
};

use crate::{conversation::LimitSource, sql::Catalog};

/// `value` as a string literal, spelled as the guard itself prints it.
pub(super) fn literal(value: &str) -> String {
    format!("'{}'", literal::encode(value))
}

/// A dotted name, with backticks where Spark would not read a part as a plain name.
pub(super) fn name(dotted: &str) -> String {
    dotted.split('.').map(|part| relations::quoted(part).to_string()).collect::<Vec<_>>().join(".")
}

/// A statement as the guard reads it, for whoever compares or explains what ran; it is not judged.
pub(super) fn read(sql: &str) -> Result<Query, Refusal> {
    Ok(limit::unwrap_parentheses(parse(sql)?))
}

/// What Spark reads in a string literal; none for other values.
pub(super) fn text_of(value: &Value) -> Option<String> {
    if let Value::SingleQuotedString(body) = value { literal::decode(body).ok() } else { None }
}

/// The values of the string literals of a statement, as the guard reads them.
#[cfg(test)]
pub(super) fn literals(sql: &str) -> Vec<String> {
    let tokens = lexer::tokens(sql).expect("readable");
    let value = |token: TokenWithSpan| match token.token {
        Token::SingleQuotedString(body) => literal::decode(&body).ok(),
        _ => None,
    };
    tokens.into_iter().filter_map(value).collect()
}

/// Longest statement, in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// Most operators and clauses that can nest; keeps the syntax tree shallow enough for the stack of a worker thread (2 MiB).
const MAX_OPERATORS: usize = 1_000;
/// Deepest nesting that the parser follows.
const MAX_DEPTH: usize = 64;

/// Judges statements. Cheap to clone; clones share the catalog's names.
#[derive(Clone, Debug)]
pub struct Guard {
    rules: Arc<Rules>,
}

/// What the walk over a statement consults.
#[derive(Debug)]
struct Rules {
    relations: relations::Relations,
    columns: columns::Lake,
    functions: functions::Functions,
    max_rows: u64,
}

/// A statement that may be launched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The statement to launch, printed from the syntax tree. Its LIMIT is its own one if that is at most the guard's
    /// (`Model`), else the guard's plus one (`Server`), so that a further row tells of truncation.
    pub sql: String,
    /// Rows to keep: the statement's own limit or the guard's. A warehouse that gets more rows keeps these and reports truncation.
    pub max_rows: u64,
    /// Who set the limit: the statement (`Model`) or the guard (`Server`).
    pub limit_source: LimitSource,
}

/// Why a statement may not be launched, in words that a model can repair it by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// One or two sentences: what is refused, and what to write instead.
    pub reason: String,
}

impl Refusal {
    /// Keeps the reason short, however long the construct is that it quotes.
    fn new(reason: impl Into<String>) -> Self {
        const LONGEST: usize = 1_000;
        let mut reason: String = reason.into();
        if let Some((cut, _)) = reason.char_indices().nth(LONGEST) {
            reason.truncate(cut);
            reason.push('…');
        }
        Self { reason }
    }
}

impl Guard {
    /// A guard that admits the tables, views and functions of `catalog` and at most `max_rows` rows.
    #[must_use]
    pub fn new(catalog: &Catalog, max_rows: u64) -> Self {
        let (relations, functions) = (relations::Relations::new(catalog), functions::Functions::new(catalog));
        let columns = columns::Lake::new(catalog);
        Self { rules: Arc::new(Rules { relations, columns, functions, max_rows }) }
    }

    /// Admits `sql` or says why not. Pure: no I/O, and the same answer for the same statement. Admitting the admitted
    /// statement again gives it back unchanged.
    ///
    /// # Errors
    /// [`Refusal`] for whatever is not one read-only statement over the catalog's tables.
    pub fn admit(&self, sql: &str) -> Result<Admitted, Refusal> {
        let admitted = self.rules.judge(sql)?;
        match self.rules.judge(&admitted.sql) {
            Ok(again) if again == admitted => Ok(admitted),
            _ => Err(Refusal::new("The statement has a construct that cannot be passed on faithfully; write it in a simpler way.")),
        }
    }

    /// An admitted statement over several lines, for people to read. The formatter works on text, so its result is judged
    /// again: where that does not give the very statement back, the statement stays on its line.
    #[must_use]
    pub fn lay_out(&self, admitted: &Admitted) -> String {
        let options = FormatOptions {
            dialect: sqlformat::Dialect::Generic,
            max_inline_block: 80,
            max_inline_arguments: Some(100),
            ..FormatOptions::default()
        };
        let lines = sqlformat::format(&admitted.sql, &QueryParams::None, &options);
        if self.rules.judge(&lines).as_ref() == Ok(admitted) { lines } else { admitted.sql.clone() }
    }
}

impl Rules {
    fn judge(&self, sql: &str) -> Result<Admitted, Refusal> {
        let mut query = limit::unwrap_parentheses(parse(sql)?);
        if let ControlFlow::Break(refusal) = query.visit(&mut Names) {
            return Err(refusal);
        }
        self.query(&mut query, &relations::Scope::default())?;
        self.columns.check(&mut query)?;
        let (max_rows, limit_source) = limit::bound(&mut query, self.max_rows)?;
        Ok(Admitted { sql: query.to_string(), max_rows, limit_source })
    }
}

fn parse(sql: &str) -> Result<Query, Refusal> {
    if sql.len() > MAX_BYTES {
        return Err(Refusal::new(format!("The statement has {} bytes; at most {MAX_BYTES} are admitted.", sql.len())));
    }
    let mut tokens = lexer::tokens(sql)?;
    check_statement(&mut tokens)?;
    name_filter(&mut tokens);
    let mut parser = Parser::new(&dialect::Spark).with_recursion_limit(MAX_DEPTH).with_tokens_with_locations(tokens);
    let query = parser.parse_query().map_err(|error| unreadable(&error))?;
    parser.expect_token(&Token::EOF).map_err(|error| unreadable(&error))?;
    Ok(*query)
}

/// One statement, a query by its first word, and of a size that no later step can stumble over.
fn check_statement(tokens: &mut Vec<TokenWithSpan>) -> Result<(), Refusal> {
    while matches!(tokens.last(), Some(last) if last.token == Token::SemiColon) {
        tokens.pop();
    }
    if let Some(at) = tokens.iter().find(|token| token.token == Token::SemiColon) {
        return Err(Refusal::new(format!(
            "Only one statement may run; a second one starts after {}. Send a single SELECT.",
            lexer::place(at.span.start)
        )));
    }
    match tokens.iter().map(|token| &token.token).find(|token| **token != Token::LParen) {
        None => return Err(Refusal::new("The statement is empty; write a SELECT.")),
        Some(Token::Word(word)) if matches!(word.keyword, Keyword::SELECT | Keyword::WITH | Keyword::VALUES) => {}
        Some(first) => {
            return Err(Refusal::new(format!(
                "A statement that starts with {first} is refused: only a SELECT, or WITH … SELECT, may run."
            )));
        }
    }
    if tokens.iter().filter(|token| can_nest(&token.token)).count() > MAX_OPERATORS {
        return Err(Refusal::new(format!(
            "The statement has more than {MAX_OPERATORS} operators; use IN lists, joins or fewer conditions."
        )));
    }
    Ok(())
}

/// Whether a token can make the syntax tree deeper without parentheses, whose depth the parser itself bounds.
fn can_nest(token: &Token) -> bool {
    match token {
        Token::Word(word) => !matches!(
            word.keyword,
            Keyword::NoKeyword
                | Keyword::AS
                | Keyword::ASC
                | Keyword::BY
                | Keyword::CASE
                | Keyword::DESC
                | Keyword::ELSE
                | Keyword::END
                | Keyword::FROM
                | Keyword::JOIN
                | Keyword::NULL
                | Keyword::ON
                | Keyword::SELECT
                | Keyword::THEN
                | Keyword::WHEN
                | Keyword::WHERE
        ),
        Token::Comma
        | Token::LParen
        | Token::RParen
        | Token::Period
        | Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::HexStringLiteral(_) => false,
        _ => true,
    }
}

/// `count(*) filter` names a column; the parser takes the word for the start of `FILTER (WHERE …)` and loses it. In backticks
/// it reads a name.
fn name_filter(tokens: &mut [TokenWithSpan]) {
    for at in 0..tokens.len() {
        let called = tokens.get(at + 1).is_some_and(|next| next.token == Token::LParen);
        if let Some(TokenWithSpan { token: Token::Word(word), .. }) = tokens.get_mut(at)
            && word.keyword == Keyword::FILTER
            && !called
        {
            word.keyword = Keyword::NoKeyword;
            word.quote_style = Some('`');
        }
    }
}

fn unreadable(error: &ParserError) -> Refusal {
    match error {
        ParserError::RecursionLimitExceeded => {
            Refusal::new(format!("The statement nests deeper than {MAX_DEPTH} levels; use WITH or fewer parentheses."))
        }
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => {
            let message = message
                .replace("Expected: ", "expected ")
                .replace(", found: ", ", found ")
                .replace(" at Line: ", " at line ")
                .replace(", Column: ", ", column ");
            Refusal::new(format!("The statement cannot be read as Spark SQL: {}.", message.trim_end_matches('.')))
        }
    }
}

/// Quotes every name that Spark could take for a keyword, and refuses names in string quotes.
struct Names;

impl VisitorMut for Names {
    type Break = Refusal;

    fn pre_visit_ident(&mut self, ident: &mut Ident) -> ControlFlow<Refusal> {
        if !matches!(ident.quote_style, None | Some('`')) {
            let reason = format!("The name '{}' is in string quotes; write names in backticks: `{}`.", ident.value, ident.value);
            return ControlFlow::Break(Refusal::new(reason));
        }
        ident.quote_style = relations::quoted(&ident.value).quote_style;
        ControlFlow::Continue(())
    }
}
