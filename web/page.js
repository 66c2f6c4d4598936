// The page: asks, follows the progress by long poll, shows the answer with its SQL and rows.
// Whatever comes from the server is written as text, never as markup.
"use strict";

const el = (id) => document.getElementById(id);
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const WAIT_SECONDS = 20;
const ROWS_SHOWN = 200;
let current = null; // the conversation being shown; an older follow loop stops when it changes

// A label for this device's history. Where storage is off, the page works without history.
function deviceId() {
  try {
    let id = localStorage.getItem("asklake.device");
    if (!id) localStorage.setItem("asklake.device", (id = crypto.randomUUID()));
    return id;
  } catch {
    return undefined;
  }
}

function node(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

async function request(path, options) {
  const response = await fetch(path, options);
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw Object.assign(new Error(body.error || `The server answered ${response.status}.`), { status: response.status });
  return body;
}

function fault(message) {
  el("fault").hidden = !message;
  el("fault").textContent = message || "";
}

async function ask(question) {
  fault();
  el("question").value = question;
  const body = JSON.stringify({ question, device_id: deviceId(), language: navigator.language });
  try {
    const started = await request("/api/chat/start", { method: "POST", headers: { "content-type": "application/json" }, body });
    show(started.conversation_id);
  } catch (error) {
    fault(error.status ? error.message : "The server cannot be reached. Is it running?");
  }
}

async function show(id) {
  current = id;
  history.replaceState(null, "", `#${id}`);
  el("turn").hidden = false;
  for (const part of ["answer", "assumptions", "jobs", "by"]) el(part).replaceChildren();
  el("next").hidden = true;
  let after = 0;
  while (current === id) {
    try {
      const status = await request(`/api/chat/${id}/status?wait=${WAIT_SECONDS}&after=${after}`);
      if (current !== id) return;
      fault();
      after = status.revision;
      renderProgress(status);
      if (status.status !== "processing") return await renderEnd(id, status);
    } catch (error) {
      if (error.status && error.status !== 503) return fault(error.message);
      fault("The connection is lost; trying again.");
      await pause(2000);
    }
  }
}

function renderProgress(status) {
  el("asked").textContent = status.question;
  el("progress").hidden = status.status !== "processing";
  el("progress").querySelector("progress").value = status.progress.percentage;
  const { current_step: step, reasoning } = status.progress;
  el("step").textContent = reasoning ? `${step} ${reasoning}` : step;
}

async function renderEnd(id, status) {
  const answer = el("answer");
  answer.replaceChildren(...(status.final_answer === null ? [node("p", status.error, { class: "error" })] : markdown(status.final_answer)));
  // What the answer says itself is not said again.
  const said = status.final_answer ?? "";
  el("assumptions").replaceChildren(...status.assumptions.filter((text) => !said.includes(text)).map((text) => node("li", `Assumed: ${text}`)));
  el("by").textContent = said && status.answered_by && !said.includes("Answered by") ? `Answered by ${status.answered_by}` : "";
  el("next").hidden = status.suggested_questions.length === 0;
  el("next").querySelector("ul").replaceChildren(...status.suggested_questions.map(questionButton));
  el("jobs").replaceChildren(...(await Promise.all(status.databricks_jobs.map((job, index) => renderJob(id, job, index + 1)))));
  loadHistory();
}

function questionButton(question) {
  const item = node("li");
  item.append(node("button", question, { type: "button" }));
  return item;
}

async function renderJob(id, job, number) {
  const details = node("details");
  const outcome = job.status === "completed" ? `${job.row_count}${job.truncated ? "+" : ""} rows` : job.status;
  details.append(node("summary", `Query ${number}: ${job.reasoning} (${outcome})`), node("pre", job.sql_query));
  if (job.error) details.append(node("p", job.error, { class: "error" }));
  if (job.status !== "completed") return details;
  try {
    const result = await request(`/api/chat/${id}/results/${number}`);
    details.append(table(result), node("a", "Download CSV", { href: `/api/chat/${id}/results/${number}?format=csv`, download: `query-${number}.csv` }));
  } catch (error) {
    details.append(node("p", error.message, { class: "error" }));
  }
  return details;
}

function table(result) {
  const frame = node("div", undefined, { class: "frame", tabindex: "0" });
  const made = node("table");
  const head = made.createTHead().insertRow();
  const isNumber = (column) => /^(tinyint|smallint|int|bigint|float|double|decimal)/.test(column.type);
  for (const column of result.columns) head.append(node("th", column.name, { scope: "col", title: column.type, ...(isNumber(column) && { class: "number" }) }));
  const body = made.createTBody();
  for (const row of result.rows.slice(0, ROWS_SHOWN)) {
    const line = body.insertRow();
    for (const cell of row) {
      const text = cell === null ? "" : Array.isArray(cell) ? cell.join(", ") : typeof cell === "object" ? JSON.stringify(cell) : String(cell);
      line.append(node("td", text, typeof cell === "number" ? { class: "number" } : {}));
    }
  }
  frame.append(made);
  if (result.rows.length > ROWS_SHOWN) frame.append(node("p", `${result.rows.length - ROWS_SHOWN} more rows are in the CSV.`));
  return frame;
}

// The Markdown that answers use: paragraphs, lists, tables, bold, emphasis and backslash escapes. All of it becomes nodes.
function markdown(text) {
  return text.split(/\n{2,}/).flatMap((block) => {
    const lines = block.split("\n").filter((line) => line.trim());
    const blocks = [];
    for (let at = 0; at < lines.length; ) {
      const kind = lineKind(lines[at]);
      let end = at + 1;
      while (end < lines.length && lineKind(lines[end]) === kind) end += 1;
      blocks.push(markdownBlock(kind, lines.slice(at, end)));
      at = end;
    }
    return blocks;
  });
}

function lineKind(line) {
  if (/^\s*\d+[.)]\s/.test(line)) return "ol";
  if (/^\s*[-*]\s/.test(line)) return "ul";
  return /^\s*\|/.test(line) ? "table" : "p";
}

