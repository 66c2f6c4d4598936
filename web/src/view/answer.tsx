// An answer with all that lets one check it: what it rests on, what is doubtful, what was assumed, its chart and its queries.

import { askFresh, conversation } from "../state/session";
import type { Notes, Turn } from "../state/thread";
import { fullTime } from "../text/format";
import { Chart } from "./chart";
import { Feedback } from "./feedback";
import { CheckIcon, InfoIcon, WarningIcon } from "./icons";
import { Markdown } from "./markdown";
import { CopyButton, Query } from "./query";

interface AnswerProps {
  turn: Turn;
  answer: string;
  notes: Notes;
  isLast: boolean;
}

export function Answer({ turn, answer, notes, isLast }: AnswerProps) {
  const id = conversation.value ?? "";
  const lastRows = turn.jobs.findLast((job) => job.status === "completed");
  // Rows that the answer does not list itself stand open below the newest one.
  const opened = isLast && lastRows && (lastRows.row_count ?? 0) > 1 && !hasTable(answer) ? lastRows.number : null;
  return (
    <>
      <Doubts notes={notes} />
      <Markdown text={withoutRemarks(answer, notes)} doubtful={notes.unverified} />
      {notes.chart && <Chart spec={notes.chart} />}
      <Grounds notes={notes} answer={answer} />
      {turn.jobs.length > 0 && (
        <div class="queries">
          {turn.jobs.map((job) => (
            <Query key={job.number} conversation={id} job={job} isOpen={job.number === opened} />
          ))}
        </div>
      )}
      <footer class="by">
        {notes.answered_by && !answer.includes("Answered by") && (
          <span>
            Answered by <span dir="auto">{notes.answered_by}</span>
          </span>
        )}
        {notes.cached && (
          <>
            <span title={fullTime(notes.cached.answered_at)}>Cached, {age(notes.cached.age_seconds)} old</span>
            {isLast && (
              <button type="button" onClick={() => void askFresh(turn.question)}>
                Ask again fresh
              </button>
            )}
          </>
        )}
        <CopyButton text={answer} what="answer" />
        {isLast && <Feedback key={`${id}/${turn.number}`} conversation={id} given={notes.feedback?.rating ?? null} />}
      </footer>
    </>
  );
}

function age(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  return minutes < 1 ? "less than a minute" : minutes === 1 ? "1 minute" : `${minutes} minutes`;
}

function hasTable(markdown: string): boolean {
  return /^\s*\|?[\s:|-]*-{3,}[\s:|-]*\|/m.test(markdown);
}

/** The text without the lines that asklake ended it with, which stand beside it here (`with_notes` in src/conversation/machine.rs). */
function withoutRemarks(answer: string, { verified_queries: verified, unverified }: Notes): string {
  const named = verified.map((question) => `“${question}”`).join(", ");
  const remarks = [
    unverified.length > 0 && `\n\nNot found in the rows: ${unverified.join("; ")}. Check before you rely on it.`,
    verified.length > 0 && `\n\nFollows the verified ${verified.length === 1 ? "query" : "queries"} ${named}.`,
  ];
  return remarks.reduce<string>(
    (text, remark) => (remark && text.endsWith(remark) ? text.slice(0, -remark.length) : text),
    answer,
  );
}

/** What one must know before one believes the answer. */
function Doubts({ notes }: { notes: Notes }) {
  return (
    <>
      {notes.answer_basis === "model_knowledge" && (
        <p class="doubt">
          <WarningIcon /> Not from the data: the model wrote this from what it remembers. No row supports it.
        </p>
      )}
      {notes.unverified.length > 0 && (
        <div class="doubt">
          <WarningIcon />
          <p>
            {notes.unverified.length === 1 ? "This was" : "These were"} not found in the rows:{" "}
            {notes.unverified.map((claim, index) => (
              <>
                {index > 0 && ", "}
                <mark dir="auto">{claim}</mark>
              </>
            ))}
          </p>
        </div>
      )}
    </>
  );
}

/** What the answer rests on. What its text says itself is not said again. */
function Grounds({ notes, answer }: { notes: Notes; answer: string }) {
  const assumptions = notes.assumptions.filter((assumption) => !answer.includes(assumption));
  const hasGrounds = assumptions.length > 0 || notes.verified_queries.length > 0;
  if (!hasGrounds) return null;
  return (
    <ul class="grounds">
      {notes.verified_queries.map((question) => (
        <li key={question} class="verified">
          <CheckIcon />
          <span>
            Follows a verified query: <span dir="auto">{question}</span>
          </span>
        </li>
      ))}
      {assumptions.map((assumption) => (
        <li key={assumption}>
          <InfoIcon />
          <span>
            Assumed: <span dir="auto">{assumption}</span>
          </span>
        </li>
      ))}
    </ul>
  );
}
