/** RFC 5321 and 6531 addresses, as the crate email_address accepts them without a display name. */

const LOCAL_MAX = 64; // bytes
const DOMAIN_MAX = 254; // bytes
const LABEL_MAX = 63; // bytes

const ATOM = /^[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u0080-\u{10ffff}]+$/u;
const LABEL = /^[A-Za-z0-9\u0080-\u{10ffff}](?:[A-Za-z0-9\-\u0080-\u{10ffff}]*[A-Za-z0-9\u0080-\u{10ffff}])?$/u;
const QUOTED = /^"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\u0080-\u{10ffff}]|\\[\t\x20-\x7e])*"$/u;

export function isEmail(s: string): boolean {
  const at = s.lastIndexOf("@");
  if (at < 1) return false;
  const local = s.slice(0, at);
  const domain = s.slice(at + 1);
  if (Buffer.byteLength(local) > LOCAL_MAX || Buffer.byteLength(domain) > DOMAIN_MAX || domain === "") return false;
  const localFits = QUOTED.test(local) || local.split(".").every((atom) => ATOM.test(atom));
  if (!localFits) return false;
  if (domain.startsWith("[") && domain.endsWith("]")) return /^\[[\x21-\x5a\x5e-\x7e]*\]$/.test(domain);
  return domain.split(".").every((label) => Buffer.byteLength(label) <= LABEL_MAX && LABEL.test(label));
}
