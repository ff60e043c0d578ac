"""Tries dead letters again with today's code and keys."""

from collections.abc import Callable
from dataclasses import dataclass

from prediction_log.dead_letters import DeadLetters, Letter, LetterFilter, ReplayStore
from prediction_log.domain import DeadLetter
from prediction_log.recorder import MAX_KEPT_BYTES, Recorder

MakeRecorder = Callable[[ReplayStore, str], Recorder | None]
"""The recorder of a stream that writes into a store; None for a stream that nobody consumes."""
MakeStore = Callable[[str, str], ReplayStore]
"""The store for the letter of a stream's entry."""


@dataclass
class ReplayResult:
    """How many letters became rows, and how many did not."""

    replayed: int = 0
    still_dead: int = 0


class DeadLetterReplay:
    """Takes letters through what their events would go through if they came today.

    Each is a transaction of its own: a replay may be ended at any moment and begun again, and
    several may run at the same time.
    """

    def __init__(
        self, letters: DeadLetters, store_of: MakeStore, recorder_of: MakeRecorder
    ) -> None:
        self._letters = letters
        self._store_of = store_of
        self._recorder_of = recorder_of

    async def run(self, wanted: LetterFilter, limit: int) -> ReplayResult:
        """Tries up to `limit` letters, the oldest first.

        Raises:
            LogStoreUnavailable: the database is away; what is done is done.
        """
        result = ReplayResult()
        async for letter in self._letters.find(wanted, limit):
            if await self._replay(letter):
                result.replayed += 1
            else:
                result.still_dead += 1
        return result

    async def _replay(self, letter: Letter) -> bool:
        found = await self._letters.get(letter.stream, letter.entry_id)
        if found is None or found[0].replayed_at is not None:
            return True
        store = self._store_of(letter.stream, letter.entry_id)
        recorder = self._recorder_of(store, letter.stream)
        if recorder is None:
            await store.insert([_refused(letter, "no such stream is consumed")])
        elif letter.size >= MAX_KEPT_BYTES:
            # It might parse all the same, as something that nobody sent.
            await store.insert([_refused(letter, "only a part of the event was kept")])
        else:
            await recorder.record([found[1]])
        return store.replayed


def _refused(letter: Letter, reason: str) -> DeadLetter:
    return DeadLetter(letter.stream, letter.entry_id, letter.type_name, b"", reason)
