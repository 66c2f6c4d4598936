// The order of rows by a column. Numbers by value, whatever their digits came as; times and texts as a reader of this browser's language
// would sort them; what is missing last, in both directions. Rows that are equal keep the order that the query gave them.

import type { Cell, Column } from "../api/types";

export type Direction = "ascending" | "descending";

const NUMBER = /^(tinyint|smallint|int|integer|bigint|long|float|double|real|decimal)/i;
const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

export function isNumeric(column: Column): boolean {
  return NUMBER.test(column.type);
}

/** A cell as text: lists as their entries, structures as JSON. */
export function shown(cell: Cell): string {
  if (cell === null) return "";
  if (Array.isArray(cell))
    return cell.every((entry) => entry === null || typeof entry !== "object") ? cell.join(", ") : JSON.stringify(cell);
  return typeof cell === "object" ? JSON.stringify(cell) : String(cell);
}

/** The indices of `rows` in the order of column `at`. */
export function order(rows: Cell[][], columns: Column[], at: number, direction: Direction): number[] {
  const column = columns[at];
  const isNumber = column !== undefined && isNumeric(column);
  const sign = direction === "ascending" ? 1 : -1;
  const compare = isNumber ? compareNumbers : compareTexts;
  const indices = rows.map((_, index) => index);
  return indices.sort((one, other) => {
    const a = rows[one]?.[at] ?? null;
    const b = rows[other]?.[at] ?? null;
    return absence(a, isNumber) - absence(b, isNumber) || (a === null || b === null ? 0 : sign * compare(a, b));
  });
}

/** How far behind a cell comes that says nothing of its order, whatever the direction. */
function absence(cell: Cell, isNumber: boolean): number {
  if (cell === null) return 2;
  return Number(isNumber && Number.isNaN(Number(cell)));
}

function compareNumbers(one: Cell, other: Cell): number {
  const [a, b] = [Number(one), Number(other)];
  // Beyond 2^53 integers are digits (`api/exact.ts`), which doubles would take for equal.
  if (a === b && typeof one === "string" && typeof other === "string") return compareDigits(one, other);
  return a - b || 0;
}

function compareDigits(one: string, other: string): number {
  try {
    const [a, b] = [BigInt(one), BigInt(other)];
    return a < b ? -1 : Number(a > b);
  } catch {
    return 0;
  }
}

function compareTexts(one: Cell, other: Cell): number {
  if (typeof one === "boolean" && typeof other === "boolean") return Number(one) - Number(other);
  return collator.compare(shown(one), shown(other));
}
