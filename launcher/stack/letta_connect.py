"""How Letta's pool opens a connection to PostgreSQL (letta_server.py, with GRAPHYN_LETTA_TUNED=1).

As shipped it waits 30 s for one and then fails the message that needed it. On a busy machine an opening connection is lost now and then:
it failed one of 1 845 messages, measured with a hundred organizations posting at once. The next one made opens.
"""

import asyncpg

CONNECT_SECONDS_MAX = 3
CONNECT_TRIES_MAX = 10


async def connect(*args, **kwargs):
    """asyncpg.connect, tried again where the server does not answer in time. Raises TimeoutError when it never does."""
    kwargs["timeout"] = CONNECT_SECONDS_MAX
    for tries_left in range(CONNECT_TRIES_MAX - 1, -1, -1):
        try:
            return await asyncpg.connect(*args, **kwargs)
        except TimeoutError:
            if tries_left == 0:
                raise
