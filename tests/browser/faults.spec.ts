// What breaks: the server, the network, the means by which progress comes, the model, the warehouse, rows that are gone.

import { answered, ask, expect, field, test, turns } from "./support/fixtures.ts";
import { Gate, ScriptedModel } from "./support/model.ts";
import { Server } from "./support/server.ts";

const ONE = "SELECT primaryTitle FROM imdb.movies_delta LIMIT 1";

/** Where the server tells of the conversation that is shown at `address`. */
function path(address: string, part: "status" | "messages"): string {
  const { origin, hash } = new URL(address);
  return `${origin}/api/chat/${hash.slice(1)}/${part}`;
}

/** Asks a follow-up as another device does. */
async function followUp(address: string, question: string): Promise<void> {
  const headers = { "content-type": "application/json" };
  const taken = await fetch(path(address, "messages"), { method: "POST", headers, body: JSON.stringify({ question }) });
  expect(taken.status).toBe(202);
}

test("a server that is killed in the middle of a question and started again answers it on the open page", async ({
  page,
}) => {
  const model = await ScriptedModel.start();
  const server = await Server.start(model.environment);
  const question = "What survives?";
  const gate = new Gate();
  model.script(question, { sql: ONE }, { answer: "The question does.", gate });
  await page.goto(server.base);
  await ask(page, question);
  await gate.reached;
  await expect(turns(page).last()).toContainText("Processing results...");
  await server.kill();
  await expect(turns(page).last()).toContainText("The connection is lost");
  await page.getByRole("button", { name: "New question" }).first().click();
  await ask(page, "Is anybody there?");
  await expect(turns(page).last()).toContainText("asklake cannot be reached.");
  await expect(field(page)).toHaveValue("Is anybody there?");
  await expect(page.getByRole("alert").filter({ hasText: "asklake does not answer" })).toBeVisible();
  await page.goBack();
  await expect(page.getByRole("heading", { name: "This conversation cannot be shown now" })).toBeVisible();

  gate.open();
  await server.restart();
  await expect(page.getByRole("alert").filter({ hasText: "asklake does not answer" })).toHaveCount(0);
  await page.getByRole("button", { name: "Try again" }).click();
  await answered(page);
  await expect(turns(page).last()).toContainText("The question does.");
  await server.stop();
  await model.stop();
});

test("a connection that is lost before anything was told of a question that was taken is told with it", async ({
  page,
  scripted,
}) => {
  const question = "What is heard of it?";
  scripted.model.script(question, { sql: ONE }, { answer: "All of it." });
  const told = /\/chat\/[^/]+\/(events|status)/;
  await page.route(told, (route) => route.abort());
  await page.goto(scripted.server.base);
  await ask(page, question);
  await expect(turns(page).last()).toContainText("asklake has the question");
  await expect(turns(page).last()).toContainText("The connection is lost");
  await page.unroute(told);
  await answered(page);
});

test("a page that is offline says so, and catches up when the network is back", async ({ page, scripted, context }) => {
  const question = "What happens offline?";
  const gate = new Gate();
  scripted.model.script(question, { sql: ONE, gate }, { answer: "It went on." });
  await page.goto(scripted.server.base);
  await ask(page, question);
  await gate.reached;
  await expect(turns(page).last()).toContainText("Analyzing the question...");
  await context.setOffline(true);
  await expect(page.getByRole("alert").filter({ hasText: "This device is offline" })).toBeVisible();
  gate.open();
  await context.setOffline(false);
  await answered(page);
  await expect(turns(page).last()).toContainText("It went on.");
  await expect(page.getByRole("alert").filter({ hasText: "This device is offline" })).toHaveCount(0);
});

