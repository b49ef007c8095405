import { secret } from "encore.dev/config";

/**
 * What Graphyn is told of its Clerk instance. Without CLERK_ISSUER there is none: session tokens and webhooks are refused, and everything
 * works by API keys.
 */
export interface ClerkSettings {
  /** The instance's Frontend API URL, the `iss` of its tokens. Our ids of its organizations follow from it. */
  issuer: string;
  /** Its public key (PEM); empty: the keys are asked for, with the secret key. */
  jwtKey: string;
  /** Origins whose tokens are taken; empty: all of the instance. */
  authorizedParties: string[];
  /** Clerk's Backend API, for the keys. */
  apiUrl: string;
}

const clerkSecretKey = secret("CLERK_SECRET_KEY");
const clerkWebhookSigningSecret = secret("CLERK_WEBHOOK_SIGNING_SECRET");

const settings: ClerkSettings = {
  issuer: (process.env.CLERK_ISSUER ?? "").trim().replace(/\/+$/, ""),
  // Where an environment holds no line breaks, they are written as \n.
  jwtKey: (process.env.CLERK_JWT_KEY ?? "").replaceAll("\\n", "\n").trim(),
  authorizedParties: (process.env.CLERK_AUTHORIZED_PARTIES ?? "")
    .split(",")
    .map((origin) => origin.trim().replace(/\/+$/, ""))
    .filter((origin) => origin !== ""),
  apiUrl: (process.env.CLERK_API_URL ?? "https://api.clerk.com").replace(/\/+$/, ""),
};

export function clerkSettings(): ClerkSettings | null {
  return settings.issuer === "" ? null : settings;
}

export function clerkSecret(): string {
  return clerkSecretKey();
}

/** Empty: no webhook is taken. */
export function webhookSecret(): string {
  return clerkSettings() ? clerkWebhookSigningSecret() : "";
}
