// Takes the pictures of the documents anew: `make screenshots`. No test: whoever takes them looks at them.

import { defineConfig } from "@playwright/test";
import tests from "./playwright.config.ts";

export default defineConfig(tests, {
  testMatch: "docs.shots.ts",
  workers: 1,
  reporter: "list",
});
