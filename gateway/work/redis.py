"""The connection to Redis: one pool a process. Redis holds hints, lanes, limits and passing frames: nothing that is not in the
database or may not be lost.

Options, and why: a blocking pool, because redis-py's own default overflows under bursts; one second to connect and two for
an answer, because whoever asks goes on without; no retries of its own, because each user of it knows better what to do.
"""

from typing import Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

__all__ = ["AWAY", "PREFIX", "Redis", "RedisError", "connect"]

PREFIX: Final = "parley:"
"""Every key of ours begins with it, so that a Redis may be shared."""

AWAY: Final = (RedisError, OSError, TimeoutError)
"""What a call raises when Redis can't be had or refuses: the caller goes on without."""


def connect(url: str) -> "Redis":
    """A client for one process. Connects on first use; reconnects by itself. Close it with `aclose`."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=64,
        timeout=2,
        socket_connect_timeout=1,
        socket_timeout=2,
        socket_keepalive=True,
        health_check_interval=15,
        retry=Retry(NoBackoff(), 0),
        client_name="parley",
    )
    return Redis(connection_pool=pool)
