import { api } from "encore.dev/api";
import asyncapi from "./asyncapi.gen.json";

/** The AsyncAPI 3 description of the WebSocket `GET /threads/:id/collaborate`: every message, both ways. */
export const asyncapiDocument = api.raw({ expose: true, method: "GET", path: "/asyncapi.json" }, async (_req, resp) => {
  resp.writeHead(200, { "Content-Type": "application/json", "Cache-Control": "no-cache" });
  resp.end(JSON.stringify(asyncapi));
});
