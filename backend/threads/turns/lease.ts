import { randomUUID } from "node:crypto";

/** Where other processes of this Graphyn reach this one. */
const INTERNAL_URL = process.env.GRAPHYN_INTERNAL_URL ?? `http://127.0.0.1:${process.env.ENCORE_NODE_PORT ?? 4000}`;

/**
 * This process, as leases name it, with its address: a request of Letta's that reaches another process is handed over by it. A restarted
 * process is another one: it takes over its old turns like anybody else's.
 */
export const PROCESS_ID = `proc_${randomUUID()}@${INTERNAL_URL}`;

/** How long a turn belongs to its process without a sign of life. In the database's time, never in a node's. */
export const LEASE = "8 seconds";
/** Four signs of life before a lease runs out. */
export const LEASE_RENEW_MS = 2_000;
/** How often leases that have run out are looked for. With LEASE it bounds how long a dead process's turn looks alive. */
export const LEASE_SWEEP_MS = 2_000;
