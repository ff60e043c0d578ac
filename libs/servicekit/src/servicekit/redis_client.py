"""Redis connections that give up in time."""

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError


def open_redis(url: str, *, timeout: float, connections: int = 32, retries: int = 1) -> Redis:
    """A client with a bounded pool; it connects with the first command.

    Args:
        timeout: longest wait for a connection or an answer, seconds. The library's default of ten
            retries, five seconds each, would hold a request for a minute.
        retries: further tries after a broken connection (not after a timeout); one is enough to
            replace what a restart of Redis left in the pool.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=timeout,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), retries, supported_errors=(RedisConnectionError,)),
        retry_on_error=[RedisConnectionError] if retries else [],
    )
    return Redis.from_pool(pool)
