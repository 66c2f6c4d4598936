// Says what is down: the network, the service, or what the service needs. Nothing while all is well.

import { down, isOnline, service } from "../state/service";
import { WarningIcon } from "./icons";

const MEANING: Record<string, string> = {
  model: "The model does not answer. Questions wait for it, and fail if it stays away.",
  warehouse: "The warehouse does not answer. Questions wait for it, and fail if it stays away.",
  store: "The store of conversations does not answer. Nothing can be asked or read until it does.",
  queue: "The queue does not answer. Nothing can be asked until it does.",
};

export function Banner() {
  const text = message();
  return (
    <div role="alert">
      {text && (
        <div class="banner">
          <WarningIcon />
          <div>{text}</div>
        </div>
      )}
    </div>
  );
}

function message() {
  if (!isOnline.value)
    return <p>This device is offline. What was asked goes on; the page catches up when the network is back.</p>;
  if (service.value.kind === "unreachable") {
    return <p>asklake does not answer. The page tries again every few seconds; what was asked is kept.</p>;
  }
  if (down.value.length === 0) return null;
  return down.value.map((dependency) => (
    <p key={dependency.name}>
      {MEANING[dependency.name] ?? `The ${dependency.name} does not answer.`}{" "}
      {dependency.detail && (
        <span class="detail" dir="auto">
          {dependency.detail}
        </span>
      )}
    </p>
  ));
}
