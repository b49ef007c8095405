import type { ClientMessage } from "../realtime/protocol";
import type { Scope } from "./scopes";

/**
 * Who may call what: the only place that says so. Every endpoint with `auth: true` has a row, under its own name; so has every message that a
 * client sends over a WebSocket. `enforce-policy.ts` asks it before any endpoint's own code runs; an endpoint without a row is refused to
 * everybody and fails the build (policy.test.ts).
 *
 * To add an endpoint: one row. `at` is its method and path as in the OpenAPI document, `roles` who may call it, `scope` what their key
 * needs. backend/__tests__/organizations/policy.test.ts then sends the document's own example of it as every role and with every scope;
 * only where that example would do harm, it needs another there.
 */

/** What a person is in an organization. */
export type Role = "owner" | "admin" | "member" | "guest";

const OWNERS: readonly Role[] = ["owner"];
const ADMINS: readonly Role[] = ["owner", "admin"];
const MEMBERS: readonly Role[] = ["owner", "admin", "member"];
/** Guests see the threads in which they take part, and nothing else of the organization. */
const EVERYBODY: readonly Role[] = ["owner", "admin", "member", "guest"];
export const ROLE_SETS = [OWNERS, ADMINS, MEMBERS, EVERYBODY];

export interface Policy {
  /** Method and path, as in the OpenAPI document. */
  at: string;
  roles: readonly Role[];
  /** What an API key needs. Of the thread or agent whose id is in the path, where there is one; of all of them otherwise. Null: any key will do. */
  scope: Scope | null;
  /** Needs the scope for all of the resource, though one stands in the path: another thread is made of it, or goes into it. */
  ofAll?: true;
  /** The field of the request that may name the one thread or agent it is about, where the path does not. */
  idIn?: "thread_id" | "agent_id";
  /** What the caller's role in the thread must allow besides: THREAD_ROLES below. Owners and admins may all of it. */
  thread?: ThreadAction | readonly ThreadAction[];
}

