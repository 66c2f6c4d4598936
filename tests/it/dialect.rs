//! Which Spark SQL runs on the local Sail as it does on Databricks: every construct below is run and its value compared with the one
//! that Spark's documentation gives. `docs/spark-sql.md` is this test's output; `UPDATE_DOCS=1` writes it anew.

use std::{fmt::Write as _, fs, process::Command, sync::Arc};

use asklake::{
    conversation::{ResultSet, RunId},
    warehouse::{RunState, sail::Sail},
};
use serde_json::Value;

use crate::{contract::warehouse::Fixture, lake};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/spark-sql.md");

/// A construct, a statement that uses it, and its value in Spark as JSON: a cell, the cells of one column, or rows.
type Construct = (&'static str, &'static str, &'static str);

const SECTIONS: [(&str, &[Construct]); 9] = [
    ("Selecting", SELECTING),
    ("Joins and set operations", JOINING),
    ("Grouping", GROUPING),
    ("Windows", WINDOWS),
    ("Arrays, maps, structs", NESTED),
    ("Strings", STRINGS),
    ("Dates and times", DATES),
    ("Numbers and types", NUMBERS),
    ("Statements and metadata", STATEMENTS),
];

const SELECTING: &[Construct] = &[
    ("WITH", "WITH t AS (SELECT 1 AS x), u AS (SELECT x + 1 AS y FROM t) SELECT y FROM u", "2"),
    ("WITH RECURSIVE", "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 4) SELECT sum(n) FROM t", "10"),
    ("VALUES as a table", "SELECT sum(a) FROM VALUES (1, 'x'), (2, 'y') AS t(a, b)", "3"),
    ("range table function", "SELECT sum(id) FROM range(1, 5)", "10"),
    ("scalar subquery", "SELECT (SELECT max(id) FROM range(4))", "3"),
    ("correlated EXISTS", "SELECT count(*) FROM range(5) a WHERE EXISTS (SELECT 1 FROM range(2) b WHERE b.id = a.id)", "2"),
    ("IN (subquery)", "SELECT count(*) FROM range(5) WHERE id IN (SELECT id FROM range(3))", "3"),
    ("LIMIT with OFFSET", "SELECT id FROM range(10) ORDER BY id LIMIT 2 OFFSET 3", "[3,4]"),
    ("ORDER BY … NULLS LAST", "SELECT x FROM VALUES (2), (NULL), (1) AS t(x) ORDER BY x NULLS LAST", "[1,2,null]"),
    ("NULLs first by default", "SELECT x FROM VALUES (2), (NULL), (1) AS t(x) ORDER BY x", "[null,1,2]"),
    ("ORDER BY ALL", "SELECT x FROM VALUES (2), (1) AS t(x) ORDER BY ALL", "[1,2]"),
    ("column alias used later in SELECT", "SELECT 1 AS a, a + 1 AS b", "[[1,2]]"),
    ("* EXCEPT", "SELECT * EXCEPT (b) FROM VALUES (1, 2) AS t(a, b)", "1"),
    ("hints", "SELECT /*+ BROADCAST(b) */ count(*) FROM range(3) a JOIN range(2) b ON a.id = b.id", "2"),
    ("column names in any case", "SELECT PRIMARYTITLE FROM lake.films WHERE tconst = 'tt1'", "\"Metropolis\""),
    ("table names in any case", "SELECT count(*) FROM LAKE.Films", "3"),
    ("TABLESAMPLE", "SELECT count(*) FROM range(10) TABLESAMPLE (100 PERCENT)", "10"),
    ("PIVOT", "SELECT a, b FROM (SELECT 'a' AS k, 1 AS v UNION ALL SELECT 'b', 2) PIVOT (sum(v) FOR k IN ('a', 'b'))", "[[1,2]]"),
    ("UNPIVOT", "SELECT k, v FROM (SELECT 1 AS a, 2 AS b) UNPIVOT (v FOR k IN (a, b)) ORDER BY k", "[[\"a\",1],[\"b\",2]]"),
    ("pipe syntax |>", "FROM range(4) |> WHERE id > 1 |> AGGREGATE count(*) AS n", "2"),
];

const JOINING: &[Construct] = &[
    ("LEFT SEMI JOIN", "SELECT count(*) FROM range(5) a LEFT SEMI JOIN range(2) b ON a.id = b.id", "2"),
    ("LEFT ANTI JOIN", "SELECT count(*) FROM range(5) a LEFT ANTI JOIN range(2) b ON a.id = b.id", "3"),
    ("FULL OUTER JOIN … USING", "SELECT count(*) FROM range(3) a FULL OUTER JOIN range(2, 5) b USING (id)", "5"),
    ("NATURAL JOIN", "SELECT count(*) FROM range(3) a NATURAL JOIN range(2) b", "2"),
    ("null-safe <=>", "SELECT NULL <=> NULL", "true"),
    ("LATERAL subquery", "SELECT y FROM VALUES (2) AS t(x), LATERAL (SELECT x * 10 AS y)", "20"),
    (
        "UNION, INTERSECT, EXCEPT",
        "SELECT count(*) FROM ((SELECT id FROM range(5) INTERSECT SELECT id FROM range(3)) EXCEPT SELECT 0L)",
        "2",
    ),
];

const GROUPING: &[Construct] = &[
    ("GROUP BY position", "SELECT id % 2, count(*) FROM range(5) GROUP BY 1 ORDER BY 1", "[[0,3],[1,2]]"),
    ("GROUP BY alias", "SELECT id % 2 AS odd, count(*) FROM range(5) GROUP BY odd ORDER BY odd", "[[0,3],[1,2]]"),
    ("GROUP BY ALL", "SELECT id % 2 AS odd, count(*) FROM range(5) GROUP BY ALL ORDER BY odd", "[[0,3],[1,2]]"),
    ("HAVING", "SELECT id % 2 AS odd FROM range(5) GROUP BY odd HAVING count(*) > 2", "0"),
    ("ROLLUP", "SELECT a, sum(b) FROM VALUES (1, 2), (3, 4) AS t(a, b) GROUP BY ROLLUP (a) ORDER BY a", "[[null,6],[1,2],[3,4]]"),
    ("GROUPING SETS", "SELECT count(*) FROM (SELECT a, b FROM VALUES (1, 2) AS t(a, b) GROUP BY GROUPING SETS ((a), (b), ()))", "3"),
    ("FILTER (WHERE …)", "SELECT count(*) FILTER (WHERE id > 2) FROM range(5)", "2"),
    ("count_if", "SELECT count_if(id > 2) FROM range(5)", "2"),
    ("max_by", "SELECT max_by(x, y) FROM VALUES ('a', 10), ('b', 50), ('c', 20) AS t(x, y)", "\"b\""),
    ("collect_list", "SELECT sort_array(collect_list(id)) FROM range(3)", "[[0,1,2]]"),
    ("collect_set", "SELECT size(collect_set(id % 2)) FROM range(5)", "2"),
    ("approx_count_distinct", "SELECT approx_count_distinct(id % 3) FROM range(9)", "3"),
    ("percentile", "SELECT percentile(x, 0.3) FROM VALUES (0), (10) AS t(x)", "3.0"),
    ("percentile_approx", "SELECT percentile_approx(x, 0.5) FROM VALUES (0), (1), (2), (10) AS t(x)", "1"),
    (
        "percentile_approx of an array",
        "SELECT percentile_approx(x, array(0.5, 0.4, 0.1), 100) FROM VALUES (0), (1), (2), (10) AS t(x)",
        "[[1,1,0]]",
    ),
    ("percentile_approx between two values", "SELECT percentile_approx(x, 0.5) FROM VALUES (0), (10) AS t(x)", "0"),
    ("median", "SELECT median(x) FROM VALUES (0), (10) AS t(x)", "5.0"),
    ("mode", "SELECT mode(x) FROM VALUES (0), (10), (10) AS t(x)", "10"),
    ("any_value, first, last", "SELECT any_value(x) FROM VALUES (7), (7) AS t(x)", "7"),
    ("stddev", "SELECT stddev(x) FROM VALUES (1), (2), (3) AS t(x)", "1.0"),
    ("corr", "SELECT round(corr(a, b), 4) FROM VALUES (3, 2), (3, 3), (6, 4) AS t(a, b)", "0.866"),
    (
        "histogram_numeric",
        "SELECT histogram_numeric(x, 5) FROM VALUES (0), (1), (2), (10) AS t(x)",
        "[[{\"x\":0,\"y\":1.0},{\"x\":1,\"y\":1.0},{\"x\":2,\"y\":1.0},{\"x\":10,\"y\":1.0}]]",
    ),
    ("listagg", "SELECT listagg(x, ',') FROM VALUES ('a'), ('b'), ('c') AS t(x)", "\"a,b,c\""),
];

const WINDOWS: &[Construct] = &[
    ("row_number() OVER", "SELECT row_number() OVER (ORDER BY id DESC) FROM range(3) ORDER BY 1", "[1,2,3]"),
    ("rank and PARTITION BY", "SELECT max(r) FROM (SELECT rank() OVER (PARTITION BY id % 2 ORDER BY id) AS r FROM range(5))", "3"),
    ("lag", "SELECT lag(id) OVER (ORDER BY id) FROM range(3) ORDER BY 1", "[null,0,1]"),
    ("ntile", "SELECT ntile(2) OVER (ORDER BY id) FROM range(4) ORDER BY 1", "[1,1,2,2]"),
    ("ROWS BETWEEN", "SELECT sum(id) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM range(4) ORDER BY 1", "[0,1,3,5]"),
    ("named WINDOW", "SELECT sum(id) OVER w FROM range(3) WINDOW w AS (ORDER BY id) ORDER BY 1", "[0,1,3]"),
    ("QUALIFY", "SELECT id FROM range(5) QUALIFY row_number() OVER (ORDER BY id DESC) = 1", "4"),
];

const NESTED: &[Construct] = &[
    ("explode", "SELECT explode(array(10, 20))", "[10,20]"),
    ("posexplode", "SELECT posexplode(array('a', 'b'))", "[[0,\"a\"],[1,\"b\"]]"),
    ("LATERAL VIEW explode", "SELECT count(*) FROM lake.films LATERAL VIEW explode(genres) g AS genre", "4"),
    ("LATERAL VIEW OUTER", "SELECT count(*) FROM lake.films LATERAL VIEW OUTER explode(genres) g AS genre", "5"),
    ("array_contains", "SELECT count(*) FROM lake.films WHERE array_contains(genres, 'Drama')", "1"),
    ("element_at and [ ]", "SELECT element_at(array(1, 2, 3), 2) + array(1, 2, 3)[0]", "3"),
    ("higher-order filter", "SELECT filter(array(1, 2, 3), x -> x % 2 = 1)", "[[1,3]]"),
    ("higher-order transform", "SELECT transform(array(1, 2, 3), x -> x + 1)", "[[2,3,4]]"),
    ("higher-order exists", "SELECT exists(array(1, 2, 3), x -> x % 2 = 0)", "true"),
    ("aggregate over an array", "SELECT aggregate(array(1, 2, 3), 0, (acc, x) -> acc + x)", "6"),
    ("array_sort", "SELECT array_sort(array(3, 1, 2))", "[[1,2,3]]"),
    ("array_join", "SELECT array_join(array('a', NULL, 'b'), ', ', '?')", "\"a, ?, b\""),
    ("arrays_overlap", "SELECT arrays_overlap(array(1, 2), array(2, 3))", "true"),
    ("flatten", "SELECT flatten(array(array(1, 2), array(3)))", "[[1,2,3]]"),
    ("sequence", "SELECT sequence(1, 3)", "[[1,2,3]]"),
    ("map and map_keys", "SELECT map_keys(map(1, 'a', 2, 'b'))", "[[1,2]]"),
    ("named_struct and field access", "SELECT named_struct('a', 1, 'b', 2).b", "2"),
    ("inline", "SELECT count(*) FROM (SELECT inline(array(struct(1, 'a'), struct(2, 'b'))))", "2"),
    ("stack", "SELECT stack(2, 1, 2, 3, 4)", "[[1,2],[3,4]]"),
    ("from_json", "SELECT from_json('{\"a\":1, \"b\":0.8}', 'a INT, b DOUBLE').a", "1"),
    ("get_json_object", "SELECT get_json_object('{\"a\":\"b\"}', '$.a')", "\"b\""),
    ("JSON path a:b", "SELECT parse_json('{\"a\": 5}'):a::INT", "5"),
];

const STRINGS: &[Construct] = &[
    ("concat and ||", "SELECT concat('Spark', 'SQL') || '!'", "\"SparkSQL!\""),
    ("LIKE", "SELECT 'Spark' LIKE '_park'", "true"),
    ("ILIKE", "SELECT 'Spark' ILIKE '_PARK'", "true"),
    ("LIKE ANY", "SELECT 'Spark' LIKE ANY ('x%', 'S%')", "true"),
    ("RLIKE", "SELECT 'Spark SQL' RLIKE '^S.*L$'", "true"),
    (
        "contains, startswith, endswith",
        "SELECT contains('Spark SQL', 'Spark') AND startswith('Spark', 'Sp') AND endswith('Spark', 'rk')",
        "true",
    ),
    ("regexp_extract", "SELECT regexp_extract('100-200', '(\\\\d+)-(\\\\d+)', 1)", "\"100\""),
    ("regexp_replace", "SELECT regexp_replace('100-200', '(\\\\d+)', 'num')", "\"num-num\""),
    ("split", "SELECT split('oneAtwoBthreeC', '[ABC]')", "[[\"one\",\"two\",\"three\",\"\"]]"),
    ("substring_index", "SELECT substring_index('www.apache.org', '.', 2)", "\"www.apache\""),
    ("initcap", "SELECT initcap('sPark sql')", "\"Spark Sql\""),
    ("lpad", "SELECT lpad('hi', 5, '??')", "\"???hi\""),
    ("levenshtein", "SELECT levenshtein('kitten', 'sitting')", "3"),
    ("soundex", "SELECT soundex('Miller')", "\"M460\""),
    ("translate", "SELECT translate('AaBbCc', 'abc', '123')", "\"A1B2C3\""),
    ("format_string", "SELECT format_string('%d of %s', 3, 'x')", "\"3 of x\""),
    ("format_number", "SELECT format_number(12332.123456, 4)", "\"12,332.1235\""),
    ("double-quoted string", "SELECT \"text\"", "\"text\""),
];

const DATES: &[Construct] = &[
    ("date_format", "SELECT date_format(DATE'2016-04-08', 'y/MM')", "\"2016/04\""),
    ("to_date with a pattern", "SELECT to_date('2016-12-31', 'yyyy-MM-dd')", "\"2016-12-31\""),
    ("date_trunc", "SELECT date_trunc('MONTH', TIMESTAMP'2015-03-05 09:32:05')", "\"2015-03-01T00:00:00Z\""),
    ("date_add and datediff", "SELECT datediff(date_add(DATE'2016-07-30', 1), DATE'2016-07-30')", "1"),
    ("add_months", "SELECT add_months(DATE'2016-08-31', 1)", "\"2016-09-30\""),
    ("months_between", "SELECT months_between('1997-02-28 10:30:00', '1996-10-30')", "3.94959677"),
    ("extract", "SELECT extract(YEAR FROM TIMESTAMP'2019-08-12 01:00:00.123456')", "2019"),
    (
        "quarter, dayofweek, weekofyear",
        "SELECT quarter(DATE'2016-08-31'), dayofweek(DATE'2009-07-30'), weekofyear(DATE'2008-02-20')",
        "[[3,5,8]]",
    ),
    ("last_day, next_day", "SELECT last_day(DATE'2009-01-12'), next_day(DATE'2015-01-14', 'TU')", "[[\"2009-01-31\",\"2015-01-20\"]]"),
    ("INTERVAL arithmetic", "SELECT DATE'2024-01-31' + INTERVAL 1 DAY", "\"2024-02-01\""),
    ("unix_timestamp", "SELECT unix_timestamp('2016-04-08', 'yyyy-MM-dd')", "1460073600"),
    ("from_unixtime", "SELECT from_unixtime(0, 'yyyy-MM-dd HH:mm:ss')", "\"1970-01-01 00:00:00\""),
    ("make_date", "SELECT make_date(2013, 7, 15)", "\"2013-07-15\""),
    ("timestampdiff", "SELECT timestampdiff(MONTH, TIMESTAMP'2021-02-28 12:00:00', TIMESTAMP'2021-03-28 12:00:00')", "1"),
    ("session time zone is UTC", "SELECT current_timezone() IN ('UTC', 'Etc/UTC')", "true"),
];

const NUMBERS: &[Construct] = &[
    ("/ divides as double", "SELECT 1 / 2", "0.5"),
    ("DIV and %", "SELECT 7 DIV 2, -7 % 3", "[[3,-1]]"),
    ("pmod", "SELECT pmod(-10, 3)", "2"),
    ("round half up", "SELECT round(2.5, 0), round(-2.5, 0)", "[[3,-3]]"),
    ("bround half even", "SELECT bround(2.5, 0)", "2"),
    ("division by zero is an error", "SELECT count(*) FROM VALUES (1) AS t(x) WHERE 1 / (x - 1) = 1", "error"),
    ("try_divide", "SELECT try_divide(3, 0)", "null"),
    ("bad CAST is an error", "SELECT CAST(x AS INT) FROM VALUES ('a') AS t(x)", "error"),
    ("try_cast", "SELECT try_cast('a' AS INT)", "null"),
    ("CAST with ::", "SELECT '12'::INT", "12"),
    ("IF, COALESCE, NVL2, NULLIF", "SELECT if(1 < 2, coalesce(NULL, 'a'), nvl2(NULL, 1, 2))", "\"a\""),
    ("CASE", "SELECT CASE 2 WHEN 1 THEN 'one' WHEN 2 THEN 'two' END", "\"two\""),
    ("decode", "SELECT decode(2, 1, 'Southlake', 2, 'San Francisco', 'Non domestic')", "\"San Francisco\""),
    ("greatest, least", "SELECT greatest(10, 9, 2, 4, 3) - least(10, 9, 2, 4, 3)", "8"),
    ("width_bucket", "SELECT width_bucket(5.3, 0.2, 10.6, 5)", "3"),
    ("decimal literals stay exact", "SELECT 0.1 + 0.2 = 0.3", "true"),
    ("conv, hex", "SELECT conv('100', 2, 10), hex(17)", "[[\"4\",\"11\"]]"),
    ("md5", "SELECT md5('Spark')", "\"8cde774d6f7333752ed72cacddb05126\""),
    ("bit_count", "SELECT bit_count(7)", "3"),
];

const STATEMENTS: &[Construct] = &[
    (
        "DESCRIBE TABLE",
        "DESCRIBE TABLE lake.films",
        "[[\"tconst\",\"string\",null],[\"primaryTitle\",\"string\",null],[\"startYear\",\"int\",null],[\"genres\",\"array<string>\",null]]",
    ),
    ("information_schema", "SELECT 1 FROM VALUES (1) WHERE EXISTS (SELECT 1 FROM information_schema.tables)", "1"),
    ("ai_query and other AI functions", "SELECT ai_gen('Say a')", "\"a\""),
    ("http_request", "SELECT http_request(CONN => 'c', METHOD => 'GET', PATH => '/')", "\"ok\""),
    ("IDENTIFIER clause", "SELECT count(*) FROM IDENTIFIER('lake.films')", "3"),
    ("functions of Databricks only", "SELECT is_account_group_member('admins')", "false"),
];

fn shape(result: &ResultSet) -> Value {
    match (result.rows.as_slice(), result.columns.len()) {
        ([row], 1) if !row[0].is_array() => row[0].clone(),
        (rows, 1) => rows.iter().map(|row| row[0].clone()).collect(),
        (rows, _) => rows.iter().map(|row| Value::Array(row.clone())).collect(),
    }
}

/// Equal as values: 1 and 1.0 are.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b))),
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}

