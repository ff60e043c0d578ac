"""Keeps the books: every prediction, what people said of it, and who did what."""

from servicekit.lean_imports import read_lean

read_lean("structlog", "opentelemetry.sdk.resources", "redis.asyncio", "httpx")
