"""Weir gateway: identity, quotas and the public REST surface."""

from servicekit.lean_imports import read_lean

read_lean("structlog", "opentelemetry.sdk.resources", "redis.asyncio", "httpx")
