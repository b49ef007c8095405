/** Every bound of the dev model, with its unit. A request beyond one is refused with a sentence, never truncated in silence. */
export const BODY_BYTES_MAX = 32 * 1024 * 1024;
export const ANSWER_TOKENS_MAX = 100_000;
export const WINDOW_TOKENS_MAX = 10_000_000;
export const DELAY_MS_MAX = 10 * 60_000;
export const TOKENS_PER_SECOND_MAX = 100_000;
export const HANG_MS_MAX = 15 * 60_000;
export const EMBEDDING_INPUTS_MAX = 2048;
export const EMBEDDING_DIMENSIONS_MAX = 4096;
export const RECORDED_REQUESTS_MAX = 1000;
export const RECORDED_BYTES_MAX = 32 * 1024 * 1024;
export const RECORDED_TOKEN_TIMES_MAX = 10_000;
/** Tokens of an unpaced answer that leave in one write. */
export const TOKENS_PER_WRITE_MAX = 256;
