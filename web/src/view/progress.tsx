// How a running turn goes: the published step and percentage, the parts of an answer that are done, and what the model is writing.

import { useEffect, useState } from "preact/hooks";
import type { Connection } from "../api/follow";
import { connection, isStopping, stopFault } from "../state/session";
import type { Drafts, State } from "../state/thread";
import { duration } from "../text/format";
import { CheckIcon, WarningIcon } from "./icons";
import { Markdown } from "./markdown";
import { Sql } from "./sql";

/** The published parts of a turn, each with the percentage that it ends at. */
const PARTS: [string, number][] = [
  ["Question", 20],
  ["SQL", 40],
  ["Spark", 80],
  ["Rows", 95],
  ["Answer", 100],
];

type Running = Extract<State, { kind: "running" }>;

export function RunningTurn({ state }: { state: Running }) {
  const isStoppingNow = isStopping.value || state.stage === "canceling";
  return (
    <div class="running">
      <ol class="parts" aria-label="Progress">
        {PARTS.map(([name, end], index) => {
          const isDone = state.percentage >= end;
          const isNow = !isDone && state.percentage >= (PARTS[index - 1]?.[1] ?? 0);
          return (
            <li key={name} class={isDone ? "done" : isNow ? "now" : ""} aria-current={isNow ? "step" : undefined}>
              <span class="mark">{isDone && <CheckIcon />}</span>
              {name}
              {isDone && <span class="offscreen"> done</span>}
            </li>
          );
        })}
      </ol>
      <progress max={100} value={state.percentage} aria-label="Progress" />
      <p class="step">
        <span>{isStoppingNow ? stopping(state) : state.step}</span> <Elapsed />
      </p>
      {state.reasoning && !isStoppingNow && (
        <p class="quiet" dir="auto">
          {state.reasoning}
        </p>
      )}
      {stopFault.value && <p class="error">{stopFault.value}</p>}
      <Lost now={connection.value} />
      {!isStoppingNow && <Written drafts={state.drafts} />}
    </div>
  );
}

function stopping(state: Running): string {
  return state.stage === "canceling" ? state.step : "Stopping…";
}

/** Seconds since this was first shown. Not told to those who do not see it, who would hear every second. */
function Elapsed() {
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    const began = performance.now();
    const timer = setInterval(() => setSeconds(Math.floor((performance.now() - began) / 1000)), 1000);
    return () => clearInterval(timer);
  }, []);
  return (
    <span class="quiet" aria-hidden="true">
      {seconds > 0 && duration(seconds * 1000)}
    </span>
  );
}

function Lost({ now }: { now: Connection }) {
  const [, redraw] = useState(0);
  useEffect(() => {
    if (now.kind !== "lost") return;
    const timer = setInterval(() => redraw((count) => count + 1), 1000);
    return () => clearInterval(timer);
  }, [now]);
  if (now.kind !== "lost") return null;
  const seconds = Math.max(0, Math.ceil((now.retryAt - Date.now()) / 1000));
  return (
    <p class="lost">
      <WarningIcon /> The connection is lost; the question goes on without it. Trying again
      {seconds > 0 ? ` in ${seconds} s` : ""}…
    </p>
  );
}

/** What the model is writing. It may yet be thrown away, so it is marked as unfinished. */
function Written({ drafts }: { drafts: Drafts }) {
  if (drafts.answer) {
    return (
      <div class="draft">
        <p class="label">Being written, not checked yet</p>
        <Markdown text={drafts.answer} />
      </div>
    );
  }
  if (!drafts.sql && !drafts.reasoning) return null;
  return (
    <div class="draft">
      {drafts.reasoning && <p dir="auto">{drafts.reasoning}</p>}
      {drafts.sql && (
        <>
          <p class="label">SQL being written</p>
          <Sql text={drafts.sql} />
        </>
      )}
    </div>
  );
}
