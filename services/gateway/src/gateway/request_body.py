"""Reads a request's body: never more of it, and never for longer, than allowed."""

import asyncio
from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import parse_qsl

from fastapi import Request
from pydantic import BaseModel, ValidationError

from gateway import json_body
from gateway.content_coding import decoded
from gateway.http_exchange import exchange_of
from gateway.problems import invalid_input
from gateway.request_errors import BodyTooLarge, BodyTooSlow, MalformedBody, UnsupportedBody
from gateway.request_headers import first_values
from servicekit.errors import InvalidInput
from servicekit.request_context import time_left

_LONGEST_WAIT = 60.0
ModelT = TypeVar("ModelT", bound=BaseModel)


async def read_json(request: Request, shape: type[ModelT], limit: int) -> ModelT:
    """The body as a value of the shape.

    Args:
        limit: bytes.

    Raises:
        UnsupportedBody: it is no application/json, or coded in a way that is not known.
        BodyTooLarge: it is longer than the limit, as it comes or decoded.
        BodyTooSlow: it did not come in time.
        MalformedBody: it is not JSON that all understand alike.
        InvalidInput: it is JSON of another shape.
    """
    headers = first_values(request.scope)
    if _has_no_body(headers):
        raise InvalidInput("The request has no body.", reason="BODY_MISSING")
    _expect_type(headers, "application/json")
    content = json_body.read(await read_decoded(request, limit))
    try:
        return shape.model_validate(content)
    except ValidationError as error:
        raise invalid_input(error.errors(include_url=False, include_input=False)) from error


async def read_form(request: Request, limit: int) -> list[tuple[str, str]]:
    """The parameters of a form body, in their order.

    Raises:
        UnsupportedBody: it is no application/x-www-form-urlencoded.
        BodyTooLarge: it is longer than the limit, bytes.
        BodyTooSlow: it did not come in time.
        MalformedBody: it is not UTF-8 or has too many parameters.
    """
    _expect_type(first_values(request.scope), "application/x-www-form-urlencoded")
    if "content-encoding" in request.headers:
        raise UnsupportedBody("A form is not read with a Content-Encoding.")
    body = await read_body(request, limit)
    try:
        return parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=20
        )
    except ValueError as error:
        raise MalformedBody("The body is not a form in UTF-8.") from error


def _has_no_body(headers: Mapping[bytes, bytes]) -> bool:
    return (
        b"content-type" not in headers
        and b"transfer-encoding" not in headers
        and headers.get(b"content-length", b"0") == b"0"
    )


def _expect_type(headers: Mapping[bytes, bytes], expected: str) -> None:
    stated = headers.get(b"content-type", b"").decode("latin-1")
    if stated != expected and stated.partition(";")[0].strip().lower() != expected:
        raise UnsupportedBody(f"The body must be {expected}.")


async def read_decoded(request: Request, limit: int) -> bytes:
    """The body's bytes as they were before their Content-Encoding.

    Raises:
        UnsupportedBody: the coding is neither gzip nor deflate.
        BodyTooLarge: there are more than the limit, before or after.
        BodyTooSlow: they did not come in time.
        MalformedBody: they are not of that coding, or the connection closed before they ended.
    """
    body = await read_body(request, limit)
    coding = first_values(request.scope).get(b"content-encoding")
    return body if coding is None else decoded(body, coding.decode("latin-1"), limit)


async def read_body(request: Request, limit: int) -> bytes:
    """The body's bytes, whatever their type.

    Raises:
        BodyTooLarge: there are more than the limit.
        BodyTooSlow: they did not come in time.
        MalformedBody: the connection closed before they ended.
    """
    exchange = exchange_of(request.receive)
    whole = exchange.whole_body() if exchange else None
    if whole is not None:
        if len(whole) > limit:
            raise _too_large(limit)
        return whole
    return await _awaited_body(request, limit)


async def _awaited_body(request: Request, limit: int) -> bytes:
    stated = request.headers.get("content-length", "")
    if stated.isdecimal() and int(stated[:20]) > limit:
        raise _too_large(limit)
    body = bytearray()
    try:
        async with asyncio.timeout(time_left(_LONGEST_WAIT)):
            more = True
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise MalformedBody("The connection closed before the body ended.")
                body += message.get("body", b"")
                more = message.get("more_body", False)
                if len(body) > limit:
                    raise _too_large(limit)
    except TimeoutError as error:
        raise BodyTooSlow("The body did not come in time.") from error
    return bytes(body)


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body is longer than {limit} bytes.")
