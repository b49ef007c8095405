/** Parts of Encore that this host does not have. */

export function unsupported(what: string): never {
  throw new Error(
    `encore-node: ${what} is not supported by this host; run the app with Encore's own CLI, or use PostgreSQL and graphile-worker instead`,
  );
}

/** A class of the native bindings that nobody can get hold of here. */
export function unsupportedClass(name: string): new () => object {
  return {
    [name]: class {
      constructor() {
        unsupported(name);
      }
    },
  }[name] as new () => object;
}
