// Clients that are older than the page: they know the published contract alone, and must keep working.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "./support/fixtures.ts";
import { Server } from "./support/server.ts";

/** The published pattern: start, then ask for the status every two seconds until it is completed or an error. */
const CLIENT = `
const seen = [];
async function ask(question) {
  const started = await fetch(API + '/api/chat/start', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ question, user_id: 'somebody', device_id: deviceId() }),
  });
  const { conversation_id } = await started.json();
  for (;;) {
    const response = await fetch(API + '/api/chat/' + conversation_id + '/status');
    const data = await response.json();
    seen.push([data.progress.percentage, data.progress.current_step]);
    document.getElementById('step').textContent = data.progress.current_step;
    document.getElementById('bar').value = data.progress.percentage;
    if (data.status === 'completed') return { conversation_id, ...data };
    if (data.status === 'error') throw new Error(data.error);
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
}
function deviceId() {
  let id = localStorage.getItem('device_id');
  if (!id) localStorage.setItem('device_id', (id = 'device-' + Math.random()));
  return id;
}
async function show(question) {
  const answer = document.getElementById('answer');
  try {
    const data = await ask(question);
    answer.textContent = data.final_answer;
    document.getElementById('sql').textContent = data.databricks_jobs[0].sql_query;
    const { messages } = await (await fetch(API + '/api/chat/' + data.conversation_id + '/messages')).json();
    for (const message of messages) {
      const line = document.createElement('p');
      line.className = message.role;
      line.textContent = message.content;
      document.getElementById('messages').append(line);
    }
    const { conversations } = await (await fetch(API + '/api/chat/history?device_id=' + encodeURIComponent(deviceId()))).json();
    for (const conversation of conversations) {
      const line = document.createElement('li');
      line.textContent = conversation.question + ' (' + conversation.status + ')';
      document.getElementById('history').append(line);
    }
  } catch (error) {
    answer.textContent = 'Error: ' + error.message;
  }
}
`;

const BODY = `<p id="step"></p><progress id="bar" max="100"></progress><div id="answer"></div><pre id="sql"></pre>
<div id="messages"></div><ul id="history"></ul>`;

test("a page of another origin polls, shows the SQL, the messages by role and the history of its device", async ({
  page,
}) => {
  let api = "";
  const site = createServer((_, response) => {
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
    response.end(
      `<!doctype html><title>client</title>${BODY}<script>const API = ${JSON.stringify(api)};${CLIENT}</script>`,
    );
  });
  await new Promise<void>((done) => site.listen(0, "127.0.0.1", done));
  const origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
  const server = await Server.start({ CORS_ALLOWED_ORIGINS: origin });
  api = server.base;

  await page.goto(origin);
  await page.evaluate("show('Who directed Jaws?')");
  await expect(page.locator("#answer")).toContainText("Steven Spielberg");
  await expect(page.locator("#sql")).toContainText("SELECT");
  await expect(page.locator("#bar")).toHaveAttribute("value", "100");
  await expect(page.locator("#messages .user")).toHaveText("Who directed Jaws?");
  await expect(page.locator("#messages .assistant").last()).toContainText("Steven Spielberg");
  await expect(page.locator("#history li")).toHaveText(["Who directed Jaws? (completed)"]);
  const seen = (await page.evaluate("seen")) as [number, string][];
  expect(seen.at(-1)).toEqual([100, "Completed"]);
  expect(seen.map(([percentage]) => percentage)).toEqual(seen.map(([percentage]) => percentage).sort((a, b) => a - b));

  await page.evaluate("localStorage.clear()");
  await page.reload();
  await page.evaluate("show('What is the meaning of life?')");
  await expect(page.locator("#answer")).not.toBeEmpty();
  await expect(page.locator("#history li"), "another device has another history").toHaveText([
    /^What is the meaning of life\?/,
  ]);
  await server.stop();
  await new Promise((done) => site.close(done));
});

test("a page of an origin that is not admitted gets nothing", async ({ page, planner }) => {
  const site = createServer((_, response) => response.end("<!doctype html><title>other</title>"));
  await new Promise<void>((done) => site.listen(0, "127.0.0.1", done));
  await page.goto(`http://127.0.0.1:${(site.address() as AddressInfo).port}`);
  const outcome = await page.evaluate(
    (url) => fetch(url).then(String, (error: Error) => error.name),
    `${planner.base}/api/health`,
  );
  expect(outcome).toBe("TypeError");
  await new Promise((done) => site.close(done));
});

test("a script without a browser polls to the answer and to an error", async ({ scripted, planner }) => {
  const poll = async (base: string, question: string) => {
    const started = await fetch(`${base}/api/chat/start`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ question, user_id: "script" }),
    });
    expect(started.status).toBe(202);
    const { conversation_id: id } = (await started.json()) as { conversation_id: string };
    for (;;) {
      const data = (await (await fetch(`${base}/api/chat/${id}/status`)).json()) as Record<string, unknown>;
      if (data.status !== "processing") return data;
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  };
  const answer = await poll(planner.base, "How long is Titanic?");
  expect(answer).toMatchObject({ status: "completed", error: null, final_answer: expect.stringContaining("Titanic") });
  scripted.model.script("What fails for a script?", { fail: 400 });
  const failure = await poll(scripted.server.base, "What fails for a script?");
  expect(failure).toMatchObject({ status: "error", final_answer: null, error: expect.stringContaining("The model") });
});
