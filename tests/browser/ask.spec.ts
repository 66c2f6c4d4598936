// Asking, from the question to the file on one's disk: answer, SQL, rows, follow-up, reload, history, deletion.

import { readFile } from "node:fs/promises";
import { answered, ask, expect, field, test, turns } from "./support/fixtures.ts";

const RATED =
  "SELECT m.primaryTitle AS title, m.startYear AS year, r.averageRating AS rating FROM imdb.movies_delta m " +
  "JOIN imdb.ratings_delta r ON m.tconst = r.tconst WHERE m.startYear IS NOT NULL ORDER BY r.numVotes DESC LIMIT 12";

test("a question is answered with its SQL and rows, which can be copied and downloaded", async ({
  page,
  planner,
  context,
}) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: planner.base });
  await page.goto(planner.base);
  await page.getByRole("button", { name: "What are the top 10 science fiction films?" }).click();
  await answered(page);
  const turn = turns(page).last();
  await expect(turn.getByRole("heading", { level: 2 })).toHaveText("What are the top 10 science fiction films?");
  await expect(turn.getByRole("listitem").first()).toContainText("Inception");
  await expect(turn).toContainText("offline planner");
  await expect(turn).toContainText("Assumed");

  const rows = turn.getByRole("table", { name: "Rows of query 1" });
  await expect(rows.getByRole("row")).toHaveCount(11);
  await turn.getByRole("button", { name: "Copy SQL" }).click();
  await expect(page.getByRole("status")).toHaveText("SQL copied.");
  expect(await page.evaluate(() => navigator.clipboard.readText())).toContain("FROM\n  imdb.movies_delta");

  const id = new URL(page.url()).hash.slice(1);
  for (const [format, begin] of [
    ["CSV", "primaryTitle,"],
    ["JSON", '{"sql_query":'],
    ["NDJSON", '{"primaryTitle":'],
  ] as const) {
    const download = page.waitForEvent("download");
    await turn.getByRole("link", { name: `Download ${format}`, exact: true }).click();
    const file = await download;
    expect(file.suggestedFilename()).toBe(`asklake-${id}-1.${format.toLowerCase()}`);
    expect(await readFile(await file.path(), "utf8")).toContain(begin);
  }
});

test("a table sorts by numbers as numbers, keeps equal rows in order, and goes back to the query's order", async ({
  page,
  scripted,
}) => {
  const question = "Which films have the most votes, sorted by me?";
  scripted.model.script(question, { sql: RATED }, { answer: "Twelve films." });
  await page.goto(scripted.server.base);
  await ask(page, question);
  await answered(page);
  const table = page.getByRole("table", { name: "Rows of query 1" });
  const column = (index: number) =>
    table.locator("tbody tr").evaluateAll((rows, at) => rows.map((row) => row.children[at]?.textContent ?? ""), index);
  await expect(table.locator("tbody tr")).toHaveCount(12);
  const [titles, ratings] = [await column(0), (await column(2)).map(Number)];
  const byRating = titles.map((title, at) => ({ title, rating: ratings[at] ?? 0 })).sort((a, b) => b.rating - a.rating);

  const header = table.getByRole("columnheader", { name: "rating" });
  await header.getByRole("button").click();
  await expect(header).toHaveAttribute("aria-sort", "ascending");
  await header.getByRole("button").click();
  await expect(header).toHaveAttribute("aria-sort", "descending");
  expect(await column(0)).toEqual(byRating.map((row) => row.title));
  await expect(page.getByRole("status")).toHaveText("Sorted by rating, descending.");
  await header.getByRole("button").click();
  await expect(header).not.toHaveAttribute("aria-sort");
  expect(await column(0)).toEqual(titles);
});

test("integers beyond what a double holds are shown and sorted by all their digits", async ({ page, scripted }) => {
  const question = "Which ids are large?";
  const sql = "SELECT id FROM VALUES (9007199254740993), (1), (9007199254740992), (-1234567890123456789) AS t(id)";
  scripted.model.script(question, { sql }, { answer: "Three of them." });
  await page.goto(scripted.server.base);
  await ask(page, question);
  await answered(page);
  const table = page.getByRole("table", { name: "Rows of query 1" });
  await expect(table.locator("tbody td")).toHaveText([
    "9007199254740993",
    "1",
    "9007199254740992",
    "-1234567890123456789",
  ]);
  await table.getByRole("columnheader", { name: "id" }).getByRole("button").click();
  await expect(table.locator("tbody td")).toHaveText([
    "-1234567890123456789",
    "1",
    "9007199254740992",
    "9007199254740993",
  ]);
});

