// Numbers and times for people, in the words of their browser's language where that is about numbers, in English else.

const count = new Intl.NumberFormat();
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** `1 row`, `1,000 rows`. */
export function counted(number: number, one: string, many = `${one}s`): string {
  return `${count.format(number)} ${number === 1 ? one : many}`;
}

/** How many rows a query gave: `1,000+ rows` where it had more. */
export function rowsOf(number: number, isTruncated: boolean): string {
  return isTruncated ? `${count.format(number)}+ rows` : counted(number, "row");
}

/** `0.8 s`, `12 s`, `3 min 20 s`. */
export function duration(ms: number): string {
  const tenths = Math.max(1, Math.round(ms / 100));
  if (tenths < 100) return `${(tenths / 10).toFixed(1)} s`;
  // Rounded before it is split, so that no part of it is 60.
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** The time between two of the server's times; nothing while the second is missing. */
export function between(from: string, to: string | undefined): string {
  const ms = Date.parse(to ?? "") - Date.parse(from);
  return Number.isFinite(ms) && ms >= 0 ? duration(ms) : "";
}

/** The time of day of what was today, else the date. */
export function when(time: string): string {
  const at = new Date(time);
  if (Number.isNaN(at.getTime())) return "";
  return isSameDay(at, new Date()) ? clock.format(at) : day.format(at);
}

export function fullTime(time: string): string {
  const at = new Date(time);
  return Number.isNaN(at.getTime()) ? "" : full.format(at);
}

/** `Today`, `Yesterday`, `Earlier`. */
export function dayOf(time: string): string {
  const at = new Date(time);
  const yesterday = new Date();
  yesterday.setDate(yesterday.getDate() - 1);
  if (isSameDay(at, new Date())) return "Today";
  return isSameDay(at, yesterday) ? "Yesterday" : "Earlier";
}

function isSameDay(one: Date, other: Date): boolean {
  return one.toDateString() === other.toDateString();
}
