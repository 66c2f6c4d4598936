// The closing line of the run, in the form that scripts look for.

import type { Reporter, TestCase } from "@playwright/test/reporter";

export default class Closing implements Reporter {
  private readonly tests = new Set<TestCase>();

  onTestEnd(test: TestCase): void {
    this.tests.add(test);
  }

  onEnd(): void {
    const failed = [...this.tests].filter((test) => !test.ok()).length;
    console.log(`browser: ${this.tests.size - failed} passed, ${failed} failed`);
  }

  printsToStdio(): boolean {
    return false;
  }
}