test("a thousand rows are all there, can be found, and sort", async ({ page, scripted }) => {
  const question = "All rows of everything";
  const sql =
    "SELECT m.tconst, m.titleType, m.primaryTitle, m.originalTitle, m.isAdult, m.startYear, m.runtimeMinutes, m.genres, r.averageRating, " +
    "r.numVotes FROM imdb.movies_delta m JOIN imdb.ratings_delta r ON m.tconst = r.tconst";
  scripted.model.script(question, { sql }, { answer: "All of them." });
  await page.goto(scripted.server.base);
  await ask(page, question);
  await answered(page);
  const table = page.getByRole("table", { name: "Rows of query 1" });
  await expect(table.locator("tbody tr")).toHaveCount(1000);
  await expect(turns(page).last()).toContainText(
    "The first 1,000 rows; there were more, which asklake's limit cut off",
  );
  await table.getByRole("columnheader", { name: "numVotes" }).getByRole("button").click();
  await expect(table.getByRole("columnheader", { name: "numVotes" })).toHaveAttribute("aria-sort", "ascending");
  const votes = await table.locator("tbody tr td:last-child").allTextContents();
  expect(votes.map(Number)).toEqual(votes.map(Number).sort((a, b) => a - b));
});

test("a follow-up is asked in the same conversation, and the whole thread is there after a reload", async ({
  page,
  scripted,
}) => {
  const [first, second] = ["What is the best film of the follow-up?", "And who directed the follow-up?"];
  scripted.model.script(
    first,
    { sql: RATED },
    { answer: "It is in the rows.", next: ["What next?"], assumptions: ["best means most voted"] },
  );
  scripted.model.script(second, { sql: RATED.replace("12", "13") }, { answer: "Also in the rows." });
  await page.goto(scripted.server.base);
  await ask(page, first);
  await answered(page);
  await expect(turns(page).last()).toContainText("Assumed: best means most voted");
  await expect(page.getByRole("button", { name: "What next?" })).toBeVisible();
  const address = page.url();

  await ask(page, second);
  await expect(turns(page)).toHaveCount(2);
  await answered(page);
  expect(page.url()).toBe(address);
  await expect(page.getByRole("button", { name: "What next?" })).toHaveCount(0);

  await page.reload();
  await expect(turns(page)).toHaveCount(2);
  await expect(turns(page).first()).toContainText("It is in the rows.");
  await expect(turns(page).first().locator("summary")).toContainText("Query 1");
  await expect(turns(page).last()).toContainText("Also in the rows.");
  await expect(turns(page).last().locator("summary")).toContainText("Query 2");
  await expect(page).toHaveTitle(`${first} · asklake`);
});

test("the history lists what was asked on this device, opens it, and deletes it after a confirmation", async ({
  page,
  planner,
}) => {
  await page.goto(planner.base);
  const history = page.getByRole("navigation", { name: "Asked on this device" });
  await expect(history).toContainText("What is asked on this device is listed here.");
  for (const question of ["Who directed Jaws?", "How long is Titanic?"]) {
    await page.getByRole("button", { name: "New question" }).first().click();
    await ask(page, question);
    await answered(page);
  }
  await expect(history.getByRole("link")).toHaveCount(2);
  await expect(history.getByRole("link").first()).toContainText("How long is Titanic?");

  await history.getByRole("link", { name: "Who directed Jaws?" }).click();
  await expect(turns(page).last()).toContainText("Steven Spielberg");
  await page.goBack();
  await expect(turns(page).last()).toContainText("How long is Titanic?");
  await page.goForward();
  await expect(turns(page).last()).toContainText("Steven Spielberg");

  await history.getByRole("button", { name: "Delete: Who directed Jaws?" }).click();
  const dialog = page.getByRole("dialog", { name: "Delete this conversation?" });
  await dialog.getByRole("button", { name: "Keep it" }).click();
  await expect(history.getByRole("link")).toHaveCount(2);
  const address = page.url();
  await history.getByRole("button", { name: "Delete: Who directed Jaws?" }).click();
  await dialog.getByRole("button", { name: "Delete" }).click();
  await expect(history.getByRole("link")).toHaveCount(1);
  await expect(field(page)).toBeFocused();
  await expect(page.getByRole("heading", { name: "Ask in plain language" })).toBeVisible();

  await page.goto(address);
  await expect(page.getByRole("heading", { name: "This conversation is not here" })).toBeVisible();
});

