// The conversations of this device, or of who is signed in, newest first, and what tabs tell each other about them.

import { batch, signal } from "@preact/signals";
import * as client from "../api/client";
import { type Problem, problemOf } from "../api/client";
import type { HistoryPage, Summary } from "../api/types";
import { deviceId } from "./device";
import { hasOwners } from "./sign-in";

export const entries = signal<Summary[]>([]);
export const nextCursor = signal<string | null>(null);
export const historyProblem = signal<Problem | null>(null);
export const isHistoryRead = signal(false);

const PAGE = 30;

/** What was deleted: a page that was asked for before may list it still. */
const removed = new Set<string>();
let isReadingMore = false;

/** Reads the newest conversations; those that were shown beyond them stay. */
export async function loadHistory(): Promise<void> {
  await read(null, ({ conversations, next_cursor }) => {
    const oldest = conversations.at(-1);
    const beyond = next_cursor && oldest ? entries.value.filter((entry) => isOlder(entry, oldest)) : [];
    if (beyond.length === 0) nextCursor.value = next_cursor;
    list([...conversations, ...beyond]);
  });
}

/** Reads what follows the conversations shown; asked twice at once, once. */
export async function loadMore(): Promise<void> {
  const cursor = nextCursor.value;
  if (!cursor || isReadingMore) return;
  isReadingMore = true;
  await read(cursor, ({ conversations, next_cursor }) => {
    nextCursor.value = next_cursor;
    list([...entries.value, ...conversations]);
  }).finally(() => {
    isReadingMore = false;
  });
}

/** Lists a conversation no more that was deleted, wherever it stands. */
export function forget(id: string): void {
  removed.add(id);
  list(entries.value);
}

/** Lists each conversation once, and none that is gone. */
function list(found: Summary[]): void {
  const byId = new Map(found.map((entry) => [entry.id, entry]));
  for (const id of removed) byId.delete(id);
  entries.value = [...byId.values()];
}

function isOlder(entry: Summary, than: Summary): boolean {
  return entry.created_at < than.created_at;
}

async function read(cursor: string | null, take: (page: HistoryPage) => void): Promise<void> {
  try {
    const page = await client.history(hasOwners ? null : deviceId(), PAGE, cursor);
    batch(() => {
      take(page);
      historyProblem.value = null;
      isHistoryRead.value = true;
    });
  } catch (cause) {
    historyProblem.value = problemOf(cause);
  }
}

/** What a tab tells the others of this page. */
export type Change = { kind: "changed" | "removed"; id: string };

const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel("asklake") : null;

export function tellOtherTabs(change: Change): void {
  channel?.postMessage(change);
}

export function hearOtherTabs(hear: (change: Change) => void): void {
  channel?.addEventListener("message", (event: MessageEvent<Change>) => hear(event.data));
}
