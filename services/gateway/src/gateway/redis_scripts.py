"""Runs scripts in Redis in few round trips, each within its time, whatever Redis has forgotten."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from gateway.quota_scripts import Script


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
        self._redis = redis
        self._scripts = scripts
        self._timeout = timeout

    async def ping(self) -> None:
        """Returns when Redis answers.

        Raises:
            RedisError, OSError: it does not, or not in time.
        """
        async with asyncio.timeout(self._timeout):
            await self._redis.ping()

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
        if len(calls) == 1 and not removals:
            (call,) = calls
            try:
                return [
                    await self._redis.evalsha(
                        call.script.sha, len(call.keys), *call.keys, *call.arguments
                    )
                ]
            except NoScriptError as error:
                return [error]
        async with self._redis.pipeline(transaction=False) as pipeline:
            for key, members in removals.items():
                pipeline.zrem(key, *members)
            for call in calls:
                pipeline.evalsha(call.script.sha, len(call.keys), *call.keys, *call.arguments)
            answers = await pipeline.execute(raise_on_error=False)
        return list(answers[len(removals) :])

    async def _run_texts(self, calls: Sequence[ScriptCall]) -> list[Any]:
        """Runs what cannot be forgotten meanwhile, and has every script remembered again."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for script in self._scripts:
                pipeline.script_load(script.text)
            for call in calls:
                pipeline.eval(call.script.text, len(call.keys), *call.keys, *call.arguments)
            answers = await pipeline.execute(raise_on_error=False)
        return list(answers[len(self._scripts) :])
