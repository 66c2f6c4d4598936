// The field to ask in. Enter asks, Shift+Enter makes a new line; while a question runs, the button stops it.

import { useEffect, useRef, useState } from "preact/hooks";
import { ask, conversation, failure, isBusy, isStopping, lastTurn, stop, turns } from "../state/session";
import { SendIcon, StopIcon } from "./icons";

/** The server's limit, in characters. */
const LONGEST = 4000;
/** What the field grows to where the browser does not size it by its content. */
const LINES = 8;
/** From here on the field says how much room is left. */
const NEAR = 3600;

export function Composer() {
  const [text, setText] = useState("");
  const field = useRef<HTMLTextAreaElement>(null);
  const unsent = lastTurn.value?.state.kind === "unsent" ? lastTurn.value.question : null;
  const length = [...text.trim()].length;
  const isTooLong = length > LONGEST;

  // A question that was not taken stands in the field again, to be sent again or changed. Sent again from elsewhere, it is not to be sent twice.
  useEffect(() => {
    if (unsent === null) return;
    setText((now) => now || unsent);
    return () => {
      const isSent = lastTurn.peek()?.question === unsent;
      setText((now) => (isSent && now.trim() === unsent ? "" : now));
    };
  }, [unsent]);
  useEffect(() => {
    // On a phone it would bring up the keyboard over the page.
    if (!matchMedia("(pointer: coarse)").matches) field.current?.focus({ preventScroll: true });
  }, [conversation.value === null]);

  const send = () => {
    const question = text.trim();
    if (!question || isTooLong || isBusy.value) return;
    setText("");
    void ask(question);
  };
  if (failure.value) return null;
  const isFollowUp = turns.value.length > 0;
  return (
    <form
      class="composer"
      aria-label="Ask"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <div class="field">
        <label class="offscreen" for="question">
          {isFollowUp ? "Ask a follow-up question" : "Ask a question"}
        </label>
        <textarea
          ref={field}
          id="question"
          rows={Math.min(LINES, text.split("\n").length)}
          dir="auto"
          enterkeyhint="send"
          autocomplete="off"
          placeholder={isFollowUp ? "Ask a follow-up question" : "Ask a question"}
          aria-describedby="question-note"
          aria-invalid={isTooLong}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
            event.preventDefault();
            send();
          }}
        />
        {isBusy.value ? (
          <button
            type="button"
            class="round stop"
            aria-label={isStopping.value ? "Stopping" : "Stop"}
            title="Stop"
            aria-disabled={isStopping.value || !conversation.value}
            onClick={() => void stop()}
          >
            <StopIcon />
          </button>
        ) : (
          <button type="submit" class="round" aria-label="Ask" title="Ask" aria-disabled={length === 0 || isTooLong}>
            <SendIcon />
          </button>
        )}
      </div>
      <p id="question-note" class={isTooLong ? "note error" : "note"} role={isTooLong ? "alert" : undefined}>
        {length > NEAR ? (
          room(LONGEST - length)
        ) : (
          <>
            <span class="keys">Enter asks, Shift + Enter makes a new line. </span>Answers can be wrong: check them by
            their SQL and rows.
          </>
        )}
      </p>
    </form>
  );
}

function room(left: number): string {
  return left < 0 ? `The question is ${-left} characters too long.` : `${left} characters left.`;
}
