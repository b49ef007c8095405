import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { createGenerator, type Schema } from "ts-json-schema-generator";
import { PROTOCOL_EXAMPLES } from "./asyncapi-examples";

/**
 * Makes the AsyncAPI 3 document of `GET /threads/:id/collaborate` from the types of backend/realtime/protocol.ts. What a client sends is
 * checked against it as it runs, so it cannot promise other than what holds; a test fails when it is older than the types.
 */
const ROOT = fileURLToPath(new URL("../", import.meta.url));
export const ASYNCAPI_FILE = `${ROOT}backend/realtime/asyncapi.gen.json`;

const CHANNEL = "collaborate";
const INTRODUCTION = `People and agents in one thread at the same time, over a WebSocket. Every message is one JSON object with a \`type\`.

- The thread's log and its live events come as \`event\`, each with the cursor that stands after it: connect again with it and nothing is missing and nothing comes twice.
- What you send has an \`id\` of yours: it is answered by \`ack\` or \`refused\` with that id, and sent again with it counts once.
- Answer every \`ping\` with \`pong\`. Whoever hears nothing for 25 seconds takes the other for gone.
- The last message is \`bye\`: why, and whether and when to come back. A connection that ends without it broke: come back at once, with the cursor.`;

type Schemas = Record<string, Schema>;

/** The members of a union type, in the order written. */
function membersOf(schemas: Schemas, union: string): string[] {
  return (schemas[union]?.anyOf ?? []).map((member) => (member as Schema).$ref?.split("/").at(-1) ?? "");
}

function typeOf(schemas: Schemas, name: string): string {
  const type = schemas[name]?.properties?.type as Schema | undefined;
  if (typeof type?.const !== "string") throw new Error(`${name} has no type of its own`);
  return type.const;
}

export function makeAsyncApi(): object {
  const { version } = JSON.parse(readFileSync(`${ROOT}backend/package.json`, "utf8")) as { version: string };
  const generator = createGenerator({
    path: `${ROOT}backend/realtime/protocol.ts`,
    tsconfig: `${ROOT}backend/tsconfig.json`,
    skipTypeCheck: true,
    additionalProperties: true,
    sortProps: false,
    encodeRefs: false,
  });
  const found = ["ClientMessage", "ServerMessage"].map((type) => generator.createSchema(type).definitions ?? {});
  const definitions = Object.assign({}, ...found) as Schemas;
  const schemas = JSON.parse(
    JSON.stringify(definitions).replaceAll("#/definitions/", "#/components/schemas/"),
  ) as Schemas;
  const incoming = membersOf(schemas, "ClientMessage");
  const outgoing = membersOf(schemas, "ServerMessage");
  delete schemas.ClientMessage;
  delete schemas.ServerMessage;

  const message = (name: string) => ({
    name: typeOf(schemas, name),
    title: typeOf(schemas, name),
    summary: schemas[name]?.description ?? "",
    contentType: "application/json",
    payload: { $ref: `#/components/schemas/${name}` },
    examples: (PROTOCOL_EXAMPLES[name] ?? []).map((payload) => ({ payload })),
  });
  const inChannel = (names: string[]) => names.map((name) => ({ $ref: `#/channels/${CHANNEL}/messages/${name}` }));
  return {
    asyncapi: "3.0.0",
    info: {
      title: "Graphyn, live",
      version,
      description: INTRODUCTION,
      license: { name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0" },
    },
    defaultContentType: "application/json",
    servers: {
      local: { host: "127.0.0.1:4000", protocol: "ws", security: [{ $ref: "#/components/securitySchemes/bearer" }] },
    },
    channels: {
      [CHANNEL]: {
        address: "/threads/{id}/collaborate",
        description: "One connection of one person's window to one thread.",
        parameters: { id: { description: "The thread's id." } },
        messages: Object.fromEntries(
          [...incoming, ...outgoing].map((name) => [name, { $ref: `#/components/messages/${name}` }]),
        ),
        bindings: {
          ws: {
            method: "GET",
            query: {
              type: "object",
              properties: {
                cursor: {
                  type: "string",
                  description: "Go on after it; without it the stored messages come first.",
                },
                tab: {
                  type: "string",
                  pattern: "^[A-Za-z0-9_-]{1,64}$",
                  description: "This window's name, the same each time it comes back. Made by the server when absent.",
                },
              },
            },
            bindingVersion: "0.1.0",
          },
        },
      },
    },
    operations: {
      clientSays: {
        action: "receive",
        summary: "What a client sends.",
        channel: { $ref: `#/channels/${CHANNEL}` },
        messages: inChannel(incoming),
      },
      serverSays: {
        action: "send",
        summary: "What the server sends.",
        channel: { $ref: `#/channels/${CHANNEL}` },
        messages: inChannel(outgoing),
      },
    },
    components: {
      messages: Object.fromEntries([...incoming, ...outgoing].map((name) => [name, message(name)])),
      schemas,
      securitySchemes: {
        bearer: {
          type: "http",
          scheme: "bearer",
          description:
            "An API key: `Authorization: Bearer gk_…`. Browsers send it as the subprotocols `encore-ws` and `encore.dev.headers.` followed by the base64url of a JSON object of headers.",
        },
      },
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFile(ASYNCAPI_FILE, `${JSON.stringify(makeAsyncApi(), null, 2)}\n`);
}
