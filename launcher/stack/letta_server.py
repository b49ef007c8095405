"""Starts Letta's own server. Three things differ from `letta server`, both before its first line runs:

- it prints its password at start; here that word is replaced before it reaches the log,
- it fetches NLTK data from the internet at every start and waits for it; only its file uploads use them, and Graphyn has none,
- it imports `inflect`, whose type checks are compiled anew at every start: 3 of the 12 s of CPU that its imports take.

Usage: python letta_server.py HOST PORT, in Letta's folder, with LETTA_SERVER_PASSWORD set.
"""

import os
import sys


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

import nltk  # noqa: E402
import typeguard  # noqa: E402

typeguard.typechecked = lambda target=None, **kw: target if target is not None else (lambda it: it)

nltk.download = lambda *args, **kwargs: True

from letta.server.rest_api.app import start_server  # noqa: E402

start_server(host=sys.argv[1], port=int(sys.argv[2]))
