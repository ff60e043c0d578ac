"""Runs scripts in Redis in few round trips, each within its time, whatever Redis has forgotten."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from gateway.quota_scripts import Script
from servicekit.redis_exchange import Command, RedisExchange


@dataclass(slots=True)
class ScriptCall:
    """One run of a script."""

    script: Script
    keys: Sequence[str]
    arguments: Sequence[str | int]


class ScriptRunner:
    """Sends calls together.

    Args:
        scripts: all that will be called.
        timeout: longest that a round trip may take, seconds.
    """

    def __init__(self, redis: Redis, scripts: Sequence[Script], *, timeout: float) -> None:
        self._exchange = RedisExchange(redis)
        self._scripts = scripts
        self._timeout = timeout

    async def ping(self) -> None:
        """Returns when Redis answers.

        Raises:
            RedisError, OSError: it does not, or not in time.
        """
        async with asyncio.timeout(self._timeout):
            (answer,) = await self._exchange.answers([("PING",)])
        if isinstance(answer, Exception):
            raise answer

    async def run_each(self, calls: Sequence[ScriptCall]) -> None:
        """Runs long calls one by one, so that each has the time of one.

        Raises:
            RedisError, OSError: one of them failed, or not in time; those before it have run.
        """
        for call in calls:
            await self.run([call], {})

    async def run(
        self, calls: Sequence[ScriptCall], removals: Mapping[str, Sequence[str]]
    ) -> list[Any]:
        """One answer per call.

        Args:
            removals: members to take out of sorted sets before, by key.

        Raises:
            RedisError, OSError: one of them failed, or not in time; any of them may have run.
        """
        async with asyncio.timeout(self._timeout):
            answers = await self._try(calls, removals)
            forgotten = [n for n, each in enumerate(answers) if isinstance(each, NoScriptError)]
            if forgotten:
                # Only those have not run: a script can be forgotten between two.
                again = await self._run_texts([calls[n] for n in forgotten])
                for n, answer in zip(forgotten, again, strict=True):
                    answers[n] = answer
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    async def _try(
        self, calls: Sequence[ScriptCall], removals: Mapping[str, Sequence[str]]
    ) -> list[Any]:
        answers = await self._exchange.answers(
            [
                *(("ZREM", key, *members) for key, members in removals.items()),
                *(_command("EVALSHA", call.script.sha, call) for call in calls),
            ]
        )
        return answers[len(removals) :]

    async def _run_texts(self, calls: Sequence[ScriptCall]) -> list[Any]:
        """Runs what cannot be forgotten meanwhile, and has every script remembered again."""
        answers = await self._exchange.answers(
            [
                *(("SCRIPT", "LOAD", script.text) for script in self._scripts),
                *(_command("EVAL", call.script.text, call) for call in calls),
            ]
        )
        return answers[len(self._scripts) :]


def _command(name: str, script: str, call: ScriptCall) -> Command:
    return (name, script, len(call.keys), *call.keys, *call.arguments)
