/** The gateway's auth handler (api/auth/mod.rs, local.rs): runs when the request carries any of its parameters. */

import {
  type ApiFailure,
  failure,
  fromThrown,
  internalFailure,
  isFailure,
  typeName,
  UNAUTHENTICATED_MESSAGE,
} from "../errors.js";
import { DecodeError, decodeStruct } from "../json/decode.js";
import { encodeJson } from "../json/write.js";
import { type AuthInfo, appHeaders, type CallOrigin, Request } from "../request.js";
import { cookieJar, headerValues } from "../schema/header.js";
import { type Node, resolve } from "../schema/node.js";
import { parsePairs } from "../schema/query.js";
import { decodeHead } from "./decode.js";
import type { Handler, RequestShape } from "./endpoint.js";

export function noCredentials(): ApiFailure {
  return failure("unauthenticated", UNAUTHENTICATED_MESSAGE);
}

export class Authenticator {
  handler: Handler | null = null;

  constructor(
    readonly shape: RequestShape,
    private readonly authData: Node,
  ) {}

  /** Whether the request carries no credentials at all: most do not, and need not wait for anything. */
  anonymous(query: string, rawHeaders: readonly string[]): boolean {
    return !this.handler || !this.carries(this.pairs(query), rawHeaders);
  }

  private pairs(query: string): [string, string][] {
    const node = this.shape.query;
    return node && query !== "" ? parsePairs(query).filter(([k]) => node.fields.has(k)) : [];
  }

  /** Who is calling; an `unauthenticated` failure counts only where the endpoint demands somebody. */
  async authenticate(
    query: string,
    rawHeaders: readonly string[],
    path: string,
    origin: CallOrigin | null,
  ): Promise<AuthInfo | ApiFailure> {
    const { shape, handler } = this;
    const pairs = this.pairs(query);
    if (!handler || !this.carries(pairs, rawHeaders)) return noCredentials();
    const fields: Record<string, unknown> = {};
    const bad = decodeHead(shape, [], pairs, rawHeaders, fields, {});
    if (bad) return bad;
    const request = new Request(null, "", path, path, () => appHeaders(rawHeaders, undefined), fields, null, origin);
    let result: unknown;
    try {
      result = await handler(request);
    } catch (e) {
      return fromThrown(e);
    }
    return this.accept(result);
  }

  private carries(pairs: [string, string][], raw: readonly string[]): boolean {
    if (pairs.some(([, v]) => v !== "")) return true;
    for (const f of this.shape.headers) {
      const first = headerValues(raw, f.wire)[0];
      if (first !== undefined && first !== "") return true;
    }
    if (this.shape.cookies.length === 0) return false;
    const jar = cookieJar(raw);
    return this.shape.cookies.some((f) => (jar.get(f.shown) ?? "") !== "");
  }

  /** The data travels to the endpoint as JSON, and is read there by its type. */
  private accept(result: unknown): AuthInfo | ApiFailure {
    if (result === null || result === undefined)
      return failure("unauthenticated", "unauthenticated", "auth handler returned null");
    if (typeof result !== "object") {
      return internalFailure(`InvalidArg, Expect value to be Object, but received ${typeName(result)}`);
    }
    const userId = (result as { userID?: unknown }).userID;
    if (typeof userId !== "string") {
      return failure("unauthenticated", "unauthenticated", "auth handler did not return a userID field");
    }
    try {
      return { userId, data: this.copy(result) };
    } catch (e) {
      if (e instanceof DecodeError)
        return failure(
          "invalid_argument",
          `unable to parse request: invalid auth data\n\nCaused by:\n    ${e.message}`,
        );
      return isFailure(e) ? e : internalFailure((e as Error).message);
    }
  }

  copy(data: unknown): Record<string, unknown> {
    const node = resolve(this.authData);
    if (node.kind !== "struct") throw internalFailure("the auth handler's data is not an object type");
    return decodeStruct(encodeJson(data), node);
  }
}
