//! Properties of whatever the guard admits, over generated statements, mutated ones, splices of the corpora and noise.
//!
//! The check is independent of the guard's own lexer and walk: the admitted text is read with sqlparser's own tokenizer and
//! Databricks dialect, and its relations are collected by sqlparser's visitor.

use std::{collections::BTreeSet, ops::ControlFlow, sync::LazyLock};

use asklake::sql::Guard;
use proptest::{collection::vec, prelude::*, sample::select};
use sqlparser::{
    ast::{Expr, LimitClause, Query, Statement, Value, Visit, Visitor, visit_relations},
    dialect::DatabricksDialect,
    parser::Parser,
    tokenizer::{Token, Tokenizer, Whitespace},
};

use crate::support::embedded::TABLES;

static GUARD: LazyLock<Guard> = LazyLock::new(super::guard);
static CORPUS: LazyLock<Vec<String>> =
    LazyLock::new(|| super::legitimate().into_iter().chain(super::hostile()).map(|entry| entry.sql).collect());

const TABLE_FUNCTIONS: [&str; 4] = ["explode", "posexplode", "range", "stack"];

/// Judges `sql` and checks every promise about an admitted statement; whether it was admitted.
fn holds(sql: &str) -> bool {
    let Ok(admitted) = GUARD.admit(sql) else { return false };
    assert_eq!(GUARD.admit(&admitted.sql).as_ref(), Ok(&admitted), "not a fixpoint: {sql}");
    let tokens = Tokenizer::new(&DatabricksDialect {}, &admitted.sql).tokenize().unwrap();
    let hidden = |token: &Token| {
        matches!(token, Token::SemiColon | Token::Whitespace(Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_)))
    };
    assert!(!tokens.iter().any(hidden), "a semicolon or comment is left: {}", admitted.sql);
    // DIV, ORDER BY ALL, INTERVAL '1 year' and samples before an alias are Spark that the stock dialect does not read.
    let Ok(statements) = Parser::parse_sql(&DatabricksDialect {}, &admitted.sql) else { return true };
    let [Statement::Query(query)] = statements.as_slice() else { panic!("not one query: {}", admitted.sql) };
    assert_relations(query, &admitted.sql);
    assert!(limit(query).is_some_and(|limit| limit <= admitted.max_rows + 1 && admitted.max_rows <= 1_000), "no limit: {}", admitted.sql);
    true
}

fn assert_relations(query: &Query, sql: &str) {
    #[derive(Default)]
    struct Ctes(BTreeSet<String>);
    impl Visitor for Ctes {
        type Break = ();
        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            self.0.extend(query.with.iter().flat_map(|with| &with.cte_tables).map(|cte| cte.alias.name.value.clone()));
            ControlFlow::Continue(())
        }
    }
    let mut ctes = Ctes::default();
    let _ = query.visit(&mut ctes);
    let _ = visit_relations(query, |relation| {
        let name = relation.to_string();
        let cte = relation.0.len() == 1 && ctes.0.contains(name.trim_matches('`'));
        assert!(TABLES.contains(&name.as_str()) || cte || TABLE_FUNCTIONS.contains(&name.to_lowercase().as_str()), "{name} in {sql}");
        ControlFlow::<()>::Continue(())
    });
}

