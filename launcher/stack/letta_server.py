"""Starts Letta's own server. Three things differ from `letta server`, both before its first line runs:

- it prints its password at start; here that word is replaced before it reaches the log,
- it fetches NLTK data from the internet at every start and waits for it; only its file uploads use them, and Graphyn has none,
- it imports `inflect`, whose type checks are compiled anew at every start: 3 of the 12 s of CPU that its imports take.

With GRAPHYN_LETTA_TUNED=1 three more, for a server that talks to its PostgreSQL directly:

- as shipped every statement is parsed and planned anew, which suits a pooler between transactions; here SQLAlchemy's own cache of
  prepared statements is left on. Measured on an answer of 300 tokens: 138 ms of CPU became 102, and PostgreSQL's 45 became 26,
- what is there after the start is left out of garbage collections, and those come less often,
- a connection that the garbage collector has closed is closed for good (letta_transports.py): else it takes a new one off the event loop.

Usage: python letta_server.py HOST PORT [--wait-for-models], in Letta's folder, with LETTA_SERVER_PASSWORD set. It reads the list of its
models once, when it starts to serve: with --wait-for-models that is after OPENAI_API_BASE answers, and its imports need not wait.
"""

import gc
import os
import sys
import time
import urllib.request


class WithoutPassword:
    def __init__(self, stream, password):
        self._stream = stream
        self._password = password

    def write(self, text):
        return self._stream.write(text.replace(self._password, "…"))

    def __getattr__(self, name):
        return getattr(self._stream, name)


password = os.environ["LETTA_SERVER_PASSWORD"]
sys.stdout = WithoutPassword(sys.stdout, password)
sys.stderr = WithoutPassword(sys.stderr, password)
sys.path.insert(0, os.getcwd())

import letta_transports  # noqa: E402
import nltk  # noqa: E402
import sqlalchemy.ext.asyncio  # noqa: E402
import typeguard  # noqa: E402

IS_TUNED = os.environ.get("GRAPHYN_LETTA_TUNED") == "1"


def with_statement_cache(create_engine):
    def create(*args, connect_args=None, **kwargs):
        left = {
            name: value
            for name, value in (connect_args or {}).items()
            if name not in ("prepared_statement_cache_size", "prepared_statement_name_func")
        }
        return create_engine(*args, connect_args=left, **kwargs)

    return create


if IS_TUNED:
    letta_transports.mend()
    sqlalchemy.ext.asyncio.create_async_engine = with_statement_cache(sqlalchemy.ext.asyncio.create_async_engine)

typeguard.typechecked = lambda target=None, **kw: target if target is not None else (lambda it: it)

nltk.download = lambda *args, **kwargs: True

from letta.server.rest_api.app import start_server  # noqa: E402

MODELS_WAIT_SECONDS_MAX = 110
MODELS_POLL_SECONDS = 0.1


def wait_for_models():
    request = urllib.request.Request(
        os.environ["OPENAI_API_BASE"] + "/models",
        headers={"authorization": "Bearer " + os.environ["OPENAI_API_KEY"]},
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + MODELS_WAIT_SECONDS_MAX
    while True:
        try:
            with direct.open(request, timeout=5):
                return
        except OSError as error:
            if time.monotonic() > until:
                sys.exit(f"The models at {request.full_url} do not answer: {error}")
            time.sleep(MODELS_POLL_SECONDS)


if "--wait-for-models" in sys.argv:
    wait_for_models()
if IS_TUNED:
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
start_server(host=sys.argv[1], port=int(sys.argv[2]))