test("a question that could not be sent is kept, and sent again once", async ({ page, planner, context }) => {
  await page.goto(planner.base);
  await context.setOffline(true);
  await ask(page, "Who directed Jaws?");
  await expect(turns(page).last()).toContainText("The question was not taken");
  await expect(field(page)).toHaveValue("Who directed Jaws?");
  await context.setOffline(false);
  const keys: (string | null)[] = [];
  page.on("request", async (request) => {
    if (request.url().endsWith("/chat/start")) keys.push(await request.headerValue("idempotency-key"));
  });
  await field(page).press("Enter");
  await answered(page);
  await expect(turns(page)).toHaveCount(1);
  expect(keys).toHaveLength(1);
  expect(keys[0]).toBeTruthy();
});

test("a question that was not taken is asked again as it was asked, once", async ({ page, scripted }) => {
  const question = "What is asked anew?";
  scripted.model.script(question, { sql: ONE }, { answer: "This." });
  await page.goto(scripted.server.base);
  await ask(page, question);
  await answered(page);
  await page.getByRole("button", { name: "New question" }).first().click();
  await ask(page, question);
  const bodies: { key: string | undefined; fresh: boolean }[] = [];
  let isTaken = false;
  await page.route(/\/chat\/start$/, async (route) => {
    const request = route.request();
    bodies.push({ key: request.headers()["idempotency-key"], fresh: request.postDataJSON().fresh });
    await (isTaken ? route.continue() : route.abort());
  });
  await page.getByRole("button", { name: "Ask again fresh" }).click();
  await expect(turns(page).last()).toContainText("The question was not taken");
  await expect(field(page)).toHaveValue(question);
  await field(page).press("Enter");
  await expect.poll(() => bodies.length).toBe(2);
  await expect(field(page)).toHaveValue(question);
  isTaken = true;
  await page.getByRole("button", { name: "Ask again", exact: true }).click();
  await answered(page);
  await expect(field(page), "it must not stand there to be asked once more").toHaveValue("");
  await expect(page.getByRole("button", { name: "Ask again fresh" })).toHaveCount(0);
  expect(bodies).toEqual(Array(3).fill({ key: bodies[0]?.key, fresh: true }));
});

test("a thread that cannot be read anew stays, and is read when the network is back", async ({
  page,
  scripted,
  context,
}) => {
  const [first, second] = ["What stays?", "What came from elsewhere?"];
  scripted.model.script(first, { sql: ONE }, { answer: "This stays." });
  scripted.model.script(second, { sql: ONE.replace("1", "3") }, { answer: "This came." });
  await page.goto(scripted.server.base);
  await ask(page, first);
  await answered(page);
  await field(page).fill("What is being typed?");
  const look = () => page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  for (const fault of [503, 429]) {
    await page.route(/\/status$/, (route) => route.fulfill({ status: fault, body: "" }));
    const refused = page.waitForResponse(/\/status$/);
    await look();
    await refused;
    await page.unroute(/\/status$/);
  }
  await context.setOffline(true);
  const failed = page.waitForEvent("requestfailed", (request) => request.url().endsWith("/messages"));
  await look();
  await failed;
  await expect(page.getByRole("alert").filter({ hasText: "This device is offline" })).toBeVisible();
  await expect(turns(page).last()).toContainText("This stays.");
  await expect(field(page)).toHaveValue("What is being typed?");

  await followUp(page.url(), second);
  await context.setOffline(false);
  await expect(turns(page)).toHaveCount(2);
  await answered(page);
  await expect(turns(page).last()).toContainText("This came.");
});

test("a conversation that could not be opened is shown when the network is back", async ({
  page,
  planner,
  context,
}) => {
  await page.goto(planner.base);
  await ask(page, "Who directed Jaws?");
  await answered(page);
  await page.route(/\/status$/, (route) => route.fulfill({ status: 503, body: "" }));
  await page.reload();
  await expect(page.getByRole("heading", { name: "This conversation cannot be shown now" })).toBeVisible();
  await page.unroute(/\/status$/);
  await context.setOffline(true);
  await expect(page.getByRole("alert").filter({ hasText: "This device is offline" })).toBeVisible();
  await context.setOffline(false);
  await answered(page);
  await expect(page.getByRole("status")).toHaveText("The conversation is shown.");
});

