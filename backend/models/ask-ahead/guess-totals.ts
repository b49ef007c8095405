import { api } from "encore.dev/api";
import { guessTotals } from "./guesses";

interface GuessTotals {
  /** Requests of Letta's that were the guessed ones. */
  hits: number;
  /** Guesses that Letta did not make; their answers were dropped unseen. */
  misses: number;
  /** Guesses of turns for which Letta asked nothing. */
  unused: number;
}

/** How asking ahead has fared in this process. Not exposed: for the server's operator. An agent's own figures are in GET /agents/:id. */
export const askAheadTotals = api(
  { expose: false, method: "GET", path: "/models/guesses" },
  async (): Promise<GuessTotals> => ({ ...guessTotals() }),
);
