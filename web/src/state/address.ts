// The address of the page names the conversation that is shown: `#<id>`. Both follow each other, and Back goes to the one before.

import { effect } from "@preact/signals";
import { lake } from "./lake";
import { conversation, open, startNew, turns } from "./session";

/** The id in the address; null where there is none, or what no id is written like. */
function named(): string | null {
  try {
    return decodeURIComponent(location.hash.slice(1)) || null;
  } catch {
    return null;
  }
}

/** Shows what the address names. */
export function showAddress(): void {
  const id = named();
  if (id === conversation.value) return;
  if (id) void open(id);
  else startNew();
}

export function watchAddress(): void {
  addEventListener("hashchange", showAddress);
  addEventListener("popstate", showAddress);
  let isFirst = true;
  effect(() => {
    const id = conversation.value;
    // What the address names when the page is opened is yet to be shown.
    if (!isFirst && id !== named()) history.pushState(null, "", id ? `#${id}` : location.pathname);
    isFirst = false;
  });
  effect(() => {
    const question = turns.value[0]?.question;
    document.title = question ? `${question.slice(0, 80)} · asklake` : `asklake · ${lake.title}`;
  });
}
