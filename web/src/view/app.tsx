// The frame of the page: conversations at the side, the thread, and the field to ask in at its foot.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { announcement } from "../state/announce";
import { lake } from "../state/lake";
import { conversation, failure, isLoading, startNew, turns } from "../state/session";
import { Banner } from "./banner";
import { Composer } from "./composer";
import { Failure, Welcome } from "./empty";
import { MenuIcon, PlusIcon } from "./icons";
import { Sidebar } from "./sidebar";
import { Thread } from "./thread";

export function App() {
  const isMenuOpen = useSignal(false);
  const menu = useRef<HTMLButtonElement>(null);
  const close = () => {
    isMenuOpen.value = false;
  };
  useEffect(() => {
    if (!isMenuOpen.value) return;
    const onKey = (event: KeyboardEvent) =>
      event.key === "Escape" && !document.querySelector("dialog[open]") && close();
    addEventListener("keydown", onKey);
    return () => {
      removeEventListener("keydown", onKey);
      // Only now does the page behind it take the focus again.
      menu.current?.focus();
    };
  }, [isMenuOpen.value]);

  const isEmpty = turns.value.length === 0 && !conversation.value;
  return (
    <div class="app">
      <button type="button" class="skip" onClick={() => document.getElementById("question")?.focus()}>
        Skip to the question
      </button>
      <Sidebar isOpen={isMenuOpen.value} onClose={close} />
      <div class="main" inert={isMenuOpen.value}>
        <header class="top">
          <button
            ref={menu}
            type="button"
            class="icon only-narrow"
            aria-label="Conversations"
            aria-expanded={isMenuOpen.value}
            aria-controls="conversations"
            onClick={() => {
              isMenuOpen.value = true;
            }}
          >
            <MenuIcon />
          </button>
          <h1 dir="auto">{lake.title}</h1>
          {!isEmpty && (
            <button type="button" class="icon only-narrow" aria-label="New question" onClick={startNew}>
              <PlusIcon />
            </button>
          )}
        </header>
        <Banner />
        <main class="scroll" aria-busy={isLoading.value}>
          {failure.value ? <Failure problem={failure.value} /> : isEmpty ? <Welcome /> : <Thread />}
        </main>
        <Composer />
      </div>
      <div class="offscreen" role="status" key={announcement.value.count}>
        {announcement.value.text}
      </div>
    </div>
  );
}
