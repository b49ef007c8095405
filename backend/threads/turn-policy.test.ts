import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Addressed, chooseAgents, type TurnPolicy } from "./turn-policy";

const POLICIES: TurnPolicy[] = ["all", "mentioned", "round_robin", "coordinator"];
const AGENTS = ["a", "b", "c", "d", "e"];

/** The table in the API's documentation, said once more in the plainest way. */
function model(
  policy: TurnPolicy,
  speakers: string[],
  coordinator: string | null,
  next: string | null,
  to: Addressed,
): string[] {
  if (to.nobody) return [];
  if (to.people.length > 0 && to.agents.length === 0) return [];
  if (policy === "coordinator") return speakers.filter((agent) => agent === coordinator);
  if (to.agents.length > 0) return speakers.filter((agent) => to.agents.includes(agent));
  if (policy === "all") return speakers;
  if (policy === "round_robin") return next === null ? [] : [next];
  return [];
}

const addressing: fc.Arbitrary<Addressed> = fc.record({
  agents: fc.subarray(AGENTS),
  people: fc.subarray(["p"]),
  nobody: fc.constant(false),
});
const message = fc.oneof(
  fc.constant<Addressed>({ agents: [], people: [], nobody: false }),
  fc.constant<Addressed>({ agents: [], people: [], nobody: true }),
  addressing,
);

describe("chooseAgents", () => {
  it("agrees with the table for every room and message, while agents come, go and fall silent (AGT-2)", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...POLICIES),
        fc.option(fc.constantFrom(...AGENTS)),
        fc.array(fc.record({ speakers: fc.subarray(AGENTS), to: message }), { minLength: 1, maxLength: 20 }),
        (policy, coordinator, messages) => {
          let rotationAt: string | null = null;
          let lastInOrder: string | null = null;
          for (const { speakers, to } of messages) {
            const room = {
              policy,
              coordinator,
              rotationAt,
              speaking: speakers.map((agentId) => ({ participantId: `part_${agentId}`, agentId })),
            };
            // The next in the order a b c d e a b …, leaving out who may not speak now.
            const last: string | null = lastInOrder;
            const order: string[] = last === null ? AGENTS : [...AGENTS.filter((agent) => agent > last), ...AGENTS];
            const next = order.find((agent) => speakers.includes(agent)) ?? null;
            const expected = model(policy, speakers, coordinator, next, to);
            const choice = chooseAgents(room, to);
            expect(choice.agents).toEqual(expected);
            expect(choice.noAnswer === null).toBe(expected.length > 0);
            const byRotation = policy === "round_robin" && !to.nobody && to.agents.length + to.people.length === 0;
            if (byRotation && next !== null) lastInOrder = next;
            else expect(choice.rotationAt).toBe(rotationAt);
            rotationAt = choice.rotationAt;
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
