// The conversation that is shown, and what can be done with it. Everything here is driven by what the server says; a question that is on
// its way is the one thing shown before the server knows it.

import { batch, computed, signal } from "@preact/signals";
import * as client from "../api/client";
import { type Problem, problemOf } from "../api/client";
import { type Connection, follow } from "../api/follow";
import type { Draft, Status } from "../api/types";
import { announce } from "./announce";
import { deviceId, randomId } from "./device";
import { forget, loadHistory, tellOtherTabs } from "./history";
import { checkService } from "./service";
import { isBehind, isOver, type Turn, turns as turnsOf, withDraft, withTaken } from "./thread";

/** The id of the conversation; null while a new question is to be asked. */
export const conversation = signal<string | null>(null);
export const turns = signal<Turn[]>([]);
export const connection = signal<Connection>({ kind: "live" });
/** Why the conversation cannot be shown. */
export const failure = signal<Problem | null>(null);
export const isLoading = signal(false);
/** Why the running turn could not be stopped; empty when nothing went wrong. */
export const stopFault = signal("");
/** Whether a cancellation was asked for and has not shown in the status. */
export const isStopping = signal(false);

export const lastTurn = computed(() => turns.value.at(-1));
export const isBusy = computed(() => {
  const state = lastTurn.value?.state.kind;
  return state === "sending" || state === "running";
});

/** Ends whatever is being done for the conversation shown so far. */
let shown = new AbortController();
/** A question as it is sent. */
interface Sent {
  question: string;
  key: string;
  fresh: boolean;
}

/** How the question that was not taken was sent: with the same key, sending it again cannot ask it twice. */
let unsent: Sent | null = null;
let lastStep = "";

function leave(): AbortSignal {
  shown.abort();
  shown = new AbortController();
  return shown.signal;
}

/** Shows an empty page to ask on. */
export function startNew(): void {
  leave();
  batch(() => {
    conversation.value = null;
    turns.value = [];
    failure.value = null;
    isLoading.value = false;
    isStopping.value = false;
    stopFault.value = "";
    connection.value = { kind: "live" };
  });
  unsent = null;
}

/** Shows a conversation, and follows it while it runs. */
export async function open(id: string): Promise<void> {
  const signal = leave();
  batch(() => {
    conversation.value = id;
    turns.value = [];
    failure.value = null;
    isLoading.value = true;
    isStopping.value = false;
    stopFault.value = "";
    connection.value = { kind: "live" };
  });
  await refresh(id, signal);
}

/** Reads the conversation anew, and follows it if it runs. */
async function refresh(id: string, signal: AbortSignal): Promise<void> {
  const isOpening = turns.value.length === 0;
  try {
    const [status, said] = await Promise.all([client.status(id, null, signal), client.messages(id)]);
    if (signal.aborted) return;
    batch(() => {
      isLoading.value = false;
      failure.value = null;
      turns.value = turnsOf(status, said, turns.value);
    });
    if (isOpening) announce("The conversation is shown.");
    if (status.status === "processing") await watch(id, status.turn, status.revision, signal);
  } catch (cause) {
    if (signal.aborted) return;
    const problem = problemOf(cause);
    batch(() => {
      isLoading.value = false;
      // What is shown stays where only the way to the server is at fault: the next look may get through.
      if (isOpening || !problem.isTransient) failure.value = problem;
    });
    if (problem.isTransient) void checkService();
  }
}

/** Tries again to show the conversation. */
export function retryOpening(): void {
  if (conversation.value) void open(conversation.value);
}

/** Looks what has become of the conversation that is shown, or whether it can be shown now. */
export function look(id: string | null): void {
  if (id && id === conversation.value && (failure.value || isAtRest())) void refresh(id, leave());
}

/** Whether nothing is under way, and nothing shown that would be gone: the server does not know a question that it did not take. */
function isAtRest(): boolean {
  return !isBusy.value && !isLoading.value && lastTurn.value?.state.kind !== "unsent";
}

async function watch(id: string, turn: number, after: number, signal: AbortSignal): Promise<void> {
  const guarded =
    <T>(act: (value: T) => void) =>
    (value: T) => {
      if (!signal.aborted) act(value);
    };
  const follower = {
    onStatus: (status: Status) => take(status, signal),
    onDraft: guarded((draft: Draft) => {
      turns.value = withDraft(turns.value, draft);
    }),
    onConnection: guarded((now: Connection) => {
      if (now.kind === "lost" && connection.value.kind === "live") announce("The connection is lost. Trying again.");
      if (now.kind === "live" && connection.value.kind === "lost") void checkService();
      if (now.kind === "lost" || connection.value.kind === "lost") connection.value = now;
    }),
    onEnd: guarded((problem: Problem) => {
      failure.value = problem;
    }),
  };
  await follow(id, turn, after, follower, signal);
}

