# Databricks notebook source
# Runs one statement for asklake and exits with its rows as JSON.
#
# asklake has admitted the statement already; it is looked at again here, because whoever may start this job can pass anything.
# This is the smaller guard: it lets through one statement that begins as a query, and nothing that writes, reads files or calls out.
# What a statement may read is decided by the grants of the job's principal (grants.sql), and by nothing else.
#
# Parameters: sql_text, the statement; sql_args, what it names as :name, as a JSON list of {"name", "type", "value"} in strings, NULL without
# a value (may be empty); catalog, where tables are looked up that are named without one (may be empty).
# Result, at most MAX_ROWS rows and MAX_BYTES bytes:
#   {"columns": [{"name": "n", "type": "bigint"}], "rows": [[1]], "truncated": false}, or {"error": "…", "error_type": "…"}

# COMMAND ----------

import base64
import datetime
import json
import math
import re
import struct

# One more than asklake's MAX_ROWS can be.
MAX_ROWS = 10_001
# A notebook returns 5 MB at most; what is longer would be cut in the middle of a row.
MAX_BYTES = 4_500_000
MAX_ERROR = 2_000

# COMMAND ----------


class Refused(Exception):
    """The statement is not one that this job runs."""


# A comment, a string, or a quoted name: what stands in it is no SQL. Strings escape by a backslash, except raw ones.
QUOTED = re.compile(
    r"--[^\r\n]*|/\*.*?\*/|(?P<name>`(?:[^`]|``)*`)"
    r"""|(?<!\w)[rR](?:'[^']*'|"[^"]*")|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""",
    re.DOTALL,
)
# What writes can stand after the common table expressions of WITH; the other words begin a statement of their own.
WORDS = "alter analyze cache call copy create delete drop execute export grant import insert into load merge msck optimize refresh reset restore revoke truncate uncache update use vacuum"
FORBIDDEN = re.compile(r"\b(?:" + WORDS.replace(" ", "|") + r")\b", re.IGNORECASE)
# Functions that read files, secrets or the network, run code of the JVM, or cost a model call for each row.
CALLS = re.compile(
    r"(?<![\w.])(?:ai_\w+|java_method|reflect|try_reflect|http_request|remote_query|(?:try_)?secret|list_secrets|read_\w+|cloud_files\w*"
    r"|vector_search|event_log|table_changes|input_file_\w+|current_user|session_user|user)\s*\(",
    re.IGNORECASE,
)
# A file by its path in place of a table.
PATHS = re.compile(r"\b(?:avro|binaryfile|csv|delta|iceberg|json|orc|parquet|text|xml)\s*\.\s*`", re.IGNORECASE)


def bare(sql):
    """The statement without comments and without what is quoted: `x` for a name, '' for a string."""

    def stand_in(match):
        if match["name"]:
            return "`x`"
        return " " if match[0][:2] in ("--", "/*") else "''"

    return QUOTED.sub(stand_in, sql)


def guard(sql):
    """Refuses what is not one query."""
    text = bare(sql).strip().rstrip(";").strip()
    if not text:
        raise Refused("there is no statement: pass it as sql_text")
    if ";" in text:
        raise Refused("only one statement is run")
    if not re.match(r"(?:select|with|values)\b|\(", text, re.IGNORECASE):
        raise Refused("only queries are run: SELECT, WITH or VALUES")
    for pattern, what in ((FORBIDDEN, "word"), (CALLS, "function"), (PATHS, "path")):
        if found := pattern.search(text):
            raise Refused(f"the {what} {found[0].strip(' (`')} is not allowed in a query")


# COMMAND ----------


def shortest(single):
    """A single as the shortest number that reads back as it."""
    for digits in range(6, 10):
        number = float(f"{single:.{digits}g}")
        if struct.pack("f", number) == struct.pack("f", single):
            return number
    return single


def in_utc(instant):
    # Spark hands out instants in the time zone of this machine.
    return instant.astimezone(datetime.timezone.utc).replace(tzinfo=None).isoformat() + "Z"


def cell(value, data_type):
    """A value of Spark as JSON; what a double does not hold is a string."""
    if value is None:
        return None
    kind = type(data_type).__name__
    if kind in ("FloatType", "DoubleType"):
        if math.isfinite(value):
            return shortest(value) if kind == "FloatType" else value
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if kind == "DecimalType":
        return format(value, "f")
    if kind == "TimestampType":
        return in_utc(value)
    if kind in ("DateType", "TimestampNTZType", "TimeType"):
        return value.isoformat()
    if kind == "BinaryType":
        return base64.b64encode(bytes(value)).decode("ascii")
    if kind == "ArrayType":
        return [cell(item, data_type.elementType) for item in value]
    if kind == "MapType":
        keys = (cell(key, data_type.keyType) for key in value)
        values = (cell(item, data_type.valueType) for item in value.values())
        return {key if isinstance(key, str) else json.dumps(key): item for key, item in zip(keys, values)}
    if kind == "StructType":
        return {field.name: cell(item, field.dataType) for field, item in zip(data_type.fields, value)}
    if kind == "VariantType":
        return json.loads(value.toJson())
    return value if isinstance(value, (bool, int, str)) else str(value)


def table(frame):
    """The rows of a query with their columns."""
    fields = frame.schema.fields
    columns = [{"name": field.name, "type": field.dataType.simpleString()} for field in fields]
    found = frame.take(MAX_ROWS + 1)
    rows, size, truncated = [], len(json.dumps(columns)), len(found) > MAX_ROWS
    for record in found[:MAX_ROWS]:
        row = [cell(value, field.dataType) for value, field in zip(record, fields)]
        size += len(json.dumps(row, ensure_ascii=False).encode()) + 2
        if size > MAX_BYTES:
            truncated = True
            break
        rows.append(row)
    return {"columns": columns, "rows": rows, "truncated": truncated}


def explained(error):
    """An error without the stack of the JVM."""
    text = str(error).split("\n\nJVM stacktrace")[0].strip()
    return {"error": text[:MAX_ERROR] or type(error).__name__, "error_type": type(error).__name__}


# What a parameter's text means. Spark takes the values as they are: nothing in them is read as SQL.
READ = {
    "STRING": str,
    "INT": int,
    "BIGINT": int,
    "DOUBLE": float,
    "BOOLEAN": lambda text: text == "true",
    "DATE": datetime.date.fromisoformat,
    "TIMESTAMP": lambda text: datetime.datetime.fromisoformat(text.replace("Z", "+00:00")),
}


def arguments(text):
    """The values of the statement's parameters by their names."""
    try:
        given = json.loads(text) if text else []
        return {one["name"]: None if one.get("value") is None else READ[one["type"]](one["value"]) for one in given}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(f"sql_args cannot be read: {type(error).__name__}: {error}") from error


def run(spark, sql, args, catalog):
    try:
        guard(sql)
        args = arguments(args)
        # Instants are written in UTC on every cluster.
        spark.conf.set("spark.sql.session.timeZone", "UTC")
        if catalog:
            spark.catalog.setCurrentCatalog(catalog)
        return table(spark.sql(sql, args=args) if args else spark.sql(sql))
    except Exception as error:
        return explained(error)


# COMMAND ----------

dbutils.widgets.text("sql_text", "")
dbutils.widgets.text("sql_args", "")
dbutils.widgets.text("catalog", "")
answer = run(spark, dbutils.widgets.get("sql_text"), dbutils.widgets.get("sql_args"), dbutils.widgets.get("catalog"))
# A failed statement exits as well: asklake reads the error, and the run counts as a success for Databricks.
dbutils.notebook.exit(json.dumps(answer, ensure_ascii=False))
