// A query behind an answer: why it was asked, its statement, its rows.

import { useEffect, useRef, useState } from "preact/hooks";
import * as client from "../api/client";
import { type Problem, problemOf } from "../api/client";
import type { Rows } from "../api/types";
import { RowsTable } from "../rows/table";
import { announce } from "../state/announce";
import { token } from "../state/sign-in";
import type { NumberedJob } from "../state/thread";
import { copy } from "../text/copy";
import { between, counted, rowsOf } from "../text/format";
import { CheckIcon, ChevronIcon, CopyIcon, DownloadIcon } from "./icons";
import { Sql } from "./sql";

interface QueryProps {
  conversation: string;
  job: NumberedJob;
  /** Whether its rows are shown from the beginning. */
  isOpen: boolean;
}

export function Query({ conversation, job, isOpen }: QueryProps) {
  const [isShown, setShown] = useState(isOpen);
  return (
    <details class={`query ${job.status}`} open={isOpen} onToggle={(event) => setShown(event.currentTarget.open)}>
      <summary>
        <ChevronIcon />
        <span class="name">Query {job.number}</span>
        <span class="reason" dir="auto">
          {job.reasoning}
        </span>
        <span class="outcome">{outcome(job)}</span>
      </summary>
      {isShown && <Details conversation={conversation} job={job} />}
    </details>
  );
}

function outcome(job: NumberedJob): string {
  const took = between(job.started_at, job.finished_at);
  switch (job.status) {
    case "completed":
      return [rowsOf(job.row_count ?? 0, job.truncated ?? false), took].filter(Boolean).join(" · ");
    case "pending":
      return "waiting";
    case "running":
      return "running";
    case "failed":
      return "failed";
    case "canceled":
      return "stopped";
  }
}

function Details({ conversation, job }: { conversation: string; job: NumberedJob }) {
  return (
    <div class="details">
      {job.error && (
        <p class="error" dir="auto">
          {job.error}
        </p>
      )}
      {job.status === "completed" && <ResultRows conversation={conversation} job={job} />}
      <div class="block">
        <div class="bar">
          <h3>SQL</h3>
          {job.run_page_url && /^https?:/.test(job.run_page_url) && (
            <a href={job.run_page_url} target="_blank" rel="noopener noreferrer">
              Open in the warehouse
            </a>
          )}
          <CopyButton text={job.sql_query} what="SQL" />
        </div>
        <Sql text={job.sql_query} label={`SQL of query ${job.number}`} />
      </div>
    </div>
  );
}

export function CopyButton({ text, what }: { text: string; what: string }) {
  const [isCopied, setCopied] = useState(false);
  useEffect(() => {
    if (!isCopied) return;
    const timer = setTimeout(() => setCopied(false), 2000);
    return () => clearTimeout(timer);
  }, [isCopied]);
  const press = async () => {
    const copied = await copy(text);
    setCopied(copied);
    announce(copied ? `${what} copied.` : `${what} could not be copied.`);
  };
  return (
    <button type="button" class="small" aria-label={`Copy ${what}`} onClick={() => void press()}>
      {isCopied ? <CheckIcon /> : <CopyIcon />} {isCopied ? "Copied" : "Copy"}
    </button>
  );
}

type Loaded =
  | { kind: "loading" }
  | { kind: "rows"; result: Rows }
  | { kind: "problem"; problem: Problem }
  | { kind: "rerunning" };

/** Between two looks for the rows of a query that runs again, and how long they are looked for. */
const RERUN_POLL_MS = 1500;
const RERUN_LIMIT_MS = 5 * 60_000;

