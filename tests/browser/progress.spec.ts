// A question that runs: its steps, stopping it, and looking at it from elsewhere.

import { answered, ask, expect, field, listen, test, turns } from "./support/fixtures.ts";
import { Gate } from "./support/model.ts";

const ONE = "SELECT primaryTitle FROM imdb.movies_delta LIMIT 1";

test("the published steps are shown while a question runs, and told to those who do not see them", async ({
  page,
  scripted,
}) => {
  const question = "Which step is it?";
  const [planning, answering] = [new Gate(), new Gate()];
  scripted.model.script(
    question,
    { sql: ONE, reasoning: "Looks for one film.", gate: planning },
    { answer: "One film.", gate: answering },
  );
  await page.goto(scripted.server.base);
  await ask(page, question);
  await planning.reached;
  const turn = turns(page).last();
  await expect(turn.getByText("Analyzing the question...")).toBeVisible();
  await expect(turn.getByRole("progressbar")).toHaveAttribute("value", "10");
  await expect(turn.getByRole("listitem").filter({ hasText: "Question" })).toHaveAttribute("aria-current", "step");
  await expect(page.getByRole("status")).toHaveText("Analyzing the question");
  planning.open();
  await answering.reached;
  await expect(turn.getByText("Processing results...")).toBeVisible();
  await expect(turn.locator("summary")).toContainText("Looks for one film.");
  answering.open();
  await answered(page);
  await expect(page.getByRole("status")).toHaveText("The answer is there.");
  await expect(turn.getByRole("progressbar")).toHaveCount(0);
});

test("a running question is stopped, and can be asked again", async ({ page, scripted }) => {
  const question = "How long does this take?";
  const gate = new Gate();
  scripted.model.script(question, { sql: ONE, gate }, { answer: "Not so long." });
  await page.goto(scripted.server.base);
  await ask(page, question);
  await gate.reached;
  await expect(turns(page).last()).toContainText("Analyzing the question...");
  await page.getByRole("button", { name: "Stop", exact: true }).click();
  await expect(turns(page).last()).toContainText("You stopped this question before it was answered.");
  await expect(field(page)).toBeEditable();
  gate.open();
  await page.getByRole("button", { name: "Ask again" }).click();
  await answered(page);
  await expect(turns(page)).toHaveCount(2);
  await expect(turns(page).last()).toContainText("Not so long.");
});

test("a reload in the middle of a question goes on with it", async ({ page, scripted }) => {
  const question = "What if I reload?";
  const gate = new Gate();
  scripted.model.script(question, { sql: ONE, gate }, { answer: "It goes on." });
  await page.goto(scripted.server.base);
  await ask(page, question);
  await gate.reached;
  await expect(turns(page).last()).toContainText("Analyzing the question...");
  await page.reload();
  await expect(turns(page).last().getByText("Analyzing the question...")).toBeVisible();
  await expect(page.getByRole("button", { name: "Stop", exact: true })).toBeVisible();
  gate.open();
  await answered(page);
  await expect(turns(page).last()).toContainText("It goes on.");
});

test("two tabs show the same conversation, whichever asks", async ({ page, scripted, context }) => {
  const [first, second] = ["What does the first tab ask?", "What does the second tab ask?"];
  const gate = new Gate();
  scripted.model.script(first, { sql: ONE, gate }, { answer: "The first answer." });
  scripted.model.script(second, { sql: ONE.replace("1", "2") }, { answer: "The second answer." });
  await page.goto(scripted.server.base);
  await ask(page, first);
  await gate.reached;
  await expect(turns(page).last()).toContainText("Analyzing the question...");
  const other = await context.newPage();
  const faults = listen(other);
  await other.goto(page.url());
  await expect(turns(other).last().getByText("Analyzing the question...")).toBeVisible();
  gate.open();
  await answered(page);
  await answered(other);
  await ask(other, second);
  await answered(other);
  await expect(turns(page)).toHaveCount(2);
  await expect(turns(page).last()).toContainText("The second answer.");
  expect(faults).toEqual([]);
});

test("what the model writes is shown while it writes, and marked as unfinished", async ({ page, scripted }) => {
  const question = "What is being written?";
  const [query, answer] = [new Gate(), new Gate()];
  scripted.model.script(
    question,
    { sql: ONE, reasoning: "A film is looked for.", gate: query },
    { answer: "The beginning of an answer, and then its whole long end.", gate: answer },
  );
  await page.goto(scripted.server.base);
  await ask(page, question);
  const turn = turns(page).last();
  await expect(turn.getByText("A film is looked for.")).toBeVisible();
  query.open();
  await expect(turn.getByText("Being written, not checked yet")).toBeVisible();
  await expect(turn.getByText("The beginning of")).toBeVisible();
  await expect(turn.getByText("long end")).toHaveCount(0);
  answer.open();
  await answered(page);
  await expect(turn.getByText("long end")).toBeVisible();
  await expect(turn.getByText("Being written, not checked yet")).toHaveCount(0);
});
