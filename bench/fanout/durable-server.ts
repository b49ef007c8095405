/**
 * `@durable-streams/server`, a server of streams that are read by offset, in memory as it comes. Its own API is the only way to write, so
 * its parent writes over HTTP. Installed beside the bench (see main.ts), at the path that is given.
 */
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { DurableStreamTestServer } = (await import(
  pathToFileURL(createRequire(`${process.argv[2]}/package.json`).resolve("@durable-streams/server")).href
)) as { DurableStreamTestServer: new (options: object) => { start(): Promise<void>; baseUrl: string } };

const server = new DurableStreamTestServer({ port: Number(process.argv[3]), host: "127.0.0.1", compression: false });
await server.start();
process.send?.({ port: Number(process.argv[3]) });
