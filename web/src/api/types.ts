// The bodies of the HTTP API (docs/openapi.json), as far as the page reads them. Fields that a server may not send yet are optional.

export type PublicStatus = "processing" | "completed" | "error";
export type JobStatus = "pending" | "running" | "completed" | "failed" | "canceled";
export type AnswerBasis = "data" | "model_knowledge" | "none";

export interface Job {
  sql_query: string;
  status: JobStatus;
  started_at: string;
  finished_at?: string;
  reasoning: string;
  row_count: number | null;
  truncated: boolean | null;
  limit_source: "server" | "model" | null;
  error: string | null;
  run_page_url: string | null;
  turn: number;
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  model_calls: number;
  queries: number;
  warehouse_ms: number;
  model_ms: number;
}

export interface Status {
  conversation_id: string;
  status: PublicStatus;
  question: string;
  final_answer: string | null;
  error: string | null;
  databricks_jobs: Job[];
  progress: { current_step: string; percentage: number; reasoning: string | null };
  created_at: string;
  updated_at: string;
  stage: string;
  turn: number;
  revision: number;
  answer_basis: AnswerBasis | null;
  answered_by: string | null;
  assumptions: string[];
  unverified: string[];
  verified_queries: string[];
  suggested_questions: string[];
  usage: Usage;
  chart: Record<string, unknown> | null;
  error_detail: { code: string; retryable: boolean } | null;
  feedback: Feedback | null;
  /** Present where the answer was made before, for another conversation. */
  cached?: { answered_at: string; age_seconds: number };
}

export interface Feedback {
  rating: "positive" | "negative";
  comment: string | null;
}

/** How an earlier turn ended: what the status told of it while it was the last one. */
export type EndedTurn = Pick<
  Status,
  | "turn"
  | "status"
  | "error"
  | "error_detail"
  | "answer_basis"
  | "answered_by"
  | "assumptions"
  | "unverified"
  | "verified_queries"
  | "cached"
>;

export interface Message {
  role: "user" | "assistant";
  content: string;
  timestamp: string;
  turn: number;
  tool_calls?: unknown[];
}

export interface Messages {
  conversation_id: string;
  messages: Message[];
  ended_turns: EndedTurn[];
}

/** A part of what the model is writing. Void as soon as a newer status comes. */
export interface Draft {
  turn: number;
  kind: "answer" | "sql" | "reasoning";
  /** Whether the text replaces what was shown of this kind, or is appended to it. */
  reset: boolean;
  text: string;
}

/** Integers that no double is exactly are the texts of their digits. */
export type Cell = string | number | boolean | null | object;

export interface Column {
  name: string;
  /** Spark's name of the type, such as `bigint` or `array<string>`. */
  type: string;
}

export interface Rows {
  sql_query: string;
  columns: Column[];
  rows: Cell[][];
  row_count: number;
  truncated: boolean;
  limit_source: "server" | "model" | null;
}

export interface Summary {
  id: string;
  question: string;
  /** The first question of the conversation; `question` is the last one. */
  title?: string;
  status: PublicStatus;
  created_at: string;
  updated_at: string;
}

export interface HistoryPage {
  conversations: Summary[];
  next_cursor: string | null;
}

export interface Dependency {
  name: string;
  kind: string;
  status: string;
  latency_ms: number;
  detail: string | null;
}

export interface Ready {
  status: string;
  model: string;
  dependencies: Dependency[];
}

export interface Accepted {
  conversation_id: string;
}
