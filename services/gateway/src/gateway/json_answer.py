"""Answers of JSON that are made for nearly every request."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response


class JsonAnswer(Response):
    """A 200 whose headers are put together once, in the form in which they are sent."""

    def __init__(self, content: Any, headers: Mapping[str, str]) -> None:
        # As Response's own does it, which looks for what this one cannot have.
        self.status_code = 200
        self.background = None
        self.body = json.dumps(content).encode()
        self.raw_headers = [
            (b"content-length", b"%d" % len(self.body)),
            (b"content-type", b"application/json"),
            *((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()),
        ]
