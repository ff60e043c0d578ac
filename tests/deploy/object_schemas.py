"""What Kubernetes, and the definitions that others bring, say an object may hold."""

import json
from functools import cache
from pathlib import Path

import jsonschema
import kubernetes_validate.utils as kubernetes
from deploy.chart_rendering import Object

VERSIONS = ("1.30", "1.34")
_CUSTOM = Path(__file__).with_name("schemas")
# It reads megabytes for each object otherwise.
kubernetes.schema_contents = cache(kubernetes.schema_contents)


def complaint(each: Object, version: str) -> str:
    """Why the object does not fit; empty where it does. What nobody knows does not fit either."""
    name = f"{each['kind']} {each['metadata']['name']}"
    custom = _CUSTOM / f"{each['kind'].lower()}.json"
    try:
        if custom.exists():
            jsonschema.validate(each, json.loads(custom.read_text()))
        else:
            checked = kubernetes.validate(each, version, strict=True)
            return "" if checked == version else f"{name}: {checked} was checked, not {version}"
    except kubernetes.SchemaNotFoundError as unknown:
        return f"{name}: {unknown.message}"
    except jsonschema.ValidationError as error:
        return f"{name}: {'.'.join(map(str, error.path))}: {error.message}"
    return ""