function ResultRows({ conversation, job }: { conversation: string; job: NumberedJob }) {
  const [state, setState] = useState<Loaded>({ kind: "loading" });
  const isHere = useRef(true);
  const set = (next: Loaded) => {
    if (isHere.current) setState(next);
  };
  const load = async (): Promise<void> => {
    try {
      set({ kind: "rows", result: await client.rows(conversation, job.number) });
    } catch (cause) {
      set({ kind: "problem", problem: problemOf(cause) });
    }
  };
  const rerun = async () => {
    set({ kind: "rerunning" });
    announce("The query runs again.");
    try {
      await client.rerun(conversation, job.number);
      set({ kind: "rows", result: await awaited(conversation, job.number, () => isHere.current) });
      announce("The rows are there again.");
    } catch (cause) {
      const problem = problemOf(cause);
      set({ kind: "problem", problem });
      announce(problem.message);
    }
  };
  useEffect(() => {
    isHere.current = true;
    void load();
    return () => {
      isHere.current = false;
    };
  }, [conversation, job.number]);

  switch (state.kind) {
    case "loading":
      return <p class="quiet">Reading the rows…</p>;
    case "rerunning":
      return <p class="quiet">The query runs again…</p>;
    case "problem":
      return <NoRows problem={state.problem} onRerun={() => void rerun()} onRetry={() => void load()} />;
    case "rows":
      return <ShownRows conversation={conversation} job={job} result={state.result} />;
  }
}

/** The rows of a query that was told to run again, as soon as there are some. */
async function awaited(conversation: string, number: number, isWanted: () => boolean): Promise<Rows> {
  const until = Date.now() + RERUN_LIMIT_MS;
  for (;;) {
    try {
      return await client.rows(conversation, number);
    } catch (cause) {
      const problem = problemOf(cause);
      const mayCome = (problem.kind === "result-expired" && !isFailure(problem)) || problem.isTransient;
      if (!mayCome || !isWanted() || Date.now() > until) throw problem;
    }
    await new Promise((resolve) => setTimeout(resolve, RERUN_POLL_MS));
  }
}

/** Whether the rows were asked for again in vain (`result_expired` in src/http/problem.rs). */
function isFailure(problem: Problem): boolean {
  return problem.message.includes("could not be computed again");
}

function NoRows({ problem, onRerun, onRetry }: { problem: Problem; onRerun: () => void; onRetry: () => void }) {
  if (problem.kind === "result-expired") {
    return (
      <div class="ended">
        <div>
          {isFailure(problem) && <p class="error">{problem.message}</p>}
          <p>
            The rows of this query are no longer kept. The same statement can be run again; the data may have changed
            since.
          </p>
          <button type="button" onClick={onRerun}>
            Run the query again
          </button>
        </div>
      </div>
    );
  }
  return (
    <div class="ended error">
      <div>
        <p>{problem.message}</p>
        <button type="button" onClick={onRetry}>
          Try again
        </button>
      </div>
    </div>
  );
}

const FORMATS = ["csv", "json", "ndjson"] as const;

function ShownRows({ conversation, job, result }: { conversation: string; job: NumberedJob; result: Rows }) {
  const path = client.resultPath(conversation, job.number);
  return (
    <div class="block">
      <div class="bar">
        <h3>Rows</h3>
        <span class="quiet">{extent(result)}</span>
        <span class="downloads">
          <DownloadIcon />
          {FORMATS.map((format) => (
            <a
              key={format}
              href={`${path}?format=${format}`}
              download={`asklake-${conversation}-${job.number}.${format}`}
              onClick={(event) => download(event)}
              aria-label={`Download ${format.toUpperCase()}`}
            >
              {format.toUpperCase()}
            </a>
          ))}
        </span>
      </div>
      {result.rows.length > 0 && <RowsTable result={result} label={`Rows of query ${job.number}`} />}
    </div>
  );
}

/** How long a file that was fetched is there to be saved. */
const KEPT_MS = 60_000;

/** A link sends no token: what needs one is fetched first. */
function download(event: MouseEvent): void {
  const link = event.currentTarget as HTMLAnchorElement;
  if (!token() || link.protocol === "blob:") return;
  event.preventDefault();
  void client.file(link.pathname + link.search).then(
    (file) => {
      const copy = link.cloneNode() as HTMLAnchorElement;
      copy.href = URL.createObjectURL(file);
      copy.click();
      // Not at once: the browser may begin to read it later.
      setTimeout(() => URL.revokeObjectURL(copy.href), KEPT_MS);
    },
    (cause: unknown) => announce(client.problemOf(cause).message),
  );
}

function extent(result: Rows): string {
  const rows = counted(result.rows.length, "row");
  if (result.rows.length === 0) return "The query gave no rows";
  if (result.truncated) return `The first ${rows}; there were more, which asklake's limit cut off`;
  return result.limit_source === "model" ? `${rows}, as many as the statement asks for` : rows;
}