fn limit(query: &Query) -> Option<u64> {
    let Some(LimitClause::LimitOffset { limit: Some(Expr::Value(value)), .. }) = &query.limit_clause else { return None };
    let Value::Number(digits, _) = &value.value else { return None };
    digits.parse().ok()
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec![
            r"'a'",
            r"'it''s'",
            r"'it\'s'",
            r#""x\"y""#,
            r"r'\d+'",
            r"'\\'",
            r"'--'",
            r"'/*'",
            r"';'",
            r"'${a}'",
            r"'\u0027'",
            "'`'",
            "'\u{202e}'"
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,12}".prop_map(|inner| format!("'{}'", inner.replace('\\', "\\\\").replace('\'', "\\'"))),
        "\\PC{0,6}".prop_map(|inner| format!("\"{}\"", inner.replace('\\', "\\\\").replace('"', "\\\""))),
    ]
}

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        select(vec![
            "tconst",
            "m.startYear",
            "`primaryTitle`",
            "1",
            "2.5",
            "NULL",
            "true",
            "genres[0]",
            "current_date()",
            "DATE '2020-01-01'",
            "10L"
        ])
        .prop_map(str::to_owned),
        text(),
    ];
    leaf.prop_recursive(3, 24, 3, |inner| {
        let operators = vec!["+", "-", "*", "/", "%", "=", "<>", "<=", "<=>", "AND", "OR", "||", "&"];
        prop_oneof![
            (inner.clone(), select(operators), inner.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            (select(vec!["upper", "coalesce", "concat", "count", "max", "array", "nvl2", "`LOWER`"]), vec(inner.clone(), 1..3))
                .prop_map(|(name, args)| format!("{name}({})", args.join(", "))),
            (inner.clone(), select(vec!["LIKE", "NOT LIKE", "RLIKE", "ILIKE"]), text()).prop_map(|(a, op, b)| format!("({a}) {op} {b}")),
            inner.clone().prop_map(|a| format!("({a})")),
            inner.clone().prop_map(|a| format!("- {a}")),
            inner.clone().prop_map(|a| format!("NOT ({a})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("CASE WHEN {a} THEN {b} END")),
            inner.clone().prop_map(|a| format!("CAST({a} AS STRING)")),
            inner.clone().prop_map(|a| format!("filter(genres, g -> {a})")),
            inner.clone().prop_map(|a| format!("sum({a}) OVER (PARTITION BY tconst ORDER BY {a} DESC)")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) BETWEEN ({b}) AND 3")),
            inner.clone().prop_map(|a| format!("({a}) IN (SELECT tconst FROM imdb.ratings_delta)")),
            inner.prop_map(|a| format!("({a}) IS NOT NULL")),
        ]
    })
}

fn query() -> impl Strategy<Value = String> {
    let table = select(vec!["imdb.movies_delta", "IMDB.Movies_Delta", "ratings_delta", "`imdb`.`movie_cast`", "imdb.movies_with_ratings"]);
    let plain =
        (vec(expression(), 1..3), table, proptest::option::of(expression()), 0_u8..6).prop_map(|(items, table, condition, shape)| {
            let condition = condition.map(|condition| format!(" WHERE {condition}")).unwrap_or_default();
            let rest = match shape {
                0 => " LIMIT 5",
                1 => " ORDER BY 1 DESC NULLS LAST LIMIT 5000",
                2 => " GROUP BY 1 HAVING count(*) > 1",
                3 => " LIMIT ALL",
                _ => "",
            };
            format!("SELECT {} FROM {table} m{condition}{rest}", items.join(", "))
        });
    plain.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|q| format!("SELECT * FROM ({q}) AS `order`")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) UNION ALL ({b})")),
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| format!("WITH Films AS ({a}), u AS ({b}) SELECT * FROM films JOIN U ON 1 < 2")),
            inner.clone().prop_map(|q| format!("SELECT 1 WHERE EXISTS ({q})")),
            inner.prop_map(|q| format!("({q})")),
        ]
    })
}

