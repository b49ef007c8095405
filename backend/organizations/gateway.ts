import { APIError, Gateway, type Header } from "encore.dev/api";
import { authHandler } from "encore.dev/auth";
import { secret } from "encore.dev/config";
import { authenticateKey, type Caller } from "./authenticate";

const apiKeyHashKey = secret("ApiKeyHashKey");

interface Credentials {
  /** `Bearer gk_…` */
  authorization?: Header<"Authorization">;
  /** The same key without `Bearer`, for clients that cannot set Authorization. */
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

/** Answers who is calling, for every endpoint with `auth: true`. */
export const authenticate = authHandler<Credentials, AuthData>(async ({ authorization, apiKey }) => {
  const key = apiKey ?? authorization?.replace(/^Bearer\s+/i, "");
  const caller: Caller | null = key ? await authenticateKey(key, apiKeyHashKey()) : null;
  if (!caller) throw APIError.unauthenticated("This needs a valid API key: send it as 'Authorization: Bearer gk_…'.");
  return caller;
});

export const gateway = new Gateway({ authHandler: authenticate });