test("earlier conversations are listed once, and one that is deleted is gone wherever it stood", async ({
  page,
  planner,
  context,
}) => {
  const all = Array.from({ length: 70 }, (_, index) => ({
    id: `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`,
    question: `Question ${index}`,
    status: "completed",
    created_at: new Date(Date.UTC(2026, 0, 1) - index * 60_000).toISOString(),
  }));
  const gone = new Set<string>();
  const cursors: (string | null)[] = [];
  await context.route(/\/history\?/, async (route) => {
    const cursor = new URL(route.request().url()).searchParams.get("cursor");
    cursors.push(cursor);
    const rest = all.filter(({ id }) => !gone.has(id)).filter(({ id }) => !cursor || id > cursor);
    const conversations = rest.slice(0, 30);
    await route.fulfill({ json: { conversations, next_cursor: rest.length > 30 ? conversations.at(-1)?.id : null } });
  });
  await context.route(/\/chat\/[0-9-]+$/, async (route) => {
    gone.add(route.request().url().split("/").at(-1) ?? "");
    await route.fulfill({ status: 204 });
  });
  await page.goto(planner.base);
  const other = await context.newPage();
  await other.goto(planner.base);
  for (const shown of [page, other]) {
    await expect(shown.locator("li.entry")).toHaveCount(30);
    cursors.length = 0;
    await shown.getByRole("button", { name: "Show earlier ones" }).dblclick();
    await expect(shown.locator("li.entry")).toHaveCount(60);
    expect(cursors).toHaveLength(1);
  }
  await page.getByRole("button", { name: "Delete: Question 50" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  for (const shown of [page, other]) {
    await expect(shown.getByRole("link", { name: "Question 50" })).toHaveCount(0);
    await shown.getByRole("button", { name: "Show earlier ones" }).click();
    await expect(shown.locator("li.entry")).toHaveCount(69);
    await expect(shown.getByRole("button", { name: "Show earlier ones" })).toHaveCount(0);
  }
});

test("what no row supports is marked where it stands, and a recollection is not passed off as data", async ({
  page,
  scripted,
}) => {
  const [doubtful, remembered] = ["Which film is doubtful?", "What do you remember?"];
  scripted.model.script(doubtful, { sql: RATED }, { answer: "It came out in 1931, not in 19312." });
  scripted.model.script(remembered, { answer: "The **Lumière brothers** began.", basis: "model_knowledge" });
  await page.goto(scripted.server.base);
  await ask(page, doubtful);
  await answered(page);
  const turn = turns(page).last();
  await expect(turn).toContainText("not found in the rows: 1931");
  await expect(turn.locator(".markdown mark").first()).toHaveText("1931");
  await expect(turn).not.toContainText("Check before you rely on it");

  await page.getByRole("button", { name: "New question" }).first().click();
  await ask(page, remembered);
  await answered(page);
  await expect(turns(page).last()).toContainText("Not from the data");
  await expect(turns(page).last()).toContainText("Answered by scripted-model");
});

test("an answer is rated, and a bad one commented on", async ({ page, planner }) => {
  await page.goto(planner.base);
  await ask(page, "How many comedies came out in the 1990s?");
  await answered(page);
  const sent = page.waitForRequest(/feedback$/);
  await page.getByRole("button", { name: "Bad answer" }).click();
  expect((await sent).postDataJSON()).toEqual({ rating: "negative" });
  const commented = page.waitForRequest(/feedback$/);
  await page.getByLabel("What is wrong with it?").fill("It counts too few.");
  await page.getByRole("button", { name: "Send" }).click();
  const request = await commented;
  expect(request.postDataJSON()).toEqual({ rating: "negative", comment: "It counts too few." });
  expect((await request.response())?.status()).toBe(204);
  await expect(page.getByRole("button", { name: "Bad answer" })).toHaveAttribute("aria-pressed", "true");
  await expect(page.getByRole("status")).toHaveText("Thank you for the feedback.");
});

test("a chart is drawn where there is one, in the colours of the page, by code that is loaded only then", async ({
  page,
  planner,
}) => {
  const chunks: string[] = [];
  page.on("request", (request) => request.url().includes("/assets/draw-") && chunks.push(request.url()));
  await page.goto(planner.base);
  await ask(page, "Who directed Jaws?");
  await answered(page);
  expect(chunks).toEqual([]);
  await ask(page, "How many films per genre?");
  await expect(turns(page)).toHaveCount(2);
  await answered(page);
  const chart = turns(page)
    .last()
    .getByRole("img", { name: /^Bar chart/ });
  const bar = chart.locator("svg path[aria-roledescription=bar]").first();
  await expect(bar).toBeVisible();
  expect(chunks).toHaveLength(1);
  const light = await bar.getAttribute("fill");
  await page.emulateMedia({ colorScheme: "dark" });
  await expect(bar).not.toHaveAttribute("fill", light ?? "");
  await bar.hover();
  await expect(chart.locator(".tooltip")).toContainText("Comedy");
});
