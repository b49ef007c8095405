/** What a phase of the bench looks at: the database as its superuser, what the model was asked, Graphyn's metrics, the CPU of each server. */
import type pg from "pg";
import { type Api, call } from "../lib/http";
import type { Tenant } from "./tenants";

export interface World {
  db: pg.Client;
  model: Api;
  tenants: Tenant[];
  /** Letta's name of a tenant, which it puts into each request to the model. */
  orgOfLettaUser: ReadonlyMap<string, string>;
  metricsKey: string;
}

export interface Recorded {
  path: string;
  user: string | null;
  received_monotonic_ms: number;
  body: unknown;
}

/** The model's record holds so many requests. */
const RECORDED_MAX = 1_000;

export async function forgetRecord({ model }: World): Promise<void> {
  await call(model, "DELETE", "/debug/requests");
}

/** All that the model was asked since it was made to forget. Throws when the record could not hold it. */
export async function recorded({ model }: World): Promise<Recorded[]> {
  const { requests } = await call<{ requests: Recorded[] }>(model, "GET", `/debug/requests?limit=${RECORDED_MAX}`);
  if (requests.length >= RECORDED_MAX) throw new Error("the model was asked more than its record holds");
  return requests;
}

/** One figure of Graphyn's metrics. */
export async function metric({ metricsKey }: World, graphyn: Api, name: string, label: string): Promise<number> {
  const { body } = await graphyn.pool.request({
    method: "GET",
    path: "/metrics",
    headers: { authorization: `Bearer ${metricsKey}` },
  });
  const line = (await body.text()).split("\n").find((text) => text.startsWith(`${name}{`) && text.includes(label));
  return Number(line?.split(" ").at(-1) ?? 0);
}

/** Each organization's place in Letta, as Graphyn stored it. */
export async function lettaUsers(db: pg.Client): Promise<Map<string, string>> {
  const { rows } = await db.query<{ letta_user_id: string; org_id: string }>(
    "select letta_user_id, org_id from letta_tenants where letta_user_id is not null",
  );
  return new Map(rows.map(({ letta_user_id, org_id }) => [letta_user_id, org_id]));
}

/** Turns under way of which readers have words. */
export async function speakingNow(db: pg.Client): Promise<number> {
  const { rows } = await db.query<{ n: number }>(
    "select count(*)::int as n from turns t where state = 'running' and exists (select from turn_deltas d where (d.org_id, d.turn_id) = (t.org_id, t.id))",
  );
  return rows[0]?.n ?? 0;
}
