/** How Rust prints values inside error messages. */

/** `{:?}` of a string. */
export function rustString(s: string): string {
  let out = '"';
  for (const ch of s) {
    const code = ch.codePointAt(0) as number;
    if (ch === '"' || ch === "\\") out += `\\${ch}`;
    else if (ch === "\n") out += "\\n";
    else if (ch === "\r") out += "\\r";
    else if (ch === "\t") out += "\\t";
    else if (ch === "\0") out += "\\0";
    else if (code < 0x20 || (code >= 0x7f && code < 0xa0) || code === 0xad || code === 0x200b || code === 0xfeff) {
      out += `\\u{${code.toString(16)}}`;
    } else out += ch;
  }
  return `${out}"`;
}

/** `{}` of an f64: never scientific. */
export function rustFloat(n: number): string {
  if (Number.isInteger(n) && Math.abs(n) >= 1e21) return BigInt(n).toString();
  return String(n);
}

/** `{:?}` of an f64, and serde's: an integer keeps a fraction. */
export function rustFloatDebug(n: number): string {
  const s = String(n).replace("e+", "e");
  return /[.e]/.test(s) ? s : `${s}.0`;
}

/** "a", "a or b", "a, b, or c". */
export function orList(names: string[]): string {
  if (names.length < 3) return names.join(" or ");
  return `${names.slice(0, -1).join(", ")}, or ${names.at(-1)}`;
}

/** "`a`", "`a` and `b`", "`a`, `b`, and `c`". */
export function andList(names: string[]): string {
  const quoted = names.map((n) => `\`${n}\``);
  if (quoted.length < 3) return quoted.join(" and ");
  return `${quoted.slice(0, -1).join(", ")}, and ${quoted.at(-1)}`;
}
