/** Why a session token is refused. The log has this word, the metric too; the answer is the same for all. */
export type SessionRefusal =
  | "not_configured"
  | "malformed"
  | "wrong_algorithm"
  | "wrong_type"
  | "unknown_key"
  | "wrong_signature"
  | "wrong_issuer"
  | "wrong_party"
  | "expired"
  | "not_yet_valid"
  | "bad_claims"
  | "no_session"
  | "session_pending"
  | "impersonated"
  | "not_a_member";

export class SessionRefused extends Error {
  constructor(readonly reason: SessionRefusal) {
    super(`session token refused: ${reason}`);
  }
}

/** Clerk's keys cannot be had at the moment: it says nothing of the token. */
export class KeysUnavailable extends Error {}
