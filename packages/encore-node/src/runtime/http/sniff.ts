/**
 * The content type of a raw answer that streams without saying one. Encore's own development proxy guesses it the way
 * Go does (recording `raw-no-head`; an answer of one piece is sent before it looks, recording `raw-guarded`).
 */
const LOOK_AT = 512; // bytes

export function sniff(body: Buffer): string {
  const head = body.subarray(0, LOOK_AT);
  const text = head.toString("latin1").trimStart().toLowerCase();
  if (/^<(!doctype html|html|head|body|script|title|h1|div|p|a|table|style|br|b|font|iframe|!--)[\s>]/.test(text)) {
    return "text/html; charset=utf-8";
  }
  if (text.startsWith("<?xml")) return "text/xml; charset=utf-8";
  return head.some((b) => b <= 8 || b === 11 || (b >= 14 && b <= 26) || (b >= 28 && b <= 31))
    ? "application/octet-stream"
    : "text/plain; charset=utf-8";
}
