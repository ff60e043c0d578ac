"""Reports of drift for people, as answers: drift renders them, browsers show them safely."""

import re
from dataclasses import dataclass
from typing import Any, Literal, Self

from starlette.requests import Request
from starlette.responses import Response

from weir.drift.v1 import drift_pb2 as pb

Extension = Literal["html", "md"]
FORMATS: dict[Extension, pb.ReportFormat] = {
    "html": pb.REPORT_FORMAT_HTML,
    "md": pb.REPORT_FORMAT_MARKDOWN,
}
_TYPES = {"html": "text/html; charset=utf-8", "md": "text/markdown; charset=utf-8"}
_SHA256 = re.compile(r"[A-Za-z0-9+/]{43}=")
_POLICY = "default-src 'none'; {style}base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_DESCRIBED = {"html": "A page that needs nothing else.", "md": "CommonMark with tables."}


@dataclass(frozen=True, slots=True)
class ReportPage:
    """A rendered report."""

    content: bytes
    style_sha256: str
    digest: str

    @classmethod
    def of(cls, message: pb.RenderedReport) -> Self:
        """From the contract."""
        return cls(message.content, message.style_sha256, message.digest)

    def answer(self, extension: Extension, request: Request) -> Response:
        """The page with its headers, or 304 for who has it."""
        # Weak: the time that it was made at is in it, and it may be compressed on its way.
        tag = f'W/"{self.digest}"'
        headers = {
            "etag": tag,
            "cache-control": "private, no-cache",
            "content-security-policy": self._policy(),
        }
        known = {each.strip() for each in request.headers.get("if-none-match", "").split(",")}
        if known & {tag, tag.removeprefix("W/"), "*"}:
            return Response(status_code=304, headers=headers)
        return Response(self.content, headers=headers, media_type=_TYPES[extension])

    def _policy(self) -> str:
        """Its own style sheet may live, nothing else."""
        stated = _SHA256.fullmatch(self.style_sha256)
        style = f"style-src 'sha256-{self.style_sha256}'; " if stated else ""
        return _POLICY.format(style=style)


def page(extension: Extension) -> dict[int | str, dict[str, Any]]:
    """How a route describes such an answer."""
    media_type = _TYPES[extension].partition(";")[0]
    example = "<!doctype html>…" if extension == "html" else "# Drift of sentiment, version 2\n…"
    return {
        200: {
            "description": _DESCRIBED[extension],
            "content": {media_type: {"schema": {"type": "string"}, "example": example}},
        },
        304: {"description": "It still says what If-None-Match names."},
    }
