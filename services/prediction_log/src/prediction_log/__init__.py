"""Keeps the books: every prediction, what people said of it, and who did what."""

from servicekit.garbage import collect_seldom
from servicekit.lean_imports import read_lean

collect_seldom()
read_lean("structlog", "opentelemetry.sdk.resources", "redis.asyncio", "httpx")
