import { api } from "encore.dev/api";
import type { Max, MaxLen, Min } from "encore.dev/validate";
import { tenant, tenantPage } from "../db/tenant";
import { invalid } from "../lib/errors";
import { whole } from "../lib/whole";
import { caller } from "../organizations/caller";
import type { AuditRow } from "./entry";
import { auditSeq } from "./verify-audit";

const PAGE_DEFAULT = 50;

interface AuditEntry {
  seq: number;
  /** RFC 3339. */
  at: string;
  actor: {
    /** `key` is an API key, and `user_id` the person it acts for; `operator` whoever runs the server; `system` Graphyn itself. */
    kind: "user" | "key" | "operator" | "system" | "support";
    id: string;
    user_id: string | null;
  };
  /** `agent.created`, `key.revoked`, …: docs/api.md has all. */
  action: string;
  target: { type: string; id: string };
  /** What is so since: ids, figures and names of fields. */
  change: Record<string, unknown>;
  prev_hash: string;
  hash: string;
}

interface ListAuditRequest {
  limit?: number & (Min<1> & Max<200>);
  /** `next_cursor` of the page before. */
  cursor?: string & MaxLen<20>;
  action?: string & MaxLen<64>;
  /** An actor's id: a key's, a person's (also through any of their keys), `operator` or `system`. */
  actor?: string & MaxLen<64>;
  /** The id of what was changed. */
  target?: string & MaxLen<64>;
  /** Entries from this time on; RFC 3339. */
  since?: string & MaxLen<40>;
  /** Entries before this time; RFC 3339. */
  until?: string & MaxLen<40>;
}

interface ListAuditResponse {
  entries: AuditEntry[];
  /** Null on the last page. */
  next_cursor: string | null;
}

/** What was changed in the organization and who did it, newest first. For owners and admins. */
export const listAudit = api(
  { expose: true, auth: true, method: "GET", path: "/audit" },
  async ({
    limit = PAGE_DEFAULT,
    cursor,
    action,
    actor,
    target,
    ...times
  }: ListAuditRequest): Promise<ListAuditResponse> => {
    const { orgID } = caller();
    whole("limit", limit);
    const before = cursor === undefined ? Number.MAX_SAFE_INTEGER : auditSeq(cursor);
    const since = times.since === undefined ? null : time("since", times.since);
    const until = times.until === undefined ? null : time("until", times.until);
    // Of somebody's or some days' entries there may be few, which are sorted sooner than all others are left out.
    const isInOrder = actor === undefined && since === null && until === null;
    const rows = await (isInOrder ? tenantPage : tenant)(
      orgID,
      (tx) => tx.queryAll<AuditRow>`
        select seq, at, actor_kind, actor_id, actor_user, action, target_type, target_id, change, prev_hash, hash, key_id
        from audit_entries
        where org_id = ${orgID}
          and seq < ${before}::bigint
          and (${action ?? null}::text is null or action = ${action ?? null}::text)
          and (${actor ?? null}::text is null or actor_id = ${actor ?? null}::text or actor_user = ${actor ?? null}::text)
          and (${target ?? null}::text is null or target_id = ${target ?? null}::text)
          and (${since}::timestamptz is null or at >= ${since}::timestamptz)
          and (${until}::timestamptz is null or at < ${until}::timestamptz)
        order by seq desc limit ${limit + 1}`,
    );
    const entries = rows.slice(0, limit).map(shown);
    return { entries, next_cursor: rows.length > limit ? String(entries.at(-1)?.seq) : null };
  },
);

function shown(row: AuditRow): AuditEntry {
  return {
    seq: Number(row.seq),
    at: row.at.toISOString(),
    actor: { kind: row.actor_kind, id: row.actor_id, user_id: row.actor_user },
    action: row.action,
    target: { type: row.target_type, id: row.target_id },
    change: JSON.parse(row.change),
    prev_hash: row.prev_hash,
    hash: row.hash,
  };
}

function time(field: "since" | "until", text: string): Date {
  // PostgreSQL has no year 0.
  const at = /^(?!0000)\d{4}-\d{2}-\d{2}/.test(text) ? new Date(text) : new Date(Number.NaN);
  if (!Number.isNaN(at.getTime())) return at;
  throw invalid("bad_time", `${field}: this is no time.`, "Give it as RFC 3339: 2026-11-30T12:00:00Z.", {
    context: null,
  });
}
