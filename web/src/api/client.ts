// Requests to the API of this server. Every failure is a Problem; nothing is retried here.

import { refused, token } from "../state/sign-in";
import { parse as parseExactly } from "./exact";
import type { Accepted, HistoryPage, Messages, Ready, Rows, Status } from "./types";

const CHAT = "/api/chat";

/** Why a request failed: what the server says, or that it cannot be reached. */
export class Problem extends Error {
  constructor(
    message: string,
    /** The HTTP status; 0 where no answer came. */
    readonly status: number,
    /** The last part of the problem's `type`, such as `result-expired`. */
    readonly kind: string,
    /** Seconds that the server asks to wait, where it does. */
    readonly retryAfter: number | null = null,
  ) {
    super(message);
  }

  /** Whether no answer came, or one of a proxy or host whose handler is away. */
  get isUnreachable(): boolean {
    return this.status === 0 || this.status === 502 || this.status === 504;
  }

  /** Whether the same request may work later. */
  get isTransient(): boolean {
    return this.isUnreachable || this.status === 503 || this.status === 429 || this.status === 500;
  }
}

/** The problem that `cause` is; what is no Problem is a fault of the page, and goes on. */
export function problemOf(cause: unknown): Problem {
  if (cause instanceof Problem) return cause;
  throw cause;
}

async function send(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, signed(init));
  } catch (cause) {
    if (init.signal?.aborted) throw cause;
    throw new Problem("asklake cannot be reached.", 0, "unreachable");
  }
  if (response.status === 401) refused();
  if (!response.ok) throw await problem(response);
  return response;
}

/** `init` with the token of who is signed in. */
function signed(init: RequestInit): RequestInit {
  const value = token();
  if (!value) return init;
  const headers = new Headers(init.headers);
  headers.set("authorization", `Bearer ${value}`);
  return { ...init, headers };
}

async function problem(response: Response): Promise<Problem> {
  const body: unknown = await response.json().catch(() => null);
  const field = (name: string) => {
    const value = body && typeof body === "object" ? (body as Record<string, unknown>)[name] : null;
    return typeof value === "string" ? value : "";
  };
  const seconds = Number.parseInt(response.headers.get("retry-after") ?? "", 10);
  const message = sentence(field("detail")) || `The server answered ${response.status}.`;
  const kind = field("type").split("/").pop() ?? "";
  return new Problem(message, response.status, kind, Number.isFinite(seconds) ? seconds : null);
}

/** The server's details begin in lower case and have no full stop. */
function sentence(detail: string): string {
  const text = detail.trim();
  if (!text) return "";
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

async function json<T>(path: string, init?: RequestInit, parse: (text: string) => unknown = JSON.parse): Promise<T> {
  const response = await send(path, init);
  try {
    return parse(await response.text()) as T;
  } catch (cause) {
    if (init?.signal?.aborted) throw cause;
    throw new Problem("The connection broke in the middle of an answer.", 0, "unreachable");
  }
}

function post(body: unknown, key?: string): RequestInit {
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (key) headers["idempotency-key"] = key;
  return { method: "POST", headers, body: JSON.stringify(body) };
}

/** What is sent with a first question. */
export interface Asked {
  question: string;
  device_id?: string;
  language: string;
  /** Whether the answer is to be made anew. */
  fresh: boolean;
}

/** Starts a conversation. The same key makes the same conversation, however often it is sent. */
export const start = (asked: Asked, key: string) => json<Accepted>(`${CHAT}/start`, post(asked, key));

/** Asks a further question. The same key makes the same turn. */
export const followUp = (id: string, question: string, language: string, key: string) =>
  json<Accepted>(`${CHAT}/${id}/messages`, post({ question, language }, key));

/** The state of a conversation; `wait` holds the answer for so many seconds while nothing is newer than `after`. */
export function status(
  id: string,
  poll: { wait: number; after: number } | null,
  signal?: AbortSignal,
): Promise<Status> {
  const query = poll ? `?wait=${poll.wait}&after=${poll.after}` : "";
  return json<Status>(`${CHAT}/${id}/status${query}`, signal ? { signal } : {});
}

export const messages = (id: string) => json<Messages>(`${CHAT}/${id}/messages`);
export const cancel = (id: string) => send(`${CHAT}/${id}/cancel`, { method: "POST" });
export const remove = (id: string) => send(`${CHAT}/${id}`, { method: "DELETE" });
export const rows = (id: string, number: number) => json<Rows>(resultPath(id, number), {}, parseExactly);
export const rerun = (id: string, number: number) => send(resultPath(id, number), { method: "POST" });

export const feedback = (id: string, rating: "positive" | "negative", comment: string) =>
  send(`${CHAT}/${id}/feedback`, post(comment ? { rating, comment } : { rating }));

/** The conversations of a device, or with none those of the caller. */
export function history(device: string | null, limit: number, cursor: string | null): Promise<HistoryPage> {
  const query = new URLSearchParams({ limit: String(limit) });
  if (device) query.set("device_id", device);
  if (cursor) query.set("cursor", cursor);
  return json<HistoryPage>(`${CHAT}/history?${query}`);
}

/** How the dependencies are. A 503 that tells which of them is down is an answer like any other. */
export async function ready(): Promise<Ready> {
  const response = await fetch("/api/ready", signed({})).catch(() => null);
  const body = (await response?.json().catch(() => null)) as Ready | null;
  if (!body || !Array.isArray(body.dependencies)) throw new Problem("asklake cannot be reached.", 0, "unreachable");
  return body;
}

export const resultPath = (id: string, number: number) => `${CHAT}/${id}/results/${number}`;

/** The rows as a file. */
export const file = (path: string) => send(path).then((response) => response.blob());

/** The events of a conversation. An `EventSource` could not say who asks. */
export function events(id: string, after: number, signal: AbortSignal): Promise<Response> {
  return send(`${CHAT}/${id}/events?after=${after}`, { headers: { accept: "text/event-stream" }, signal });
}
