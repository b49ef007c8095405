/** Exact decimal numbers behind `Decimal` of encore.dev: a fraction of two bigints, printed as Encore prints it. */

const MAX_LENGTH = 1 << 18; // characters, as Encore
const MAX_EXPONENT = 1 << 14; // as Encore
/** Digits after the point of a number without a finite expansion, such as 1/3 (as Encore). */
const ENDLESS_SCALE = 10;
/** Below 10^-6 Encore prints scientific notation. */
const SCIENTIFIC_BELOW = 6;

export class Decimal {
  readonly num: bigint;
  readonly den: bigint;

  constructor(value: string | [bigint, bigint]) {
    const [num, den] = typeof value === "string" ? parse(value) : value;
    const sign = den < 0n ? -1n : 1n;
    const by = gcd(num < 0n ? -num : num, den < 0n ? -den : den) || 1n;
    this.num = (sign * num) / by;
    this.den = (sign * den) / by;
  }
  add(o: Decimal): Decimal {
    return new Decimal([this.num * o.den + o.num * this.den, this.den * o.den]);
  }
  sub(o: Decimal): Decimal {
    return new Decimal([this.num * o.den - o.num * this.den, this.den * o.den]);
  }
  mul(o: Decimal): Decimal {
    return new Decimal([this.num * o.num, this.den * o.den]);
  }
  div(o: Decimal): Decimal {
    if (o.num === 0n) throw new Error("division by zero");
    return new Decimal([this.num * o.den, this.den * o.num]);
  }
  toString(): string {
    const negative = this.num < 0n;
    const abs = negative ? -this.num : this.num;
    const scale = finiteScale(this.den);
    let digits: bigint;
    let places = scale ?? ENDLESS_SCALE;
    if (scale === null) {
      const scaled = abs * 10n ** BigInt(places) * 2n + this.den;
      digits = scaled / (this.den * 2n);
    } else digits = (abs * 10n ** BigInt(places)) / this.den;
    let s = digits.toString();
    if (scale !== null && places > 0 && s.length + SCIENTIFIC_BELOW <= places) {
      s = `${s[0]}${s.length > 1 ? `.${s.slice(1)}` : ""}e-${places - s.length + 1}`;
      places = 0;
    }
    if (places > 0) {
      s = s.padStart(places + 1, "0");
      s = `${s.slice(0, -places)}.${s.slice(-places)}`;
    }
    return negative ? `-${s}` : s;
  }
}

function parse(s: string): [bigint, bigint] {
  if (s.length > MAX_LENGTH) throw new Error(`decimal string too long: ${s.length} bytes`);
  const m = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(s);
  if (!m || (m[2] === "" && (m[3] ?? "") === "")) throw new Error(`Failed to parse decimal from string: ${s}`);
  const exponent = Number(m[4] ?? 0);
  if (Math.abs(exponent) > MAX_EXPONENT) throw new Error(`decimal exponent out of range: ${exponent}`);
  const fraction = m[3] ?? "";
  const shift = exponent - fraction.length;
  const digits = BigInt((m[1] === "-" ? "-" : "") + (m[2] + fraction || "0"));
  return shift >= 0 ? [digits * 10n ** BigInt(shift), 1n] : [digits, 10n ** BigInt(-shift)];
}

function gcd(a: bigint, b: bigint): bigint {
  let [x, y] = [a, b];
  while (y !== 0n) [x, y] = [y, x % y];
  return x;
}

/** Digits after the point, or null for an endless expansion. */
function finiteScale(den: bigint): number | null {
  let rest = den;
  let twos = 0;
  let fives = 0;
  while (rest % 2n === 0n) [rest, twos] = [rest / 2n, twos + 1];
  while (rest % 5n === 0n) [rest, fives] = [rest / 5n, fives + 1];
  return rest === 1n ? Math.max(twos, fives) : null;
}

export function canonicalDecimal(s: string): string {
  return new Decimal(s).toString();
}

let construct: (value: string) => unknown = (value) => new Decimal(value);

/** The application's own Decimal class, given to the runtime as a constructor. */
export function setDecimalConstructor(make: (value: string) => unknown): void {
  construct = make;
}

/** A Decimal of encore.dev, or throws the parser's sentence. */
export function makeDecimal(value: string): unknown {
  return construct(canonicalDecimal(value));
}
