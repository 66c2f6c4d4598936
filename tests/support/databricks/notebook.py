"""Runs deploy/databricks/query.py with stand-ins for spark and dbutils: its guard, its cells, its limits, its exits."""

import datetime
import decimal
import json
import pathlib
import sys


class Exit(Exception):
    """dbutils.notebook.exit does not return."""


class Dbutils:
    def __init__(self, parameters):
        self.parameters, self.widgets, self.notebook = parameters, self, self

    def text(self, name, default):
        self.parameters.setdefault(name, default)

    def get(self, name):
        return self.parameters[name]

    def exit(self, value):
        raise Exit(value)


class Type:
    def __init__(self, text, **more):
        self.text = text
        self.__dict__.update(more)

    def simpleString(self):
        return self.text


def kind(name, text, **more):
    return type(name, (Type,), {})(text, **more)


class Field:
    def __init__(self, name, data_type):
        self.name, self.dataType = name, data_type


class Frame:
    def __init__(self, fields, rows):
        self.schema, self.rows = kind("StructType", "struct", fields=fields), rows

    def take(self, most):
        return self.rows[:most]


class Spark:
    def __init__(self, answer):
        self.answer, self.conf, self.catalog, self.seen = answer, self, self, []

    def set(self, name, value):
        self.seen.append((name, value))

    def setCurrentCatalog(self, name):
        self.seen.append(name)

    def sql(self, text, args=None):
        self.seen.append(text if args is None else (text, args))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


