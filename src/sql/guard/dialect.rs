//! sqlparser's Databricks dialect, put right where Spark differs: DIV, EXISTS, ORDER BY ALL, `INTERVAL '1 year'`; without the forms that
//! the guard refuses anyway and that would only cost the parser time (pipes, FROM before SELECT, OPTIMIZE, table versions).

use std::any::TypeId;

use sqlparser::{
    ast::{BinaryOperator, Expr},
    dialect::{DatabricksDialect, Dialect, Precedence},
    keywords::Keyword,
    parser::{Parser, ParserError},
    tokenizer::Token,
};

/// Spark SQL as far as it can be admitted.
#[derive(Debug)]
pub(super) struct Spark;

impl Dialect for Spark {
    /// The parser asks for this where it knows Databricks by name.
    fn dialect(&self) -> TypeId {
        TypeId::of::<DatabricksDialect>()
    }

    fn is_delimited_identifier_start(&self, found: char) -> bool {
        DatabricksDialect.is_delimited_identifier_start(found)
    }

    fn is_identifier_start(&self, found: char) -> bool {
        DatabricksDialect.is_identifier_start(found)
    }

    fn is_identifier_part(&self, found: char) -> bool {
        DatabricksDialect.is_identifier_part(found)
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn supports_group_by_with_modifier(&self) -> bool {
        true
    }

    fn supports_order_by_all(&self) -> bool {
        true
    }

    fn supports_lambda_functions(&self) -> bool {
        true
    }

    fn supports_select_wildcard_except(&self) -> bool {
        true
    }

    fn supports_select_item_multi_column_alias(&self) -> bool {
        true
    }

    fn supports_struct_literal(&self) -> bool {
        true
    }

    fn supports_map_literal_with_angle_brackets(&self) -> bool {
        true
    }

    fn supports_values_as_table_factor(&self) -> bool {
        true
    }

    fn supports_table_sample_before_alias(&self) -> bool {
        true
    }

    fn supports_cte_without_as(&self) -> bool {
        true
    }

    fn supports_bitwise_shift_operators(&self) -> bool {
        true
    }

    fn supports_bang_not_operator(&self) -> bool {
        true
    }

    /// `exists(array, x -> …)` is a function and read as such; a subquery may stand in further parentheses.
    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        if !is_keyword(&parser.peek_token_ref().token, &[Keyword::EXISTS]) || parser.peek_nth_token_ref(1).token != Token::LParen {
            return None;
        }
        let inner = (2..).map(|ahead| &parser.peek_nth_token_ref(ahead).token).find(|token| **token != Token::LParen)?;
        if !is_keyword(inner, &[Keyword::SELECT, Keyword::WITH, Keyword::VALUES]) {
            return None;
        }
        parser.advance_token();
        Some(parser.parse_exists_expr(false))
    }

    /// `a DIV b`, as tight as `*`.
    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        is_keyword(&parser.peek_token_ref().token, &[Keyword::DIV]).then(|| Ok(self.prec_value(Precedence::MulDivModOp)))
    }

    fn parse_infix(&self, parser: &mut Parser, left: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        if !is_keyword(&parser.peek_token_ref().token, &[Keyword::DIV]) {
            return None;
        }
        parser.advance_token();
        let operation = parser.parse_subexpr(precedence).map(|right| Expr::BinaryOp {
            left: Box::new(left.clone()),
            op: BinaryOperator::MyIntegerDivide,
            right: Box::new(right),
        });
        Some(operation)
    }
}

fn is_keyword(token: &Token, keywords: &[Keyword]) -> bool {
    matches!(token, Token::Word(word) if keywords.contains(&word.keyword))
}
