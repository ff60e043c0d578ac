"""Which fields of the stored hash a state is in, and what each holds.

Per version and part one, `open:`, `closed:`, `feedback:` and so on, each with `<model>/<version>`;
a tenant's own end with `/<tenant>`. Names of models and versions have no slash.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import structlog

from drift.busy_tenants import BusyTenants
from drift.domain import ModelVersion, Population
from drift.incident_codec import (
    decode_book,
    decode_standings,
    encode_book,
    encode_standings,
)
from drift.incidents import IncidentBook
from drift.state_codec import (
    StateUnreadable,
    decode_feedback,
    decode_recent,
    decode_tenants,
    decode_window,
    encode_feedback,
    encode_recent,
    encode_tenants,
    encode_window,
)
from drift.version_state import FeedbackCount, PopulationState, VersionState

_log = structlog.get_logger(__name__)

_OF_ANY = ("open", "closed", "feedback", "incidents")
_OF_VERSION = ("recent", "standings", "tenants")

PartT = TypeVar("PartT")
Fields = dict[str, bytes | str]


def version_fields(version: ModelVersion) -> list[str]:
    """All fields of a version, in the order that `decode_version` wants them."""
    return [_field(part, Population(version)) for part in (*_OF_ANY, *_OF_VERSION)]


def tenant_fields(of: Population) -> list[str]:
    """All fields of a tenant's own state, in the order that `decode_tenant` wants them."""
    return [_field(part, of) for part in _OF_ANY]


def incidents_field(of: Population) -> str:
    """Where its incidents are."""
    return _field("incidents", of)


def standings_field(version: ModelVersion) -> str:
    """Where it is told where the detectors of sudden breaks stand."""
    return _field("standings", Population(version))


def tenants_field(version: ModelVersion) -> str:
    """Where it is told which tenants have windows of their own."""
    return _field("tenants", Population(version))


def encode_state(of: Population, state: PopulationState) -> tuple[Fields, list[str]]:
    """What is to be written of a state, and what must not be there."""
    values: Fields = {}
    absent = []
    if state.open is None:
        absent.append(_field("open", of))
    else:
        values[_field("open", of)] = encode_window(state.open)
    if state.closed is not None:
        values[_field("closed", of)] = encode_window(state.closed)
    values[_field("feedback", of)] = encode_feedback(state.feedback)
    values[incidents_field(of)] = encode_book(state.incidents)
    if isinstance(state, VersionState):
        values[_field("recent", of)] = encode_recent(state.recent)
        values[_field("standings", of)] = encode_standings(state.standings)
        values[_field("tenants", of)] = encode_tenants(state.tenants)
    return values, absent


def decode_version(version: ModelVersion, stored: Sequence[bytes | None]) -> VersionState:
    """What the fields of a version hold; what is not there has not happened."""
    of = Population(version)
    *of_any, recent, standings, tenants = stored
    common = decode_tenant(of, of_any)
    fresh = VersionState()
    return VersionState(
        common.open,
        common.closed,
        common.feedback,
        common.incidents,
        _part("recent", of, recent, decode_recent, fresh.recent),
        _part("standings", of, standings, decode_standings, fresh.standings),
        decode_busy(version, tenants),
    )


def decode_tenant(of: Population, stored: Sequence[bytes | None]) -> PopulationState:
    """What the fields of a tenant's own state hold."""
    open_, closed, feedback, incidents = stored
    return PopulationState(
        _part("open", of, open_, decode_window, None),
        _part("closed", of, closed, decode_window, None),
        _part("feedback", of, feedback, decode_feedback, FeedbackCount()),
        decode_incidents(of, incidents),
    )


def decode_incidents(of: Population, stored: bytes | None) -> IncidentBook:
    """The incidents."""
    return _part("incidents", of, stored, decode_book, IncidentBook())


def decode_busy(version: ModelVersion, stored: bytes | None) -> BusyTenants:
    """Which tenants have windows of their own."""
    return _part("tenants", Population(version), stored, decode_tenants, BusyTenants())


def _field(part: str, of: Population) -> str:
    return f"{part}:{of}"


def _part(
    part: str,
    of: Population,
    stored: bytes | None,
    decode: Callable[[bytes], PartT],
    otherwise: PartT,
) -> PartT:
    """What cannot be read is begun anew: a window less, but the stream goes on."""
    if stored is None:
        return otherwise
    try:
        return decode(stored)
    except StateUnreadable as error:
        _log.error(
            "state_unreadable",
            part=part,
            model=of.about.model,
            version=of.about.version,
            why=str(error),
        )
        return otherwise