notebook = compile(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"), sys.argv[1], "exec")


def run(sql, answer, **parameters):
    spark = Spark(answer)
    try:
        exec(notebook, {"spark": spark, "dbutils": Dbutils({"sql_text": sql, **parameters})})
    except Exit as end:
        return json.loads(end.args[0]), spark.seen
    raise AssertionError("the notebook did not exit")


STRING, INT = kind("StringType", "string"), kind("IntegerType", "int")
ONE = Frame([Field("n", INT)], [(1,)])

# One query passes, and what it says in quotes and comments does not matter.
for sql in (
    "SELECT 1",
    " (SELECT 1); ",
    "/* asklake max_rows=5 */ WITH a AS (SELECT 1) SELECT * FROM a -- drop it;",
    "SELECT 'it''s; drop table x', \"insert into\", 'back\\'slash; delete', `update`, `a``;b` FROM t",
    "SELECT t.insert_date, replace(a, 'x', 'y') FROM t",
    "SELECT r'\\', R\"drop table\" FROM t",
    "values (1)",
):
    answer, seen = run(sql, ONE)
    assert answer == {"columns": [{"name": "n", "type": "int"}], "rows": [[1]], "truncated": False}, (sql, answer)
    assert seen[-1] == sql, seen

# Anything else does not reach Spark.
for sql in (
    "",
    "-- nothing",
    "DROP TABLE t",
    "SELECT 1; DELETE FROM t",
    "WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a",
    "WITH a AS (SELECT 1) MERGE INTO t USING a ON true WHEN MATCHED THEN DELETE",
    "FROM a INSERT INTO t SELECT 1",
    "SELECT java_method('java.lang.System', 'exit', 0)",
    "SELECT ai_query('m', x) FROM t",
    "SELECT * FROM read_files('/secrets')",
    "SELECT secret ('scope', 'key')",
    "SELECT * FROM parquet.`/mnt/x`",
    "SELECT '\\'; DROP TABLE t; --'; DROP TABLE t",
    "WITH a AS (SELECT r'\\' AS x) INSERT INTO t SELECT 1 -- '",
    "WITH a AS (SELECT 1) -- \rINSERT INTO t SELECT 1",
    "SET x = 1",
    "EXPLAIN SELECT 1",
):
    answer, seen = run(sql, ONE)
    assert answer["error_type"] == "Refused" and not seen, (sql, answer, seen)

# Cells.
point = kind("StructType", "struct<x:int,y:array<int>>", fields=[Field("x", INT), Field("y", kind("ArrayType", "array<int>", elementType=INT))])
cells = [
    (kind("BooleanType", "boolean"), True, True),
    (kind("LongType", "bigint"), 2**60, 2**60),
    (kind("FloatType", "float"), 0.10000000149011612, 0.1),
    (kind("DoubleType", "double"), float("nan"), "NaN"),
    (kind("DoubleType", "double"), float("-inf"), "-Infinity"),
    (kind("DecimalType", "decimal(20,2)"), decimal.Decimal("1E+3"), "1000"),
    (kind("DateType", "date"), datetime.date(2001, 4, 25), "2001-04-25"),
    (kind("TimestampType", "timestamp"), datetime.datetime(2001, 4, 25, 10, 11, 12, tzinfo=datetime.timezone.utc), "2001-04-25T10:11:12Z"),
    (kind("TimestampNTZType", "timestamp_ntz"), datetime.datetime(2001, 4, 25, 10, 11, 12), "2001-04-25T10:11:12"),
    (kind("BinaryType", "binary"), bytearray(b"\x00\xff"), "AP8="),
    (kind("MapType", "map<int,string>", keyType=INT, valueType=STRING), {1: "one"}, {"1": "one"}),
    (point, (1, [2, None]), {"x": 1, "y": [2, None]}),
    (STRING, "Amélie", "Amélie"),
    (STRING, None, None),
    (kind("DayTimeIntervalType", "interval day to second"), datetime.timedelta(days=1), "1 day, 0:00:00"),
]
answer, _ = run("SELECT 1", Frame([Field(f"c{n}", t) for n, (t, _, _) in enumerate(cells)], [tuple(v for _, v, _ in cells)]))
assert answer["rows"] == [[expected for _, _, expected in cells]], answer
assert [column["type"] for column in answer["columns"]] == [t.text for t, _, _ in cells], answer

# Limits, by rows and by bytes.
answer, _ = run("SELECT 1", Frame([Field("n", INT)], [(n,) for n in range(20_000)]))
assert (len(answer["rows"]), answer["truncated"]) == (10_001, True)
answer, _ = run("SELECT 1", Frame([Field("s", STRING)], [("x" * 1_000_000,)] * 6))
assert (len(answer["rows"]), answer["truncated"]) == (4, True)
answer, _ = run("SELECT 1", Frame([Field("n", INT)], []))
assert (answer["rows"], answer["columns"], answer["truncated"]) == ([], [{"name": "n", "type": "int"}], False)

# Named parameters reach Spark as values of their types.
given = [
    ("a", "STRING", "it's :b; DROP TABLE t --\n\\", "it's :b; DROP TABLE t --\n\\"),
    ("b", "INT", "-7", -7),
    ("c", "BIGINT", str(2**60), 2**60),
    ("d", "DOUBLE", "0.1", 0.1),
    ("e", "DOUBLE", "-Infinity", float("-inf")),
    ("f", "BOOLEAN", "false", False),
    ("g", "DATE", "2001-04-25", datetime.date(2001, 4, 25)),
    ("h", "TIMESTAMP", "2001-04-25T10:11:12Z", datetime.datetime(2001, 4, 25, 10, 11, 12, tzinfo=datetime.timezone.utc)),
    ("i", "STRING", None, None),
]
args = [{"name": name, "type": kind_of, "value": text} for name, kind_of, text, _ in given[:-1]] + [{"name": "i", "type": "STRING"}]
answer, seen = run("SELECT :a", ONE, sql_args=json.dumps(args))
assert seen[-1] == ("SELECT :a", {name: value for name, _, _, value in given}), seen
assert answer["rows"] == [[1]], answer
for args in ("no JSON", "7", '[{"type": "INT"}]', '[{"name": "a", "type": "ARRAY", "value": "x"}]', '[{"name": "a", "type": "INT", "value": "x"}]'):
    answer, seen = run("SELECT :a", ONE, sql_args=args)
    assert answer["error_type"] == "Refused" and "sql_args" in answer["error"] and not seen, (args, answer, seen)

# Errors, and the catalog.
answer, seen = run("SELECT 1", ValueError("[UNRESOLVED_COLUMN] no\n\nJVM stacktrace:\njava.lang.…"), catalog="main")
assert answer == {"error": "[UNRESOLVED_COLUMN] no", "error_type": "ValueError"}, answer
assert seen == [("spark.sql.session.timeZone", "UTC"), "main", "SELECT 1"], seen
print("the notebook is sound")
