/**
 * The module behind ENCORE_RUNTIME_LIB: every name that encore.dev 1.58.6 takes from Encore's native library
 * (internal/runtime/napi/napi.cjs).
 */

import { Decimal } from "./decimal.js";
import { BodyReader } from "./http/body.js";
import { ApiCallError } from "./http/call.js";
import { ResponseWriter } from "./http/raw.js";
import { Logger } from "./log.js";
import { Request } from "./request.js";
import { Gateway, Runtime, Secret } from "./runtime.js";
import { Cursor, QueryArgs, SQLConn, SQLDatabase, Transaction } from "./sql/database.js";
import { prepare } from "./sql/prepare.js";
import { Row } from "./sql/row.js";
import { Sink, Socket, Stream, WebSocketClient } from "./stream/socket.js";
import { unsupportedClass } from "./unsupported.js";

export const CloudProvider = { AWS: 0, GCP: 1, Azure: 2, Encore: 3, Local: 4 };
export const EnvironmentType = { Production: 0, Development: 1, Ephemeral: 2, Test: 3 };
export const LogLevel = { Trace: 1, Debug: 2, Info: 3, Warn: 4, Error: 5 };
export const MetricType = { Counter: "Counter", Gauge: "Gauge" };
export const ObjectErrorKind = { NotFound: 0, PreconditionFailed: 1, InvalidArgument: 2, Other: 3, Internal: 4 };

export const Bucket = unsupportedClass("Bucket");
export const BucketObject = unsupportedClass("BucketObject");
export const CacheCluster = unsupportedClass("CacheCluster");
export const ListEntry = unsupportedClass("ListEntry");
export const ListIterator = unsupportedClass("ListIterator");
export const MetricsRegistry = unsupportedClass("MetricsRegistry");
export const ObjectAttrs = unsupportedClass("ObjectAttrs");
export const PubSubSubscription = unsupportedClass("PubSubSubscription");
export const PubSubTopic = unsupportedClass("PubSubTopic");
export const TypedObjectError = unsupportedClass("TypedObjectError");

export {
  ApiCallError,
  ApiCallError as APICallError,
  BodyReader,
  Cursor,
  Decimal,
  Gateway,
  Logger,
  prepare,
  QueryArgs,
  Request,
  ResponseWriter,
  Row,
  Runtime,
  Secret,
  Sink,
  Socket,
  SQLConn,
  SQLConn as SqlConn,
  SQLDatabase,
  SQLDatabase as SqlDatabase,
  Stream,
  Transaction,
  WebSocketClient,
};
