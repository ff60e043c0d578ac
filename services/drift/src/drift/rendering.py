"""Renders reports for people, with what a cache and a browser need to know of the result."""

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from drift.html_report import html_report, style_sha256, template_digest
from drift.markdown_report import markdown_report
from drift.report import Report
from servicekit.errors import InvalidInput

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_MARKDOWN_EDITION = "2"


class Format(StrEnum):
    """How a report is rendered."""

    HTML = "html"
    MARKDOWN = "markdown"


class FormatUnknown(InvalidInput):
    """The request names no format."""

    reason = "REPORT_FORMAT_UNKNOWN"


@dataclass(frozen=True, slots=True)
class Rendered:
    """A report as a file."""

    content: bytes
    style_sha256: str
    """Of a page, base64."""
    digest: str
    """The same as long as the report says the same, whenever it was made."""


def render(report: Report, wanted: Format) -> Rendered:
    """The report in a format."""
    says = repr(replace(report, generated_at=_NEVER))
    if wanted is Format.HTML:
        edition, text, style = template_digest(), html_report(report), style_sha256()
    else:
        edition, text, style = _MARKDOWN_EDITION, markdown_report(report), ""
    digest = hashlib.sha256(f"{wanted}\0{edition}\0{says}".encode(errors="surrogatepass"))
    return Rendered(text.encode(errors="replace"), style, digest.hexdigest()[:32])
