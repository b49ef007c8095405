/** Streams between services of this process: two channels, each the other's peer. */

import { AsyncResource } from "node:async_hooks";
import type { App } from "../http/app.js";
import { type CallOpts, prepareCall } from "../http/call.js";
import type { Request } from "../request.js";
import { runStream } from "./run.js";
import { Channel, type Peer, WebSocketClient } from "./socket.js";

export function connectStream(
  app: App,
  service: string,
  name: string,
  payload: unknown,
  source: Request | null | undefined,
  opts: CallOpts | null | undefined,
): WebSocketClient {
  const { endpoint, request } = prepareCall(app, service, name, payload, source, opts);
  if (!endpoint.stream) throw new Error("no handshake schema found");
  const warn = (what: string): void => app.log.warn({ service, endpoint: name }, what);
  const toCallee: Peer = { send: (t) => later(() => callee.receive(t)), close: () => void later(() => callee.ended()) };
  const toCaller: Peer = { send: (t) => later(() => caller.receive(t)), close: () => void later(() => caller.ended()) };
  const caller: Channel = new Channel(toCallee, endpoint.outbound ?? endpoint.response.body, endpoint.inbound, warn);
  const callee: Channel = new Channel(toCaller, endpoint.inbound, endpoint.outbound ?? endpoint.response.body, warn);
  new AsyncResource("EncoreStreamCall").runInAsyncScope(() => void runStream(app, request, callee));
  return new WebSocketClient(caller);
}

function later(work: () => void): true {
  setImmediate(work);
  return true;
}
