// Signing in with a real provider: the code flow with PKCE, what is asked then, and what another is shown.

import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import type { Page } from "@playwright/test";
import { answered, ask, expect, field, test } from "./support/fixtures.ts";
import { Server } from "./support/server.ts";

const ROOT = resolve(import.meta.dirname, "../..");

/** oidc-provider, as tests/support/oidc.mjs sets it up. The page may be at any port of this machine (RFC 8252, section 7.3). */
async function provider(): Promise<{ issuer: string; process: ChildProcess }> {
  const script = join(ROOT, "tests/support/oidc.mjs");
  const process = spawn("node", [script, join(ROOT, ".tools/oidc"), "http://127.0.0.1/"], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  for await (const line of createInterface({ input: process.stdout })) return { issuer: line, process };
  throw new Error("the provider ended before it listened");
}

async function signIn(page: Page, name: string): Promise<void> {
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator("input[name=login]").fill(name);
  await page.locator("input[name=password]").fill("any");
  await page.locator("button[type=submit]").click();
  await expect(page.locator("input[name=login]")).toHaveCount(0);
  await page.locator("button[type=submit]").click();
  await expect(page.getByRole("navigation", { name: "Your conversations" })).toBeVisible();
}

test("who signs in asks, and finds what was asked; another does not", async ({ page, browser }) => {
  const { issuer, process } = await provider();
  const server = await Server.start({
    AUTH_MODE: "oidc",
    AUTH_ISSUER: issuer,
    AUTH_AUDIENCE: "urn:asklake",
    AUTH_CLIENT_ID: "page",
    AUTH_PAGE_SCOPES: "openid ask",
    AUTH_REQUIRED: "ask",
  });
  await page.goto(server.base);
  await expect(field(page)).toHaveCount(0);
  await signIn(page, "ann");
  await expect(page).toHaveURL(`${server.base}/`);
  await expect(field(page)).toBeVisible();

  await ask(page, "Who directed Jaws?");
  await answered(page);
  await expect(page.getByRole("article").last()).toContainText("Steven Spielberg");
  await page.getByText("Query 1").click();
  const download = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download CSV" }).first().click();
  expect((await download).suggestedFilename()).toContain(".csv");

  const address = page.url();
  await page.reload();
  await answered(page);
  await expect(page.getByRole("navigation", { name: "Your conversations" })).toContainText("Who directed Jaws?");
  for (const request of [`${address.split("#")[1]}/status`, "history"]) {
    const response = await page.request.get(`${server.base}/api/chat/${request}`);
    expect(response.status(), "without the token").toBe(401);
  }

  const other = await (await browser.newContext()).newPage();
  await other.goto(address);
  await signIn(other, "bob");
  await expect(other.getByRole("heading", { name: "This conversation is not here" })).toBeVisible();
  await expect(other.getByRole("navigation", { name: "Your conversations" })).not.toContainText("Jaws");
  await other.context().close();
  await server.stop();
  process.stdin?.end();
});

test("a key that is not accepted is said to be none, and the right one shows what was to be shown", async ({
  page,
}) => {
  const key = "ak_the-right-one";
  const digest = createHash("sha256").update(key).digest("hex");
  const server = await Server.start({ AUTH_MODE: "api_key", API_KEYS: `me:${digest}` });
  const headers = { "content-type": "application/json", authorization: `Bearer ${key}` };
  const body = JSON.stringify({ question: "Who directed Jaws?" });
  const started = await fetch(`${server.base}/api/chat/start`, { method: "POST", headers, body });
  const { conversation_id: id } = (await started.json()) as { conversation_id: string };
  await page.goto(`${server.base}/#${id}`);
  const refusal = page.getByRole("alert").filter({ hasText: "asklake does not accept this key." });
  await expect(page.getByLabel("API key")).toBeVisible();
  await expect(refusal).toHaveCount(0);
  await page.getByLabel("API key").fill("ak_another");
  await page.getByRole("button", { name: "Use it" }).click();
  await expect(refusal).toBeVisible();
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Use it" }).click();
  await answered(page);
  await expect(refusal).toHaveCount(0);
  await server.stop();
});
