// How the service is: whether it answers, and which of its dependencies do not.

import { computed, signal } from "@preact/signals";
import * as client from "../api/client";
import { problemOf } from "../api/client";
import type { Dependency, Ready } from "../api/types";

export type Service = { kind: "unknown" } | { kind: "unreachable" } | { kind: "known"; ready: Ready };

export const service = signal<Service>({ kind: "unknown" });
export const isOnline = signal(navigator.onLine);

/** The dependencies that do not answer. */
export const down = computed<Dependency[]>(() => {
  const now = service.value;
  return now.kind === "known" ? now.ready.dependencies.filter((dependency) => dependency.status !== "ok") : [];
});

/** While something is down, it is looked after again so often. A check probes the model and the warehouse, so a healthy one is left alone. */
const RECHECK_MS = 10_000;
let timer: ReturnType<typeof setTimeout> | undefined;
let running: Promise<void> | null = null;

/** Asks how the service is; asked twice at once, once. */
export function checkService(): Promise<void> {
  running ??= check().finally(() => {
    running = null;
  });
  return running;
}

async function check(): Promise<void> {
  clearTimeout(timer);
  try {
    service.value = { kind: "known", ready: await client.ready() };
  } catch (cause) {
    problemOf(cause);
    service.value = { kind: "unreachable" };
  }
  const isWell = service.value.kind === "known" && down.value.length === 0;
  if (!isWell) timer = setTimeout(() => void checkService(), RECHECK_MS);
}

export function watchNetwork(): void {
  addEventListener("offline", () => {
    isOnline.value = false;
  });
  addEventListener("online", () => {
    isOnline.value = true;
    void checkService();
  });
}
