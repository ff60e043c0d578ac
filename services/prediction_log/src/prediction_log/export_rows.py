"""One stretch of the log as the bytes of a file, made by PostgreSQL's COPY.

COPY writes CSV, and JSON from `row_to_json`, several times faster than rows could be turned into
text here. It takes no parameters, so the server quotes the values first.
"""

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Text, bindparam, cast, func, literal_column, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection

from prediction_log.database import driver_connection
from prediction_log.domain import ExportFormat
from prediction_log.tables import FEEDBACK, PREDICTION_LOGS

_P = PREDICTION_LOGS.c
_F = FEEDBACK.c
_RFC_3339 = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
COLUMNS = (
    "prediction_id",
    "predicted_at",
    "model",
    "model_version",
    "client_id",
    "delegate_id",
    "request_id",
    "input_sha256",
    "input_characters",
    "input_tokens",
    "label",
    "confidence",
    "probabilities",
    "inference_ms",
    "shadow",
    "correct_label",
    "score",
)
"""Of a file, in order. The last two are the latest that feedback said of each."""


class StretchTooLarge(Exception):
    """The stretch makes more bytes than may be held."""


async def read_stretch(
    connection: AsyncConnection,
    file_format: ExportFormat,
    conditions: list[ColumnElement[bool]],
    feedback_conditions: list[ColumnElement[bool]],
    *,
    most_bytes: int,
) -> tuple[bytes, int]:
    """The lines of the rows that meet the conditions, oldest first, and how many they are.

    Args:
        file_format: anything but JSON lines gives CSV without a header.
        feedback_conditions: pick at least the feedback on those rows, by an index.

    Raises:
        StretchTooLarge: they are longer than `most_bytes` together.
    """
    as_json = file_format is ExportFormat.JSON_LINES
    query = _rows(conditions, feedback_conditions, as_json)
    raw = await driver_connection(connection)
    chunks: list[bytes] = []
    size = 0

    async def keep(chunk: bytes) -> None:
        nonlocal size
        size += len(chunk)
        # The rest is taken and forgotten: raising here would leave the connection unusable.
        if size <= most_bytes:
            chunks.append(bytes(chunk))

    statement = await _with_values(connection, query)
    # CSV would look at each character of the JSON for quotes; the text format only doubles
    # backslashes, and JSON holds none of the other characters that it escapes.
    encoding = "text" if as_json else "csv"
    status = await raw.copy_from_query(statement, output=keep, format=encoding)
    if size > most_bytes:
        raise StretchTooLarge
    data = b"".join(chunks)
    return data.replace(rb"\\", b"\\") if as_json else data, int(status.rpartition(" ")[2])


def ids_within(column: ColumnElement[Any], after: UUID, until: UUID) -> list[ColumnElement[bool]]:
    """`after` is excluded, `until` is not."""
    return [column > after, column <= until]


def feedback_of(tenant: str, after: UUID, until: UUID) -> list[ColumnElement[bool]]:
    """The feedback on the predictions of such a stretch."""
    return [_F.tenant == tenant, *ids_within(_F.prediction_id, after, until)]


def _rows(
    conditions: list[ColumnElement[bool]],
    feedback_conditions: list[ColumnElement[bool]],
    as_json: bool,
) -> Select[Any]:
    judged = (
        select(
            _F.prediction_id,
            _latest(_F.correct_label).label("correct_label"),
            _latest(_F.score).label("score"),
        )
        .where(*feedback_conditions)
        .group_by(_F.prediction_id)
        .subquery("judged")
    )
    told: dict[str, Callable[[], ColumnElement[Any]]] = {
        "prediction_id": lambda: _P.id,
        "predicted_at": lambda: func.to_char(func.timezone("UTC", _P.predicted_at), _RFC_3339),
        "input_sha256": lambda: func.encode(_P.input_sha256, "hex"),
        # As CSV would have it, `t`.
        "shadow": lambda: _P.shadow if as_json else cast(_P.shadow, Text),
        "correct_label": lambda: judged.c.correct_label,
        "score": lambda: judged.c.score,
    }
    rows = (
        select(*(told.get(name, lambda name=name: _P[name])().label(name) for name in COLUMNS))
        .select_from(PREDICTION_LOGS.outerjoin(judged, judged.c.prediction_id == _P.id))
        .where(*conditions)
        .order_by(_P.id)
    )
    if not as_json:
        return rows
    row = rows.subquery("row")
    return select(func.row_to_json(literal_column("row"))).select_from(row)


def _latest(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The last one that was given, of the feedback that states one."""
    given = func.array_agg(aggregate_order_by(column, _F.given_at.desc(), _F.id.desc()))
    return given.filter(column.is_not(None))[1]


async def _with_values(connection: AsyncConnection, query: Select[Any]) -> str:
    """The query's text with its values in it, quoted by the server."""
    compiled = query.compile(dialect=connection.dialect)
    names = compiled.positiontup or []
    values = [
        func.quote_literal(
            cast(bindparam(None, compiled.params[name], type_=compiled.binds[name].type), Text)
        )
        for name in names
    ]
    quoted = (await connection.execute(select(*values))).one()
    return re.sub(r"\$(\d+)", lambda place: quoted[int(place[1]) - 1], str(compiled))
