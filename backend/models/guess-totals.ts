import { api } from "encore.dev/api";
import { guessTotals } from "./guesses";

interface GuessTotals {
  /** Requests of Letta's that were the guessed ones. */
  hits: number;
  /** Guesses that Letta did not make; their answers were dropped unseen. */
  misses: number;
  /** Guesses of turns for which Letta asked nothing. */
  unused: number;
  /** Pieces of text that dropped guesses had received: about as many tokens. */
  missed_pieces: number;
}

/** How asking ahead has fared in this process. Not exposed: for the server's operator. */
export const askAheadTotals = api(
  { expose: false, method: "GET", path: "/models/guesses" },
  async (): Promise<GuessTotals> => ({ ...guessTotals() }),
);
