/** What is not to be said, and halves of characters that may be whole. */
const SUSPECT = /[\0\ud800-\udfff]/;

/**
 * A model may say what PostgreSQL cannot hold: U+0000, and halves of a character that takes two UTF-16 units. One such answer would make
 * the statement fail that stores the words of all running turns. Returns a function for one answer's pieces, in order: what may be said
 * of each; a half at the end of a piece is kept for the next.
 */
export function makeSayable(): (piece: string) => string {
  let half = "";
  return (piece) => {
    const text = half + piece;
    const last = text.charCodeAt(text.length - 1);
    half = last >= 0xd800 && last <= 0xdbff ? text.slice(-1) : "";
    if (half === "" && !SUSPECT.test(text)) return text; // nearly always
    return text
      .slice(0, text.length - half.length)
      .replaceAll("\0", "")
      .replaceAll(/\p{Surrogate}/gu, "\ufffd");
  };
}