test("a follow-up that was not taken stays while the conversation is looked at anew", async ({ page, planner }) => {
  await page.goto(planner.base);
  await ask(page, "Who directed Jaws?");
  await answered(page);
  await page.route(/\/messages$/, (route) => route.abort());
  await ask(page, "How long is Titanic?");
  await expect(turns(page).last()).toContainText("The question was not taken");
  await page.unroute(/\/messages$/);
  const history = page.waitForResponse(/\/history/);
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await history;
  await page.getByRole("button", { name: "Ask again" }).click();
  await answered(page);
  await expect(turns(page)).toHaveCount(2);
  await expect(turns(page).last()).toContainText("Titanic");
});

test("a server that lags behind and tells of an earlier question does not end the follow-up", async ({
  page,
  scripted,
}) => {
  const [first, second] = ["What is told late?", "What follows what is told late?"];
  const gate = new Gate();
  scripted.model.script(first, { sql: ONE }, { answer: "One." });
  scripted.model.script(second, { sql: ONE.replace("1", "2"), gate }, { answer: "Two." });
  await page.goto(scripted.server.base);
  await ask(page, first);
  await answered(page);
  const before = await (await fetch(path(page.url(), "status"))).text();
  const late = { contentType: "text/event-stream", body: `event: status\nid: 5\ndata: ${before}\n\n` };
  const polls = { contentType: "application/json", body: before };
  let times = 0;
  await page.route(/\/(events|status)\b/, async (route) => {
    times += 1;
    if (times > 2) await route.continue();
    else await route.fulfill(route.request().url().includes("/events") ? late : polls);
  });
  await ask(page, second);
  await gate.reached;
  await expect(turns(page)).toHaveCount(2);
  await expect(turns(page).last()).toContainText("Analyzing the question...");
  gate.open();
  await answered(page);
  await expect(turns(page).last()).toContainText("Two.");
});

test("a follow-up that another device asked while the connection was lost is shown below the answer before it", async ({
  page,
  scripted,
}) => {
  const [first, second] = ["What was asked before the loss?", "What was asked during the loss?"];
  const gate = new Gate();
  scripted.model.script(first, { sql: ONE }, { answer: "The first answer." });
  scripted.model.script(second, { sql: ONE.replace("1", "2"), gate }, { answer: "The second answer." });
  const told = /\/chat\/[^/]+\/(events|status)/;
  await page.route(told, (route) => route.abort());
  await page.goto(scripted.server.base);
  await ask(page, first);
  await expect(turns(page).last()).toContainText("The connection is lost");
  await expect
    .poll(async () => ((await (await fetch(path(page.url(), "status"))).json()) as { status: string }).status)
    .toBe("completed");
  await followUp(page.url(), second);
  await gate.reached;
  // What was said cannot be read at first either.
  let isRefused = false;
  await page.route(/\/messages$/, async (route) => {
    await (isRefused ? route.continue() : route.fulfill({ status: 503, body: "" }));
    isRefused = true;
  });
  await page.unroute(told);
  await expect(turns(page)).toHaveCount(2);
  await expect(turns(page).first().getByRole("heading")).toHaveText(first);
  await expect(turns(page).first()).toContainText("The first answer.");
  expect(isRefused).toBe(true);
  gate.open();
  await answered(page);
  await expect(turns(page).first()).toContainText("The first answer.");
  await expect(turns(page).last()).toContainText("The second answer.");
});

for (const [means, blocked] of [
  ["long polls, where streams are cut", /\/events/],
  ["plain polls, where waiting requests are cut as well", /\/events|wait=/],
] as const) {
  test(`progress comes by ${means}`, async ({ page, scripted }) => {
    const question = `How does it come by ${means}?`;
    const gate = new Gate();
    scripted.model.script(question, { sql: ONE }, { answer: "It came.", gate });
    await page.route(blocked, (route) => route.abort());
    await page.goto(scripted.server.base);
    await ask(page, question);
    await gate.reached;
    await expect(turns(page).last().getByText("Processing results...")).toBeVisible();
    gate.open();
    await answered(page);
    await expect(turns(page).last()).toContainText("It came.");
  });
}

