// Starts the page: draws it, reads what is there to show, and listens to the address, the network and the other tabs.

import { render } from "preact";
import { showAddress, watchAddress } from "./state/address";
import { forget, hearOtherTabs, loadHistory } from "./state/history";
import { checkService, watchNetwork } from "./state/service";
import { conversation, look, startNew } from "./state/session";
import { completeSignIn, needsSignIn } from "./state/sign-in";
import { App } from "./view/app";
import { Boundary } from "./view/boundary";

const root = document.getElementById("app");
if (root) {
  root.replaceChildren();
  render(
    <Boundary>
      <App />
    </Boundary>,
    root,
  );
}
watchNetwork();
await completeSignIn();
watchAddress();
needsSignIn.subscribe((isNeeded) => {
  if (isNeeded) return;
  showAddress();
  // What was refused to who was not signed in.
  look(conversation.value);
  void loadHistory();
  void checkService();
});

hearOtherTabs((change) => {
  if (change.kind === "removed") forget(change.id);
  void loadHistory();
  if (change.kind === "removed" && change.id === conversation.value) startNew();
  else look(change.id);
});
addEventListener("online", lookAround);
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") lookAround();
});

/** Looks what has changed while the page could not see it. */
function lookAround(): void {
  void loadHistory();
  look(conversation.value);
}
