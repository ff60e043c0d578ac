"""In processes of their own: what one has read, it cannot read again."""

import subprocess
import sys


def _loaded_after(program: str, *modules: str) -> list[str]:
    told = f"\nimport sys\nprint(*[name for name in {modules!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program + told], check=True, capture_output=True, text=True
    )
    return done.stdout.split()


_READ = "from servicekit.lean_imports import read_lean\nread_lean({!r})\n"


def test_logs_are_read_without_what_draws_them_for_a_terminal() -> None:
    assert _loaded_after(_READ.format("structlog"), "structlog", "rich") == ["structlog"]


def test_an_http_client_is_read_without_its_command() -> None:
    loaded = _loaded_after(_READ.format("httpx"), "httpx", "httpx._main", "rich")

    assert loaded == ["httpx"]


def test_redis_is_read_without_metrics_that_nobody_exports() -> None:
    loaded = _loaded_after(
        _READ.format("redis.asyncio"), "redis.asyncio", "opentelemetry.sdk.metrics"
    )

    assert loaded == ["redis.asyncio"]


def test_what_was_left_out_can_be_read_later() -> None:
    program = _READ.format("redis.asyncio") + "import opentelemetry.sdk.metrics"

    assert _loaded_after(program, "opentelemetry.sdk.metrics") == ["opentelemetry.sdk.metrics"]


def test_what_was_read_before_stays() -> None:
    program = "import opentelemetry.sdk.metrics\n" + _READ.format("redis.asyncio")

    assert _loaded_after(program, "opentelemetry.sdk.metrics") == ["opentelemetry.sdk.metrics"]
