import type { Tx } from "../db/tenant";
import { notFound } from "../lib/errors";
import type { Role } from "./policy";

/** A person's role in the organization, or the one answer for "not there". */
export async function requireMember(tx: Tx, orgId: string, userId: string): Promise<Role> {
  const row = await tx.queryRow<{ role: Role }>`
    select role from members where org_id = ${orgId} and user_id = ${userId}`;
  if (!row) throw notFound("person");
  return row.role;
}
