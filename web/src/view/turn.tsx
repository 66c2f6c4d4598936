// One question with all that was done for it: how it goes, what came of it, and the queries behind it.

import { ask, conversation } from "../state/session";
import type { Turn } from "../state/thread";
import { fullTime, when } from "../text/format";
import { Answer } from "./answer";
import { ErrorIcon, InfoIcon } from "./icons";
import { RunningTurn } from "./progress";
import { Query } from "./query";

export function TurnView({ turn, isLast }: { turn: Turn; isLast: boolean }) {
  const { number, question, askedAt } = turn;
  return (
    <article class="turn" aria-labelledby={`turn-${number}`}>
      <header class="asked">
        <h2 id={`turn-${number}`} dir="auto" tabIndex={-1}>
          {question}
        </h2>
        <time dateTime={askedAt} title={fullTime(askedAt)}>
          {when(askedAt)}
        </time>
      </header>
      <Outcome turn={turn} isLast={isLast} />
    </article>
  );
}

function Outcome({ turn, isLast }: { turn: Turn; isLast: boolean }) {
  const { state } = turn;
  switch (state.kind) {
    case "sending":
      return <p class="quiet">Sending the question…</p>;
    case "unsent":
      return <Ended turn={turn} title="The question was not taken" text={state.message} canRepeat={isLast} isError />;
    case "running":
      return (
        <>
          <RunningTurn state={state} />
          <Queries turn={turn} />
        </>
      );
    case "answered":
      return (
        <>
          <Answer turn={turn} answer={state.answer} notes={state.notes} isLast={isLast} />
          {isLast && <Suggestions questions={state.notes.suggested_questions} />}
        </>
      );
    case "canceled":
      return (
        <>
          <Ended
            turn={turn}
            title="Stopped"
            text="You stopped this question before it was answered."
            canRepeat={isLast}
          />
          <Queries turn={turn} />
        </>
      );
    case "failed":
      return (
        <>
          <Ended turn={turn} title="No answer" text={state.message} canRepeat={isLast} isError />
          <Queries turn={turn} />
        </>
      );
  }
}

interface EndedProps {
  turn: Turn;
  title: string;
  text: string;
  canRepeat: boolean;
  isError?: boolean;
}

function Ended({ turn, title, text, canRepeat, isError = false }: EndedProps) {
  return (
    <div class={isError ? "ended error" : "ended"}>
      {isError ? <ErrorIcon /> : <InfoIcon />}
      <div>
        <strong>{title}</strong>
        <p dir="auto">{text}</p>
        {canRepeat && (
          <button type="button" onClick={() => void ask(turn.question)}>
            Ask again
          </button>
        )}
      </div>
    </div>
  );
}

/** The queries of a turn that has no answer to stand below. */
function Queries({ turn }: { turn: Turn }) {
  const id = conversation.value;
  if (!id || turn.jobs.length === 0) return null;
  return (
    <div class="queries">
      {turn.jobs.map((job) => (
        <Query key={job.number} conversation={id} job={job} isOpen={false} />
      ))}
    </div>
  );
}

function Suggestions({ questions }: { questions: string[] }) {
  if (questions.length === 0) return null;
  return (
    <section class="next" aria-label="Ask next">
      <h3>Ask next</h3>
      <ul>
        {questions.map((question) => (
          <li key={question}>
            <button type="button" dir="auto" onClick={() => void ask(question)}>
              {question}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
