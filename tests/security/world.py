"""Two tenants that know nothing of each other, and every route of the platform."""

import base64
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import yaml
from joserfc import jwt
from joserfc.jwk import ECKey
from security.foreign_incident import put_incident

from gateway.roles import ROLES
from testkit.platform import Platform, wait_until

MINE, THEIRS = "isolated-own", "isolated-other"
"""Tenants; each has a client of the same name. Nothing else on the platform has these words."""
EVERYTHING = frozenset().union(*ROLES.values())
_PARAMETER = re.compile(r"{(\w+)}")


@dataclass(frozen=True)
class Operation:
    """One method on one path, as the platform's own OpenAPI document has it."""

    method: str
    path: str
    scopes: frozenset[str]
    """Empty where everybody may."""
    queries: tuple[str, ...]
    media_type: str
    """Of the body; empty where there is none."""

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def parameters(self) -> list[str]:
        return _PARAMETER.findall(self.path)

    def url(self, **values: str) -> str:
        """The path with these values, and something harmless for the others."""
        return _PARAMETER.sub(
            lambda match: quote(values.get(match[1], "nothing"), safe=""), self.path
        )


@dataclass
class World:
    """The platform, its routes, and a way to be anybody."""

    platform: Platform
    operations: list[Operation]
    owned: dict[str, str] = field(default_factory=dict)
    """By parameter of a path: the id of something that belongs to the tenant THEIRS."""
    secrets: set[str] = field(default_factory=set)
    """What nobody of another tenant may ever see."""

    def token(self, tenant: str, *scopes: str) -> str:
        """An access token of the tenant's client, as the gateway would sign it."""
        header, claims = (_decoded(part) for part in self.platform.token().split(".")[:2])
        (file,) = (self.platform.home.identity / "signing-keys").glob("*.pem")
        key = ECKey.import_key(file.read_bytes())
        own = {
            "sub": tenant,
            "client_id": tenant,
            "tenant": tenant,
            "scope": " ".join(scopes),
            "jti": uuid4().hex,
            "iat": int(time.time()),
            "exp": int(time.time()) + 600,
        }
        return jwt.encode(header, {**claims, **own}, key, algorithms=["ES256"])

    def api(self, tenant: str, *scopes: str) -> httpx.Client:
        """An HTTP client of the tenant's."""
        return self.platform.client(self.token(tenant, *scopes))

    def anybody(self) -> httpx.Client:
        """An HTTP client without a token."""
        return httpx.Client(base_url=self.platform.endpoints.http, timeout=20.0)


def world_on(platform: Platform) -> World:
    """The tenants' clients are known to the gateway; THEIRS has something of every kind."""
    home = platform.home
    file = home.identity / "clients.yaml"
    content = yaml.safe_load(file.read_text())
    demo = next(client for client in content["clients"] if client["client_id"] == "demo")
    for tenant in (MINE, THEIRS):
        content["clients"].append(
            {**demo, "client_id": tenant, "tenant": tenant, "scopes": sorted(EVERYTHING)}
        )
    file.write_text(yaml.safe_dump(content))
    platform.process("gateway").stop()
    platform.start("gateway")
    platform.wait_until_health("healthy")
    document = httpx.get(f"{platform.endpoints.http}/openapi.json", timeout=20.0).json()
    made = World(platform, list(_operations(document)))
    _fill(made)
    return made


def _operations(document: dict[str, Any]) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            bodies = list(described.get("requestBody", {}).get("content", {}))
            yield Operation(
                method=method.upper(),
                path=path,
                scopes=frozenset(
                    scope
                    for choice in described.get("security", [])
                    for scopes in choice.values()
                    for scope in scopes
                ),
                queries=tuple(
                    each["name"]
                    for each in described.get("parameters", [])
                    if each["in"] == "query"
                ),
                media_type=bodies[0] if bodies else "",
            )


def _fill(world: World) -> None:
    """One thing of each kind that belongs to THEIRS."""
    with world.api(THEIRS, *EVERYTHING) as api:
        made = api.post("/predict", json={"text": f"Theirs alone: {uuid4().hex}"})
        prediction = made.raise_for_status().json()["prediction_id"]
        world.owned["prediction_id"] = prediction
        erased = api.post("/v1/erasures", json={"subject": "somebody of theirs"})
        world.owned["erasure_id"] = erased.raise_for_status().json()["erasure_id"]
        path = f"/v1/predictions/{prediction}"
        wait_until(lambda: api.get(path).status_code == 200, "their prediction")
        opinion = {"correct_label": "negative", "comment": "isolated-other said so"}
        api.post(f"{path}/feedback", json=opinion).raise_for_status()
        wait_until(lambda: bool(api.get(f"{path}/feedback").json()["feedback"]), "their feedback")
    world.owned["incident_id"] = put_incident(world.platform, THEIRS)
    known = {name for operation in world.operations for name in operation.parameters}
    if "client_id" in known:
        world.owned["client_id"] = THEIRS
        if "key_id" in known:
            with world.api(THEIRS, *EVERYTHING) as api:
                key = api.post("/v1/keys", json={"client_id": THEIRS, "scopes": ["models:read"]})
                world.owned["key_id"] = key.raise_for_status().json()["key_id"]
    world.secrets = {THEIRS, *world.owned.values()}


def _decoded(part: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=="))
    return content
