import { api } from "encore.dev/api";
import { db } from "../db/graphyn";

interface HealthResponse {
  status: "ok" | "degraded";
  database: "ok" | "unreachable";
  version: string;
}

const DATABASE_MS_MAX = 2_000;

/** Whether this server can serve. Needs no credentials; Letta's health is at GET /letta/health. */
export const health = api({ expose: true, method: "GET", path: "/health" }, async (): Promise<HealthResponse> => {
  const reached = await Promise.race([
    db.queryRow`select 1 as one`.then(
      () => true,
      () => false,
    ),
    new Promise<boolean>((resolve) => setTimeout(resolve, DATABASE_MS_MAX, false).unref()),
  ]);
  return { status: reached ? "ok" : "degraded", database: reached ? "ok" : "unreachable", version: "0.1.0" };
});
