import type { Kind } from "./kinds";

/** What of a table stands in an archive. */
export interface ArchivedTable {
  /** Its columns but org_id: whose a row is, the archive's first line says, and no row can. */
  columns: Record<string, Kind>;
  /** The rest of the primary key after org_id: the order of the rows. Times and texts of others are compared byte by byte. */
  key: readonly string[];
  /** Rows that are left out, as a condition on `t`, and why. */
  where?: string;
  /** Columns that are left out, and why. */
  leftOut?: Record<string, string>;
  /** What those have after an import, as SQL, where it is not the column's default. */
  set?: Record<string, string>;
  /** Whether a row holds people's texts of any length: fewer of them are read at once. */
  isHeavy?: true;
}

/** The kind of columns that are named as an error's field is: scripts/reasons.ts reads no reason in them. */
const TEXT = "text";

/**
 * What an archive holds of each table, in the order in which an import writes them. A new table or column goes here, or among what is left
 * out: a test compares this with the database's catalog. What changes here changes the format: see VERSION of format.ts.
 */
export const ARCHIVED: Record<string, ArchivedTable> = {
  organizations: { columns: { name: "text", created_at: "time" }, key: [] },
  clerk_organizations: {
    columns: { external_id: "text", created_by: "text", named_at: "time", deleted_at: "time" },
    key: [],
  },
  clerk_seats: {
    columns: { external_id: "text", role: "text", said_at: "time", removed: "bool", named_at: "time" },
    key: ["external_id"],
    // Who is out, or was erased, stays so, whatever late word comes. Who is in is written anew with Clerk's next word, which also writes the
    // place into the person's own organization: that one need not be here.
    where: "t.removed",
  },
  users: {
    columns: { id: "id", name: "text", email: "text", external_id: "text", created_at: "time", erased_at: "time" },
    key: ["id"],
    leftOut: { home: "a hash of another organization's ids, under the server's key" },
  },
  members: { columns: { user_id: "id", role: "text", created_at: "time" }, key: ["user_id"] },
  agents: {
    columns: {
      ...{ id: "id", name: "text", current_version_id: "id", created_by: "id", created_at: "time" },
      ...{ ask_ahead: "text", relearn_at: "time" },
    },
    key: ["id"],
    where: "t.current_version_id is not null", // its first version is being made
    leftOut: {
      letta_block_ids: "Letta's: made anew",
      letta_archive_id: "Letta's: made anew",
      make_until: "a lease",
    },
  },
  agent_versions: {
    columns: {
      ...{ id: "id", agent_id: "id", version: "text", name: "text", system_prompt: "text", tools: "texts" },
      ...{ model: "text", created_by: "id", created_at: "time" },
    },
    key: ["id"],
    where: "t.state in ('ready', 'imported')", // others are being made, or failed
    leftOut: { state: "what there is in Letta: made anew", letta_id: "Letta's: made anew" },
    set: { state: "'imported'" },
    isHeavy: true,
  },
  threads: {
    columns: {
      ...{ id: "id", title: "text", type: "text", state: "text", last_seq: "bigint", prompt_tokens: "bigint" },
      ...{ completion_tokens: "bigint", created_by: "id", created_at: "time", updated_at: "time", turn_policy: "text" },
      ...{ coordinator_id: "id", rotation_at: "id", exchange_hops_max: "int", exchange_turns_max: "int" },
      ...{ exchange_tokens_max: "bigint", branch: "int", parent_id: "id", parent_seq: "bigint", when_busy: "text" },
    },
    key: ["id"],
  },
  participants: {
    columns: {
      ...{ thread_id: "id", id: "id", kind: "text", user_id: "id", agent_id: "id", name: "text" },
      ...{ joined_at: "time", left_at: "time", role: "text" },
    },
    key: ["thread_id", "id"],
  },
  thread_branches: {
    columns: {
      ...{ thread_id: "id", branch: "int", visible: "places", parent_branch: "int", action: "text" },
      ...{ created_by: "id", created_at: "time" },
    },
    key: ["thread_id", "branch"],
  },
  thread_log: {
    columns: { thread_id: "id", seq: "bigint", kind: "text", data: "json", created_at: "time" },
    key: ["thread_id", "seq"],
  },
  messages: {
    columns: {
      ...{ thread_id: "id", seq: "bigint", id: "id", sender_type: "text", sender_id: "text", sender_name: "text" },
      ...{ content: "text", status: "text", turn_id: "id", created_at: "time", mentions: "json", reason: TEXT },
      ...{ branch: "int", origin: "json" },
    },
    key: ["thread_id", "seq"],
    leftOut: { search: "made of the others" },
    isHeavy: true,
  },
  turns: {
    columns: {
      ...{ id: "id", thread_id: "id", agent_id: "id", agent_version_id: "id", message_seq: "bigint", state: "text" },
      ...{ attempt: "int", cancel_requested_at: "time", queued_at: "time", started_at: "time", ended_at: "time" },
      ...{ first_token_ms: "int", prompt_tokens: "int", completion_tokens: "int", error_reason: TEXT },
      ...{ error_message: "text", answer_seq: "bigint", exchange_seq: "bigint", hop: "int", branch: "int" },
      ...{ cancelled_by: "text", cancel_reason: TEXT, steers_turn_id: "id", joined_at: "time", asked_by: "id" },
      ...{ asked_key: "id", reserved_at: "time", reserved_tokens: "bigint", reserved_cost_micros: "bigint" },
      ...{ model: "text", cached_tokens: "int", cost_micros: "bigint", price: "json", usage_estimated: "bool" },
    },
    key: ["id"],
    leftOut: {
      lease_owner: "a lease",
      lease_until: "a lease: a turn that was under way is taken up as after a crash",
      letta_run_id: "Letta's",
      letta_lacks: "what Letta has of it: nothing, after an import",
      exchange: "made of the others",
    },
    set: { lease_until: "now()" },
  },
  turn_deltas: {
    columns: { turn_id: "id", start_offset: "int", content: "text" },
    key: ["turn_id", "start_offset"],
    isHeavy: true,
  },
  interaction_captures: {
    columns: {
      ...{ id: "id", thread_id: "id", turn_id: "id", agent_id: "id", agent_version_id: "id", user_input: "text" },
      ...{ agent_output: "text", first_token_ms: "int", duration_ms: "int", prompt_tokens: "int" },
      ...{ completion_tokens: "int", created_at: "time" },
    },
    key: ["id"],
    isHeavy: true,
  },
  exchange_limits_told: {
    columns: { thread_id: "id", exchange_seq: "bigint", branch: "int", reason: TEXT, created_at: "time" },
    key: ["thread_id", "exchange_seq", "branch", "reason"],
  },
  read_positions: {
    columns: { thread_id: "id", user_id: "id", seq: "bigint", updated_at: "time" },
    key: ["thread_id", "user_id"],
  },
  reactions: {
    columns: { message_id: "id", user_id: "id", emoji: "text", created_at: "time" },
    key: ["message_id", "user_id", "emoji"],
  },
  usage_entries: {
    columns: {
      ...{ id: "id", purpose: "text", turn_id: "id", thread_id: "id", agent_id: "id", user_id: "id", key_id: "id" },
      ...{ model: "text", outcome: "text", prompt_tokens: "int", cached_tokens: "int", completion_tokens: "int" },
      ...{ estimated: "bool", cost_micros: "bigint", price: "json", first_token_ms: "int", reserved_tokens: "bigint" },
      ...{ reserved_cost_micros: "bigint", asked_at: "time", created_at: "time" },
    },
    key: ["id"],
  },
  // After the ledger, whose rows count against limits that are there.
  limits: {
    columns: {
      ...{ scope: "text", scope_id: "text", tokens_per_minute: "bigint", tokens_per_month: "bigint" },
      ...{ requests_per_minute: "bigint", cost_micros_per_month: "bigint", month_at: "time", month_tokens: "bigint" },
      ...{
        month_reserved: "bigint",
        month_cost: "bigint",
        month_cost_reserved: "bigint",
        set_by: "text",
        set_at: "time",
      },
    },
    key: ["scope", "scope_id"],
    where: "t.scope <> 'key'", // the keys are not taken along
    leftOut: {
      minute_at: "a minute's counter: over before an import is",
      minute_tokens: "a minute's counter",
      minute_reserved: "a minute's counter",
      minute_requests: "a minute's counter",
      before_tokens: "a minute's counter",
      before_reserved: "a minute's counter",
      before_requests: "a minute's counter",
    },
    set: { minute_at: "date_trunc('minute', now(), 'UTC')" },
  },
  erasures: {
    columns: {
      ...{ id: "id", person_id: "id", step: "text", counts: "json", done: "texts", requested_by: "text" },
      ...{ attempt: "int", requested_at: "time", ended_at: "time", receipt: "text", signature: "text" },
    },
    key: ["id"],
    where: "t.state = 'done'", // nothing is exported while one is running
    leftOut: {
      state: "done",
      token_hash: "of a secret: nobody has the token of an imported receipt",
      lease_owner: "a lease",
      lease_until: "a lease",
    },
    set: { state: "'done'", token_hash: "''::bytea" }, // a token's hash has 32 bytes
  },
  // Written by functions of their own, in order: audit.ts.
  audit_entries: {
    columns: {
      ...{ seq: "bigint", at: "time", actor_kind: "text", actor_id: "text", actor_user: "text", action: "text" },
      ...{ target_type: "text", target_id: "text", change: "text", prev_hash: "text", hash: "text", key_id: "text" },
    },
    key: ["seq"],
  },
};

/** Tables of which an archive holds nothing, and why. */
export const LEFT_OUT: Record<string, string> = {
  api_keys:
    "hashes of secrets, under a key of the server: an import makes one new key for an owner, who makes the others",
  model_credentials: "secrets, sealed by the server: to be set anew",
  thread_invitations: "hashes of secrets: who was asked in and has not come is asked again",
  idempotency_keys: "answers for a retry within a day, some with secrets in them",
  presence: "who is connected at the moment",
  message_embeddings: "made of the messages: made anew, in the background",
  agent_conversations: "Letta's: made anew when an agent is next spoken to",
  letta_tenants: "Letta's: made anew",
  model_calls: "how this server's models fared; what was spent stands in usage_entries",
  audit_heads: "the end of the log, sealed for this server: the archive's last line has one of its own",
  clerk_people: "of a person's own organization: written anew with Clerk's next word",
  clerk_places: "ids of other organizations: written anew with Clerk's next word",
};
