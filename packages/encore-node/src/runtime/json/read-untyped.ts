/** Values read without a schema: inside a union, where a variant is found for them later, and of unknown fields, to be dropped. */

import { JsonScanner, OPEN_LIST, OPEN_MAP, QUOTE } from "./scan.js";
import { JsonFloat, type Untyped } from "./untyped.js";

export class UntypedReader extends JsonScanner {
  /** A value of a field that the schema does not have: any depth, grammar only. */
  protected skip(): void {
    const open: boolean[] = [];
    for (;;) {
      const c = this.peek();
      let opened = false;
      if (c === OPEN_MAP || c === OPEN_LIST) {
        this.i++;
        open.push(c === OPEN_MAP);
        opened = true;
      } else this.scalar(c);
      for (;;) {
        const inMap = open.at(-1);
        if (inMap === undefined) return;
        const more = inMap ? this.nextKey(opened) !== null : this.nextElement(opened);
        if (more) {
          if (inMap) this.colon();
          break;
        }
        this.i++;
        open.pop();
        opened = false;
      }
    }
  }

  private scalar(c: number): Untyped {
    if (c === QUOTE) return this.string();
    if (this.isNumberStart(c)) {
      const n = this.number();
      return this.float ? new JsonFloat(Number(n)) : n;
    }
    switch (c) {
      case 116:
        this.word("true");
        return true;
      case 102:
        this.word("false");
        return false;
      case 110:
        this.word("null");
        return null;
    }
    return this.failPeek(Number.isNaN(c) ? "EOF while parsing a value" : "expected value");
  }

  private untyped(): Untyped {
    const c = this.peek();
    if (c === OPEN_MAP) {
      this.enter();
      const out = this.untypedMap();
      this.leave();
      return out;
    }
    if (c === OPEN_LIST) {
      this.enter();
      const out = this.untypedList();
      this.leave();
      return out;
    }
    return this.scalar(c);
  }

  protected untypedList(): Untyped[] {
    const out: Untyped[] = [];
    for (let i = 0; this.nextElement(i === 0); i++) {
      this.path.push(i);
      out.push(this.untyped());
      this.path.pop();
    }
    return out;
  }

  protected untypedMap(): Map<string, Untyped> {
    const out = new Map<string, Untyped>();
    for (let key = this.nextKey(true); key !== null; key = this.nextKey(false)) {
      this.path.push(key);
      this.colon();
      out.set(key, this.untyped());
      this.path.pop();
    }
    return out;
  }
}
