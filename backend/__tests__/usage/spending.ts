import { adminQuery } from "../harness/database";
import { newAgent, newOrganization, newThread, ok, type Problem, type TestOrganization } from "../harness/organization";
import { openStream, type Received, turnsEnded } from "../harness/stream";

/** What tests of spending ask for and look at. */
export interface LimitView {
  scope: string;
  scope_id: string;
  tokens_per_minute: number | null;
  tokens_per_month: number | null;
  requests_per_minute: number | null;
  cost_micros_per_month: number | null;
  now: { metric: string; limit: number; remaining: number; resets_in_ms: number }[];
  set_by: string | null;
}

export type Amounts = Partial<
  Record<"tokens_per_minute" | "tokens_per_month" | "requests_per_minute" | "cost_micros_per_month", number>
>;

export function limit(org: TestOrganization, scope: string, id: string, amounts: Amounts): Promise<LimitView> {
  return ok(org.call<LimitView>("PUT", `/limits/${scope}/${id}`, amounts));
}

export async function limits(org: TestOrganization): Promise<LimitView[]> {
  return (await ok(org.call<{ limits: LimitView[] }>("GET", "/limits"))).limits;
}

export async function remaining(org: TestOrganization, scope: string, metric: string): Promise<number | undefined> {
  const view = (await limits(org)).find((one) => one.scope === scope);
  return view?.now.find((use) => use.metric === metric)?.remaining;
}

export interface Figures {
  turns: number;
  completed_turns: number;
  failed_turns: number;
  cancelled_turns: number;
  other_calls: number;
  prompt_tokens: number;
  cached_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  estimated_tokens: number;
  cost_micros: number;
  unpriced_tokens: number;
  first_token_ms_p50: number | null;
  first_token_ms_p95: number | null;
  first_token_ms_p99: number | null;
}

export interface Usage {
  from: string;
  to: string;
  rows: (Figures & { key: string | null })[];
  truncated: boolean;
  total: Figures;
}

export function usage(org: TestOrganization, by = "day", more = ""): Promise<Usage> {
  return ok(org.call<Usage>("GET", `/usage?by=${by}${more}`));
}

/** A counter of the table `limits` as it is stored, beside what the ledger and the live turns say it should be. */
export interface Counted {
  scope: string;
  month_tokens: number;
  month_reserved: number;
  ledger: number;
  live: number;
}

/** Of every limit of an organization: what is counted, and what the rows that were counted come to. */
export function counted(adminUrl: string, orgId: string): Promise<Counted[]> {
  return adminQuery<Counted>(
    adminUrl,
    `select l.scope, l.month_tokens::int, l.month_reserved::int,
       (select coalesce(sum(prompt_tokens + completion_tokens), 0)::int from usage_entries u where u.org_id = l.org_id and u.asked_at >= l.month_at
          and l.scope_id in (u.org_id, u.key_id, u.user_id, u.agent_id, u.thread_id)) as ledger,
       (select coalesce(sum(reserved_tokens), 0)::int from turns t where t.org_id = l.org_id and t.ended_at is null and t.reserved_at >= l.month_at
          and l.scope_id in (t.org_id, t.asked_key, t.asked_by, t.agent_id, t.thread_id)) as live
     from limits l where org_id = $1 order by scope, scope_id`,
    [orgId],
  );
}

export interface Posted {
  message: { id: string; seq: number };
  turns: { id: string }[];
}

/** More tokens than any turn of these tests takes. */
export const PLENTY = 1_000_000;

export const say = (at: TestOrganization, thread: string, content = "hello", more: object = {}) =>
  at.call<Posted & Problem>("POST", `/threads/${thread}/messages`, { content, ...more });

export const keyOf = async (at: TestOrganization) =>
  (await ok(at.call<{ api_keys: { id: string }[] }>("GET", "/api-keys"))).api_keys[0]?.id ?? "";

/** An organization with one agent in a thread. */
export async function alone(model = "openai-proxy/dev-echo") {
  const own = await newOrganization();
  const its = await newAgent(own, "Echo", model);
  const thread = await newThread(own, [its]);
  return { own, its, thread };
}

export async function answered(at: TestOrganization, thread: string, content = "hello"): Promise<Received[]> {
  const stream = await openStream(at, thread);
  await ok(say(at, thread, content));
  const received = await stream.until(turnsEnded(1));
  await stream.close();
  return received;
}