/// What Sail makes of a construct.
enum Verdict {
    Same,
    OtherValue(String),
    Error(String),
}

async fn judge(fixture: &Fixture, (_, sql, expected): &Construct) -> Verdict {
    match (fixture.run(sql, 20).await, *expected) {
        (RunState::Failed(_), "error") => Verdict::Same,
        (RunState::Failed(message), _) => Verdict::Error(first_line(&message)),
        (RunState::Succeeded(result), "error") => Verdict::OtherValue(format!("gives {}, Spark an error", shape(&result))),
        (RunState::Succeeded(result), expected) => {
            let expected: Value = serde_json::from_str(expected).unwrap_or_else(|error| panic!("{expected}: {error}"));
            let value = shape(&result);
            if same(&value, &expected) { Verdict::Same } else { Verdict::OtherValue(format!("gives {value}, Spark gives {expected}")) }
        }
        (other, _) => panic!("{sql}: {other:?}"),
    }
}

fn first_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    match line.char_indices().nth(110) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// For a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn version() -> String {
    let output = Command::new(lake::sail_binary()).arg("--version").output().expect("sail --version");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

async fn document(fixture: &Fixture) -> String {
    let mut tables = String::new();
    let (mut same, mut other, mut errors) = (0, 0, 0);
    for (section, constructs) in SECTIONS {
        let _ = write!(tables, "\n## {section}\n\n| Construct | Example | Runs locally | Otherwise |\n| --- | --- | --- | --- |\n");
        for construct in constructs {
            let (name, sql, _) = construct;
            let (verdict, remark) = match judge(fixture, construct).await {
                Verdict::Same => ("yes", String::new()),
                Verdict::OtherValue(remark) => ("**other value**", remark),
                Verdict::Error(remark) => ("only on Databricks", remark),
            };
            let count = match verdict {
                "yes" => &mut same,
                "only on Databricks" => &mut errors,
                _ => &mut other,
            };
            *count += 1;
            let _ = writeln!(tables, "| {} | `{}` | {verdict} | {} |", cell(name), cell(sql), cell(&remark));
        }
    }
    format!(
        "# Spark SQL: local and on Databricks\n\n\
         Without Databricks, queries run on {}, a Spark SQL engine that is not Spark. Of the {} constructs below, {same} run there with the\n\
         value that Spark's documentation gives, {errors} end with an error (last column) and so need Databricks, and {other} run with another value.\n\n\
         This file is written by a test that runs every example: `UPDATE_DOCS=1 cargo test --test it dialect`.\n\
         {tables}",
        version(),
        same + errors + other,
    )
}

#[tokio::test]
async fn docs_tell_which_spark_sql_runs_locally() {
    let lake = lake::write();
    let sail = Sail::new(lake::config(&lake), &lake::catalog());
    let fixture = Fixture { warehouse: Arc::new(sail), unknown_run: RunId::Number(0) };
    let document = document(&fixture).await;
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(DOCUMENT, &document).expect("write the document");
    }
    let written = fs::read_to_string(DOCUMENT).unwrap_or_default();
    let stale = document.lines().zip(written.lines()).find(|(now, then)| now != then);
    assert!(written == document, "docs/spark-sql.md is out of date, UPDATE_DOCS=1 writes it anew; first difference: {stale:?}");
}
