// The conversations of this device, newest first, and what tabs tell each other about them.

import { batch, signal } from "@preact/signals";
import * as client from "../api/client";
import { type Problem, problemOf } from "../api/client";
import type { Summary } from "../api/types";
import { deviceId } from "./device";

export const entries = signal<Summary[]>([]);
export const nextCursor = signal<string | null>(null);
export const historyProblem = signal<Problem | null>(null);
export const isHistoryRead = signal(false);

const PAGE = 30;

/** Reads the newest conversations; those that were shown beyond them stay. */
export async function loadHistory(): Promise<void> {
  await read(null, (page, known) => {
    const fresh = new Set(page.map((entry) => entry.id));
    const oldest = page.at(-1);
    const beyond =
      page.length < PAGE || !oldest ? [] : known.filter((entry) => isOlder(entry, oldest) && !fresh.has(entry.id));
    return [...page, ...beyond];
  });
}

/** Reads what follows the conversations shown. */
export async function loadMore(): Promise<void> {
  const cursor = nextCursor.value;
  if (cursor) await read(cursor, (page, known) => [...known, ...page]);
}

function isOlder(entry: Summary, than: Summary): boolean {
  return entry.created_at < than.created_at;
}

async function read(cursor: string | null, merge: (page: Summary[], known: Summary[]) => Summary[]): Promise<void> {
  try {
    const page = await client.history(deviceId(), PAGE, cursor);
    batch(() => {
      const merged = merge(page.conversations, entries.value);
      if (cursor || merged.length === page.conversations.length) nextCursor.value = page.next_cursor;
      entries.value = merged;
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
