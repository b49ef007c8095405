/**
 * Traces by OpenTelemetry, to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names (OTLP over HTTP); the other OTEL_ variables of its SDK
 * hold too. Without that variable nothing of the SDK is loaded, and what is here does nothing. Attributes are those of the GenAI semantic
 * conventions where there are such (https://opentelemetry.io/docs/specs/semconv/gen-ai/), and never hold people's text.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import {
  type Attributes,
  type Context,
  type ContextManager,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import { stopping } from "./stopping";

export { type Context, SpanKind };

const isOn = Boolean(process.env.OTEL_EXPORTER_OTLP_ENDPOINT || process.env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT);
const SERVICE_NAME_DEFAULT = "graphyn";
/** Spans not sent yet; further ones are dropped. */
const SPANS_WAITING_MAX = 4_096;

if (isOn) await start();

const tracer = trace.getTracer("graphyn");

async function start(): Promise<void> {
  const [{ OTLPTraceExporter }, { resourceFromAttributes }, sdk, { W3CTraceContextPropagator }] = await Promise.all([
    import("@opentelemetry/exporter-trace-otlp-http"),
    import("@opentelemetry/resources"),
    import("@opentelemetry/sdk-trace-base"),
    import("@opentelemetry/core"),
  ]);
  const exporter = new OTLPTraceExporter();
  const provider = new sdk.BasicTracerProvider({
    resource: resourceFromAttributes({ "service.name": process.env.OTEL_SERVICE_NAME || SERVICE_NAME_DEFAULT }),
    spanProcessors: [new sdk.BatchSpanProcessor(exporter, { maxQueueSize: SPANS_WAITING_MAX })],
  });
  trace.setGlobalTracerProvider(provider);
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  context.setGlobalContextManager(createContextManager());
  stopping.addEventListener("abort", () => void provider.forceFlush().catch(() => undefined));
}

/** The context of whatever runs, carried along by Node.js. */
function createContextManager(): ContextManager {
  const storage = new AsyncLocalStorage<Context>();
  const manager: ContextManager = {
    active: () => storage.getStore() ?? ROOT_CONTEXT,
    with: (of, work, self, ...args) => storage.run(of, () => work.apply(self as ThisParameterType<typeof work>, args)),
    bind: (_, target) => target, // nothing here listens on emitters across contexts
    enable: () => manager,
    disable: () => manager,
  };
  return manager;
}

interface SpanWanted {
  kind?: SpanKind;
  attributes?: Attributes;
  /** What it belongs to; the span that is active without it. */
  parent?: Context | undefined;
}

/** A part of a trace that is under way. */
export interface Part {
  /** What its own parts belong to. */
  readonly context: Context;
  set(attributes: Attributes): void;
  /** Ends it; `error` is a stable reason, no text of anybody's. Once. */
  end(error?: string): void;
}

const NOTHING: Part = { context: ROOT_CONTEXT, set: () => undefined, end: () => undefined };

/** Begins a part of a trace, for work that is no single function; it must be ended. */
export function beginPart(name: string, { kind = SpanKind.INTERNAL, attributes = {}, parent }: SpanWanted = {}): Part {
  if (!isOn) return NOTHING;
  const above = parent ?? context.active();
  const span: Span = tracer.startSpan(name, { kind, attributes }, above);
  return {
    context: trace.setSpan(above, span),
    set: (more) => void span.setAttributes(more),
    end(error) {
      if (error !== undefined) {
        span.setAttribute("error.type", error);
        span.setStatus({ code: SpanStatusCode.ERROR });
      }
      span.end();
    },
  };
}

/** Runs work as a part of a trace: what begins in it belongs to it. */
export async function inPart<T>(name: string, wanted: SpanWanted, work: (part: Part) => Promise<T>): Promise<T> {
  if (!isOn) return work(NOTHING);
  const part = beginPart(name, wanted);
  try {
    const result = await context.with(part.context, () => work(part));
    part.end();
    return result;
  } catch (error) {
    part.end(error instanceof Error ? error.name : "unknown");
    throw error;
  }
}

/** The trace that a request says it belongs to (`traceparent`). */
export function incoming(headers: Record<string, string | string[] | undefined> | undefined): Context | undefined {
  return isOn && headers ? propagation.extract(ROOT_CONTEXT, headers) : undefined;
}

/** The headers by which another server joins the trace; none when there is no trace. */
export function outgoing(of: Context = context.active()): Record<string, string> {
  const headers: Record<string, string> = {};
  if (isOn) propagation.inject(of, headers);
  return headers;
}
