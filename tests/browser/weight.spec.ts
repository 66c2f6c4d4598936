// What the page costs: bytes over the wire before a chart is needed, and the time until something is seen, which is printed only.

import { answered, ask, expect, test } from "./support/fixtures.ts";

const LIMIT = 150 * 1024;

test("the page weighs less than 150 KiB before a chart is needed", async ({ page, planner }) => {
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  const paths = new Map<string, string>();
  const weights = new Map<string, number>();
  session.on("Network.responseReceived", ({ requestId, response }) =>
    paths.set(requestId, new URL(response.url).pathname),
  );
  session.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    const path = paths.get(requestId) ?? "";
    if (path === "/" || path.startsWith("/api/assets/")) weights.set(path, encodedDataLength);
  });
  await page.goto(planner.base);
  await ask(page, "Who directed Jaws?");
  await answered(page);
  const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0);
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0);
  console.log(
    `page: ${(total / 1024).toFixed(1)} KiB in ${weights.size} files; first paint after ${Math.round(paint)} ms`,
  );
  expect([...weights.keys()].some((path) => path.endsWith(".js"))).toBe(true);
  expect(total).toBeLessThan(LIMIT);
});
