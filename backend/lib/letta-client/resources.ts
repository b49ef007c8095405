import type { EmbeddingConfig } from "@letta-ai/letta-client/resources/models/models";
import { LettaError } from "./errors";
import { isObject, textOf } from "./events";

/** What Graphyn uses of Letta's resources: plain objects of ours, so that no type of Letta's leaves this folder. */

export interface LettaAgent {
  id: string;
  name: string;
  tags: string[];
  metadata: Record<string, unknown>;
  /** RFC 3339, by Letta's clock. */
  createdAt: string | null;
  /** `identifier_key`s of the identities it belongs to. */
  identifierKeys: string[];
  toolNames: string[];
  blockIds: string[];
}

export interface NewAgent {
  name: string;
  system: string;
  /** Handle of the model, `provider/name`. */
  model: string;
  /** Without it the agent has no archival memory. */
  embedding?: LettaEmbedding | null | undefined;
  toolIds: string[];
  blockIds: string[];
  tags: string[];
  metadata: Record<string, unknown>;
}

/** An embedding model, as Letta lists it. */
export interface LettaEmbedding {
  handle: string;
  /** Letta's own description of it, which it can be given back. */
  config: EmbeddingConfig;
}

export interface LettaBlock {
  id: string;
  label: string;
  tags: string[];
  createdAt: string | null;
}

export interface NewBlock {
  label: string;
  value: string;
  description: string;
  /** Characters. */
  limit: number;
  tags: string[];
  metadata: Record<string, unknown>;
}

export interface LettaTool {
  id: string;
  name: string;
  /** Letta's kind; `custom` runs Python on Letta's host. */
  type: string;
}

export interface LettaMessage {
  id: string;
  kind: string;
  text: string;
  otid: string | null;
  runId: string | null;
  createdAt: string | null;
}

export interface LettaRun {
  id: string;
  /** `created` | `running` | `completed` | `failed` | `cancelled` */
  status: string;
  stopReason: string | null;
}

export interface LettaModel {
  handle: string;
  contextWindow: number;
}

export function agentOf(raw: unknown): LettaAgent {
  const agent = object(raw);
  return {
    id: id(agent),
    name: text(agent.name) ?? "",
    tags: texts(agent.tags),
    metadata: isObject(agent.metadata) ? agent.metadata : {},
    createdAt: text(agent.created_at),
    identifierKeys: objects(agent.identities).map((identity) => text(identity.identifier_key) ?? ""),
    toolNames: objects(agent.tools).map((tool) => text(tool.name) ?? ""),
    blockIds: objects(agent.blocks).map((block) => text(block.id) ?? ""),
  };
}

export function blockOf(raw: unknown): LettaBlock {
  const block = object(raw);
  return {
    id: id(block),
    label: text(block.label) ?? "",
    tags: texts(block.tags),
    createdAt: text(block.created_at),
  };
}

export function toolOf(raw: unknown): LettaTool {
  const tool = object(raw);
  return { id: id(tool), name: text(tool.name) ?? "", type: text(tool.tool_type) ?? "custom" };
}

export function messageOf(raw: unknown): LettaMessage {
  const message = object(raw);
  return {
    id: id(message),
    kind: text(message.message_type) ?? "",
    text: textOf(message.content) || (text(message.reasoning) ?? ""),
    otid: text(message.otid),
    runId: text(message.run_id),
    createdAt: text(message.date),
  };
}

export function runOf(raw: unknown): LettaRun {
  const run = object(raw);
  return { id: id(run), status: text(run.status) ?? "", stopReason: text(run.stop_reason) };
}

export function embeddingOf(raw: unknown): LettaEmbedding {
  const model = object(raw);
  const handle = text(model.handle);
  if (handle === null) throw new LettaError("bad_response", { code: "embedding_handle" });
  const {
    embedding_endpoint_type,
    embedding_endpoint,
    embedding_model,
    embedding_dim,
    embedding_chunk_size,
    batch_size,
  } = model as unknown as EmbeddingConfig;
  const config = { embedding_endpoint_type, embedding_endpoint, embedding_model, embedding_dim, embedding_chunk_size };
  return { handle, config: { ...config, batch_size, handle } };
}

export function modelOf(raw: unknown): LettaModel {
  const model = object(raw);
  const handle = text(model.handle);
  if (handle === null) throw new LettaError("bad_response", { code: "model_handle" });
  return { handle, contextWindow: typeof model.context_window === "number" ? model.context_window : 0 };
}

/** The id of anything Letta made. */
export function idOf(raw: unknown): string {
  return id(object(raw));
}

export function object(raw: unknown): Record<string, unknown> {
  if (!isObject(raw)) throw new LettaError("bad_response", { code: "no_object" });
  return raw;
}

export function list(raw: unknown): unknown[] {
  if (!Array.isArray(raw)) throw new LettaError("bad_response", { code: "no_list" });
  return raw;
}

function id(raw: Record<string, unknown>): string {
  const value = text(raw.id);
  if (value === null) throw new LettaError("bad_response", { code: "no_id" });
  return value;
}

function objects(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
