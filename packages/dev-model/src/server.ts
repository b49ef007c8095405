/** The HTTP server of the dev model. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { behaviourOfModel } from "./behaviour";
import { complete } from "./completions";
import { embeddings } from "./embeddings";
import { invalidRequest, ModelError } from "./errors";
import { BODY_BYTES_MAX, RECORDED_REQUESTS_MAX } from "./limits";
import { LISTED_MODELS } from "./models";
import { createRecorder, NO_TRACE, type Recorder } from "./recorder";
import { isObject, type JsonObject } from "./request";

export interface DevModelOptions {
  /** 0 chooses a free port. */
  port: number;
  /** Default 127.0.0.1. */
  host?: string;
  /** Keep what is sent, for `GET /debug/requests`. Default false: people's text is not kept. */
  record?: boolean;
  /** Ids for `/v1/models` besides the fixed ones. */
  models?: readonly string[];
}

export interface DevModel {
  /** Base URL without `/v1`, for example `http://127.0.0.1:8284`. */
  url: string;
  port: number;
  /** Stops listening and closes every connection. */
  close(): Promise<void>;
}

/** An idle connection is kept longer than any client keeps it, so that the client closes first and no request meets a closing socket. */
const KEEP_ALIVE_MS = 75_000;

/** Starts the dev model. Rejects when the port is taken or a model id in `models` is not one. */
export async function startDevModel(options: DevModelOptions): Promise<DevModel> {
  const models = [...new Set([...LISTED_MODELS, ...(options.models ?? [])])];
  const unknown = models.find((id) => behaviourOfModel(id) === null);
  if (unknown !== undefined)
    throw new Error(`"${unknown}" is not a model id of the dev model; see packages/dev-model/README.md`);
  const recorder = options.record ? createRecorder() : null;
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, noDelay: true }, (req, res) => {
    void handle(req, res, models, recorder);
  });
  const host = options.host ?? "127.0.0.1";
  await listen(server, options.port, host);
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${port}`,
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function handle(
  req: IncomingMessage,
  res: ServerResponse,
  models: readonly string[],
  recorder: Recorder | null,
): Promise<void> {
  res.setHeader("x-graphyn-dev-model", "not-a-language-model");
  let trace = NO_TRACE;
  res.once("close", () => trace.ended(!res.writableEnded));
  try {
    const url = new URL(req.url ?? "/", "http://localhost");
    switch (`${req.method} ${url.pathname}`) {
      case "GET /health":
        return json(res, 200, {
          status: "ok",
          kind: "development model, not a language model",
          recording: recorder !== null,
        });
      case "GET /v1/models":
        return json(res, 200, {
          object: "list",
          data: models.map((id) => ({ id, object: "model", created: 0, owned_by: "graphyn-dev-model" })),
        });
      case "POST /v1/chat/completions": {
        const body = await readBody(req);
        trace = recorder?.begin(url.pathname, body) ?? NO_TRACE;
        return await complete(body, res, trace);
      }
      case "POST /v1/embeddings": {
        const body = await readBody(req);
        trace = recorder?.begin(url.pathname, body) ?? NO_TRACE;
        trace.status(200);
        return json(res, 200, embeddings(body));
      }
      case "GET /debug/requests":
        return json(res, 200, { requests: recording(recorder).list(readFilter(url.searchParams)) });
      case "DELETE /debug/requests":
        recording(recorder).clear();
        return json(res, 200, { requests: [] });
      default:
        throw new ModelError(
          404,
          "invalid_request_error",
          `${req.method} ${url.pathname} is not an endpoint of the dev model.`,
        );
    }
  } catch (error) {
    const refusal =
      error instanceof ModelError
        ? error
        : new ModelError(500, "server_error", `The dev model failed: ${String(error)}`);
    trace.status(refusal.status);
    if (res.headersSent) res.destroy();
    else json(res, refusal.status, refusal.body());
  }
}

function json(res: ServerResponse, status: number, body: object): void {
  if (res.destroyed) return;
  const text = JSON.stringify(body);
  res.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  res.end(text);
}

async function readBody(req: IncomingMessage): Promise<JsonObject> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of req) {
    bytes += (part as Buffer).length;
    if (bytes > BODY_BYTES_MAX)
      throw new ModelError(413, "invalid_request_error", `A body takes at most ${BODY_BYTES_MAX} bytes.`);
    parts.push(part as Buffer);
  }
  let body: unknown;
  try {
    body = JSON.parse(Buffer.concat(parts).toString("utf8"));
  } catch {
    throw invalidRequest("The body is not valid JSON.");
  }
  if (!isObject(body)) throw invalidRequest("The body must be a JSON object.");
  return body;
}

function recording(recorder: Recorder | null): Recorder {
  if (recorder === null) {
    throw new ModelError(404, "invalid_request_error", "Nothing is recorded: start the dev model with --record.");
  }
  return recorder;
}

function readFilter(query: URLSearchParams) {
  const limit = Number(query.get("limit") ?? RECORDED_REQUESTS_MAX);
  if (!Number.isInteger(limit) || limit < 1) throw invalidRequest("limit must be a whole number from 1", "limit");
  return { contains: query.get("contains"), user: query.get("user"), model: query.get("model"), limit };
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
