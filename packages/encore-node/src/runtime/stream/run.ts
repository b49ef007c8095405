/** Runs a stream's handler on a channel; the channel closes when the handler is done, without a code or reason. */

import { fromThrown, stackOf } from "../errors.js";
import type { App } from "../http/app.js";
import type { HandlerResult } from "../http/encode.js";
import { requestFields } from "../log.js";
import type { Request } from "../request.js";
import { type Channel, Sink, Socket, Stream } from "./socket.js";

export async function runStream(app: App, request: Request, channel: Channel): Promise<void> {
  const endpoint = request.endpoint;
  const kind = endpoint?.meta.kind;
  const argument =
    kind === "streamIn" ? new Stream(channel) : kind === "streamOut" ? new Sink(channel) : new Socket(channel);
  let code = "ok";
  try {
    const result = (await endpoint?.handler?.(request, argument)) as HandlerResult | undefined;
    if (kind === "streamIn" && result?.payload !== undefined && result.payload !== null) channel.send(result.payload);
  } catch (e) {
    const f = fromThrown(e);
    code = f.code;
    const fields = { ...requestFields(request), code, error: f.message, internal_message: f.internal ?? undefined };
    app.log.error({ ...fields, stack: stackOf(f) }, "stream failed");
  } finally {
    channel.close();
  }
  app.log.info({ ...requestFields(request), code, duration: Date.now() - request.startedAt }, "stream completed");
}
