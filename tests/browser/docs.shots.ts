// The three pictures in docs/: an answer with its chart and rows, a question that runs, and a phone.

import { join } from "node:path";
import { answered, ask, expect, test, turns } from "./support/fixtures.ts";
import { Gate } from "./support/model.ts";

const DOCS = join(import.meta.dirname, "../../docs");
const RATINGS =
  "SELECT m.startYear DIV 10 * 10 AS decade, ROUND(AVG(r.averageRating), 2) AS rating, COUNT(*) AS films " +
  "FROM imdb.movies_delta AS m JOIN imdb.ratings_delta AS r ON r.tconst = m.tconst " +
  "WHERE m.titleType = 'movie' AND r.numVotes >= 1000 AND m.startYear >= 1950 GROUP BY m.startYear DIV 10 ORDER BY decade";
const VOTES =
  "SELECT m.primaryTitle AS title, m.startYear AS year, r.averageRating AS rating, r.numVotes AS votes " +
  "FROM imdb.movies_delta AS m JOIN imdb.ratings_delta AS r ON r.tconst = m.tconst " +
  "WHERE m.titleType = 'movie' AND array_contains(m.genres, 'Comedy') AND m.startYear BETWEEN 1990 AND 1999 " +
  "ORDER BY r.numVotes DESC LIMIT 8";

test.describe("wide", () => {
  test.use({ viewport: { width: 1280, height: 1020 } });

  test("an answer", async ({ page, planner }) => {
    await page.goto(planner.base);
    for (const question of [
      "Who directed Jaws?",
      "What did Steven Spielberg direct?",
      "Which genre has the best average rating?",
    ]) {
      await page.getByRole("button", { name: "New question" }).first().click();
      await ask(page, question);
      await answered(page);
    }
    await expect(turns(page).last().locator(".chart svg")).toBeVisible();
    await expect(page.getByRole("table").getByRole("row")).toHaveCount(6);
    await page.mouse.move(640, 0);
    await page.screenshot({ path: join(DOCS, "page.png") });
  });
});

test.use({ viewport: { width: 1280, height: 560 } });

test("a question that runs", async ({ page, scripted }) => {
  const [first, second] = [
    "Did films get better over the decades?",
    "Which comedies of the 1990s have the most votes?",
  ];
  const gate = new Gate();
  scripted.model.script(first, { sql: RATINGS }, { answer: "No: the average rating falls from decade to decade." });
  scripted.model.script(second, { sql: VOTES, reasoning: "The comedies of the 1990s by their number of votes.", gate });
  await page.emulateMedia({ colorScheme: "dark" });
  await page.goto(scripted.server.base);
  await ask(page, first);
  await answered(page);
  await ask(page, second);
  await gate.reached;
  await expect(turns(page).last().getByText("SQL being written")).toBeVisible();
  await page.screenshot({ path: join(DOCS, "page-running.png") });
  gate.open();
});

test.describe("phone", () => {
  test.use({ viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true, deviceScaleFactor: 1.5 });

  test("doubts", async ({ page, scripted }) => {
    const question = "Which comedy of the 1990s was seen most?";
    const answer = "By its votes it is **Forrest Gump**, which came out in 1994 and was seen by 38 million people.";
    const next = ["Which ones are rated best?", "And in the 1980s?"];
    scripted.model.script(
      question,
      { sql: VOTES, reasoning: "Comedies by votes." },
      { answer, assumptions: ["votes stand for viewers"], next },
    );
    await page.goto(scripted.server.base);
    await ask(page, question);
    await answered(page);
    await expect(page.getByRole("table").getByRole("row")).toHaveCount(9);
    await page.screenshot({ path: join(DOCS, "page-phone.png") });
  });
});
