// WCAG 2.2 AA as far as it can be tested: axe in every state, the keyboard alone, narrow and enlarged, less motion.

import { AxeBuilder } from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { answered, ask, expect, field, test, turns } from "./support/fixtures.ts";
import { Gate } from "./support/model.ts";

const ROWS = "SELECT primaryTitle, startYear FROM imdb.movies_delta WHERE startYear IS NOT NULL LIMIT 30";

/** The faults that axe finds. It brings its own script, which the page's policy would refuse. */
async function faults(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page })
    .withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"])
    .analyze();
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join("\n  ")}`);
}

/** Nothing but what is meant to scroll is wider than the window. */
async function expectNoSidewaysScrolling(page: Page): Promise<void> {
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  expect(content).toBeLessThanOrEqual(window ?? 0);
  const main = await page.locator("main").evaluate((main) => main.scrollWidth - main.clientWidth);
  expect(main).toBeLessThanOrEqual(0);
}

const LOOKS = [
  { name: "light", colorScheme: "light", viewport: { width: 1280, height: 800 } },
  { name: "dark", colorScheme: "dark", viewport: { width: 1280, height: 800 } },
  { name: "phone", colorScheme: "light", viewport: { width: 360, height: 740 } },
] as const;

for (const { name, ...look } of LOOKS) {
  test.describe(name, () => {
    test.use({ ...look, bypassCSP: true });

    test("axe finds nothing in any state", async ({ page, scripted }) => {
      const [good, bad, slow] = [`What is accessible, ${name}?`, `What fails, ${name}?`, `What takes long, ${name}?`];
      const gate = new Gate();
      const answer = "In **1931** there were:\n\n1. one\n\n| year | film |\n| --- | --- |\n| 1999 | none |";
      scripted.model.script(good, { sql: ROWS }, { answer, assumptions: ["a film is a movie"], next: ["And then?"] });
      scripted.model.script(bad, { fail: 400 });
      scripted.model.script(slow, { sql: ROWS, gate }, { answer: "Late." });
      await page.goto(scripted.server.base);
      await expect(page.locator(".service summary")).toBeAttached();
      expect(await faults(page), "empty").toEqual([]);
      await ask(page, good);
      await answered(page);
      await turns(page).last().locator("summary").click();
      await expect(page.getByRole("table", { name: "Rows of query 1" })).toBeVisible();
      expect(await faults(page), "answered").toEqual([]);
      await expectNoSidewaysScrolling(page);
      await ask(page, bad);
      await expect(turns(page).last()).toContainText("No answer");
      expect(await faults(page), "failed").toEqual([]);
      await ask(page, slow);
      await gate.reached;
      await expect(turns(page).last().getByRole("progressbar")).toBeVisible();
      expect(await faults(page), "running").toEqual([]);
      gate.open();
      await answered(page);
      if (name === "phone") await page.getByRole("button", { name: "Conversations" }).click();
      await page.locator(".service summary").click();
      await page.getByRole("button", { name: `Delete: ${good}` }).click();
      await expect(page.getByRole("dialog")).toBeVisible();
      expect(await faults(page), "deleting").toEqual([]);
    });
  });
}

test("everything is done with the keyboard alone", async ({ page, scripted }) => {
  const [first, second] = ["What is asked by keys?", "What is asked next by keys?"];
  scripted.model.script(first, { sql: ROWS }, { answer: "By keys.", next: [second] });
  scripted.model.script(second, { sql: ROWS.replace("30", "20") }, { answer: "Also by keys." });
  const keyboard = page.keyboard;
  const focused = () => page.locator(":focus");
  const tabTo = async (name: string | RegExp, key = "Tab") => {
    for (let presses = 0; presses < 80; presses += 1) {
      await keyboard.press(key);
      const text = await page.evaluate(() => {
        const { activeElement: element } = document;
        return (element?.getAttribute("aria-label") || element?.textContent) ?? "";
      });
      if (typeof name === "string" ? text.trim() === name : name.test(text)) return;
    }
    throw new Error(`${name} is not reached with ${key}`);
  };
  await page.goto(scripted.server.base);
  await expect(field(page)).toBeFocused();
  await keyboard.type(first);
  await keyboard.press("Enter");
  await answered(page);
  await expect(field(page)).toBeFocused();

  // Backwards from the field through the answer: suggestion, then the rows' header.
  await tabTo(second, "Shift+Tab");
  await tabTo(/^startYear/, "Shift+Tab");
  await keyboard.press("Enter");
  await expect(page.getByRole("columnheader", { name: "startYear" })).toHaveAttribute("aria-sort", "ascending");
  await tabTo(second);
  await keyboard.press("Enter");
  await expect(turns(page)).toHaveCount(2);
  await answered(page);

  await tabTo("Skip to the question", "Shift+Tab");
  await keyboard.press("Enter");
  await expect(field(page)).toBeFocused();

  await tabTo(`Delete: ${first}`, "Shift+Tab");
  await keyboard.press("Enter");
  await expect(page.getByRole("dialog")).toBeVisible();
  await keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await expect(focused()).toHaveAttribute("aria-label", `Delete: ${first}`);
  await keyboard.press("Enter");
  // A key that comes before the dialog would move on from its button, and the focus would return to where it went.
  await expect(page.getByRole("dialog")).toBeVisible();
  await tabTo("Delete");
  await keyboard.press("Enter");
  await expect(field(page)).toBeFocused();
});

test.describe("on a phone", () => {
  test.use({ viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true });

  test("one asks, opens the conversations and comes back", async ({ page, planner }) => {
    await page.goto(planner.base);
    await expect(page.getByRole("complementary", { name: "Conversations" })).toBeHidden();
    await page.getByRole("button", { name: "Who directed Jaws?" }).tap();
    await answered(page);
    await expectNoSidewaysScrolling(page);
    const menu = page.getByRole("button", { name: "Conversations" });
    await menu.tap();
    await expect(page.getByRole("complementary", { name: "Conversations" })).toBeVisible();
    await expect(page.getByRole("button", { name: "Close" })).toBeFocused();
    await page.keyboard.press("Escape");
    await expect(menu).toBeFocused();
    await menu.tap();
    await page.getByRole("link", { name: "Who directed Jaws?" }).tap();
    await expect(page.getByRole("complementary", { name: "Conversations" })).toBeHidden();
    await page.getByRole("banner").getByRole("button", { name: "New question" }).tap();
    await expect(page.getByRole("heading", { name: "Ask in plain language" })).toBeVisible();
  });
});

test.describe("enlarged to 400 %", () => {
  // What a window of 1280 by 1024 is at that zoom (WCAG 1.4.10).
  test.use({ viewport: { width: 320, height: 256 } });

  test("everything is there without scrolling sideways", async ({ page, planner }) => {
    await page.goto(planner.base);
    await ask(page, "What are the top 10 science fiction films?");
    await answered(page);
    await expectNoSidewaysScrolling(page);
    await turns(page).last().getByRole("button", { name: "Copy answer" }).scrollIntoViewIfNeeded();
    await expect(turns(page).last().getByRole("button", { name: "Copy answer" })).toBeInViewport();
  });
});

test("what is pressed is at least 24 pixels high and wide", async ({ page, planner }) => {
  await page.goto(planner.base);
  await ask(page, "What did Steven Spielberg direct?");
  await answered(page);
  const query = turns(page).last().locator("details.query").last();
  if ((await query.getAttribute("open")) === null) await query.locator("summary").click();
  await expect(query.getByRole("table")).toBeVisible();
  const small = await page
    .locator("button:visible, summary:visible, .downloads a, .entry a, textarea:visible")
    .evaluateAll((all) =>
      all
        .map((element) => ({ element, box: element.getBoundingClientRect() }))
        .filter(({ box }) => box.width > 1 && (box.width < 24 || box.height < 24))
        .map(({ element, box }) => `${element.outerHTML.slice(0, 80)} ${box.width}x${box.height}`),
    );
  expect(small).toEqual([]);
});

test.describe("with less motion", () => {
  test.use({ contextOptions: { reducedMotion: "reduce" } });

  test("nothing moves", async ({ page, scripted }) => {
    const question = "What moves?";
    const gate = new Gate();
    scripted.model.script(question, { sql: ROWS, gate }, { answer: "Nothing." });
    await page.goto(scripted.server.base);
    await ask(page, question);
    await gate.reached;
    await expect(turns(page).last().getByRole("progressbar")).toBeVisible();
    expect(await page.evaluate(() => document.getAnimations().length)).toBe(0);
    gate.open();
    await answered(page);
  });
});

test("Arabic and Hebrew run from right to left, among English from left to right", async ({ page, scripted }) => {
  const question = "ما هي أفضل الأفلام؟";
  const sql = "SELECT 'فيلم الرسالة' AS title, 'Jaws' AS other FROM imdb.movies_delta LIMIT 1";
  const answer = "أفضل فيلم هو:\n\n1. فيلم الرسالة\n\nעברית גם כן\n\nAnd English.";
  scripted.model.script(question, { sql, reasoning: "أبحث عنه." }, { answer, assumptions: ["الأفضل يعني الأعلى"] });
  await page.goto(scripted.server.base);
  await ask(page, question);
  await answered(page);
  const turn = turns(page).last();
  const direction = (text: string) =>
    turn
      .getByText(text, { exact: true })
      .first()
      .evaluate((element) => getComputedStyle(element).direction);
  expect(await direction(question)).toBe("rtl");
  expect(await direction("أفضل فيلم هو:")).toBe("rtl");
  expect(await direction("فيلم الرسالة")).toBe("rtl");
  expect(await direction("עברית גם כן")).toBe("rtl");
  expect(await direction("And English.")).toBe("ltr");
});
