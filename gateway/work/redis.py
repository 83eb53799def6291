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

from gateway.model.ports import Finding

__all__ = ["AWAY", "PREFIX", "Redis", "RedisError", "check", "connect"]

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
    # It owns the pool then: closing it closes the pool's connections.
    return Redis.from_pool(pool)


OLDEST: Final = (6, 2)


async def check(url: str) -> Finding:
    """Whether the Redis at an address can be used: it is there, new enough, and keeps what we write."""
    redis = connect(url)
    try:
        about = await redis.info("server") | await redis.info("memory")
    except AWAY as error:
        text = f"can't be used ({type(error).__name__})"
        return Finding("redis", False, text, "Check the address, and that the server runs.")
    finally:
        await redis.aclose()
    version = str(about["redis_version"])
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        return Finding("redis", False, f"{version} is too old", "6.2 or newer is needed.")
    policy = about.get("maxmemory_policy", "noeviction")
    if about.get("maxmemory") and policy != "noeviction":
        fix = "Set maxmemory-policy to noeviction, or give Parley a Redis of its own."
        return Finding("redis", None, f"{version} may evict our keys (maxmemory-policy {policy})", fix)
    return Finding("redis", True, version)
