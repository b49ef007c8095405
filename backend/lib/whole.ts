import { invalid } from "./errors";

/** The largest number that PostgreSQL's int holds. */
const INT_MAX = 2 ** 31 - 1;

/**
 * The number, refused unless it is a whole one that PostgreSQL can take. Encore has no type for whole numbers, so `limit=1.5` fits a
 * field's Min and Max. Absent stays absent.
 */
export function whole<T extends number | undefined>(field: string, value: T): T {
  if (value === undefined || (Number.isInteger(value) && Math.abs(value) <= INT_MAX)) return value;
  throw invalid("not_a_whole_number", `${field}: a whole number is wanted here.`, `Send ${field} without a fraction.`);
}
