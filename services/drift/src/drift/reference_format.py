"""The content of `reference.json`, in both of its formats."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, FiniteFloat, TypeAdapter, model_validator

from drift.domain import ModelVersion
from drift.intervals import wilson
from drift.signal_records import Count, Record, Rows, Signals, records_of, window_of
from drift.signals import ConfidenceBin, Group, KnownAccuracy, SignalReference

_Share = Annotated[FiniteFloat, Field(ge=0, le=1)]
_MOST_BLOCKS = 5000
LARGEST_REFERENCE = 16 * 1024 * 1024
"""Bytes, of a package's file and of a promoted one."""


class _BinRecord(Record):
    low: _Share
    high: _Share
    rows: Rows
    confidence: _Share
    right: Count

    @model_validator(mode="after")
    def _right_answers_are_rows(self) -> Self:
        if self.right > self.rows:
            raise ValueError("more answers are right than there are")
        return self


class _KnownAccuracyRecord(Record):
    rows: Rows
    right: Count
    bins: Annotated[list[_BinRecord], Field(max_length=1000)]

    @model_validator(mode="after")
    def _bins_hold_the_rows(self) -> Self:
        if (sum(of.rows for of in self.bins), sum(of.right for of in self.bins)) != (
            self.rows,
            self.right,
        ):
            raise ValueError("the bins hold other rows")
        return self

    def known(self) -> KnownAccuracy:
        """How often the model was right."""
        bins = tuple(
            ConfidenceBin(of.low, of.high, of.rows, of.confidence, of.right) for of in self.bins
        )
        return KnownAccuracy(self.rows, wilson(self.right, self.rows), bins)


class _BlockRecord(Record):
    rows: Count
    """0 is a gap: the blocks beside it are no neighbours."""
    signals: Signals


class _ReferenceFile(Record):
    format: Literal[2]
    model: str
    model_version: str
    source: str
    rows: Rows
    signals: Signals
    known_accuracy: _KnownAccuracyRecord | None = None
    blocks: Annotated[tuple[_BlockRecord, ...], Field(max_length=_MOST_BLOCKS, strict=False)] = ()


class _OldNumber(Record):
    kind: Literal["number"]
    rows: Rows


class _OldRatio(Record):
    kind: Literal["ratio"]
    unknown_tokens: Count
    tokens: Count
    rows: Rows
    sum_unknown_squared: Count
    sum_tokens_squared: Count
    sum_unknown_times_tokens: Count


class _OldCategory(Record):
    kind: Literal["category"]
    counts: dict[str, Count]


class _OldSignals(Record):
    input_tokens: _OldNumber
    confidence: _OldNumber
    unknown_token_rate: _OldRatio
    label: _OldCategory


class _OldFile(Record):
    format: Literal[1]
    rows: Rows
    signals: _OldSignals


_FORMAT: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


def parse_reference(data: bytes, version: ModelVersion) -> SignalReference:
    """Reads a reference.

    Raises:
        pydantic.ValidationError: it does not fit its format.
        ValueError: it contradicts itself, or is of another model version.
    """
    content = _FORMAT.validate_json(data)
    if content.get("format") == 1:
        content = _renewed(content)
    file = _ReferenceFile.model_validate(content)
    if (file.model, file.model_version) != (version.model, version.version):
        raise ValueError("it is of another model version")
    blocks = tuple(window_of(block.rows, block.signals) for block in file.blocks)
    if blocks and sum(block.rows for block in blocks) != file.rows:
        raise ValueError("its blocks hold other rows")
    known = file.known_accuracy.known() if file.known_accuracy else None
    return SignalReference(version, file.source, window_of(file.rows, file.signals), known, blocks)


def format_reference(reference: SignalReference) -> bytes:
    """Writes one that was made of windows: nobody knows which of its answers were right."""
    file = _ReferenceFile(
        format=2,
        model=reference.about.model,
        model_version=reference.about.version,
        source=reference.source,
        rows=reference.window.rows,
        signals=records_of(reference.window),
        blocks=tuple(
            _BlockRecord(rows=block.rows, signals=records_of(block)) for block in reference.blocks
        ),
    )
    return file.model_dump_json().encode()


def _renewed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Format 1, which knew four signals, as format 2."""
    old = _OldFile.model_validate(content)
    ratio, counts = old.signals.unknown_token_rate, old.signals.label.counts
    counted = {old.signals.input_tokens.rows, old.signals.confidence.rows, ratio.rows}
    if counted | {sum(counts.values())} != {old.rows}:
        raise ValueError("its signals count different rows")
    given = content["signals"]
    return {
        **content,
        "format": 2,
        "signals": {
            "input_tokens": {**given["input_tokens"], "group": Group.TEXT},
            "confidence": {**given["confidence"], "group": Group.OUTPUT},
            "unknown_token_rate": {
                "kind": "ratio",
                "group": Group.TEXT,
                "rows": ratio.rows,
                "numerator": float(ratio.unknown_tokens),
                "denominator": float(ratio.tokens),
                "numerator_squared": float(ratio.sum_unknown_squared),
                "denominator_squared": float(ratio.sum_tokens_squared),
                "product": float(ratio.sum_unknown_times_tokens),
            },
            "label": {"kind": "category", "group": Group.OUTPUT, "counts": counts},
        },
    }
