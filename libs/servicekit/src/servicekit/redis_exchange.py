"""Commands over connections that stay at hand, with next to nothing between them and Redis.

The library's own way of a command takes a connection from its pool and puts it back, packs in
Python, and asks whether to retry and to measure: that is more CPU than all the rest of a quota
decision, and as much as making the events of a batch. Here a connection is kept between commands,
and the library does what it is best at: connecting, TLS, logging in, and reading answers.
"""

import math
from collections.abc import Sequence
from typing import cast

import hiredis
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

Command = tuple[str | bytes | int, ...]
"""Its name and arguments."""
Answer = int | bytes | None | list["Answer"] | ResponseError


class RedisExchange:
    """Sends commands together and reads their answers.

    It keeps as many connections as are ever used at once; they end with the client's pool.
    """

    def __init__(self, redis: Redis) -> None:
        self._pool = redis.connection_pool
        self._kept: list[AbstractConnection] = []

    async def answers(self, commands: Sequence[Command]) -> list[Answer]:
        """One answer per command, in their order; an error where Redis refused that command.

        It waits for as long as it takes: who calls sets the time.

        Raises:
            RedisError, OSError: Redis is away; any of the commands may have run. A kept connection
                that turns out to be broken is replaced once, as after a restart of Redis.
        """
        packed = b"".join(map(_packed, commands))
        if self._kept:
            try:
                return await self._over(self._kept.pop(), packed, len(commands))
            except RedisConnectionError:
                pass
        return await self._over(await self._pool.get_connection(), packed, len(commands))

    async def _over(self, connection: AbstractConnection, packed: bytes, most: int) -> list[Answer]:
        try:
            await connection.send_packed_command(packed, check_health=False)
            answers = [await _answer(connection) for _ in range(most)]
        except BaseException:
            # Answers that nobody read would be taken for those of the next commands.
            await connection.disconnect(nowait=True)
            await self._pool.release(connection)
            raise
        self._kept.append(connection)
        return answers


def _packed(command: Command) -> bytes:
    # The stubs speak of one part where there may be any number.
    packed: bytes = hiredis.pack_command(cast("tuple[str]", command))
    return packed


async def _answer(connection: AbstractConnection) -> Answer:
    try:
        answer: Answer = await connection.read_response(timeout=math.inf)
    except ResponseError as error:
        return error
    return answer
