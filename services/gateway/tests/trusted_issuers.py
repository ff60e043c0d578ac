"""Files of trusted issuers, and what is made of them."""

from pathlib import Path
from typing import Any

import httpx
import yaml

from gateway.domain import QuotaPolicy, QuotaSubject
from gateway.external_issuers import ExternalIssuers
from gateway.followed_issuers import FollowedIssuers

DEFAULTS = (QuotaPolicy(60, 60, QuotaSubject.KEY),)
OURSELVES = "https://weir.test"
PREDICTING = {"claim": "groups", "value": "ml", "scopes": ["models:predict"]}


def entry(issuer: str, /, **changes: Any) -> dict[str, Any]:
    return {
        "name": "corp",
        "issuer": issuer,
        "audience": "weir",
        "algorithms": ["RS256"],
        "tenant": "acme",
        "grants": [PREDICTING],
    } | changes


def written(directory: Path, *entries: dict[str, Any]) -> Path:
    file = directory / "issuers.yaml"
    file.write_text(yaml.safe_dump({"issuers": list(entries)}))
    return file


def followed(directory: Path, *entries: dict[str, Any]) -> FollowedIssuers:
    http = httpx.AsyncClient(timeout=20.0)
    return FollowedIssuers(written(directory, *entries), http, DEFAULTS, own_issuer=OURSELVES)


def trusting(directory: Path, *entries: dict[str, Any]) -> ExternalIssuers:
    return followed(directory, *entries).issuers