export const POLICY = {
  // Threads
  createThread: { at: "POST /threads", roles: MEMBERS, scope: "threads:write" },
  listThreads: { at: "GET /threads", roles: EVERYBODY, scope: "threads:read" },
  getThread: { at: "GET /threads/{id}", roles: EVERYBODY, scope: "threads:read" },
  updateThread: {
    at: "PATCH /threads/{id}",
    roles: MEMBERS,
    scope: "threads:write",
    thread: ["change_settings", "archive"],
  },
  /** Erasing (`purge`) is for owners and admins: thread.ts asks. */
  deleteThread: { at: "DELETE /threads/{id}", roles: MEMBERS, scope: "threads:write", thread: "archive" },
  streamThread: { at: "GET /threads/{id}/stream", roles: EVERYBODY, scope: "threads:read" },
  /** What is said over it: SOCKET_POLICY. */
  collaborate: { at: "GET /threads/{id}/collaborate", roles: EVERYBODY, scope: "threads:read" },
  search: { at: "GET /search", roles: EVERYBODY, scope: "threads:read", idIn: "thread_id" },

  // Who takes part
  listParticipants: { at: "GET /threads/{id}/participants", roles: EVERYBODY, scope: "threads:read" },
  addParticipants: {
    at: "POST /threads/{id}/participants",
    roles: MEMBERS,
    scope: "threads:write",
    thread: ["invite", "join"],
  },
  changeRole: {
    at: "PATCH /threads/{id}/participants/{participantId}",
    roles: MEMBERS,
    scope: "threads:write",
    thread: "change_roles",
  },
  removeParticipant: {
    at: "DELETE /threads/{id}/participants/{participantId}",
    roles: EVERYBODY,
    scope: "threads:write",
    thread: ["leave", "remove"],
  },

  inviteGuest: {
    at: "POST /threads/{id}/invitations",
    roles: MEMBERS,
    scope: "threads:write",
    thread: "invite_guests",
  },
  listInvitations: {
    at: "GET /threads/{id}/invitations",
    roles: MEMBERS,
    scope: "threads:read",
    thread: "invite_guests",
  },
  revokeInvitation: {
    at: "DELETE /threads/{id}/invitations/{invitationId}",
    roles: MEMBERS,
    scope: "threads:write",
    thread: "invite_guests",
  },
  /** Into a thread of another organization: the invitation says what the caller may there. */
  acceptInvitation: { at: "POST /invitations/accept", roles: EVERYBODY, scope: "threads:write" },

  // What is said
  listMessages: { at: "GET /threads/{id}/messages", roles: EVERYBODY, scope: "threads:read" },
  postMessage: { at: "POST /threads/{id}/messages", roles: EVERYBODY, scope: "messages:write", thread: "speak" },
  cancelTurn: {
    at: "POST /threads/{id}/turns/{turnId}/cancel",
    roles: EVERYBODY,
    scope: "messages:write",
    thread: "cancel",
  },
  cancelAllTurns: { at: "POST /threads/{id}/cancel", roles: EVERYBODY, scope: "messages:write", thread: "cancel" },
  editMessage: {
    at: "POST /threads/{id}/messages/{messageId}/edit",
    roles: EVERYBODY,
    scope: "messages:write",
    thread: "branch",
  },
  regenerateMessage: {
    at: "POST /threads/{id}/messages/{messageId}/regenerate",
    roles: EVERYBODY,
    scope: "messages:write",
    thread: "branch",
  },

  // Branches
  listBranches: { at: "GET /threads/{id}/branches", roles: EVERYBODY, scope: "threads:read" },
  rewindThread: { at: "POST /threads/{id}/rewind", roles: EVERYBODY, scope: "threads:write", thread: "branch" },
  restoreBranch: {
    at: "POST /threads/{id}/branches/{branch}/restore",
    roles: EVERYBODY,
    scope: "threads:write",
    thread: "branch",
  },
  forkThread: { at: "POST /threads/{id}/fork", roles: MEMBERS, scope: "threads:write", ofAll: true, thread: "branch" },
  splitThread: {
    at: "POST /threads/{id}/split",
    roles: MEMBERS,
    scope: "threads:write",
    ofAll: true,
    thread: "branch",
  },
  mergeThread: {
    at: "POST /threads/{id}/merge",
    roles: MEMBERS,
    scope: "threads:write",
    ofAll: true,
    thread: "branch",
  },

  // Agents, and the models they run on
  createAgent: { at: "POST /agents", roles: MEMBERS, scope: "agents:write", idIn: "agent_id" },
  listAgents: { at: "GET /agents", roles: MEMBERS, scope: "agents:read" },
  getAgent: { at: "GET /agents/{id}", roles: MEMBERS, scope: "agents:read" },
  updateAgent: { at: "PATCH /agents/{id}", roles: MEMBERS, scope: "agents:write" },
  listAgentVersions: { at: "GET /agents/{id}/versions", roles: MEMBERS, scope: "agents:read" },
  listOwnModels: { at: "GET /models", roles: MEMBERS, scope: "models:read" },
  setModelCredential: { at: "PUT /models/credentials/{upstream}", roles: ADMINS, scope: "models:manage" },
  getModelCredential: { at: "GET /models/credentials/{upstream}", roles: ADMINS, scope: "models:manage" },
  deleteModelCredential: { at: "DELETE /models/credentials/{upstream}", roles: ADMINS, scope: "models:manage" },

  // What is spent
  listLimits: { at: "GET /limits", roles: ADMINS, scope: "budgets:read" },
  setLimit: { at: "PUT /limits/{scope}/{scopeId}", roles: ADMINS, scope: "budgets:manage" },
  deleteLimit: { at: "DELETE /limits/{scope}/{scopeId}", roles: ADMINS, scope: "budgets:manage" },
  getUsage: { at: "GET /usage", roles: ADMINS, scope: "usage:read" },

  // The organization
  addPerson: { at: "POST /people", roles: ADMINS, scope: "people:manage" },
  /** Owners make owners: change-person.ts asks. */
  changePerson: { at: "PATCH /people/{id}", roles: ADMINS, scope: "people:manage" },
  removePerson: { at: "DELETE /people/{id}", roles: ADMINS, scope: "people:manage" },
  listPeople: { at: "GET /people", roles: MEMBERS, scope: "people:read" },
  createApiKey: { at: "POST /api-keys", roles: ADMINS, scope: "keys:manage" },
  listApiKeys: { at: "GET /api-keys", roles: ADMINS, scope: "keys:manage" },
  /** Every key can end itself; others' are for owners and admins, and one that acts as an owner for owners: api-keys.ts asks. */
  revokeApiKey: { at: "DELETE /api-keys/{id}", roles: EVERYBODY, scope: null },
  /** As revokeApiKey. */
  rotateApiKey: { at: "POST /api-keys/{id}/rotate", roles: EVERYBODY, scope: null },
  listAudit: { at: "GET /audit", roles: ADMINS, scope: "audit:read" },
  verifyAudit: { at: "GET /audit/verify", roles: ADMINS, scope: "audit:read" },
  /** Erasing the organization is for its owners: request-erasure.ts asks. */
  requestErasure: { at: "POST /erasure", roles: ADMINS, scope: "organization:erase" },
  /** Everybody's private threads are in it. */
  exportOrganization: { at: "GET /export", roles: OWNERS, scope: "organization:export" },
  getErasure: { at: "GET /erasure/{id}", roles: ADMINS, scope: "organization:erase" },
  lettaHealth: { at: "GET /letta/health", roles: MEMBERS, scope: "organization:read" },
} as const satisfies Record<string, Policy>;

