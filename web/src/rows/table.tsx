// The rows of a query as a table that sorts. A thousand rows are a real table, so that finding, selecting and reading aloud work on all of
// them; its body is made once, without the help of components, and sorting moves its rows.

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
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
  const body = useRef<HTMLTableSectionElement>(null);
  const lines = useRef<HTMLTableRowElement[]>([]);

  useLayoutEffect(() => {
    lines.current = result.rows.map((row) => line(row, result.columns.map(isNumeric)));
    body.current?.replaceChildren(...lines.current);
    setSorting(null);
  }, [result]);

  useEffect(() => {
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
      <table>
        <thead>
          <tr>
            {result.columns.map((column, index) => (
              <th
                key={index}
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
        <tbody ref={body} />
      </table>
    </section>
  );
}

function line(row: Cell[], numeric: boolean[]): HTMLTableRowElement {
  const made = document.createElement("tr");
  row.forEach((cell, index) => {
    const data = document.createElement("td");
    if (cell === null) {
      data.className = "missing";
      data.textContent = "null";
    } else {
      data.dir = "auto";
      data.textContent = shown(cell);
    }
    if (numeric[index]) data.classList.add("number");
    made.append(data);
  });
  return made;
}
