// The conversations of this device, and how the service is. On a narrow screen it lies over the page and is opened by a button.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Summary } from "../api/types";
import { entries, historyProblem, isHistoryRead, loadMore, nextCursor } from "../state/history";
import { conversation, startNew } from "../state/session";
import { dayOf, fullTime, when } from "../text/format";
import { DeleteDialog } from "./delete";
import { CloseIcon, LogoIcon, PlusIcon, TrashIcon } from "./icons";
import { ServiceState } from "./service";

export function Sidebar({ isOpen, onClose }: { isOpen: boolean; onClose: () => void }) {
  const [doomed, setDoomed] = useState<Summary | null>(null);
  const close = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (isOpen) close.current?.focus();
  }, [isOpen]);
  return (
    <>
      {isOpen && <div class="backdrop" onClick={onClose} aria-hidden="true" />}
      <aside id="conversations" class={isOpen ? "side open" : "side"} aria-label="Conversations">
        <div class="side-head">
          <span class="brand">
            <LogoIcon /> asklake
          </span>
          <button ref={close} type="button" class="icon only-narrow" aria-label="Close" onClick={onClose}>
            <CloseIcon />
          </button>
        </div>
        <button
          type="button"
          class="new"
          onClick={() => {
            startNew();
            if (isOpen) onClose();
            document.getElementById("question")?.focus();
          }}
        >
          <PlusIcon /> New question
        </button>
        <nav class="history" aria-label="Asked on this device">
          <Entries onDelete={setDoomed} onOpen={() => isOpen && onClose()} />
        </nav>
        <ServiceState />
      </aside>
      {doomed && <DeleteDialog entry={doomed} onClose={() => setDoomed(null)} />}
    </>
  );
}

function Entries({ onDelete, onOpen }: { onDelete: (entry: Summary) => void; onOpen: () => void }) {
  if (historyProblem.value && entries.value.length === 0) {
    return <p class="quiet">The history cannot be read now.</p>;
  }
  if (entries.value.length === 0) {
    return <p class="quiet">{isHistoryRead.value ? "What is asked on this device is listed here." : ""}</p>;
  }
  const days = Map.groupBy(entries.value, (entry) => dayOf(entry.created_at));
  return (
    <>
      {[...days].map(([day, ofDay]) => (
        <section key={day} aria-label={day}>
          <h2>{day}</h2>
          <ul>
            {ofDay.map((entry) => (
              <Entry key={entry.id} entry={entry} onDelete={onDelete} onOpen={onOpen} />
            ))}
          </ul>
        </section>
      ))}
      {nextCursor.value && (
        <button type="button" class="link" onClick={() => void loadMore()}>
          Show earlier ones
        </button>
      )}
    </>
  );
}

const STATE = { processing: "running", completed: "answered", error: "ended without an answer" };

interface EntryProps {
  entry: Summary;
  onDelete: (entry: Summary) => void;
  onOpen: () => void;
}

function Entry({ entry, onDelete, onOpen }: EntryProps) {
  const title = entry.title ?? entry.question;
  const isCurrent = conversation.value === entry.id;
  return (
    <li class={isCurrent ? "entry current" : "entry"}>
      <a
        href={`#${entry.id}`}
        aria-current={isCurrent ? "page" : undefined}
        title={`${title}\n${fullTime(entry.created_at)}, ${STATE[entry.status]}`}
        onClick={onOpen}
      >
        <span class="title" dir="auto">
          {title}
        </span>
        <span class={`state ${entry.status}`}>
          {entry.status === "completed" ? when(entry.created_at) : STATE[entry.status]}
        </span>
      </a>
      <button type="button" class="icon" aria-label={`Delete: ${title}`} title="Delete" onClick={() => onDelete(entry)}>
        <TrashIcon />
      </button>
    </li>
  );
}
