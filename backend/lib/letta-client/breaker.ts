import type { LettaLimits } from "./config";

export type BreakerState = "closed" | "open" | "half_open";

/** Requests let through at once while half open. */
const TRIALS_MAX = 2;

/**
 * Keeps a failing server from being asked. Closed: all pass; `breakerFailuresMax` failures in a row open it. Open: none pass; after a
 * while a probe asks the server, and again with doubled patience. Half open, once a probe succeeded: few pass, until one succeeds
 * (closed) or fails (open again). Recovery so needs neither traffic nor a restart.
 */
export class Breaker {
  #state: BreakerState = "closed";
  #failures = 0;
  #trials = 0;
  #openMs: number;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #since = new Date();

  constructor(
    private readonly limits: Pick<LettaLimits, "breakerFailuresMax" | "breakerOpenMsMin" | "breakerOpenMsMax">,
    private readonly probe: () => Promise<boolean>,
  ) {
    this.#openMs = limits.breakerOpenMsMin;
  }

  get state(): BreakerState {
    return this.#state;
  }

  /** Since when it is in this state. */
  get since(): Date {
    return this.#since;
  }

  get passes(): boolean {
    return this.#state === "closed" || (this.#state === "half_open" && this.#trials < TRIALS_MAX);
  }

  /** To be called for each request that goes to the server; then exactly one of the three it gives back. */
  enter(): { succeeded(): void; failed(): void; neither(): void } {
    const trial = this.#state === "half_open";
    if (trial) this.#trials++;
    let open = true;
    const once = (then: () => void) => () => {
      if (!open) return;
      open = false;
      if (trial) this.#trials--;
      then();
    };
    return {
      succeeded: once(() => {
        this.#failures = 0;
        if (this.#state === "half_open") this.#become("closed");
      }),
      failed: once(() => {
        this.#failures++;
        if (
          this.#state === "half_open" ||
          (this.#state === "closed" && this.#failures >= this.limits.breakerFailuresMax)
        ) {
          this.#open();
        }
      }),
      neither: once(() => undefined),
    };
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #become(state: BreakerState): void {
    if (state !== this.#state) this.#since = new Date();
    this.#state = state;
    if (state === "closed") this.#openMs = this.limits.breakerOpenMsMin;
  }

  #open(): void {
    this.#become("open");
    if (this.#stopped) return;
    this.#timer = setTimeout(async () => {
      const answered = await this.probe().catch(() => false);
      if (this.#state !== "open" || this.#stopped) return;
      if (answered) {
        this.#become("half_open");
      } else {
        this.#openMs = Math.min(this.#openMs * 2, this.limits.breakerOpenMsMax);
        this.#open();
      }
    }, this.#openMs);
    this.#timer.unref();
  }
}
