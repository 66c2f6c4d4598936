// Texts of models, rows and users that would like to be code.

import { answered, ask, expect, test, turns } from "./support/fixtures.ts";

const IMAGE = '<img src=x onerror="window.ran=1">';

test("no text of a question, a model or a row runs as script or becomes markup", async ({ page, scripted }) => {
  const question = `${IMAGE} <script>window.ran=2</script>`;
  const sql =
    `SELECT '${IMAGE}' AS \`<script>window.ran=3</script>\`, 'javascript:window.ran=4' AS link, ` +
    "'=HYPERLINK(\"https://evil.example\")' AS formula FROM imdb.movies_delta LIMIT 2";
  scripted.model.script(
    question,
    { sql, reasoning: '<svg onload="window.ran=5">' },
    {
      answer: [
        `${IMAGE}<iframe src="javascript:window.ran=6"></iframe><style>body{display:none}</style>`,
        "[link](javascript:window.ran=7) [data](data:text/html,<script>window.ran=8</script>) [fine](https://example.com/a)",
        "![picture](https://evil.example/track.png)",
        "<a href='https://example.com' onclick='window.ran=9' id='question' name='cookie'>raw</a>",
        "| a |\n| --- |\n| <b onmouseover=window.ran=10>cell</b> |",
      ].join("\n\n"),
      assumptions: [IMAGE],
      next: [IMAGE],
    },
  );
  const requests: string[] = [];
  page.on("request", (request) => requests.push(request.url()));
  await page.goto(scripted.server.base);
  await ask(page, question);
  await answered(page);
  const turn = turns(page).last();
  await expect(turn.getByRole("heading", { level: 2 })).toHaveText(question);
  await expect(turn.getByRole("region", { name: "Table of the answer" })).toContainText(
    "<b onmouseover=window.ran=10>cell</b>",
  );
  await turn.locator("summary").click();
  const rows = turn.getByRole("table", { name: "Rows of query 1" });
  await expect(rows.getByRole("cell").first()).toHaveText(IMAGE);
  await expect(rows.getByRole("columnheader").first()).toContainText("<script>window.ran=3</script>");
  await expect(page.getByRole("button", { name: IMAGE, exact: true })).toBeVisible();

  expect(await page.evaluate(() => (window as unknown as { ran?: number }).ran)).toBeUndefined();
  for (const element of [
    "img",
    "iframe",
    "style",
    "object",
    "embed",
    "form:not(.composer)",
    "[onclick]",
    "[onerror]",
    "svg[onload]",
  ]) {
    await expect(turn.locator(element), element).toHaveCount(0);
  }
  await expect(page.locator("#question")).toHaveCount(1);
  const links = await turn
    .locator(".markdown a[href]")
    .evaluateAll((all) => all.map((link) => [link.getAttribute("href"), link.getAttribute("rel")]));
  expect(links).toEqual([["https://example.com/a", "noopener noreferrer nofollow"]]);
  const foreign = requests.filter((url) => !url.startsWith(scripted.server.base));
  expect(foreign, "nothing is loaded from elsewhere").toEqual([]);
});

test("a history entry with markup in its title is text", async ({ page, scripted }) => {
  const question = `History ${IMAGE}`;
  scripted.model.script(question, { missing: "anything like it" });
  await page.goto(scripted.server.base);
  await ask(page, question);
  await answered(page);
  const history = page.getByRole("navigation", { name: "Asked on this device" });
  await expect(history.getByRole("link")).toContainText(question);
  await history.getByRole("button", { name: `Delete: ${question}` }).click();
  await expect(page.getByRole("dialog")).toContainText(question);
  await expect(page.locator("img")).toHaveCount(0);
});

test("the policy refuses scripts and markup that are made of text, whatever asks for them", async ({
  context,
  planner,
}) => {
  const page = await context.newPage();
  await page.goto(planner.base);
  const refused = await page.evaluate(() =>
    [
      () => {
        document.createElement("script").textContent = "window.ran = 1";
      },
      () => document.body.insertAdjacentHTML("beforeend", "<p>markup</p>"),
    ].map((attempt) => {
      try {
        attempt();
        return "done";
      } catch (error) {
        return (error as Error).name;
      }
    }),
  );
  expect(refused).toEqual(["TypeError", "TypeError"]);
});
