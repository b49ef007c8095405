import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RefusedMessage } from "../../../backend/realtime/protocol";
import { type Answered, makePending, Refused } from "./pending";

const say = (id: string): Answered => ({ type: "send", id, content: id });
const refusal = (id: string, retry_after_ms: number | null): RefusedMessage => ({
  type: "refused",
  id,
  code: "unavailable",
  reason: "some",
  message: "not now",
  hint: "later",
  retry_after_ms,
});

describe("messages without an answer", () => {
  it("are sent in their order, sixteen at a time, again after a break, and each is answered once (WS-2)", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 60 }),
        fc.array(fc.constantFrom("send", "answer", "break"), { maxLength: 300 }),
        async (count, steps) => {
          const pending = makePending();
          const ids = Array.from({ length: count }, (_, i) => `m${i}`);
          const answers = ids.map((id) => pending.add(say(id)));
          const stored = new Set<string>(); // what a server makes of it: the first with an id counts
          const answered: string[] = [];
          let inFlight: string[] = [];
          const send = () => {
            const next = pending.next(0);
            if (next === null || typeof next === "number") return false;
            inFlight.push(next.id);
            expect(inFlight.length).toBeLessThanOrEqual(16);
            stored.add(next.id);
            return true;
          };
          const answer = () => {
            const id = inFlight.shift();
            if (id === undefined) return;
            answered.push(id);
            pending.ack({ type: "ack", id });
          };
          for (const step of steps) {
            if (step === "send") send();
            if (step === "answer") answer();
            if (step === "break") {
              inFlight = [];
              pending.unsend();
            }
          }
          while (send() || inFlight.length > 0) answer();
          expect([...stored]).toEqual(ids);
          expect(answered).toEqual(ids);
          expect((await Promise.all(answers)).map(({ id }) => id)).toEqual(ids);
        },
      ),
    );
  });

  it("wait when they are refused for the moment, with all that come after; for good only when told so (WS-2)", async () => {
    const pending = makePending();
    const [first, second] = [pending.add(say("a")), pending.add(say("b"))];
    expect(pending.next(0)).toEqual(say("a"));
    pending.refuse(refusal("a", 200), 0);
    expect(pending.next(100)).toBe(100);
    expect(pending.next(200)).toEqual(say("a"));
    expect(pending.next(200)).toEqual(say("b"));
    pending.ack({ type: "ack", id: "b" });
    pending.refuse(refusal("a", null), 300);
    await expect(first).rejects.toBeInstanceOf(Refused);
    await expect(second).resolves.toMatchObject({ id: "b" });
    expect(pending.next(1_000)).toBeNull();
  });
});
