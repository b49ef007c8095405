/** The entries of a thread's log and the live events, as SSE, WebSocket and SDKs see them: one vocabulary. */

export type SenderType = "user" | "agent" | "system";
export type MessageStatus = "complete" | "cancelled" | "failed" | "erased";

export interface Message {
  id: string;
  thread_id: string;
  /** Place in the thread's log; gapless over all kinds of entries, so not over messages alone. */
  seq: number;
  sender_type: SenderType;
  /** A user id, an agent id, or `system`. */
  sender_id: string;
  sender_name: string;
  content: string;
  /** `cancelled` and `failed`: an agent's text as far as it came. */
  status: MessageStatus;
  /** The turn that wrote it, for an agent's message. */
  turn_id: string | null;
  /** Ids of the people and agents of the thread that it addresses, by `mentions` or by @Name in its text. */
  mentions: string[];
  /** Why the system said it, for programs: `hop_limit`, `turn_limit`, `token_limit`, `budget_spent`. Null in every other message. */
  reason: string | null;
  /** The branch it was said in; 1 until the thread has another. The last words of a stopped turn belong to the branch it was asked in. */
  branch: number;
  /** The message it is a copy of, in a thread that was forked, split or merged. */
  origin: MessageOrigin | null;
  /** RFC 3339. When it was said: of a copy, when its origin was. */
  created_at: string;
}

export interface MessageOrigin {
  thread_id: string;
  message_id: string;
  seq: number;
}

/** Places of a log, both ends included; `null`: without an end. */
export type Span = [from: number, to: number | null];

/** Why the conversation goes on elsewhere. */
export type BranchAction = "rewind" | "edit" | "regenerate" | "split" | "restore";

/**
 * `asked`: somebody stopped the turn. `interrupted`: by a new message. `archived`: the thread was archived or erased. `token_limit`: another
 * agent asked for it, and the tokens of the exchange were spent before it began. `rewound`: the thread left the branch it was asked in.
 * `budget_spent`: a limit of the organization was reached; which, says the event's `limit`.
 */
export type CancelReason = "asked" | "interrupted" | "archived" | "token_limit" | "rewound" | "budget_spent";

/** One of the limits that an organization's admins set (`/limits`). */
export interface LimitName {
  scope: "organization" | "key" | "person" | "agent" | "thread";
  scope_id: string;
  metric: "requests_per_minute" | "tokens_per_minute" | "tokens_per_month" | "cost_micros_per_month";
}

export interface TokenUsage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

/** An entry of the log. Durable, has a seq; every reader gets each exactly once and in order. */
export type LogEvent =
  | { type: "message"; thread_id: string; message: Message }
  | {
      type: "participant";
      thread_id: string;
      action: "joined" | "left" | "role_changed";
      participant_id: string;
      kind: "user" | "agent";
      name: string;
      /** What they are from now on; entries of before roles existed, and of leaving, have none. */
      role?: "host" | "speaker" | "listener";
    }
  | {
      type: "turn_started";
      thread_id: string;
      turn_id: string;
      agent_id: string;
      agent_name: string;
      message_id: string;
    }
  | {
      type: "turn_completed";
      thread_id: string;
      turn_id: string;
      agent_id: string;
      message_id: string | null;
      first_token_ms: number | null;
      duration_ms: number;
      usage: TokenUsage | null;
      /** The turn whose answer this is, for one whose message joined it. `message_id` is of that answer. */
      joined_turn_id?: string;
    }
  /** The turn's message was told to an agent in the middle of another answer, which answers it as well. */
  | { type: "turn_joined"; thread_id: string; turn_id: string; agent_id: string; joined_turn_id: string }
  | {
      type: "turn_cancelled";
      thread_id: string;
      turn_id: string;
      agent_id: string;
      message_id: string | null;
      /** The person who asked for it. */
      cancelled_by: string | null;
      reason: CancelReason | null;
      /** With `budget_spent`. */
      limit?: LimitName;
    }
  /**
   * The conversation consists of the messages in `spans` from here on, and of what follows. What left it can be read with its branch, and
   * brought back.
   */
  | {
      type: "branch_switched";
      thread_id: string;
      action: BranchAction;
      branch: number;
      left_branch: number;
      spans: Span[];
      /** The person who did it. */
      switched_by: string;
    }
  /** The thread and another one share messages from here on: `related_seq` is the last entry of the other that counts. */
  | {
      type: "thread_linked";
      thread_id: string;
      relation: "forked_from" | "split_from" | "split_to" | "merged_from" | "merged_to";
      related_thread_id: string;
      related_seq: number;
      /** The person who did it. */
      linked_by: string;
    }
  | {
      type: "agent_error";
      thread_id: string;
      turn_id: string;
      agent_id: string;
      error: string;
      reason: string;
      retryable: boolean;
    }
  | {
      type: "reaction";
      thread_id: string;
      action: "added" | "removed";
      message_id: string;
      user_id: string;
      name: string;
      emoji: string;
    };

/** What is said while it happens. `offset` is where `content` begins in the turn's text. */
export type LiveEvent =
  | { type: "ai_chunk"; thread_id: string; turn_id: string; agent_id: string; offset: number; content: string }
  | { type: "caught_up"; thread_id: string; last_seq: number }
  | { type: "error"; thread_id: string; error: string; reason: string };

export type ThreadEvent = LogEvent | LiveEvent;

/** An entry with its place. */
export interface LogEntry {
  seq: number;
  event: LogEvent;
}