async function take(status: Status, signal: AbortSignal): Promise<void> {
  // Earlier turns do not change while one runs. Only where another device has asked since the last status, there is more to read.
  const said = isBehind(turns.value, status) ? await client.messages(status.conversation_id) : null;
  if (signal.aborted) return;
  turns.value = turnsOf(status, said, turns.value);
  if (status.stage !== "canceling" && status.status !== "processing") isStopping.value = false;
  tellProgress(status);
  if (status.status !== "processing") {
    void loadHistory();
    tellOtherTabs({ kind: "changed", id: status.conversation_id });
  }
}

/** Steps are told once each: counts of queries in them change often. */
function tellProgress(status: Status): void {
  if (status.status === "completed") announce("The answer is there.");
  else if (status.status === "error") announce(status.error ?? "The question ended without an answer.");
  else {
    const step = status.progress.current_step.replace(/\(.*?\)|\.\.\./g, "").trim();
    if (step !== lastStep) announce(step);
    lastStep = step;
    return;
  }
  lastStep = "";
}

/** Asks anew what was answered from the cache: in a conversation of its own, so that nothing said before decides. */
export async function askFresh(question: string): Promise<void> {
  startNew();
  await ask(question, true);
}

/** Asks: in the conversation that is shown, else in a new one. */
export async function ask(question: string, fresh = false): Promise<void> {
  if (isBusy.value) return;
  const signal = leave();
  const again = unsent?.question === question ? unsent : null;
  const sent: Sent = { question, key: again?.key ?? randomId(), fresh: fresh || (again?.fresh ?? false) };
  const others = turns.value.filter((turn) => isOver(turn.state));
  const asked: Turn = {
    number: (others.at(-1)?.number ?? 0) + 1,
    question,
    askedAt: new Date().toISOString(),
    jobs: [],
    state: { kind: "sending" },
  };
  batch(() => {
    turns.value = [...others, asked];
    failure.value = null;
    isStopping.value = false;
    stopFault.value = "";
    isLoading.value = false;
    connection.value = { kind: "live" };
  });
  try {
    const id = await send(sent);
    unsent = null;
    if (!signal.aborted) {
      batch(() => {
        conversation.value = id;
        turns.value = withTaken(turns.value, asked);
      });
    }
    void loadHistory();
    tellOtherTabs({ kind: "changed", id });
    if (!signal.aborted) await watch(id, asked.number, 0, signal);
  } catch (cause) {
    const problem = problemOf(cause);
    unsent = sent;
    if (!signal.aborted) refused(asked, problem);
  }
}

async function send({ question, key, fresh }: Sent): Promise<string> {
  const id = conversation.value;
  if (id) {
    await client.followUp(id, question, navigator.language, key);
    return id;
  }
  const asked = { question, device_id: deviceId(), language: navigator.language, fresh };
  return (await client.start(asked, key)).conversation_id;
}

function refused(asked: Turn, problem: Problem): void {
  turns.value = turns.value.map((turn) =>
    turn === asked ? { ...turn, state: { kind: "unsent", message: problem.message } } : turn,
  );
  announce(`The question was not taken. ${problem.message}`);
  if (problem.isTransient) void checkService();
}

/** Stops the running turn: its model call and its query. */
export async function stop(): Promise<void> {
  const id = conversation.value;
  if (!id || isStopping.value) return;
  batch(() => {
    isStopping.value = true;
    stopFault.value = "";
  });
  announce("Stopping.");
  try {
    await client.cancel(id);
  } catch (cause) {
    const problem = problemOf(cause);
    isStopping.value = false;
    // It has ended in the meantime: the status tells how.
    if (problem.status === 409) return;
    stopFault.value = `It could not be stopped. ${problem.message}`;
    announce(stopFault.value);
  }
}

/** Removes a conversation with its rows. The problem, if it could not be. */
export async function remove(id: string): Promise<Problem | null> {
  try {
    await client.remove(id);
  } catch (cause) {
    const problem = problemOf(cause);
    if (problem.status !== 404) return problem;
  }
  if (conversation.value === id) startNew();
  forget(id);
  await loadHistory();
  tellOtherTabs({ kind: "removed", id });
  announce("The conversation is deleted.");
  return null;
}
