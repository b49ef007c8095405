import type { EndpointMeta, PathSegment } from "../meta.js";
import { formatPath } from "./paths.js";
import type { Problems } from "./problems.js";

const ALL_METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE"];

interface RouteNode {
  literals: Map<string, RouteNode>;
  /** The one kind of dynamic segment that may stand here, with the endpoint that put it there. */
  dynamic: { kind: "param" | "wildcard"; owner: EndpointMeta; node: RouteNode } | null;
  endpoint: EndpointMeta | null;
}

const newNode = (): RouteNode => ({ literals: new Map(), dynamic: null, endpoint: null });

/**
 * Refuses routes that Encore's router refuses: the same route twice (anywhere in the app), and, within one service, a parameter and
 * a wildcard at the same place of a path. What the parameters there are called is each endpoint's own matter.
 */
export function checkRoutes(endpoints: EndpointMeta[], problems: Problems): void {
  const tries = new Map<string, RouteNode>();
  const shapes = new Map<string, EndpointMeta>();
  for (const endpoint of endpoints) {
    const methods = endpoint.methods.includes("*") ? ALL_METHODS : endpoint.methods;
    for (const method of methods) {
      const shape = `${method} ${endpoint.path.map(shapeOf).join("/")}`;
      const same = shapes.get(shape);
      if (same) {
        problems.add(
          endpoint.source,
          `The route ${method} ${formatPath(endpoint.path)} of "${endpoint.name}" is already taken by "${same.name}" (${at(same)}).`,
        );
        break;
      }
      shapes.set(shape, endpoint);
      const key = `${endpoint.service} ${method}`;
      const root = tries.get(key) ?? newNode();
      tries.set(key, root);
      const clash = insert(root, endpoint);
      if (clash) {
        problems.add(
          endpoint.source,
          `The path ${formatPath(endpoint.path)} of "${endpoint.name}" conflicts with ${formatPath(clash.path)} of "${clash.name}" (${at(clash)}): a parameter and a wildcard cannot stand at the same place.`,
        );
        break;
      }
    }
  }
}

function insert(root: RouteNode, endpoint: EndpointMeta): EndpointMeta | null {
  let node = root;
  for (const segment of endpoint.path) {
    if (segment.kind === "literal" || segment.kind === "fallback") {
      const text = segment.kind === "literal" ? segment.value : "!";
      const next = node.literals.get(text) ?? newNode();
      node.literals.set(text, next);
      node = next;
      continue;
    }
    if (node.dynamic && node.dynamic.kind !== segment.kind) return node.dynamic.owner;
    node.dynamic ??= { kind: segment.kind, owner: endpoint, node: newNode() };
    node = node.dynamic.node;
  }
  node.endpoint = endpoint;
  return null;
}

function shapeOf(segment: PathSegment): string {
  switch (segment.kind) {
    case "literal":
      return segment.value;
    case "param":
      return ":";
    case "wildcard":
      return "*";
    case "fallback":
      return "!";
  }
}

const at = (endpoint: EndpointMeta): string => `${endpoint.source.file}:${endpoint.source.line}`;
