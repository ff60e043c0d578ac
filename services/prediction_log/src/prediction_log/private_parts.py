"""Private parts of a batch of events: opened beside the event loop, or left shut with a reason."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from prometheus_client import Counter

from prediction_log.domain import PredictionRecord
from prediction_log.input_opening import InputOpener, InputUnopened

UNOPENED = Counter(
    "weir_prediction_log_unopened_inputs_total",
    "Predictions that were written without their private part, which is in the dead letters.",
)


class PrivateParts:
    """Opens what inference sealed.

    Args:
        opener: None where the service has no keys; then everything stays shut.
    """

    def __init__(self, opener: InputOpener | None) -> None:
        self._opener = opener

    async def open(
        self, sealed: Sequence[tuple[bytes, PredictionRecord]]
    ) -> list[PredictionRecord | InputUnopened]:
        """For each event's bytes and record the record with its private part, or why not."""
        # A hundred of them would hold up every query for 10 ms.
        opened = await asyncio.to_thread(lambda: [self._open(*each) for each in sealed])
        UNOPENED.inc(sum(isinstance(each, InputUnopened) for each in opened))
        return opened

    def _open(
        self, event_data: bytes, record: PredictionRecord
    ) -> PredictionRecord | InputUnopened:
        if self._opener is None:
            return InputUnopened("the log has no key for sealed inputs")
        try:
            return self._opener.open(event_data, record)
        except InputUnopened as error:
            return error


def shut(record: PredictionRecord) -> PredictionRecord:
    """The record as if its private part had not been opened."""
    return replace(record, input_unopened=True, subject_digest=None, input_text=None)
