import { SQLDatabase } from "encore.dev/storage/sqldb";

/**
 * The one database. One, because thread, turn, usage, job and audit rows change in one transaction.
 * Query it inside `tenant()` (db/tenant.ts): outside, row-level security hides every tenant's row.
 */
export const db = new SQLDatabase("graphyn", { migrations: "./migrations" });
