"""When lines of the log are written, and what becomes of them when a process ends."""

import asyncio
import json
import logging
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest
import structlog

from servicekit.logs import configure_logs


class Written:
    """Stands for stdout; keeps each write."""

    def __init__(self) -> None:
        self.writes: list[str] = []

    def write(self, text: str) -> None:
        self.writes.append(text)

    def flush(self) -> None:
        pass

    def events(self) -> list[list[str]]:
        """By write."""
        return [[json.loads(line)["event"] for line in text.splitlines()] for text in self.writes]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Written:
    configure_logs("svc", "svc-1", "info")
    stdout = Written()
    monkeypatch.setattr("servicekit.log_lines.sys", SimpleNamespace(stdout=stdout))
    return stdout


async def test_lines_of_one_turn_of_the_loop_are_one_write(written: Written) -> None:
    log = structlog.get_logger()
    for event in ("first", "second", "third"):
        log.info(event)
    await asyncio.sleep(0)
    assert written.events() == [["first", "second", "third"]]
    log.info("fourth")
    await asyncio.sleep(0)
    assert written.events()[1:] == [["fourth"]]


async def test_warning_is_written_at_once_after_what_came_before(written: Written) -> None:
    structlog.get_logger().info("before")
    structlog.get_logger().warning("careful")
    assert written.events() == [["before", "careful"]]


async def test_a_librarys_line_comes_after_what_waits(written: Written) -> None:
    structlog.get_logger().info("before")
    logging.getLogger("some.library").warning("careful")
    assert written.events() == [["before", "careful"]]


async def test_a_long_turn_is_written_in_parts(written: Written) -> None:
    for number in range(200):
        structlog.get_logger().info(f"{number}")
    assert len(written.events()) == 3
    await asyncio.sleep(0)
    assert [event for events in written.events() for event in events] == [
        f"{number}" for number in range(200)
    ]


async def test_another_threads_line_does_not_wait_for_the_loop(written: Written) -> None:
    thread = threading.Thread(target=lambda: structlog.get_logger().info("beside"))
    thread.start()
    thread.join()
    assert written.events() == [["beside"]]


def test_without_a_loop_each_line_is_one_write(written: Written) -> None:
    structlog.get_logger().info("first")
    structlog.get_logger().info("second")
    assert written.events() == [["first"], ["second"]]


@pytest.mark.parametrize(
    ("last", "status"),
    [
        ("pass", 0),
        ("raise SystemExit(3)", 3),
        ("raise ValueError('wrong')", 1),
        ("asyncio.get_running_loop().stop(); await asyncio.sleep(60)", 1),
        ("signal.raise_signal(signal.SIGINT)", -2),
    ],
)
def test_nothing_is_lost_when_a_process_ends(last: str, status: int) -> None:
    program = f"""
import asyncio, signal, structlog, uvloop
from servicekit.logs import configure_logs

async def run():
    structlog.get_logger().info("last_words")
    {last}

configure_logs("svc", "svc-1", "info")
with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(run())
"""
    ended = subprocess.run(
        [sys.executable, "-u", "-c", program], capture_output=True, text=True, timeout=60
    )
    assert [json.loads(line)["event"] for line in ended.stdout.splitlines()] == ["last_words"]
    assert ended.returncode == status
    assert ("Traceback" in ended.stderr) == (status not in (0, 3))
