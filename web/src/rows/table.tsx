// The rows of a query as a table that sorts. All rows are in the page, so that finding, selecting and reading aloud work on every one of them.
//
// A thousand rows stay fast because each is laid out by itself: the widths of the columns are told rather than found, and what is out of
// sight is not laid out at all. A table that is no `display: table` needs its roles told as well. The body is made once, without components;
// sorting moves its rows.

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Cell, Rows } from "../api/types";
import { announce } from "../state/announce";
import { SortIcon } from "../view/icons";
import { type Direction, isNumeric, order, shown } from "./sort";

interface Sorting {
  column: number;
  direction: Direction;
}

/** A third press on a header gives the order of the query again. */
function next(sorting: Sorting | null, column: number): Sorting | null {
  if (sorting?.column !== column) return { column, direction: "ascending" };
  return sorting.direction === "ascending" ? { column, direction: "descending" } : null;
}

export function RowsTable({ result, label }: { result: Rows; label: string }) {
  const [sorting, setSorting] = useState<Sorting | null>(null);
  const table = useRef<HTMLTableElement>(null);
  const body = useRef<HTMLTableSectionElement>(null);
  const lines = useRef<HTMLTableRowElement[]>([]);

  useLayoutEffect(() => {
    if (table.current) setWidths(table.current, result);
    lines.current = result.rows.map((row) => line(row, result.columns.map(isNumeric)));
    setSorting(null);
  }, [result]);

  // In the same breath as the header: an effect after the paint would show rows in an order other than the one the header names.
  useLayoutEffect(() => {
    const indices = sorting
      ? order(result.rows, result.columns, sorting.column, sorting.direction)
      : result.rows.map((_, index) => index);
    body.current?.replaceChildren(...indices.flatMap((index) => lines.current[index] ?? []));
  }, [result, sorting]);

  const sort = (column: number) => {
    const sorted = next(sorting, column);
    const name = result.columns[column]?.name ?? "";
    setSorting(sorted);
    announce(sorted ? `Sorted by ${name}, ${sorted.direction}.` : "In the order of the query.");
  };

  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached with the keyboard (WCAG 2.1.1).
    <section class="frame rows" tabIndex={0} aria-label={label}>
      <table ref={table} role="table" aria-label={label}>
        <thead role="rowgroup">
          <tr role="row">
            {result.columns.map((column, index) => (
              <th
                key={index}
                role="columnheader"
                scope="col"
                class={isNumeric(column) ? "number" : undefined}
                aria-sort={sorting?.column === index ? sorting.direction : undefined}
              >
                <button type="button" onClick={() => sort(index)} title={`${column.name}: ${column.type}`}>
                  <span dir="auto">{column.name}</span>
                  <SortIcon direction={sorting?.column === index ? sorting.direction : null} />
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody ref={body} role="rowgroup" />
      </table>
    </section>
  );
}

/** Widths of a column in characters: of what is longer, the lines break. */
const NARROWEST = 5;
const WIDEST = 36;
/** What a header needs beside its name, in characters, and a cell at its sides. */
const HEADER_ROOM = 3;
const SIDES = "1.25rem";

/** Room that is left is shared out by the widths. */
function setWidths(table: HTMLTableElement, { columns, rows }: Rows): void {
  const widths = columns.map((column, index) => {
    const longest = rows.reduce((most, row) => Math.max(most, shown(row[index] ?? null).length), NARROWEST);
    return Math.max(Math.min(longest, WIDEST), column.name.length + HEADER_ROOM);
  });
  table.style.setProperty(
    "--columns",
    widths.map((width) => `minmax(calc(${width}ch + ${SIDES}), ${width}fr)`).join(" "),
  );
  const sum = widths.reduce((sum, width) => sum + width, 0);
  table.style.minWidth = `calc(${sum}ch + ${widths.length} * ${SIDES})`;
}

function line(row: Cell[], numeric: boolean[]): HTMLTableRowElement {
  const made = document.createElement("tr");
  made.setAttribute("role", "row");
  row.forEach((cell, index) => {
    const data = document.createElement("td");
    data.setAttribute("role", "cell");
    data.textContent = cell === null ? "null" : shown(cell);
    data.className = [cell === null && "missing", numeric[index] && "number"].filter(Boolean).join(" ");
    made.append(data);
  });
  return made;
}
