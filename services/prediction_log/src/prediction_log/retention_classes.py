"""How long predictions are kept: by the retention class that their event names."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog
from prometheus_client import Counter

from prediction_log.domain import PredictionRecord, Record
from prediction_log.event_decoding import Decode
from servicekit.event_stream import Event

_log = structlog.get_logger(__name__)

UNKNOWN = Counter(
    "weir_prediction_log_unknown_retention_classes_total",
    "Predictions whose event names a retention class that is not configured; they are kept as "
    "those of the default class.",
)
UNNAMED = ""
"""The class of events that name none."""
CLASS_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
"""The name becomes part of a table's."""
_RESERVED = "default"
_MOST_TOLD = 100
"""Unknown names that are told of; they come from outside."""


@dataclass(frozen=True, slots=True)
class RetentionClasses:
    """The classes with their days.

    A row keeps the class as its event names it, whatever is configured: an event that is written
    again, by another version of the configuration, meets its own row. What the class means is
    looked up when a row's time has come.

    Raises:
        ValueError: a name, a number of days or the default cannot be.
    """

    days: Mapping[str, int]
    """How long each is kept, from the end of the month of the prediction."""
    default: str
    """The class that counts for events that name none, or one that is not here."""

    def __post_init__(self) -> None:
        for name, days in self.days.items():
            if not CLASS_NAME.fullmatch(name) or name == _RESERVED:
                raise ValueError(f"{name!r} cannot be the name of a class")
            if days < 1:
                raise ValueError(f"the class {name} must be kept for a day at least")
        if self.default not in self.days:
            raise ValueError(f"the default class {self.default!r} is not among the classes")

    @property
    def longest(self) -> int:
        """The days of the class that is kept longest."""
        return max(self.days.values())

    def days_of(self, name: str) -> int:
        """How long that class is kept, known or not."""
        return self.days.get(name, self.days[self.default])


CLASSES = RetentionClasses({"short": 30, "standard": 400, "long": 2557}, "standard")
"""What holds unless it is configured: a month, a year and a month, seven years."""


class UnknownClassWatch:
    """Counts the predictions of classes that nobody configured, and tells of each class once."""

    def __init__(self, decode: Decode, classes: RetentionClasses) -> None:
        self._decode = decode
        self._known = {*classes.days, UNNAMED}
        self._default = classes.default
        self._told: set[str] = set()

    def __call__(self, event: Event) -> Sequence[Record]:
        """The rows of the event, as they are."""
        records = self._decode(event)
        for record in records:
            if isinstance(record, PredictionRecord) and record.retention_class not in self._known:
                self._tell(record.retention_class)
        return records

    def _tell(self, name: str) -> None:
        UNKNOWN.inc()
        if name in self._told or len(self._told) >= _MOST_TOLD:
            return
        self._told.add(name)
        _log.warning("retention_class_unknown", retention_class=name, kept_as=self._default)