/** Endpoints that anybody may call, who has no key: each is here, so that none becomes public by a forgotten `auth: true`. */
export const PUBLIC = [
  "GET /asyncapi.json",
  "GET /docs",
  /** Asks for the token of the one erasure. */
  "GET /erasure-receipt",
  "GET /erasure-receipt/public-key",
  "GET /health",
  "GET /openapi.json",
  /** These ask for the operator's key. */
  "POST /organizations",
  "POST /organizations/import",
] as const;

/** A client's message on a WebSocket. Who connected may read; this is what else their key needs, in that thread. */
export interface SocketPolicy {
  scope: Scope | null;
  thread?: ThreadAction;
}

export const SOCKET_POLICY = {
  send: { scope: "messages:write", thread: "speak" },
  cancel: { scope: "messages:write", thread: "cancel" },
  react: { scope: "messages:write", thread: "react" },
  read: { scope: null },
  typing: { scope: "messages:write" },
  ping: { scope: null },
  pong: { scope: null },
  leave: { scope: null },
} as const satisfies Record<ClientMessage["type"], SocketPolicy>;

/** The row of an endpoint, by its name; null for one that has none. */
export function policyOf(endpoint: string): Policy | null {
  return Object.hasOwn(POLICY, endpoint) ? POLICY[endpoint as keyof typeof POLICY] : null;
}

/** What a participant is in a thread. Who begins it is its host; who is added is a speaker unless it is said. A host is a person. */
export type ParticipantRole = "host" | "speaker" | "listener";

/** As somebody of the organization stands to a thread; `outsider` takes no part in it. */
export type Standing = ParticipantRole | "outsider";

export type ThreadAction =
  /** Saying something. */
  | "speak"
  /** Being asked to answer, for an agent. */
  | "answer"
  | "react"
  /** Stopping an agent's turn. */
  | "cancel"
  /** Making another way to go on: edit, regenerate, fork, and what else begins from this thread's messages. */
  | "branch"
  /** Adding people and agents as speakers or listeners. */
  | "invite"
  /** Asking in people of other organizations, as guests. */
  | "invite_guests"
  /** Adding oneself, as a listener. */
  | "join"
  /** Removing oneself. */
  | "leave"
  /** Removing others. */
  | "remove"
  | "change_roles"
  /** Title, turn policy, coordinator, limits. */
  | "change_settings"
  /** Archiving and bringing back. */
  | "archive";

/**
 * Who may do what in a thread. Owners and admins of the organization may do everything, whatever their role in the thread; reading is
 * the organization's. threads/roles.ts asks it, in the transaction that acts.
 */
export const THREAD_ROLES = {
  host: {
    speak: true,
    answer: true,
    react: true,
    cancel: true,
    branch: true,
    invite: true,
    invite_guests: true,
    join: false,
    leave: true,
    remove: true,
    change_roles: true,
    change_settings: true,
    archive: true,
  },
  speaker: {
    speak: true,
    answer: true,
    react: true,
    cancel: true,
    branch: true,
    invite: true,
    invite_guests: false,
    join: false,
    leave: true,
    remove: false,
    change_roles: false,
    change_settings: false,
    archive: false,
  },
  listener: {
    speak: false,
    answer: false,
    react: true,
    cancel: false,
    branch: false,
    invite: false,
    invite_guests: false,
    join: false,
    leave: true,
    remove: false,
    change_roles: false,
    change_settings: false,
    archive: false,
  },
  outsider: {
    speak: false,
    answer: false,
    react: false,
    cancel: false,
    branch: false,
    invite: false,
    invite_guests: false,
    join: true,
    leave: false,
    remove: false,
    change_roles: false,
    change_settings: false,
    archive: false,
  },
} as const satisfies Record<Standing, Record<ThreadAction, boolean>>;
