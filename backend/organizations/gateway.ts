import { APIError, Gateway, type Header } from "encore.dev/api";
import { authHandler } from "encore.dev/auth";
import { secret } from "encore.dev/config";
import { authenticateKey, type Caller } from "./authenticate";
import { authenticateSession } from "./clerk/session";

const apiKeyHashKey = secret("ApiKeyHashKey");

interface Credentials {
  /** `Bearer gk_…`, or `Bearer` and the session token of a person who signed in. No cookie: another site cannot make a browser send this. */
  authorization?: Header<"Authorization">;
  /** An API key without `Bearer`, for clients that cannot set Authorization. */
  apiKey?: Header<"X-Api-Key">;
}

interface AuthData {
  userID: string;
  orgID: string;
  role: "owner" | "admin" | "member" | "guest";
  userName: string;
  via: "key" | "session";
  keyID: string | null;
  expiresAt: number;
  scopes: string[];
}

/** Answers who is calling, for every endpoint with `auth: true`. Why somebody is refused is in no answer: all are alike. */
export const authenticate = authHandler<Credentials, AuthData>(async ({ authorization, apiKey }) => {
  const given = apiKey ?? authorization?.replace(/^Bearer\s+/i, "") ?? "";
  const caller = await identify(given, apiKey !== undefined);
  if (!caller) {
    throw APIError.unauthenticated(
      "This needs a valid API key or session token: send it as 'Authorization: Bearer gk_…'.",
    );
  }
  return caller;
});

/** A session token is three parts in base64 and dots; whatever else is given can only be an API key. X-Api-Key is for keys alone. */
async function identify(given: string, isKey: boolean): Promise<Caller | null> {
  if (given === "") return null;
  if (isKey || !given.includes(".")) return authenticateKey(given, apiKeyHashKey());
  return authenticateSession(given);
}

export const gateway = new Gateway({ authHandler: authenticate });
