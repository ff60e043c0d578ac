"""Undoes a request's Content-Encoding, never to more bytes than are read without one.

The bound is the whole defence against bombs: whatever the ratio, no more is made than a plain body
may have. A bound of the ratio would refuse what is dense by nature, such as tensors of zeros.
"""

import zlib

from gateway.request_errors import BodyTooLarge, MalformedBody, UnsupportedBody

_GZIP = 16 + zlib.MAX_WBITS
_WINDOW_BITS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": zlib.MAX_WBITS}
"""`deflate` is zlib's format (RFC 9110, 8.4.1.2)."""


def decoded(body: bytes, coding: str, limit: int) -> bytes:
    """The body as it was before it was coded.

    Args:
        coding: the header Content-Encoding; empty when there is none.
        limit: most bytes that may come out.

    Raises:
        UnsupportedBody: the coding is not known, or there are several.
        BodyTooLarge: more would come out.
        MalformedBody: the body is not of that coding, or ends too early.
    """
    name = coding.strip().lower()
    if name in ("", "identity"):
        return body
    if name not in _WINDOW_BITS:
        raise UnsupportedBody("The body may be coded with gzip or deflate.")
    decompressor = zlib.decompressobj(_WINDOW_BITS[name])
    try:
        # One byte more than allowed tells too much from just enough, and nothing beyond is made.
        plain = decompressor.decompress(body, limit + 1)
    except zlib.error as error:
        raise MalformedBody(f"The body is not coded with {name}.") from error
    if len(plain) > limit:
        raise BodyTooLarge(f"The body decodes to more than {limit} bytes.")
    if not decompressor.eof or decompressor.unused_data:
        raise MalformedBody(f"The body is not one whole piece coded with {name}.")
    return plain
