"""The supervisor's decisions, with small programs."""

import io
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from weir_local.process import ProcessSpec
from weir_local.report import Report
from weir_local.signals import StopSignals
from weir_local.supervisor import Part, RunningPart, StartError, Supervisor


def _part(tmp_path: Path, name: str, program: str, **options: Any) -> Part:
    spec = ProcessSpec(name, [sys.executable, "-c", program], tmp_path / f"{name}.log")
    return Part(spec, stage=0, **options)


def _start(parts: list[Part], **options: float) -> None:
    with StopSignals() as signals:
        supervisor = Supervisor(parts, Report(), signals, **options)
        try:
            supervisor.start()
        finally:
            supervisor.stop()


def test_task_that_fails_ends_the_start_with_its_last_words(tmp_path: Path) -> None:
    task = _part(tmp_path, "migrations", "raise SystemExit('no such table')", once=True)

    with pytest.raises(StartError, match=r"(?s)migrations failed.*no such table"):
        _start([task])


def test_part_starts_after_what_it_needs(tmp_path: Path) -> None:
    made = tmp_path / "made"
    task = _part(tmp_path, "task", f"open({str(made)!r}, 'w')", once=True)
    check = f"import os; raise SystemExit(not os.path.exists({str(made)!r}))"
    user = _part(tmp_path, "user", check, once=True, needs=("task",))

    _start([user, task])


def test_part_that_never_becomes_ready_is_named(tmp_path: Path) -> None:
    spec = ProcessSpec(
        "idle",
        [sys.executable, "-c", "print('thinking', flush=True); import time; time.sleep(60)"],
        tmp_path / "idle.log",
        ready=lambda: False,
    )

    with pytest.raises(StartError, match=r"(?s)idle is not ready after 1 s.*thinking"):
        _start([Part(spec, stage=0)], start_timeout=1.0)


def test_delay_of_a_restart_grows_and_a_calm_time_makes_it_short_again(tmp_path: Path) -> None:
    part = RunningPart(_part(tmp_path, "part", ""))
    delays = []
    for now in (10.0, 15.0, 20.0):
        part.died(now)
        delays.append(round(part.start_at - now, 3))
        part.started_at = now

    part.died(31.0)

    assert delays == [0.2, 0.4, 0.8]
    assert part.start_at == pytest.approx(31.2)
    assert part.restarts == 4


def test_report_survives_a_terminal_that_is_gone() -> None:
    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise OSError(5, "Input/output error")

    report = Report()
    report._out = Console(file=Gone())

    report.note("still here")