function markdownBlock(kind, lines) {
  if (kind === "table") return markdownTable(lines);
  if (kind === "p") {
    const paragraph = node("p");
    lines.forEach((line, index) => paragraph.append(...(index ? [node("br")] : []), ...inline(line)));
    return paragraph;
  }
  const list = node(kind);
  for (const line of lines) {
    const item = node("li");
    item.append(...inline(line.replace(/^\s*(\d+[.)]|[-*])\s/, "")));
    list.append(item);
  }
  return list;
}

function markdownTable(lines) {
  const cells = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim());
  const rows = lines.filter((line) => !/^\s*\|[\s:|-]+\|\s*$/.test(line)).map(cells);
  const made = node("table");
  const head = made.createTHead().insertRow();
  for (const cell of rows[0]) head.append(withInline(node("th", undefined, { scope: "col" }), cell));
  const body = made.createTBody();
  for (const row of rows.slice(1)) {
    const line = body.insertRow();
    for (const cell of row) line.append(withInline(node("td"), cell));
  }
  const frame = node("div", undefined, { class: "frame" });
  frame.append(made);
  return frame;
}

function withInline(made, text) {
  made.append(...inline(text));
  return made;
}

function inline(text) {
  const parts = text.match(/\\[\s\S]|\*\*(?:\\[\s\S]|[^*\\])+\*\*|\*(?:\\[\s\S]|[^*\\])+\*|_(?:\\[\s\S]|[^_\\])+_|`[^`]+`|[^\\*_`]+|[\s\S]/g) || [];
  return parts.map((part) => {
    if (part.length === 2 && part[0] === "\\") return document.createTextNode(part[1]);
    if (part.length > 4 && part.startsWith("**")) return withInline(node("strong"), part.slice(2, -2));
    if (part.length > 2 && /^[*_]/.test(part)) return withInline(node("em"), part.slice(1, -1));
    if (part.length > 2 && part[0] === "`") return node("code", part.slice(1, -1));
    return document.createTextNode(part);
  });
}

async function loadHistory() {
  const device = deviceId();
  if (!device) return;
  try {
    const page = await request(`/api/chat/history?device_id=${encodeURIComponent(device)}&limit=10`);
    const items = page.conversations.map((conversation) => {
      const item = node("li");
      item.append(node("a", conversation.question, { href: `#${conversation.id}` }));
      return item;
    });
    el("history").hidden = items.length === 0;
    el("history").querySelector("ul").replaceChildren(...items);
  } catch {
    el("history").hidden = true; // the rest of the page works without it
  }
}

async function loadReadiness() {
  try {
    const response = await fetch("/api/ready");
    const ready = await response.json();
    el("model").textContent = `Model: ${ready.model}`;
    const down = ready.dependencies.filter((dependency) => dependency.status !== "ok");
    if (down.length) fault(down.map((dependency) => `The ${dependency.name} does not answer: ${dependency.detail}`).join(" "));
  } catch {
    fault("The server cannot be reached. Is it running?");
  }
}

el("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  ask(el("question").value.trim());
});
el("question").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  el("ask").requestSubmit();
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("#examples button, #next button");
  if (button) ask(button.textContent);
});
addEventListener("hashchange", () => location.hash.length > 1 && location.hash.slice(1) !== current && show(location.hash.slice(1)));

loadReadiness();
loadHistory();
if (location.hash.length > 1) show(location.hash.slice(1));
