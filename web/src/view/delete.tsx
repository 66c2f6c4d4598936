// Asks before a conversation is deleted, because nothing brings it back.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Summary } from "../api/types";
import { remove } from "../state/session";

export function DeleteDialog({ entry, onClose }: { entry: Summary; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [isDeleting, setDeleting] = useState(false);
  const [message, setMessage] = useState("");
  useEffect(() => {
    const opener = document.activeElement;
    dialog.current?.showModal();
    // The button that opened it is gone with its conversation.
    return () =>
      (opener?.isConnected && opener instanceof HTMLElement ? opener : document.getElementById("question"))?.focus();
  }, []);

  const confirm = async () => {
    if (isDeleting) return;
    setDeleting(true);
    const problem = await remove(entry.id);
    setDeleting(false);
    if (problem) setMessage(`It could not be deleted. ${problem.message}`);
    else onClose();
  };
  return (
    <dialog ref={dialog} aria-labelledby="delete-title" aria-describedby="delete-text" onClose={onClose}>
      <h2 id="delete-title">Delete this conversation?</h2>
      <p id="delete-text">
        “<span dir="auto">{entry.title ?? entry.question}</span>”, its answers and its rows are removed for good
        {entry.status === "processing" && ", and what runs for it is stopped"}.
      </p>
      {message && (
        <p class="error" role="alert">
          {message}
        </p>
      )}
      <p class="actions">
        <button type="button" onClick={() => dialog.current?.close()}>
          Keep it
        </button>
        <button type="button" class="danger" aria-disabled={isDeleting} onClick={() => void confirm()}>
          {isDeleting ? "Deleting…" : "Delete"}
        </button>
      </p>
    </dialog>
  );
}
