import {
  createHmac,
  createPublicKey,
  createSign,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  randomUUID,
} from "node:crypto";
import { inject } from "vitest";
import { adminQuery } from "../harness/database";
import { type Answer, request, type TestOrganization } from "../harness/organization";
import { type Server, startServer } from "../harness/server";

/** A Clerk instance as the outside sees it: its issuer, its keys, the tokens and webhooks that it signs. */
export interface ClerkInstance {
  issuer: string;
  party: string;
  publicKey: string;
  privateKey: KeyObject;
  kid: string;
  signingSecret: string;
}

export function newInstance(): ClerkInstance {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return {
    issuer: `https://${randomBytes(6).toString("hex")}.clerk.accounts.dev`,
    party: "https://app.example.com",
    publicKey: publicKey.export({ type: "spki", format: "pem" }).toString(),
    privateKey,
    kid: `ins_${randomBytes(8).toString("hex")}`,
    signingSecret: `whsec_${randomBytes(24).toString("base64")}`,
  };
}

export type Claims = Record<string, unknown>;

export const clerkId = (prefix: "user" | "org") => `${prefix}_${randomBytes(13).toString("hex")}`;
export const seconds = (offset = 0) => Math.floor(Date.now() / 1000) + offset;
const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A token as Clerk makes one, of its second version; `claims` and `header` replace what it says, undefined takes it away. */
export function sessionToken(instance: ClerkInstance, claims: Claims, header: Claims = {}): string {
  const { issuer, party, privateKey, kid } = instance;
  const head = { alg: "RS256", typ: "JWT", kid, cat: "cl_B7d4PD111AAA", ...header };
  const body = {
    v: 2,
    azp: party,
    iss: issuer,
    iat: seconds(),
    nbf: seconds(-10),
    exp: seconds(60),
    sid: "sess_1",
    sts: "active",
    fva: [1, -1],
    ...claims,
  };
  const signed = `${encoded(head)}.${encoded(body)}`;
  return `${signed}.${createSign("RSA-SHA256").update(signed).sign(privateKey).toString("base64url")}`;
}

/** The same, with a signature of somebody's own making. */
export function forgedToken(instance: ClerkInstance, claims: Claims, header: Claims, sign: (text: string) => string) {
  const [, body] = sessionToken(instance, claims).split(".");
  const signed = `${encoded({ typ: "JWT", kid: instance.kid, ...header })}.${body}`;
  return `${signed}.${sign(signed)}`;
}

/** The active organization as the second version of tokens names it. */
export const inOrganization = (id: string, rol = "member", slg = "acme") => ({ o: { id, rol, slg, per: "", fpm: "" } });

/** As the first version does. */
export const inOrganizationV1 = (id: string, role = "org:member", slug = "acme") => ({
  v: undefined,
  sts: undefined,
  org_id: id,
  org_role: role,
  org_slug: slug,
  org_permissions: [],
});

export function asJwk({ publicKey, kid }: ClerkInstance): object {
  return { ...createPublicKey(publicKey).export({ format: "jwk" }), use: "sig", alg: "RS256", kid };
}

/** A Graphyn that knows this instance, on the shared database. */
export async function startWithClerk(instance: ClerkInstance, env: Record<string, string> = {}): Promise<Server> {
  const { databaseUrl, adminKey } = inject("graphyn");
  return startServer({
    databaseUrl,
    adminKey,
    env: {
      CLERK_ISSUER: instance.issuer,
      CLERK_JWT_KEY: instance.publicKey,
      CLERK_AUTHORIZED_PARTIES: `https://other.example.com, ${instance.party}`,
      CLERK_WEBHOOK_SIGNING_SECRET: instance.signingSecret,
      ENCORE_NODE_DB_POOL: "6",
      ...env,
    },
  });
}

/** Calls with a session token. */
export function withToken<T = Record<string, unknown>>(
  { url }: Server,
  token: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer<T>> {
  return request<T>(url, method, path, body, { authorization: `Bearer ${token}`, ...headers });
}

/** A person who signed in, in the shape of the harness: what takes an organization's key takes their token as well. */
export function signedIn(server: Server, token: string, ids: { orgId: string; userId: string }): TestOrganization {
  return {
    ...ids,
    apiKey: token,
    url: server.url,
    call: (method, path, body, headers) => withToken(server, token, method, path, body, headers),
  };
}

export interface Delivery {
  id?: string;
  /** Seconds since 1970 of this attempt. */
  sentAt?: number;
  secret?: string;
  /** In place of the event's JSON, signed as it is. */
  raw?: string;
  /** Changes the body after it was signed. */
  tamper?: (body: string) => string;
}

/** Delivers a webhook as Clerk's does; `at` is when it happened, in milliseconds since 1970. */
export async function deliver(
  server: Server,
  instance: ClerkInstance,
  event: { type: string; data: object; at?: number },
  { id = `msg_${randomUUID()}`, sentAt = seconds(), secret = instance.signingSecret, raw, tamper }: Delivery = {},
): Promise<Answer<{ outcome?: string; details?: { reason: string } }>> {
  const { type, data, at = Date.now() } = event;
  const body = raw ?? JSON.stringify({ object: "event", type, data, timestamp: at, instance_id: "ins_1" });
  const key = Buffer.from(secret.slice("whsec_".length), "base64");
  const signature = createHmac("sha256", key).update(`${id}.${sentAt}.${body}`).digest("base64");
  const response = await fetch(`${server.url}/webhooks/clerk`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "svix-id": id,
      "svix-timestamp": String(sentAt),
      "svix-signature": `v1,${signature}`,
    },
    body: tamper ? tamper(body) : body,
    signal: AbortSignal.timeout(30_000),
  });
  return { status: response.status, body: (await response.json()) as { outcome?: string } };
}

export const membership = (org: string, user: string, role = "org:member", more: object = {}) => ({
  id: `orgmem_${user}`,
  object: "organization_membership",
  role,
  organization: { id: org, name: "Acme Ltd", slug: "acme", object: "organization" },
  public_user_data: { user_id: user, first_name: "Ada", last_name: "Byron", identifier: "ada@example.com" },
  ...more,
});

export interface Member {
  org_id: string;
  org_name: string;
  user_id: string;
  name: string;
  role: string | null;
  external_id: string;
}

/** Where one of Clerk's people is a member, or was, as the database has it. */
export async function membersOf(clerkUserId: string): Promise<Member[]> {
  return adminQuery<Member>(
    inject("graphyn").adminUrl,
    `select o.org_id, o.name as org_name, u.id as user_id, u.name, m.role, u.external_id
     from users u join organizations o using (org_id) left join members m on (m.org_id, m.user_id) = (u.org_id, u.id)
     where u.external_id = $1 order by o.created_at`,
    [clerkUserId],
  );
}

/** How often the server's log has refused a session for this reason. */
export const refusals = (server: Server, reason: string) =>
  server
    .output()
    .split("\n")
    .filter((line) => line.includes("session token was refused") && line.includes(`"${reason}"`)).length;
