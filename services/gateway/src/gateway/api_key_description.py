"""How the API's description says that an API key goes where an access token does."""

from typing import Any

_SCHEME = "api_key"
_BESIDE = "client_credentials"
_API_KEY = {
    "type": "apiKey",
    "in": "header",
    "name": "X-API-Key",
    "description": "An API key from `POST /v1/keys`; `Authorization: Bearer` takes it as well.",
}


def take_api_keys(document: dict[str, Any]) -> None:
    """Adds API keys to an OpenAPI document, beside each use of an access token."""
    schemes = document.get("components", {}).get("securitySchemes", {})
    if _BESIDE not in schemes:
        return
    schemes[_SCHEME] = _API_KEY
    for operations in document["paths"].values():
        for operation in operations.values():
            security = operation.get("security", [])
            if any(_BESIDE in each for each in security) and {_SCHEME: []} not in security:
                security.append({_SCHEME: []})
