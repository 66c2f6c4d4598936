// A conversation as the page shows it: its turns, made of what was said and of the last status. Pure.

import type { Draft, Job, Message, Status } from "../api/types";

/** What is known of the answer besides its text. Of a turn that ended before the page was opened, the server tells only the text. */
export type Notes = Pick<
  Status,
  "answer_basis" | "answered_by" | "assumptions" | "unverified" | "verified_queries" | "suggested_questions" | "chart"
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
  | { kind: "answered"; answer: string; notes: Notes | null }
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

/** The turns of a conversation. `known` are those shown so far: what they tell of earlier turns is kept. */
export function turns(status: Status, messages: Message[], known: Turn[]): Turn[] {
  const jobs = status.databricks_jobs.map((job, index) => ({ ...job, number: index + 1 }));
  const of = (number: number) => jobs.filter((job) => job.turn === number);
  const earlier = Array.from({ length: status.turn - 1 }, (_, index) => {
    const number = index + 1;
    const before = known.find((turn) => turn.number === number && isOver(turn.state));
    return (
      before ??
      earlierTurn(
        number,
        messages.filter((message) => message.turn === number),
        of(number),
      )
    );
  });
  const asked = messages.find((message) => message.turn === status.turn && message.role === "user");
  const before = known.find((turn) => turn.number === status.turn);
  const askedAt = asked?.timestamp ?? before?.askedAt ?? status.created_at;
  const last: Turn = {
    number: status.turn,
    question: status.question,
    askedAt,
    jobs: of(status.turn),
    state: state(status),
  };
  return [...earlier, last];
}

function earlierTurn(number: number, messages: Message[], jobs: NumberedJob[]): Turn {
  const question = messages.find((message) => message.role === "user");
  const answer = messages.filter((message) => message.role === "assistant" && !message.tool_calls?.length).pop();
  const state: State = answer
    ? { kind: "answered", answer: answer.content, notes: null }
    : { kind: "failed", message: "This question ended without an answer.", code: "", retryable: false };
  return { number, question: question?.content ?? "", askedAt: question?.timestamp ?? "", jobs, state };
}

function state(status: Status): State {
  if (status.status === "completed") return { kind: "answered", answer: status.final_answer ?? "", notes: status };
  if (status.status === "error") {
    const code = status.error_detail?.code ?? "";
    if (code === "canceled") return { kind: "canceled" };
    return { kind: "failed", message: status.error ?? "", code, retryable: status.error_detail?.retryable ?? false };
  }
  const { current_step: step, percentage, reasoning } = status.progress;
  return { kind: "running", step, percentage, reasoning, stage: status.stage, drafts: {} };
}

export function isOver(state: State): boolean {
  return state.kind === "answered" || state.kind === "canceled" || state.kind === "failed";
}

/** The turns with a part of what the model is writing; a part of another turn changes nothing. */
export function withDraft(turns: Turn[], draft: Draft): Turn[] {
  return turns.map((turn) => {
    if (turn.number !== draft.turn || turn.state.kind !== "running") return turn;
    const text = draft.reset ? draft.text : (turn.state.drafts[draft.kind] ?? "") + draft.text;
    return { ...turn, state: { ...turn.state, drafts: { ...turn.state.drafts, [draft.kind]: text } } };
  });
}
