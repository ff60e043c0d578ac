"""JSON that every reader understands alike (I-JSON, RFC 7493), within bounds."""

import json
from typing import Any, NoReturn

from gateway.request_errors import DuplicateKey, JsonTooDeep, JsonTooLarge, MalformedBody

MOST_LEVELS = 32
"""Of lists and objects within each other; the deepest thing asked for here has five."""
MOST_KEYS = 10_000
"""In all objects together."""


def read(body: bytes) -> Any:
    """The value of a JSON text.

    Raises:
        MalformedBody: it is not JSON in UTF-8.
        DuplicateKey: an object names a key twice.
        JsonTooDeep: it is nested too deeply.
        JsonTooLarge: it has too many keys.
    """
    try:
        value = _DECODER.decode(body.decode("utf-8"))
    except ValueError as error:
        raise MalformedBody("The body is not JSON in UTF-8.") from error
    except RecursionError as error:
        raise _too_deep() from error
    # Brackets within texts count, too: who has no more of them cannot be too deep.
    if body.count(b"[") + body.count(b"{") > MOST_LEVELS:
        _check_depth(value)
    if body.count(b'"') > 2 * MOST_KEYS:
        _check_keys(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise DuplicateKey("An object in the body has two values of one name.")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse_constant)


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MOST_LEVELS):
        level = [inner for outer in level for inner in _inner(outer) if type(inner) in _NESTING]
        if not level:
            return
    raise _too_deep()


def _check_keys(value: Any) -> None:
    keys = 0
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if type(found) is dict:
            keys += len(found)
            if keys > MOST_KEYS:
                raise JsonTooLarge(f"The body's objects have more than {MOST_KEYS} keys.")
        waiting.extend(inner for inner in _inner(found) if type(inner) in _NESTING)


_NESTING = (dict, list)


def _inner(value: Any) -> Any:
    if type(value) is dict:
        return value.values()
    return value if type(value) is list else ()


def _too_deep() -> JsonTooDeep:
    return JsonTooDeep(f"The body is nested deeper than {MOST_LEVELS} levels.")
