/**
 * What there is to lose against: a node:http server that does nothing but write events of the same size, at the same pace, to the same
 * number of sockets. `GET /<group>` joins a group; a message from the parent makes it speak.
 */
import { createServer, type ServerResponse } from "node:http";
import { monotonicMs, type Speak } from "./messages";
import { speak } from "./pace";

const groups = new Map<number, Set<ServerResponse>>();

const server = createServer((req, resp) => {
  const group = Number((req.url ?? "/0").slice(1));
  resp.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" });
  resp.write("event: caught_up\ndata: {}\n\n");
  const members = groups.get(group) ?? new Set();
  groups.set(group, members.add(resp));
  resp.once("close", () => members.delete(resp));
});
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  process.send?.({ port: typeof address === "object" ? address?.port : 0 });
});

process.on("message", (what: Speak) => {
  void speak(what, (group) => {
    const head = `event: ai_chunk\ndata: {"at":${monotonicMs()},"content":"`;
    const frame = Buffer.from(`${head}${"x".repeat(Math.max(0, what.chars - head.length - 4))}"}\n\n`);
    for (const resp of groups.get(group) ?? []) resp.write(frame);
  }).then(() => process.send?.({ spoken: true }));
});
