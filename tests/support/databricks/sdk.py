"""Drives the stand-in with the official databricks-sdk and checks what it makes of the answers."""

import os

from databricks.sdk import WorkspaceClient
from databricks.sdk.config import Config
from databricks.sdk.errors import DatabricksError, InvalidParameterValue, NotFound, Unauthenticated
from databricks.sdk.service import jobs, sql

HOST, TOKEN = os.environ["HOST"], os.environ["TOKEN"]
WAREHOUSE_ID, JOB_ID = os.environ["WAREHOUSE_ID"], int(os.environ["JOB_ID"])


def raises(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def statements(w):
    def run(statement, **more):
        return w.statement_execution.execute_statement(statement, WAREHOUSE_ID, wait_timeout="30s", **more)

    answer = run(
        "SELECT id, named_struct('x', id) AS s, CAST(NULL AS INT) AS n FROM range(20) ORDER BY id",
        row_limit=10,
        query_tags=[sql.QueryTag(key="application", value="asklake")],
    )
    assert answer.status.state is sql.StatementState.SUCCEEDED, answer
    manifest = answer.manifest
    assert (manifest.truncated, manifest.total_chunk_count, manifest.total_row_count) == (True, 3, 10), manifest
    columns = [(c.name, c.position, c.type_name, c.type_text) for c in manifest.schema.columns]
    assert columns[0] == ("id", 0, sql.ColumnInfoTypeName.LONG, "BIGINT"), columns
    assert columns[1][2] is sql.ColumnInfoTypeName.STRUCT, columns
    rows, chunk = list(answer.result.data_array), answer.result
    while chunk.next_chunk_index is not None:
        chunk = w.statement_execution.get_statement_result_chunk_n(answer.statement_id, chunk.next_chunk_index)
        rows += chunk.data_array
    assert [row[0] for row in rows] == [str(n) for n in range(10)], rows
    assert rows[0][1:] == ['{"x":"0"}', None], rows[0]

    item = sql.StatementParameterListItem
    given = [item("t", value="it's", type="STRING"), item("n", value="42", type="INT"), item("nothing")]
    bound = run("SELECT :t AS t, :n AS n, :nothing AS nothing", parameters=given)
    assert bound.result.data_array == [["it's", "42", None]], bound

    failed = run("SELECT nope FROM lake.films")
    assert failed.status.state is sql.StatementState.FAILED, failed
    assert failed.status.error.error_code is sql.ServiceErrorCode.BAD_REQUEST, failed
    assert "UNRESOLVED_COLUMN" in failed.status.error.message, failed

    slow = w.statement_execution.execute_statement(
        "SELECT sum(a.id * b.id) FROM range(1000000) a, range(1000000) b", WAREHOUSE_ID, wait_timeout="0s"
    )
    assert slow.status.state in (sql.StatementState.PENDING, sql.StatementState.RUNNING), slow
    w.statement_execution.cancel_execution(slow.statement_id)
    while (state := w.statement_execution.get_statement(slow.statement_id).status.state) is not sql.StatementState.CANCELED:
        assert state in (sql.StatementState.PENDING, sql.StatementState.RUNNING), state

    raises(NotFound, lambda: w.statement_execution.get_statement("01f0aaaa-0000-1000-8000-000000000000"))
    raises(InvalidParameterValue, lambda: w.statement_execution.execute_statement("SELECT 1", WAREHOUSE_ID, wait_timeout="1s"))
    assert w.warehouses.get(WAREHOUSE_ID).state is sql.State.STOPPED


def job_runs(w):
    run_now = lambda token, text: w.jobs.run_now(JOB_ID, idempotency_token=token, job_parameters={"sql_text": text})
    first = run_now("one", "SELECT 1 AS one")
    assert run_now("one", "SELECT 1 AS one").run_id == first.run_id
    run = first.result()
    assert run.state.result_state is jobs.RunResultState.SUCCESS, run
    assert run.run_page_url.startswith(HOST), run
    assert [(p.name, p.value) for p in run.job_parameters] == [("sql_text", "SELECT 1 AS one")], run
    output = w.jobs.get_run_output(run.tasks[0].run_id)
    assert output.notebook_output.result == '{"columns":[{"name":"one","type":"int"}],"rows":[[1]],"truncated":false}', output
    assert "multiple tasks" in str(raises(InvalidParameterValue, lambda: w.jobs.get_run_output(run.run_id)))

    declared = {"sql_text": "SELECT :n AS n", "sql_args": '[{"name":"n","type":"INT","value":"7"}]'}
    bound = w.jobs.run_now(JOB_ID, job_parameters=declared).result()
    assert '"rows":[[7]]' in w.jobs.get_run_output(bound.tasks[0].run_id).notebook_output.result, bound
    raises(InvalidParameterValue, lambda: w.jobs.run_now(JOB_ID, job_parameters={"sql_text": "SELECT 1", "foreign": "x"}))

    slow = w.jobs.run_now(
        JOB_ID, idempotency_token="two", notebook_params={"sql_text": "SELECT sum(a.id * b.id) FROM range(1000000) a, range(1000000) b"}
    )
    w.jobs.cancel_run(slow.run_id)
    seen = set()
    while (state := w.jobs.get_run(slow.run_id).state).life_cycle_state is not jobs.RunLifeCycleState.TERMINATED:
        seen.add(state.life_cycle_state)
    assert state.result_state is jobs.RunResultState.CANCELED, state
    assert jobs.RunLifeCycleState.TERMINATING in seen, seen
    assert "does not exist" in str(raises(DatabricksError, lambda: w.jobs.get_run(404)))
    assert w.jobs.get(JOB_ID).settings.name == "asklake"


w = WorkspaceClient(config=Config(host=HOST, token=TOKEN, auth_type="pat"))
statements(w)
job_runs(w)
principal = Config(host=HOST, client_id=os.environ["CLIENT_ID"], client_secret=os.environ["CLIENT_SECRET"], auth_type="oauth-m2m")
assert WorkspaceClient(config=principal).warehouses.get(WAREHOUSE_ID).id == WAREHOUSE_ID
raises(Unauthenticated, lambda: WorkspaceClient(config=Config(host=HOST, token="wrong", auth_type="pat")).warehouses.get(WAREHOUSE_ID))
print("the SDK is content")