/// What attackers and careless writers put into statements.
fn fragment() -> impl Strategy<Value = String> {
    let fixed = vec![
        "; DROP TABLE imdb.movies_delta",
        "--",
        "-- x\n",
        "/*",
        "*/",
        "/* /* */",
        "/*+ BROADCAST(m) */",
        "'",
        "\"",
        "`",
        "\\",
        "\\'",
        "''",
        "parquet.`/etc/x`",
        " UNION SELECT * FROM text.`/x` ",
        " FROM secrets.keys ",
        ", secrets.keys",
        " JOIN csv.`/x` ",
        "${env:HOME}",
        ":x",
        "?",
        "@v1",
        " VERSION AS OF 1 ",
        " INTO t ",
        " FOR UPDATE ",
        "read_files('/x')",
        "reflect('a')",
        " LIMIT 9999999 ",
        " LIMIT 5 ",
        ";",
        "\0",
        "\u{200b}",
        "\u{202e}",
        "\u{a0}",
        "\u{ff07}",
        "r'",
        "x'",
        "N'",
        " AS ",
        " USING 'cat' ",
        "(",
        ")",
        " WITH a AS (DELETE FROM t) ",
        "IDENTIFIER('a')",
        "|>",
        "$$",
        " TABLE ",
        " LATERAL VIEW explode(genres) t AS ",
        " DIV ",
        " - -",
        "::int",
        "-",
        " x ",
        " VALUES (1) ",
        " . ",
        "1.",
        "{",
        " order ",
        " `parquet` ",
        " ORDER BY ALL ",
        "'a' 'b'",
        " EXCEPT ",
        " INTERVAL '1 year' ",
    ];
    prop_oneof![4 => select(fixed).prop_map(str::to_owned), 1 => "\\PC{1,4}", 1 => any::<char>().prop_map(String::from)]
}

/// Cuts the statement at a character and puts something between, after leaving out some characters.
fn spliced(sql: &str, at: usize, without: usize, between: &str) -> String {
    let chars: Vec<char> = sql.chars().collect();
    let at = at % (chars.len() + 1);
    let rest = (at + without).min(chars.len());
    chars[..at].iter().copied().chain(between.chars()).chain(chars[rest..].iter().copied()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn generated_queries_are_admitted_and_keep_every_promise(sql in query()) {
        prop_assert!(holds(&sql), "refused: {}\n{:?}", sql, GUARD.admit(&sql).err());
    }

    #[test]
    fn mutated_queries_keep_every_promise_or_are_refused(sql in query(), cuts in vec((any::<usize>(), 0_usize..4, fragment()), 1..4)) {
        holds(&cuts.iter().fold(sql, |sql, (at, without, between)| spliced(&sql, *at, *without, between)));
    }

    #[test]
    fn splices_of_the_corpora_keep_every_promise_or_are_refused(
        a in any::<usize>(), b in any::<usize>(), from in any::<usize>(), length in 1_usize..40, at in any::<usize>(), without in 0_usize..20,
    ) {
        let (host, guest) = (&CORPUS[a % CORPUS.len()], &CORPUS[b % CORPUS.len()]);
        let start = from % guest.chars().count().max(1);
        let piece: String = guest.chars().skip(start).take(length).collect();
        holds(&spliced(host, at, without, &piece));
    }

    #[test]
    fn mutated_entries_of_the_corpora_keep_every_promise_or_are_refused(
        entry in any::<usize>(), cuts in vec((any::<usize>(), 0_usize..3, fragment()), 1..3),
    ) {
        let sql = CORPUS[entry % CORPUS.len()].clone();
        holds(&cuts.iter().fold(sql, |sql, (at, without, between)| spliced(&sql, *at, *without, between)));
    }

    #[test]
    fn noise_is_never_a_panic(noise in "\\PC{0,80}", tail in vec(any::<char>(), 0..20)) {
        holds(&noise);
        holds(&format!("SELECT {noise}"));
        holds(&tail.iter().collect::<String>());
        holds(&format!("SELECT '{}'", tail.iter().collect::<String>()));
    }
}

/// A mutation that is refused every time would make the properties above empty.
#[test]
fn a_fair_share_of_the_mutated_entries_is_admitted() {
    let admitted = CORPUS.iter().filter(|sql| holds(&spliced(sql, 7, 0, " /* c */ "))).count();
    assert!(admitted > 150, "only {admitted}");
}
