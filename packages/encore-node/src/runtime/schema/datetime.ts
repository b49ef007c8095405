/** RFC 3339 as Rust's chrono reads and prints it, with chrono's wording of errors. */

const TOO_SHORT = "premature end of input";
const TOO_LONG = "trailing input";
const INVALID = "input contains invalid characters";
const OUT_OF_RANGE = "input is out of range";
const MINUTE = 60_000;

/** Milliseconds since 1970, or chrono's sentence. */
export function parseRfc3339(s: string): number | string {
  if (Buffer.byteLength(s) < 19) return TOO_SHORT;
  const part = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)/.exec(s);
  if (!part) return INVALID;
  const [year, month, day, hour, minute, second] = part.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  let rest = s.slice(19);
  let milli = 0;
  if (rest.startsWith(".")) {
    const fraction = /^\.(\d+)/.exec(rest);
    if (!fraction) return rest.length === 1 ? TOO_SHORT : INVALID;
    milli = Math.floor(Number(`0.${(fraction[1] as string).slice(0, 9)}`) * 1000 + 1e-9);
    rest = rest.slice(fraction[0].length);
  }
  const offset = parseOffset(rest);
  if (typeof offset === "string") return offset;
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60) return OUT_OF_RANGE;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1) return OUT_OF_RANGE;
  return date.getTime() + (hour * 60 + minute - offset) * MINUTE + second * 1000 + milli;
}

/** Minutes east of UTC. */
function parseOffset(rest: string): number | string {
  if (rest === "") return TOO_SHORT;
  if (rest[0] === "Z" || rest[0] === "z") return rest.length > 1 ? TOO_LONG : 0;
  if (!/^[+\-−]/.test(rest)) return INVALID;
  const digits = rest.slice(1);
  const m = /^(\d\d):(\d\d)/.exec(digits);
  if (!m) return digits.length < 5 && /^\d{0,2}(:\d?)?$/.test(digits) ? TOO_SHORT : INVALID;
  if (Number(m[2]) > 59) return OUT_OF_RANGE;
  if (digits.length > 5) return TOO_LONG;
  const minutes = Number(m[1]) * 60 + Number(m[2]);
  if (minutes >= 24 * 60) return OUT_OF_RANGE;
  return rest[0] === "+" ? minutes : -minutes;
}

/** Without a fraction where the milliseconds are zero (chrono's AutoSi); bodies end in "Z", headers in "+00:00". */
export function rfc3339(date: Date, zone: "Z" | "+00:00"): string {
  const ms = date.getTime();
  const iso = new Date(Number.isNaN(ms) ? 0 : ms).toISOString();
  return (iso.endsWith(".000Z") ? iso.slice(0, -5) : iso.slice(0, -1)) + zone;
}
