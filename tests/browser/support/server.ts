// The built server as a process of its own, in a folder of its own, with nothing of this machine's environment but PATH.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const ROOT = resolve(import.meta.dirname, "../../..");

export class Server {
  private child: ChildProcess | null = null;
  /** `127.0.0.1:0` at first; then the address that it got, also when it is started again. */
  private listen = "127.0.0.1:0";

  private constructor(
    private readonly folder: string,
    private readonly environment: Record<string, string>,
  ) {}

  static async start(environment: Record<string, string> = {}): Promise<Server> {
    const folder = mkdtempSync(join(tmpdir(), "asklake-browser-"));
    mkdirSync(join(folder, "tmp"));
    const server = new Server(folder, environment);
    await server.restart();
    return server;
  }

  get base(): string {
    return `http://${this.listen}`;
  }

  /** Starts it, at the same address and over the same data as before. */
  async restart(): Promise<void> {
    const child = spawn(process.env.ASKLAKE ?? join(ROOT, "target/debug/asklake"), ["serve", "--listen", this.listen], {
      cwd: this.folder,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: process.env.PATH ?? "",
        TMPDIR: join(this.folder, "tmp"),
        LAKE_DIR: join(ROOT, "lake"),
        SAIL_BIN: join(ROOT, ".tools/venv/bin/sail"),
        ...this.environment,
      },
    });
    this.child = child;
    let log = "";
    child.stderr.on("data", (data: Buffer) => {
      log += data.toString();
    });
    for await (const line of createInterface({ input: child.stdout })) {
      const address = /listens on http:\/\/([^/]+)\//.exec(line)?.[1];
      if (address) {
        this.listen = address;
        // Whatever it prints later is of no interest, but must not block it.
        child.stdout.resume();
        return;
      }
    }
    throw new Error(`asklake ended before it listened: ${log}`);
  }

  /** Ends it as a power failure would. */
  async kill(): Promise<void> {
    const { child } = this;
    this.child = null;
    if (!child || child.exitCode !== null) return;
    const ended = new Promise((done) => child.once("exit", done));
    child.kill("SIGKILL");
    await ended;
  }

  async stop(): Promise<void> {
    const { child } = this;
    this.child = null;
    if (child && child.exitCode === null) {
      const ended = new Promise((done) => child.once("exit", done));
      child.kill("SIGTERM");
      await ended;
    }
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}
