// Which model answers and how the service is, at the foot of the side.

import { down, isOnline, service } from "../state/service";

export function ServiceState() {
  const now = service.value;
  if (now.kind === "unknown") return <p class="service quiet">Looking how the service is…</p>;
  if (now.kind === "unreachable" || !isOnline.value) {
    return (
      <p class="service">
        <span class="dot bad" /> {isOnline.value ? "asklake does not answer" : "Offline"}
      </p>
    );
  }
  return (
    <details class="service">
      <summary>
        <span class={down.value.length ? "dot bad" : "dot"} />
        <span class="grow">
          <span class="offscreen">Answers come from </span>
          <span dir="auto">{now.ready.model}</span>
          <span class="quiet">
            {down.value.length ? `${down.value.map((one) => one.name).join(", ")} down` : "all services answer"}
          </span>
        </span>
      </summary>
      <dl>
        {now.ready.dependencies.map((dependency) => (
          <div key={dependency.name}>
            <dt>{dependency.name}</dt>
            <dd>{dependency.kind}</dd>
            <dd class={dependency.status === "ok" ? "quiet" : "error"}>
              {dependency.status === "ok" ? `${dependency.latency_ms} ms` : "down"}
            </dd>
          </div>
        ))}
      </dl>
      <p>
        <a href="/api/openapi.json">API</a> · <a href="/api/assets/licenses.md">Licences</a>
      </p>
    </details>
  );
}
