// The turns of the conversation, one below the other. A question that is asked comes to the top, and its answer grows below it.

import { useEffect, useRef } from "preact/hooks";
import { conversation, isLoading, turns } from "../state/session";
import { TurnView } from "./turn";

export function Thread() {
  const list = useRef<HTMLDivElement>(null);
  const count = turns.value.length;
  useEffect(() => {
    const last = list.current?.lastElementChild;
    if (count > 1) last?.scrollIntoView({ block: "start" });
  }, [count, conversation.value]);
  if (isLoading.value && count === 0) return <p class="thread quiet">Reading the conversation…</p>;
  return (
    <div class="thread" ref={list}>
      {turns.value.map((turn, index) => (
        <TurnView key={turn.number} turn={turn} isLast={index === count - 1} />
      ))}
    </div>
  );
}
