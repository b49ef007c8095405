"""A connection that the garbage collector has closed is closed for good (letta_server.py, with GRAPHYN_LETTA_TUNED=1).

Letta makes a client for every request to its model and closes none. After a whole answer the client is garbage with its connection open,
and the collector runs what each object in it has for its end: asyncio's transport closes the socket, and openai's client makes a task that
closes the connection once more. By then the descriptor can be that of a connection that somebody has just begun to open. The second close
takes it off the event loop, which hears of it no more (python/cpython#130141). One to PostgreSQL failed its message after 30 s, one to the
model was given up after 5 s and asked for again. Measured: docs/decisions/2026-11-30-connections-that-never-opened.md
"""

from asyncio import selector_events

Transport = selector_events._SelectorTransport
close_socket = Transport.__del__


def close_for_good(transport):
    """In place of the transport's `__del__`: whoever closes it afterwards finds it closed, and leaves its descriptor alone."""
    if transport._sock is not None:
        transport._closing = True
        transport._conn_lost = 1
    close_socket(transport)


def mend():
    Transport.__del__ = close_for_good
