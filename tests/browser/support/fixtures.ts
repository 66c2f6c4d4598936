// What a test is given: a server that the offline planner answers on, one that a scripted model answers on, and a page.

import { test as base, expect, type Page } from "@playwright/test";
import { ScriptedModel } from "./model.ts";
import { Server } from "./server.ts";

interface Scripted {
  server: Server;
  model: ScriptedModel;
}

interface WorkerFixtures {
  planner: Server;
  scripted: Scripted;
}

export const test = base.extend<object, WorkerFixtures>({
  planner: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads which fixtures are used from the pattern.
    async ({}, use) => {
      const server = await Server.start();
      await use(server);
      await server.stop();
    },
    { scope: "worker" },
  ],
  scripted: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads which fixtures are used from the pattern.
    async ({}, use) => {
      const model = await ScriptedModel.start();
      const server = await Server.start(model.environment);
      await use({ server, model });
      await server.stop();
      await model.stop();
    },
    { scope: "worker" },
  ],
  // Whatever a test does, nothing may break the content security policy or end in an error that nobody caught.
  page: async ({ page }, use) => {
    const faults = listen(page);
    await use(page);
    expect(faults, "faults of the page").toEqual([]);
  },
});

export { expect };

/** What goes wrong on a page by itself: errors that nobody catches, and what the content security policy forbids. */
export function listen(page: Page): string[] {
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => {
    if (/content security policy|trusted/i.test(message.text())) faults.push(message.text());
  });
  return faults;
}

export const field = (page: Page) => page.getByRole("textbox", { name: /^Ask a/ });
export const turns = (page: Page) => page.getByRole("article");

/** Asks as a user does: types and presses Enter. */
export async function ask(page: Page, question: string): Promise<void> {
  await field(page).fill(question);
  await field(page).press("Enter");
}

/** Waits until the newest turn has an answer. */
export async function answered(page: Page): Promise<void> {
  await expect(turns(page).last().getByRole("button", { name: "Copy answer" })).toBeVisible();
}
