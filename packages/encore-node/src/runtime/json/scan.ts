/**
 * JSON's lists and objects as serde_json reads them. Subclassed by the decoder, which walks a schema at the same time.
 */

import { JsonTokens, QUOTE } from "./tokens.js";

export { DecodeError, QUOTE } from "./tokens.js";

/** Nested containers that are still read (serde_json's default: the 128th is refused). */
const MAX_NESTING = 127;

export const COMMA = 44;
export const OPEN_LIST = 91;
export const CLOSE_LIST = 93;
export const OPEN_MAP = 123;
export const CLOSE_MAP = 125;
const COLON = 58;

export class JsonScanner extends JsonTokens {
  protected depth = 0;

  protected enter(): void {
    if (++this.depth > MAX_NESTING) this.failPeek("recursion limit exceeded");
    this.i++;
  }

  /** An error of the visitor inside a list: serde still reads the end when it stands there. */
  protected failInList(message: string): never {
    const c = this.peek();
    if (c === CLOSE_LIST) this.i++;
    else if (c === COMMA) {
      this.i++;
      this.peek();
    }
    return this.fail(message);
  }

  protected failInMap(message: string): never {
    if (this.peek() === CLOSE_MAP) this.i++;
    return this.fail(message);
  }

  /** False at the end of the list, which is left standing. */
  protected nextElement(first: boolean): boolean {
    let c = this.peek();
    if (c === CLOSE_LIST) return false;
    if (Number.isNaN(c)) this.failPeek("EOF while parsing a list");
    if (!first) {
      if (c !== COMMA) this.failPeek("expected `,` or `]`");
      this.i++;
      c = this.peek();
      if (c === CLOSE_LIST) this.failPeek("trailing comma");
      if (Number.isNaN(c)) this.failPeek("EOF while parsing a value");
    }
    return true;
  }

  /** Null at the end of the map, which is left standing; else the key, with its colon read. */
  protected nextKey(first: boolean): string | null {
    let c = this.peek();
    if (c === CLOSE_MAP) return null;
    if (Number.isNaN(c)) this.failPeek("EOF while parsing an object");
    if (!first) {
      if (c !== COMMA) this.failPeek("expected `,` or `}`");
      this.i++;
      c = this.peek();
      if (c === CLOSE_MAP) this.failPeek("trailing comma");
      if (Number.isNaN(c)) this.failPeek("EOF while parsing a value");
    }
    if (c !== QUOTE) this.failPeek("key must be a string");
    return this.string();
  }

  protected colon(): void {
    const c = this.peek();
    if (Number.isNaN(c)) this.failPeek("EOF while parsing an object");
    if (c !== COLON) this.failPeek("expected `:`");
    this.i++;
  }

  protected leave(): void {
    this.i++;
    this.depth--;
  }
}
