// What the page decides without a browser: the digits and the order of rows, the turns of a thread, how long something took.

import { parse } from "../../web/src/api/exact.ts";
import type { Cell, Messages, Status } from "../../web/src/api/types.ts";
import { order } from "../../web/src/rows/sort.ts";
import { isBehind, turns, withDraft } from "../../web/src/state/thread.ts";
import { duration } from "../../web/src/text/format.ts";
import { expect, test } from "./support/fixtures.ts";

test("integers that no double is exactly keep their digits; what else looks like one stays what it is", () => {
  const json = String.raw`{"rows":[[9007199254740993,-1234567890123456789,{"id":[9007199254740992]}],[9007199254740991,-5,1e300,
    1234567890123456.5,0.12345678901234566,"9007199254740993","\"9007199254740993","\\",9007199254740993,null,true]]}`;
  expect(parse(json)).toEqual({
    rows: [
      ["9007199254740993", "-1234567890123456789", { id: ["9007199254740992"] }],
      [
        9007199254740991,
        -5,
        1e300,
        1234567890123456.5,
        0.12345678901234566,
        "9007199254740993",
        '"9007199254740993',
        "\\",
        "9007199254740993",
        null,
        true,
      ],
    ],
  });
});

test("a text of any length is read", () => {
  const text = '\\"9007199254740993\n'.repeat(1_000_000);
  expect(parse(JSON.stringify([text]))).toEqual([text]);
});

test("how long something took has no part of 60", () => {
  const times = [0, 940, 9940, 9960, 59_400, 59_700, 119_400, 119_600, 200_000];
  expect(times.map(duration)).toEqual([
    "0.1 s",
    "0.9 s",
    "9.9 s",
    "10 s",
    "59 s",
    "1 min 0 s",
    "1 min 59 s",
    "2 min 0 s",
    "3 min 20 s",
  ]);
});

test.describe("rows in the order of a column", () => {
  const sorted = (type: string, cells: Cell[], direction: "ascending" | "descending" = "ascending") =>
    order(
      cells.map((cell) => [cell]),
      [{ name: "c", type }],
      0,
      direction,
    ).map((index) => cells[index]);

  for (const { name, type, cells, ascending } of [
    { name: "numbers by value", type: "int", cells: [10, 9, 100, -1], ascending: [-1, 9, 10, 100] },
    {
      name: "decimals that came as texts",
      type: "decimal(20,2)",
      cells: ["10.5", "9.75", "-3"],
      ascending: ["-3", "9.75", "10.5"],
    },
    {
      name: "numbers that doubles do not tell apart",
      type: "bigint",
      cells: ["9007199254740993", "9007199254740992", 1],
      ascending: [1, "9007199254740992", "9007199254740993"],
    },
    {
      name: "texts as a reader sorts them",
      type: "string",
      cells: ["b", "Á", "a10", "a9"],
      ascending: ["Á", "a9", "a10", "b"],
    },
    { name: "dates", type: "date", cells: ["2001-01-01", "1999-12-31"], ascending: ["1999-12-31", "2001-01-01"] },
    { name: "booleans", type: "boolean", cells: [true, false], ascending: [false, true] },
    {
      name: "lists by their entries",
      type: "array<string>",
      cells: [["b"], ["a", "c"]],
      ascending: [["a", "c"], ["b"]],
    },
  ] as { name: string; type: string; cells: Cell[]; ascending: Cell[] }[]) {
    test(name, () => {
      expect(sorted(type, cells)).toEqual(ascending);
      expect(sorted(type, cells, "descending")).toEqual([...ascending].reverse());
    });
  }

  test("what is missing or no number comes last, in both directions", () => {
    expect(sorted("double", [2, null, "NaN", 1])).toEqual([1, 2, "NaN", null]);
    expect(sorted("double", [2, null, "NaN", 1], "descending")).toEqual([2, 1, "NaN", null]);
    expect(sorted("string", [null, "a"], "descending")).toEqual(["a", null]);
  });

  test("equal rows keep the order of the query, in both directions", () => {
    const rows = Array.from({ length: 100 }, (_, index) => [index % 3, index]);
    const columns = [
      { name: "a", type: "int" },
      { name: "b", type: "int" },
    ];
    for (const direction of ["ascending", "descending"] as const) {
      const places = order(rows, columns, 0, direction);
      for (const value of [0, 1, 2]) {
        const equal = places.filter((index) => index % 3 === value);
        expect(equal).toEqual([...equal].sort((a, b) => a - b));
      }
    }
  });
});

test.describe("the turns of a thread", () => {
  const running = {
    status: "processing",
    turn: 3,
    question: "third",
    stage: "planning",
    progress: { current_step: "Analyzing the question...", percentage: 10, reasoning: null },
    databricks_jobs: [{ turn: 1 }, { turn: 3 }],
    created_at: "2026-01-01T00:00:00.000Z",
  } as unknown as Status;
  const said = {
    messages: [
      { role: "user", content: "first", turn: 1 },
      { role: "assistant", content: "", turn: 1, tool_calls: [{}] },
      { role: "assistant", content: "answer", turn: 1 },
      { role: "user", content: "second", turn: 2 },
      { role: "user", content: "third", turn: 3 },
    ],
    ended_turns: [
      { turn: 1, status: "completed", assumptions: ["so"], unverified: [], verified_queries: [] },
      { turn: 2, status: "error", error: "Canceled", error_detail: { code: "canceled", retryable: false } },
    ],
  } as unknown as Messages;

  test("earlier ones end as they did, and queries keep their numbers", () => {
    const shown = turns(running, said, []);
    expect(shown.map((turn) => [turn.question, turn.state.kind, turn.jobs.map((job) => job.number)])).toEqual([
      ["first", "answered", [1]],
      ["second", "canceled", []],
      ["third", "running", [2]],
    ]);
    expect(shown[0]?.state).toMatchObject({ answer: "answer", notes: { assumptions: ["so"] } });
  });

  test("what was said is read again where a turn before the last one is not known to its end, or the last one is new", () => {
    const shown = turns(running, said, []);
    expect(isBehind(shown, running)).toBe(false);
    expect(isBehind(shown, { ...running, turn: 4 })).toBe(true);
    const before = turns({ ...running, turn: 2 }, said, []);
    expect(isBehind(before, running)).toBe(true);
    const asked = { ...shown[2], number: 3 } as (typeof shown)[number];
    expect(isBehind([...before, asked], running)).toBe(true);
  });

  test("an earlier one of which nothing is told is read again, and not taken for known", () => {
    const shown = turns(running, { ...said, ended_turns: said.ended_turns.slice(0, 1) }, []);
    expect(shown[1]?.state).toMatchObject({ kind: "failed" });
    expect(isBehind(shown, running)).toBe(true);
    expect(turns(running, said, shown)[1]?.state).toEqual({ kind: "canceled" });
  });

  test("a draft follows or replaces what is written, and a newer status voids it", () => {
    const draft = (text: string, reset: boolean, turn = 3) => ({ turn, kind: "sql", reset, text }) as const;
    const pieces = [draft("SELECT ", true), draft("1", false), draft("of another turn", true, 2)];
    const shown = pieces.reduce(withDraft, turns(running, said, []));
    expect(shown[2]?.state).toMatchObject({ drafts: { sql: "SELECT 1" } });
    expect(withDraft(shown, draft("WITH", true))[2]?.state).toMatchObject({ drafts: { sql: "WITH" } });
    expect(turns(running, null, shown)[2]?.state).toMatchObject({ drafts: {} });
  });
});
