"""Promoted references as bytes: the shelf, and the distributions of each."""

import json
import zlib
from typing import Final

import structlog
from pydantic import TypeAdapter

from drift.domain import ModelVersion
from drift.reference_format import LARGEST_REFERENCE, format_reference, parse_reference
from drift.reference_shelf import ReferenceShelf
from drift.signals import SignalReference

_log = structlog.get_logger(__name__)

FORMAT: Final = 1
_LEVEL = 1
"""Most of it is incompressible; a higher level costs time alone."""
_SHELF: TypeAdapter[ReferenceShelf] = TypeAdapter(ReferenceShelf)


def encode_shelf(shelf: ReferenceShelf) -> bytes:
    """Below 1 KB for each reference."""
    stored = {"format": FORMAT, "shelf": _SHELF.dump_python(shelf, mode="json")}
    return json.dumps(stored).encode()


def shelf_of(version: ModelVersion, stored: bytes | None) -> ReferenceShelf:
    """What is stored; an empty one, with the package's own in force, where nothing is.

    So it is where it cannot be read, which is logged.
    """
    if stored is None:
        return ReferenceShelf()
    try:
        content = json.loads(stored)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError(f"is not of format {FORMAT}")
        return _SHELF.validate_python(content["shelf"])
    except (ValueError, KeyError) as error:
        _log.error(
            "state_unreadable",
            part="references",
            model=version.model,
            version=version.version,
            why=str(error),
        )
        return ReferenceShelf()


def encode_reference(reference: SignalReference) -> bytes:
    """As a package holds it, compressed: some 250 KB for a text model.

    Raises:
        ValueError: it is larger than a package's may be.
    """
    content = format_reference(reference)
    if len(content) > LARGEST_REFERENCE:
        raise ValueError("it is too large")
    return zlib.compress(content, _LEVEL)


def decode_reference(data: bytes, version: ModelVersion) -> SignalReference:
    """Gives it back.

    Raises:
        ValueError: it cannot be.
    """
    reader = zlib.decompressobj()
    try:
        content = reader.decompress(data, LARGEST_REFERENCE)
    except zlib.error as error:
        raise ValueError("it cannot be decompressed") from error
    if reader.unconsumed_tail:
        raise ValueError("it is too large")
    return parse_reference(content, version)
