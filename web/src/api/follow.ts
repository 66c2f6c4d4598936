// Follows a running turn to its end over whatever gets through: server-sent events, else long polls, else plain polls.
//
// Events are left for long polls where a proxy holds them back or they keep breaking, and long polls for plain ones where waiting requests
// are cut. A lost connection is tried again for as long as the page is open. Owns no state of the conversation.

import { type EventSourceMessage, EventSourceParserStream } from "eventsource-parser/stream";
import * as client from "./client";
import { Problem, problemOf } from "./client";
import type { Draft, Status } from "./types";

/** How the connection stands. `lost` tries again at `retryAt` (milliseconds since 1970). */
export type Connection = { kind: "live" } | { kind: "lost"; problem: Problem; retryAt: number };

export interface Follower {
  /** What it needs besides may fail as the status itself may, and is then told again. */
  onStatus(status: Status): Promise<void>;
  onDraft(draft: Draft): void;
  onConnection(connection: Connection): void;
  /** The conversation is not there, or the server will not tell of it. Nothing follows. */
  onEnd(problem: Problem): void;
}

type Means = "events" | "long poll" | "poll";

/** A stream that says nothing for so long at its beginning is held back by something in between. */
const FIRST_EVENT_MS = 5000;
/** A stream that ends sooner than this, and not because the turn did, is of no use. */
const SHORTEST_STREAM_MS = 5000;
/** A stream that is silent for so long is opened anew: its connection may be dead, and heartbeats do not reach the page. */
const LONGEST_SILENCE_MS = 50_000;
const WAIT_SECONDS = 25;
/** How long a server may take for an answer, besides what it was asked to wait. */
const ANSWER_SECONDS = 15;
const POLL_MS = 2000;
/** Failures in a row of one means, before the next one is taken. */
const PATIENCE = 2;
const LONGEST_PAUSE_MS = 15_000;

/** Follows turn `turn` of `id` from what is newer than `after`, until it or one after it has ended or `signal` aborts. */
export async function follow(
  id: string,
  turn: number,
  after: number,
  follower: Follower,
  signal: AbortSignal,
): Promise<void> {
  await new Follow(id, turn, after, follower, signal).run();
}

class Follow {
  private means: Means = "events";
  private failures = 0;
  private losses = 0;
  private isOver = false;

  constructor(
    private readonly id: string,
    private readonly turn: number,
    private revision: number,
    private readonly follower: Follower,
    private readonly signal: AbortSignal,
  ) {}

  async run(): Promise<void> {
    while (!this.isOver && !this.signal.aborted) {
      const works = await this.once();
      if (this.isOver || this.signal.aborted) return;
      if (works) this.failures = 0;
      else await this.failed();
    }
  }

  /** One stream or one poll. Whether it did what it is for. */
  private async once(): Promise<boolean> {
    switch (this.means) {
      case "events":
        return await this.stream();
      case "long poll":
        return await this.poll(WAIT_SECONDS);
      case "poll":
        await pause(POLL_MS, this.signal);
        return await this.poll(0);
    }
  }

  /** After a failure: is the server there at all? If it is, the means is at fault. */
  private async failed(): Promise<void> {
    if (!(await this.poll(0)) || this.isOver) return;
    this.failures += 1;
    if (this.failures < PATIENCE) return;
    this.failures = 0;
    this.means = this.means === "events" ? "long poll" : "poll";
  }

  private async poll(wait: number): Promise<boolean> {
    const timeout = AbortSignal.timeout((wait + ANSWER_SECONDS) * 1000);
    try {
      const poll = wait ? { wait, after: this.revision } : null;
      const isOfTurn = await this.take(await client.status(this.id, poll, AbortSignal.any([this.signal, timeout])));
      // What lags behind is given time to catch up.
      if (!isOfTurn) await pause(POLL_MS, this.signal);
      return isOfTurn;
    } catch (cause) {
      if (this.signal.aborted) return false;
      const problem = timeout.aborted ? new Problem("asklake does not answer.", 0, "unreachable") : problemOf(cause);
      if (!problem.isTransient) this.end(problem);
      // What cuts a waiting request may let a short one through: that is found out before anybody is told of a loss.
      else if (!wait) await this.lost(problem);
      return false;
    }
  }

  private end(problem: Problem): void {
    this.isOver = true;
    this.follower.onEnd(problem);
  }

  private async lost(problem: Problem): Promise<void> {
    const backoff = Math.min(LONGEST_PAUSE_MS, 1000 * 2 ** this.losses) * (0.75 + Math.random() / 2);
    const wait = Math.max(backoff, (problem.retryAfter ?? 0) * 1000);
    this.losses += 1;
    this.follower.onConnection({ kind: "lost", problem, retryAt: Date.now() + wait });
    await pause(wait, this.signal, "online");
    // Whatever comes back may do what the one before could not.
    this.means = "events";
  }

  /** Whether the status tells of the turn. One of an earlier turn comes from what lags behind: it says nothing, and ends nothing. */
  private async take(status: Status): Promise<boolean> {
    const isOfTurn = status.turn >= this.turn;
    if (isOfTurn && status.revision >= this.revision) await this.follower.onStatus(status);
    this.losses = 0;
    this.follower.onConnection({ kind: "live" });
    this.revision = Math.max(this.revision, status.revision);
    this.isOver = isOfTurn && status.status !== "processing";
    return isOfTurn;
  }

  /** Resolves when the stream has ended: whether it was of use. */
  private async stream(): Promise<boolean> {
    const began = performance.now();
    let isHeard = false;
    const end = new AbortController();
    let timer = setTimeout(() => end.abort(), FIRST_EVENT_MS);
    try {
      const signal = AbortSignal.any([this.signal, end.signal]);
      const response = await client.events(this.id, Math.max(0, this.revision - 1), signal);
      const events = response.body?.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
      const reader = events?.getReader();
      for (let read = await reader?.read(); read?.value && !this.isOver; read = await reader?.read()) {
        clearTimeout(timer);
        timer = setTimeout(() => end.abort(), LONGEST_SILENCE_MS);
        if (read.value.event === "done") break;
        isHeard = true;
        await this.hear(read.value);
      }
    } catch {
      // Whether the server is there at all, and why it refuses, the poll that follows finds out.
    } finally {
      clearTimeout(timer);
      end.abort();
    }
    return this.isOver || (isHeard && performance.now() - began > SHORTEST_STREAM_MS);
  }

  private async hear(event: EventSourceMessage): Promise<void> {
    if (event.event === "status") await this.take(JSON.parse(event.data) as Status);
    if (event.event === "draft") this.follower.onDraft(JSON.parse(event.data) as Draft);
  }
}

/** Waits, at most until `signal` aborts or the window hears `wakener`. */
function pause(ms: number, signal: AbortSignal, wakener?: "online"): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      if (wakener) removeEventListener(wakener, done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
    if (wakener) addEventListener(wakener, done);
    if (signal.aborted) done();
  });
}
