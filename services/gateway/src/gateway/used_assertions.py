"""Which client assertions were used already: the same in all gateways."""

from redis.asyncio import Redis
from redis.exceptions import RedisError

from servicekit.errors import Unavailable

_KEY = "weir:identity:jti:{client}:{assertion}"


class AssertionMemoryUnavailable(Unavailable):
    """Nobody can say whether an assertion was used; then it must not be."""

    reason = "ASSERTION_MEMORY_UNAVAILABLE"


class UsedAssertions:
    """Remembers each assertion in the events Redis for as long as it is good."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def use(self, client_id: str, assertion_id: str, *, lifetime: float) -> bool:
        """Uses an assertion up; False if it was already.

        Args:
            lifetime: seconds for which it must be remembered.

        Raises:
            AssertionMemoryUnavailable: Redis does not answer, or cannot write.
        """
        key = _KEY.format(client=client_id, assertion=assertion_id)
        try:
            return bool(await self._redis.set(key, b"", nx=True, ex=max(1, int(lifetime) + 1)))
        except (RedisError, OSError) as error:
            raise AssertionMemoryUnavailable(
                "It cannot be said whether the assertion was used before.", retry_after=1.0
            ) from error
