// A language model that follows scripts, behind the API that asklake's adapter for real ones speaks: chat completions with tools, streamed.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What the model does when it is asked for the first, second … time in a turn. The last step is repeated. */
export type Step =
  | { sql: string; reasoning?: string; gate?: Gate }
  | {
      answer: string;
      basis?: "data" | "model_knowledge" | "none";
      assumptions?: string[];
      next?: string[];
      gate?: Gate;
    }
  | { missing: string }
  | { fail: number };

/** Holds the model in the middle of a step until the test opens it. */
export class Gate {
  private release = () => {};
  private arrive = () => {};
  readonly opened = new Promise<void>((open) => {
    this.release = open;
  });
  /** Resolves when the model has come to it. */
  readonly reached = new Promise<void>((reach) => {
    this.arrive = reach;
  });

  open(): void {
    this.release();
  }

  async pass(): Promise<void> {
    this.arrive();
    await this.opened;
  }
}

interface Body {
  messages: { role: string; content: string | null }[];
}

export class ScriptedModel {
  private readonly scripts = new Map<string, Step[]>();
  private readonly server = createServer((request, response) => void this.serve(request, response));
  private port = 0;
  /** Whether it answers at all. */
  isUp = true;

  static async start(): Promise<ScriptedModel> {
    const model = new ScriptedModel();
    await new Promise<void>((done) => model.server.listen(0, "127.0.0.1", done));
    model.port = (model.server.address() as AddressInfo).port;
    return model;
  }

  /** What makes asklake ask it. */
  get environment(): Record<string, string> {
    return {
      OPENAI_BASE_URL: `http://127.0.0.1:${this.port}/v1`,
      OPENAI_MODEL: "scripted-model",
      MODEL_ANSWER_FORMAT: "json_schema",
    };
  }

  /** What it does for the question, which no other test may ask. */
  script(question: string, ...steps: Step[]): void {
    this.scripts.set(question, steps);
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((done) => this.server.close(done));
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!this.isUp) {
      request.destroy();
      return;
    }
    if (request.method === "GET") {
      response.writeHead(200, { "content-type": "application/json" }).end('{"data":[]}');
      return;
    }
    let text = "";
    for await (const chunk of request) text += chunk;
    const step = this.step(JSON.parse(text) as Body);
    if (!step || "fail" in step) {
      response.writeHead(step ? step.fail : 400, { "content-type": "application/json" });
      response.end(JSON.stringify({ error: { message: "no script", type: "invalid_request_error" } }));
      return;
    }
    await reply(response, step);
  }

  /** The step of the last scripted question; each result of a tool since then is one further. */
  private step({ messages }: Body): Step | undefined {
    for (let at = messages.length - 1; at > 0; at -= 1) {
      const { role, content } = messages[at] ?? { role: "", content: "" };
      if (role !== "user" || !content) continue;
      const question = [...this.scripts.keys()].find((question) => content.startsWith(question));
      const steps = question ? (this.scripts.get(question) ?? []) : [];
      const done = messages.slice(at).filter((message) => message.role === "tool").length;
      if (steps.length > 0) return steps[Math.min(done, steps.length - 1)];
    }
    return undefined;
  }
}

async function reply(response: ServerResponse, step: Exclude<Step, { fail: number }>): Promise<void> {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const send = (delta: object, finish: string | null = null) =>
    response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`);
  const [written, delta] = parts(step);
  const middle = Math.floor(written.length / 2);
  send(delta(written.slice(0, middle), true));
  if ("gate" in step && step.gate) await step.gate.pass();
  send(delta(written.slice(middle), false));
  send({}, "answer" in step ? "stop" : "tool_calls");
  response.write(`data: ${JSON.stringify({ choices: [], usage: { prompt_tokens: 1200, completion_tokens: 80 } })}\n\n`);
  response.end("data: [DONE]\n\n");
}

/** What is written, and how a part of it is sent. */
function parts(step: Exclude<Step, { fail: number }>): [string, (text: string, isFirst: boolean) => object] {
  if ("answer" in step) {
    const { answer, basis = "data", assumptions = [], next = [] } = step;
    return [JSON.stringify({ answer, basis, assumptions, suggested_questions: next }), (content) => ({ content })];
  }
  const [name, args] =
    "sql" in step
      ? ["execute_spark_sql", { reasoning: step.reasoning ?? "Looks it up.", sql_query: step.sql }]
      : ["cannot_answer", { missing: step.missing }];
  const id = `call_${Math.random().toString(36).slice(2)}`;
  return [
    JSON.stringify(args),
    (text, isFirst) => ({
      tool_calls: [
        { index: 0, ...(isFirst && { id, type: "function" }), function: { ...(isFirst && { name }), arguments: text } },
      ],
    }),
  ];
}
