export interface WholePairs {
  /** The text that can be given on: all but a character whose second half has not come. */
  add(piece: string): string;
  /** What is left at the end. */
  rest(): string;
}

/**
 * Text in pieces, cut only between characters. Providers cut tokens through surrogate pairs (`"\ud83d"`, then `"\ude00"`); halves written
 * as UTF-8, or read by Python, are lost.
 */
export function createWholePairs(): WholePairs {
  let held = "";
  return {
    add(piece) {
      const text = held + piece;
      const last = text.charCodeAt(text.length - 1);
      const isHalf = last >= 0xd800 && last <= 0xdbff;
      held = isHalf ? text.slice(-1) : "";
      return wellFormed(isHalf ? text.slice(0, -1) : text);
    },
    rest() {
      const text = wellFormed(held);
      held = "";
      return text;
    },
  };
}

/** Halves that no other half will join, replaced as UTF-8 would. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, "\ufffd");
}
