"""Weir gateway: identity, quotas and the public REST surface."""

from servicekit.garbage import collect_seldom
from servicekit.lean_imports import read_lean

collect_seldom()
read_lean("structlog", "opentelemetry.sdk.resources", "redis.asyncio", "httpx")
