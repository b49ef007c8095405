import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type AuditHead, type AuditRow, hashOf, sealOf } from "./entry";
import { type AuditKey, parseAuditKeys } from "./parse-audit-keys";
import { verifyStretch } from "./verify-chain";

const ORG = "org_01h455vb4pex5vsknk084sn02q";
const [KEY, OLD] = parseAuditKeys("new key, old key") as [AuditKey, AuditKey];

function chainOf(length: number, key = KEY): { rows: AuditRow[]; head: AuditHead } {
  const rows: AuditRow[] = [];
  for (let seq = 1; seq <= length; seq++) {
    const row = {
      seq,
      at: new Date(1_700_000_000_000 + seq),
      actor_kind: "key" as const,
      actor_id: "key_1",
      actor_user: "user_1",
      action: "agent.changed",
      target_type: "agent",
      target_id: `agent_${seq}`,
      change: `{"n":${seq}}`,
      prev_hash: rows.at(-1)?.hash ?? "",
    };
    rows.push({ ...row, hash: hashOf(key, ORG, row), key_id: key.id });
  }
  const end = { seq: length, hash: rows.at(-1)?.hash ?? "" };
  return { rows, head: { ...end, key_id: key.id, seal: sealOf(key, ORG, end) } };
}

function verify({ rows, head }: { rows: AuditRow[]; head: AuditHead | null }, keys = [KEY]) {
  return verifyStretch(keys, { orgId: ORG, rows, before: null, isLast: true, head });
}

describe("a chain of audit entries", () => {
  it("holds as it was written, also over a change of keys (SEC-6)", () => {
    expect(verify(chainOf(5))).toBeNull();
    expect(verify(chainOf(5, OLD), [KEY, OLD])).toBeNull();
    expect(verify(chainOf(5, OLD), [KEY])).toEqual({ seq: 1, how: "unknown_key" });
  });

  it("belongs to one organization (SEC-6)", () => {
    const { rows, head } = chainOf(2);
    const other = { orgId: "org_2", rows, before: null, isLast: true, head };
    expect(verifyStretch([KEY], other)).toEqual({ seq: 1, how: "edited" });
  });

  it("shows any one edit, of any field, at its seq (SEC-6)", () => {
    const edits: Partial<AuditRow>[] = [
      { at: new Date(0) },
      { actor_kind: "user" },
      { actor_id: "key_2" },
      { actor_user: null },
      { action: "agent.created" },
      { target_type: "key" },
      { target_id: "agent_9" },
      { change: '{"n": 3}' },
      { prev_hash: "0".repeat(64) },
      { hash: "0".repeat(64) },
    ];
    for (const edit of edits) {
      const chain = chainOf(5);
      Object.assign(chain.rows[2] as AuditRow, edit);
      expect([edit, verify(chain)]).toEqual([edit, { seq: 3, how: "edited" }]);
    }
  });

  it("shows what is missing: the first, one in the middle, the last, all (SEC-6)", () => {
    const without = (...seqs: number[]) => {
      const { rows, head } = chainOf(5);
      return { rows: rows.filter(({ seq }) => !seqs.includes(seq)), head };
    };
    expect(verify(without(1))).toEqual({ seq: 1, how: "missing" });
    expect(verify(without(3))).toEqual({ seq: 3, how: "missing" });
    expect(verify(without(5))).toEqual({ seq: 5, how: "missing" });
    expect(verify(without(1, 2, 3, 4, 5))).toEqual({ seq: 1, how: "missing" });
    expect(verify({ rows: [], head: null })).toEqual({ seq: 1, how: "missing" });
  });

  it("shows entries that changed places (SEC-6)", () => {
    const { rows, head } = chainOf(5);
    const [second, fourth] = [rows[1] as AuditRow, rows[3] as AuditRow];
    [second.seq, fourth.seq] = [4, 2];
    rows.sort((a, b) => a.seq - b.seq);
    expect(verify({ rows, head })).toEqual({ seq: 2, how: "reordered" });
  });

  it("shows a chain that was cut off and given an end again without the key (SEC-6)", () => {
    const { rows, head } = chainOf(5);
    const cut = rows.slice(0, 3);
    const end = { seq: 3, hash: cut[2]?.hash ?? "" };
    expect(verify({ rows: cut, head: { ...head, ...end } })).toEqual({ seq: 3, how: "head" });
    expect(verify({ rows: cut, head: null })).toEqual({ seq: 3, how: "head" });
    const forged = { id: KEY.id, key: "somebody's" };
    expect(verify({ rows: cut, head: { ...head, ...end, seal: sealOf(forged, ORG, end) } })?.how).toBe("head");
  });

  it("shows a genuine entry that follows another than the one before it (SEC-6)", () => {
    const chain = chainOf(3);
    const row = { ...(chain.rows[1] as AuditRow), prev_hash: "1".repeat(64) };
    chain.rows[1] = { ...row, hash: hashOf(KEY, ORG, row) };
    expect(verify(chain)).toEqual({ seq: 2, how: "unlinked" });
  });

  it("shows whatever somebody without the key makes of it (SEC-6)", () => {
    const tampering = fc.record({
      length: fc.integer({ min: 1, max: 8 }),
      at: fc.nat(7),
      kind: fc.constantFrom("drop", "swap", "edit", "rechain", "double"),
    });
    fc.assert(
      fc.property(tampering, ({ length, at, kind }) => {
        const { rows, head } = chainOf(length);
        const index = at % length;
        const row = rows[index] as AuditRow;
        if (kind === "drop") rows.splice(index, 1);
        if (kind === "edit") row.change = '{"n":0}';
        if (kind === "double") rows.splice(index, 0, { ...row });
        if (kind === "swap") {
          if (length === 1) return;
          const other = rows[(index + 1) % length] as AuditRow;
          const place = row.seq;
          row.seq = other.seq;
          other.seq = place;
          rows.sort((a, b) => a.seq - b.seq);
        }
        if (kind === "rechain") {
          const forged = { id: KEY.id, key: "a guess" };
          row.action = "agent.deleted";
          for (let i = index; i < length; i++) {
            const link = rows[i] as AuditRow;
            link.prev_hash = rows[i - 1]?.hash ?? "";
            link.hash = hashOf(forged, ORG, link);
          }
          const end = { seq: length, hash: rows.at(-1)?.hash ?? "" };
          Object.assign(head, end, { seal: sealOf(forged, ORG, end) });
        }
        expect(verify({ rows, head })).not.toBeNull();
      }),
    );
  });
});
