import ts from "typescript";
import type { GatewayMeta } from "../meta.js";
import { messageSchema, type NamedUse, requestFields } from "./fields.js";
import { unwrap } from "./literals.js";
import type { SchemaBuilder } from "./schema.js";
import type { Use } from "./uses.js";

/** `export const auth = authHandler<Params, AuthData>(…)`; types from the handler's annotations, else from the type arguments. */
export function parseAuthHandler(use: Use, service: string, builder: SchemaBuilder): GatewayMeta["authHandler"] {
  const { checker, problems } = builder;
  const call = use.node as ts.CallExpression;
  if (!use.binding?.exported) {
    problems.at(call, "The auth handler must be bound to an exported variable.");
    return null;
  }
  const [handler] = call.arguments;
  const fn = handler && unwrap(handler);
  const inline = fn && (ts.isArrowFunction(fn) || ts.isFunctionExpression(fn)) ? fn : null;
  const params = inline?.parameters[0]?.type ?? call.typeArguments?.[0];
  const data = inline?.type ?? call.typeArguments?.[1];
  if (!params || !data) {
    problems.at(
      call,
      `The auth handler must say its ${params ? "result" : "parameter"} type, as in authHandler<Params, AuthData>(…).`,
    );
    return null;
  }
  const used = (node: ts.TypeNode): NamedUse => ({ node, type: checker.getTypeFromTypeNode(node) });
  const fields = requestFields(used(params), [], builder) ?? [];
  for (const field of fields)
    if (field.place.in === "auto")
      problems.at(call, `The auth handler's parameter "${field.name}" must be a Header<>, Query<> or Cookie<>.`);
  const result = resultOf(used(data), checker);
  const authData = messageSchema(result, builder);
  if (authData && !result.type.getProperty("userID"))
    problems.at(data, 'AuthData must have a field "userID" of type string.');
  return {
    service,
    name: use.binding.name,
    params: fields,
    authData: authData ?? { kind: "any" },
    source: problems.ref(call),
  };
}

function resultOf(use: NamedUse, checker: ts.TypeChecker): NamedUse {
  if (use.type.symbol?.name !== "Promise") return use;
  const [type] = checker.getTypeArguments(use.type as ts.TypeReference);
  const node = ts.isTypeReferenceNode(use.node) ? use.node.typeArguments?.[0] : undefined;
  return type ? { type, node: node ?? use.node } : use;
}