test("progress comes although a proxy holds the stream back", async ({ page, scripted }) => {
  const question = "How does it come through a proxy?";
  const gate = new Gate();
  scripted.model.script(question, { sql: ONE }, { answer: "It came.", gate });
  await page.route(/\/events/, () => {
    // Never answered: what a host does that sends a response when it is whole.
  });
  await page.goto(scripted.server.base);
  await ask(page, question);
  await gate.reached;
  await expect(turns(page).last().getByText("Processing results...")).toBeVisible();
  gate.open();
  await answered(page);
});

test("a model that is away is named, and its failure is told with the question", async ({ page }) => {
  const model = await ScriptedModel.start();
  const server = await Server.start(model.environment);
  model.isUp = false;
  await page.goto(server.base);
  await expect(page.getByRole("alert").filter({ hasText: "The model does not answer" })).toBeVisible();
  model.isUp = true;
  model.script("What fails?", { fail: 400 });
  await ask(page, "What fails?");
  await expect(turns(page).last()).toContainText("No answer");
  await expect(turns(page).last()).toContainText("The model is not set up");
  await expect(page.getByRole("alert").filter({ hasText: "The model does not answer" })).toHaveCount(0);
  await server.stop();
  await model.stop();
});

test("a warehouse that is away is named", async ({ page }) => {
  // Nobody listens on the discard port of this machine.
  const server = await Server.start({ FLIGHT_SQL_URL: "http://127.0.0.1:9" });
  await page.goto(server.base);
  await expect(page.getByRole("alert").filter({ hasText: "The warehouse does not answer" })).toBeVisible();
  await page.getByText("warehouse down").click();
  await expect(page.locator(".service dl")).toContainText("down");
  await server.stop();
});

test("rows that have expired are fetched again by running the query again", async ({ page, planner }) => {
  await page.goto(planner.base);
  await ask(page, "What did Steven Spielberg direct?");
  await answered(page);
  // They expire after a day: until the query is asked for again, the test says so in the server's place.
  const expired = {
    type: "https://asklake.dev/problems/result-expired",
    status: 410,
    detail: "the rows of query 1 have expired; POST to this path to have them computed again",
  };
  let isExpired = true;
  await page.route(/\/results\/\d+$/, async (route) => {
    if (route.request().method() === "POST") isExpired = false;
    if (isExpired) await route.fulfill({ status: 410, contentType: "application/problem+json", json: expired });
    else await route.continue();
  });
  await page.reload();
  const turn = turns(page).last();
  const query = turn.locator("details.query").last();
  await expect(query).toBeVisible();
  if ((await query.getAttribute("open")) === null) await query.locator("summary").click();
  await expect(query).toContainText("no longer kept");
  await query.getByRole("button", { name: "Run the query again" }).click();
  await expect(query.getByRole("table").getByRole("row").nth(1)).toBeVisible();
  await expect(page.getByRole("status")).toHaveText("The rows are there again.");
});

test("an address that names nothing shows the page to ask on", async ({ page, planner }) => {
  await page.goto(`${planner.base}/#100%`);
  await ask(page, "Who directed Jaws?");
  await answered(page);
  await expect(page.getByRole("navigation", { name: "Asked on this device" })).toContainText("Who directed Jaws?");
});

test("a conversation that does not exist is said to be missing", async ({ page, planner }) => {
  await page.goto(`${planner.base}/#00000000-0000-4000-8000-000000000000`);
  await expect(page.getByRole("heading", { name: "This conversation is not here" })).toBeVisible();
  await page.getByRole("main").getByRole("button", { name: "New question" }).click();
  await expect(field(page)).toBeFocused();
});
