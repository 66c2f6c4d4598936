// Whether the last answer was of use, and why not. The last word counts.

import { useRef, useState } from "preact/hooks";
import * as client from "../api/client";
import { problemOf } from "../api/client";
import type { Feedback as Given } from "../api/types";
import { announce } from "../state/announce";
import { ThumbDownIcon, ThumbUpIcon } from "./icons";

type Rating = Given["rating"];

/** The server's limit, in characters. */
const LONGEST_COMMENT = 2000;

export function Feedback({ conversation, given }: { conversation: string; given: Rating | null }) {
  const [rating, setRating] = useState(given);
  const [isAsking, setAsking] = useState(false);
  const [message, setMessage] = useState("");
  const comment = useRef<HTMLTextAreaElement>(null);

  const send = async (next: Rating, text: string) => {
    setRating(next);
    setMessage("");
    try {
      await client.feedback(conversation, next, text);
      announce("Thank you for the feedback.");
      if (text || next === "positive") setAsking(false);
    } catch (cause) {
      setRating(given);
      setMessage(`The feedback was not taken. ${problemOf(cause).message}`);
    }
  };
  const rate = (next: Rating) => {
    setAsking(next === "negative");
    void send(next, "");
  };
  return (
    <div class="feedback">
      <button
        type="button"
        class="icon"
        aria-label="Good answer"
        title="Good answer"
        aria-pressed={rating === "positive"}
        onClick={() => rate("positive")}
      >
        <ThumbUpIcon />
      </button>
      <button
        type="button"
        class="icon"
        aria-label="Bad answer"
        title="Bad answer"
        aria-pressed={rating === "negative"}
        onClick={() => rate("negative")}
      >
        <ThumbDownIcon />
      </button>
      {message && (
        <span class="error" role="alert">
          {message}
        </span>
      )}
      {isAsking && (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void send("negative", comment.current?.value.trim() ?? "");
          }}
        >
          <label>
            What is wrong with it?
            <textarea ref={comment} rows={2} maxLength={LONGEST_COMMENT} dir="auto" />
          </label>
          <button type="submit">Send</button>
          <button type="button" onClick={() => setAsking(false)}>
            No comment
          </button>
        </form>
      )}
    </div>
  );
}
