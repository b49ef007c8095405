import type { GatewayLimits } from "../limits";
import { UpstreamError } from "../upstreams/upstream-error";

export interface Deadlines {
  /** Aborted with an UpstreamError as its reason. */
  signal: AbortSignal;
  /** A token came. */
  progress(): void;
  stop(): void;
}

/** The first token in time, then no silence for long, and the caller's own stop: one signal for a whole request. */
export function startDeadlines(limits: GatewayLimits, outer: AbortSignal): Deadlines {
  const controller = new AbortController();
  const expire = (code: string) => () => controller.abort(new UpstreamError("timeout", { code }));
  let timer = setTimeout(expire("first_token"), limits.firstTokenMsMax);
  let spoke = false;
  const onAbort = () => {
    const { reason } = outer;
    controller.abort(reason instanceof UpstreamError ? reason : new UpstreamError("cancelled"));
  };
  if (outer.aborted) onAbort();
  outer.addEventListener("abort", onAbort, { once: true });
  return {
    signal: controller.signal,
    progress() {
      if (spoke) {
        timer.refresh();
        return;
      }
      spoke = true;
      clearTimeout(timer);
      timer = setTimeout(expire("idle"), limits.idleMsMax);
    },
    stop() {
      clearTimeout(timer);
      outer.removeEventListener("abort", onAbort);
    },
  };
}
