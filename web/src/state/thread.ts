// A conversation as the page shows it: its turns, made of what was said and of the last status. Pure.

import type { Draft, Job, Messages, Status } from "../api/types";

/** What is known of an answer besides its text. What only the newest answer has is empty in earlier ones. */
export type Notes = Pick<
  Status,
  | "answer_basis"
  | "answered_by"
  | "assumptions"
  | "unverified"
  | "verified_queries"
  | "suggested_questions"
  | "chart"
  | "feedback"
  | "cached"
>;

export interface NumberedJob extends Job {
  /** Its number in the conversation, from 1: what its rows are asked for by. */
  number: number;
}

export type State =
  /** On its way to the server. */
  | { kind: "sending" }
  /** The server did not take it. */
  | { kind: "unsent"; message: string }
  | { kind: "running"; step: string; percentage: number; reasoning: string | null; stage: string; drafts: Drafts }
  | { kind: "answered"; answer: string; notes: Notes }
  | { kind: "canceled" }
  | { kind: "failed"; message: string; code: string; retryable: boolean };

export type Drafts = Partial<Record<Draft["kind"], string>>;

export interface Turn {
  number: number;
  question: string;
  askedAt: string;
  jobs: NumberedJob[];
  state: State;
}

/** The turns of a conversation. `said` is null while one runs whose earlier turns are `known`: those do not change. */
export function turns(status: Status, said: Messages | null, known: Turn[]): Turn[] {
  const jobs = status.databricks_jobs.map((job, index) => ({ ...job, number: index + 1 }));
  const of = (number: number) => jobs.filter((job) => job.turn === number);
  const earlier = Array.from({ length: status.turn - 1 }, (_, index) => {
    const before = known.find((turn) => turn.number === index + 1 && isKnown(turn));
    return before ?? earlierTurn(index + 1, said, of(index + 1));
  });
  const asked = said?.messages.find((message) => message.turn === status.turn && message.role === "user");
  const before = known.find((turn) => turn.number === status.turn);
  const askedAt = asked?.timestamp ?? before?.askedAt ?? status.created_at;
  const last: Turn = {
    number: status.turn,
    question: status.question,
    askedAt,
    jobs: of(status.turn),
    state: state(status, status.final_answer),
  };
  return [...earlier, last];
}

function earlierTurn(number: number, said: Messages | null, jobs: NumberedJob[]): Turn {
  const messages = said?.messages.filter((message) => message.turn === number) ?? [];
  const question = messages.find((message) => message.role === "user");
  const answer = messages.findLast((message) => message.role === "assistant" && !message.tool_calls?.length);
  const ended = said?.ended_turns.find((turn) => turn.turn === number);
  return {
    number,
    question: question?.content ?? "",
    askedAt: question?.timestamp ?? "",
    jobs,
    state: ended
      ? ending({ suggested_questions: [], chart: null, feedback: null, ...ended }, answer?.content ?? null)
      : UNKNOWN,
  };
}

/** A turn of which the server tells nothing, which happens only while it is read anew. */
const UNKNOWN: State = {
  kind: "failed",
  message: "This question ended without an answer.",
  code: "",
  retryable: false,
};

function state(status: Status, answer: string | null): State {
  if (status.status !== "processing") return ending(status, answer);
  const { current_step: step, percentage, reasoning } = status.progress;
  return { kind: "running", step, percentage, reasoning, stage: status.stage, drafts: {} };
}

function ending(end: Notes & Pick<Status, "status" | "error" | "error_detail">, answer: string | null): State {
  if (end.status === "completed") return { kind: "answered", answer: answer ?? "", notes: end };
  const code = end.error_detail?.code ?? "";
  if (code === "canceled") return { kind: "canceled" };
  return { kind: "failed", message: end.error ?? "", code, retryable: end.error_detail?.retryable ?? false };
}

/** Whether more has become of a conversation than its last turn: then what was said is to be read again. */
export function isBehind(known: Turn[], status: Status): boolean {
  const isLastNew = status.turn > (known.at(-1)?.number ?? 0);
  return isLastNew || known.some((turn) => turn.number < status.turn && !isKnown(turn));
}

/** Whether all that will be of a turn is known. */
function isKnown(turn: Turn): boolean {
  return isOver(turn.state) && turn.state !== UNKNOWN;
}

export function isOver(state: State): boolean {
  return state.kind === "answered" || state.kind === "canceled" || state.kind === "failed";
}

/** The turns where the server has taken the one that was `asked`, and has told nothing of it yet. */
export function withTaken(turns: Turn[], asked: Turn): Turn[] {
  const state: State = {
    kind: "running",
    step: "asklake has the question...",
    percentage: 0,
    reasoning: null,
    stage: "planning",
    drafts: {},
  };
  return turns.map((turn) => (turn === asked ? { ...turn, state } : turn));
}

/** The turns with a part of what the model is writing; a part of another turn changes nothing. */
export function withDraft(turns: Turn[], draft: Draft): Turn[] {
  return turns.map((turn) => {
    if (turn.number !== draft.turn || turn.state.kind !== "running") return turn;
    const text = draft.reset ? draft.text : (turn.state.drafts[draft.kind] ?? "") + draft.text;
    return { ...turn, state: { ...turn.state, drafts: { ...turn.state.drafts, [draft.kind]: text } } };
  });
}
