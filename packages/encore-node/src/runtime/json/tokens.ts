/** JSON's scalars as serde_json reads them: one pass, the first fault ends it, with serde's words, path and position. */

export class DecodeError extends Error {}

const WS_END = /[^ \n\t\r]/g;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
/** Escapes and control characters: such a string is read character by character. */
const SPECIAL = /[\\\p{Cc}]/u;
const ESCAPES: Record<string, string> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};
const U64_MAX = 18446744073709551615n;
const I64_MIN = -9223372036854775808n;

export const QUOTE = 34;
const MINUS = 45;

export class JsonTokens {
  protected i = 0;
  /** Whether the number just read was written with a fraction or exponent, or does not fit 64 bits. */
  protected float = false;
  protected readonly path: (string | number)[] = [];

  constructor(
    protected readonly s: string,
    /** The input is not valid UTF-8 and `s` holds one character per byte. */
    private readonly bytes = false,
  ) {}

  protected fail(message: string, at = this.i): never {
    const before = this.s.slice(0, at);
    const line = before.lastIndexOf("\n") + 1;
    const tail = before.slice(line);
    const column = this.bytes ? tail.length : Buffer.byteLength(tail);
    let lines = 1;
    for (let k = before.indexOf("\n"); k >= 0; k = before.indexOf("\n", k + 1)) lines++;
    throw new DecodeError(`${this.prefix()}${message} at line ${lines} column ${column}`);
  }

  protected prefix(): string {
    if (this.path.length === 0) return "";
    let out = "";
    for (const part of this.path) {
      if (typeof part === "number") out += `[${part}]`;
      else out += out === "" ? part : `.${part}`;
    }
    return `${out}: `;
  }

  /** Position of a byte that was looked at but not taken. */
  protected failPeek(message: string): never {
    return this.fail(message, Math.min(this.i + 1, this.s.length));
  }

  /** Next byte after whitespace, or NaN at the end. */
  protected peek(): number {
    let c = this.s.charCodeAt(this.i);
    if (c > 32 || Number.isNaN(c)) return c;
    WS_END.lastIndex = this.i;
    const m = WS_END.exec(this.s);
    this.i = m ? m.index : this.s.length;
    c = this.s.charCodeAt(this.i);
    return c;
  }

  protected string(): string {
    const s = this.s;
    const start = ++this.i;
    const end = s.indexOf('"', start);
    if (end >= 0) {
      const plain = s.slice(start, end);
      if (!SPECIAL.test(plain)) {
        this.i = end + 1;
        return this.text(plain);
      }
    }
    let out = "";
    for (;;) {
      const c = s.charCodeAt(this.i);
      if (Number.isNaN(c)) this.fail("EOF while parsing a string");
      if (c === QUOTE) {
        this.i++;
        return this.text(out);
      }
      if (c < 32) {
        this.i++;
        this.fail("control character (\\u0000-\\u001F) found while parsing a string");
      }
      if (c === 92) {
        this.i++;
        out += this.escape();
      } else {
        out += s[this.i++];
      }
    }
  }

  private text(s: string): string {
    if (!this.bytes || !/[\u0080-\u00ff]/.test(s)) return s;
    const buffer = Buffer.from(s, "latin1");
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(buffer);
    } catch {
      return this.fail("invalid unicode code point");
    }
  }

  private escape(): string {
    const c = this.s[this.i];
    if (c === undefined) return this.fail("EOF while parsing a string");
    this.i++;
    const simple = ESCAPES[c];
    if (simple !== undefined) return simple;
    if (c !== "u") return this.fail("invalid escape");
    const first = this.hex();
    if (first >= 0xdc00 && first <= 0xdfff) return this.fail("lone leading surrogate in hex escape");
    if (first < 0xd800 || first > 0xdbff) return this.unit(first);
    if (this.s[this.i] !== "\\" || this.s[this.i + 1] !== "u") {
      this.i = Math.min(this.i + 1, this.s.length);
      return this.fail("unexpected end of hex escape");
    }
    this.i += 2;
    const second = this.hex();
    if (second < 0xdc00 || second > 0xdfff) return this.fail("lone leading surrogate in hex escape");
    return this.unit(first, second);
  }

  /** In byte mode the character joins the bytes around it, which are decoded together. */
  private unit(...units: number[]): string {
    const ch = String.fromCharCode(...units);
    return this.bytes ? Buffer.from(ch).toString("latin1") : ch;
  }

  private hex(): number {
    const digits = this.s.slice(this.i, this.i + 4);
    if (digits.length < 4) {
      this.i = this.s.length;
      return this.fail("EOF while parsing a string");
    }
    this.i += 4;
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) return this.fail("invalid escape");
    return Number.parseInt(digits, 16);
  }

  protected number(): number | bigint {
    NUMBER.lastIndex = this.i;
    const m = NUMBER.exec(this.s);
    if (!m) {
      this.i++;
      return this.s.length > this.i ? this.fail("invalid number") : this.fail("EOF while parsing a value");
    }
    const token = m[0];
    this.i += token.length;
    const next = this.s.charCodeAt(this.i);
    const last = token.charCodeAt(token.length - 1);
    if (next >= 48 && next <= 57 && last === 48) this.failPeek("invalid number");
    if ((next === 46 && !/[.eE]/.test(token)) || ((next === 101 || next === 69) && !/[eE]/.test(token))) {
      this.i++;
      const c = this.s[this.i];
      if (next !== 46 && (c === "+" || c === "-")) this.i++;
      this.i >= this.s.length ? this.fail("EOF while parsing a value") : this.failPeek("invalid number");
    }
    const value = Number(token);
    this.float = /[.eE]/.test(token) || token === "-0";
    if (this.float) {
      if (!Number.isFinite(value)) this.fail("number out of range");
      return value;
    }
    if (Number.isSafeInteger(value)) return value;
    const big = BigInt(token);
    if (big <= U64_MAX && big >= I64_MIN) return big;
    this.float = true;
    if (!Number.isFinite(value)) this.fail("number out of range");
    return value;
  }

  protected isNumberStart(c: number): boolean {
    return c === MINUS || (c >= 48 && c <= 57);
  }

  protected word(word: string): void {
    for (let k = 1; k < word.length; k++) {
      const c = this.s[this.i + k];
      if (c === undefined) {
        this.i += k;
        this.fail("EOF while parsing a value");
      }
      if (c !== word[k]) {
        this.i += k + 1;
        this.fail("expected ident");
      }
    }
    this.i += word.length;
  }
}
