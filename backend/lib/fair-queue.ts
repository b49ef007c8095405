export interface QueueLimits {
  /** Who may wait for a place, of all organizations and of one. */
  waitingMax: number;
  waitingOfOneMax: number;
  /** How long one may wait, ms. */
  waitMsMax: number;
}

/** Why nobody waits any more: the signal, no room to wait, or too long a wait. */
export type QueueRefusal = "cancelled" | "queue_full" | "queue_wait";

/**
 * A bounded number of places for what is done at once, and a bounded queue before them that is fair between organizations: a free place
 * goes to the waiting organization that has the fewest places already, and among equals to the one that was served longest ago. So one
 * organization may use all places while nobody else waits, and no more than its share when others do.
 */
export class FairQueue {
  readonly #waiting = new Map<string, Waiter[]>(); // in the order of turns: who is served moves to the end
  readonly #active = new Map<string, number>();
  #activeCount = 0;
  #waitingCount = 0;

  /** `places`: a number, or what says how many there are at the moment. */
  constructor(
    private readonly placesNow: number | (() => number),
    private readonly limits: QueueLimits,
    private readonly refusal: (why: QueueRefusal) => Error,
  ) {}

  get places(): number {
    return typeof this.placesNow === "function" ? this.placesNow() : this.placesNow;
  }

  get active(): number {
    return this.#activeCount;
  }

  get waiting(): number {
    return this.#waitingCount;
  }

  /** Waits for a place; the function it gives back frees it and may be called more than once. Throws the queue's refusals. */
  async enter(orgId: string, signal?: AbortSignal): Promise<() => void> {
    if (signal?.aborted) throw this.refusal("cancelled");
    if (this.#activeCount < this.places && this.#waitingCount === 0) return this.#take(orgId);
    const line = this.#waiting.get(orgId) ?? [];
    if (this.#waitingCount >= this.limits.waitingMax || line.length >= this.limits.waitingOfOneMax) {
      throw this.refusal("queue_full");
    }
    return new Promise((resolve, reject) => {
      const leave = (why: QueueRefusal) => {
        this.#forget(orgId, waiter);
        settle();
        reject(this.refusal(why));
      };
      const onAbort = () => leave("cancelled");
      const timer = setTimeout(() => leave("queue_wait"), this.limits.waitMsMax);
      const settle = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
      };
      const waiter: Waiter = (release) => {
        settle();
        resolve(release);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      line.push(waiter);
      this.#waiting.set(orgId, line);
      this.#waitingCount++;
      this.#serveNext(); // there may be more places than there were
    });
  }

  #take(orgId: string): () => void {
    this.#active.set(orgId, (this.#active.get(orgId) ?? 0) + 1);
    this.#activeCount++;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#activeCount--;
      const left = (this.#active.get(orgId) ?? 1) - 1;
      if (left === 0) this.#active.delete(orgId);
      else this.#active.set(orgId, left);
      const line = this.#waiting.get(orgId);
      if (line !== undefined) {
        this.#waiting.delete(orgId); // it has just been served: among equals it is last
        this.#waiting.set(orgId, line);
      }
      this.#serveNext();
    };
  }

  #serveNext(): void {
    while (this.#activeCount < this.places && this.#waitingCount > 0) {
      let next: string | undefined;
      let fewest = Number.POSITIVE_INFINITY;
      for (const orgId of this.#waiting.keys()) {
        const has = this.#active.get(orgId) ?? 0;
        if (has < fewest) [next, fewest] = [orgId, has];
      }
      const line = next === undefined ? undefined : this.#waiting.get(next);
      const waiter = line?.shift();
      if (next === undefined || line === undefined || waiter === undefined) return;
      this.#waitingCount--;
      this.#waiting.delete(next);
      if (line.length > 0) this.#waiting.set(next, line);
      waiter(this.#take(next));
    }
  }

  #forget(orgId: string, waiter: Waiter): void {
    const line = this.#waiting.get(orgId);
    const at = line?.indexOf(waiter) ?? -1;
    if (line === undefined || at < 0) return;
    line.splice(at, 1);
    this.#waitingCount--;
    if (line.length === 0) this.#waiting.delete(orgId);
  }
}

type Waiter = (release: () => void) => void;
