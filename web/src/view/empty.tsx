// What stands where no thread is: the welcome with questions to start with, and why a conversation cannot be shown.

import type { Problem } from "../api/client";
import { lake } from "../state/lake";
import { ask, retryOpening, startNew } from "../state/session";

export function Welcome() {
  return (
    <section class="welcome">
      <h2>Ask in plain language</h2>
      {lake.description && <p dir="auto">{lake.description}</p>}
      <p class="quiet">
        Every answer comes with the SQL and the rows behind it. Numbers and names that no row supports are marked, and
        assumptions are listed.
      </p>
      {lake.examples.length > 0 && (
        <>
          <h3 id="examples">Questions to start with</h3>
          <ul class="examples" aria-labelledby="examples">
            {lake.examples.map((question) => (
              <li key={question}>
                <button type="button" dir="auto" onClick={() => void ask(question)}>
                  {question}
                </button>
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

export function Failure({ problem }: { problem: Problem }) {
  const isGone = problem.status === 404;
  return (
    <section class="welcome" role="alert">
      <h2>{isGone ? "This conversation is not here" : "This conversation cannot be shown now"}</h2>
      <p class="quiet">{isGone ? "It was deleted, has expired, or is not yours to see." : problem.message}</p>
      <p class="actions">
        {!isGone && (
          <button type="button" class="primary" onClick={retryOpening}>
            Try again
          </button>
        )}
        <button type="button" onClick={startNew}>
          New question
        </button>
      </p>
    </section>
  );
}
