import type { APIError } from "encore.dev/api";
import type { Tx } from "../db/tenant";
import { invalid, notFound } from "../lib/errors";
import type { Scope } from "./limit";

const MISSING: Record<Scope, () => APIError> = {
  organization: () => notFound("organization"),
  key: () => notFound("API key"),
  person: () => notFound("person"),
  agent: () => notFound("agent"),
  thread: () => notFound("thread"),
};

/** The scope, if it is one, of something that the organization has. */
export async function requireScope(tx: Tx, orgId: string, scope: string, scopeId: string): Promise<Scope> {
  if (!isScope(scope)) {
    throw invalid("unknown_scope", "There are no limits on such a thing.", `Choose from details.scopes.`, {
      scopes: Object.keys(MISSING),
    });
  }
  const row = await tx.queryRow`
    select 1 as here where case ${scope}::text
      when 'organization' then ${scopeId} = ${orgId}
      when 'key' then exists (select from api_keys where org_id = ${orgId} and id = ${scopeId})
      when 'person' then exists (select from members where org_id = ${orgId} and user_id = ${scopeId})
      when 'agent' then exists (select from agents where org_id = ${orgId} and id = ${scopeId})
      else exists (select from threads where org_id = ${orgId} and id = ${scopeId}) end`;
  if (!row) throw MISSING[scope]();
  return scope;
}

function isScope(text: string): text is Scope {
  return Object.hasOwn(MISSING, text);
}
