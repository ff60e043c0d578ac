"""The list of a platform's processes: for `status`, for tests, and to clear up after a crash."""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from weir_local.home import write_json
from weir_local.supervisor import PartState, RunningPart

_STOP_TIMEOUT = 5.0
_SAME_PROCESS = 1.0
"""Seconds that two readings of one process's start may differ."""


def write_processes(file: Path, parts: Sequence[RunningPart]) -> None:
    """Writes name, pid, state and restarts of every long-lived part."""
    write_json(
        file,
        {
            "supervisor": _identity(os.getpid()),
            "processes": [
                {
                    "name": part.name,
                    **_identity(part.process.pid),
                    "running": part.process.running,
                    "ready": part.state is PartState.READY and part.process.running,
                    "restarts": part.restarts,
                }
                for part in parts
                if not part.part.once
            ],
        },
    )


def read_processes(file: Path) -> dict[str, Any]:
    """What the file says, with `running` set to whether the platform still runs.

    A process counts as running only if the one with that id is the one that was meant.
    """
    try:
        content: dict[str, Any] = json.loads(file.read_text())
        content["running"] = _process(content["supervisor"]) is not None
        for entry in content["processes"]:
            entry["running"] = _process(entry) is not None
            entry["ready"] = entry["ready"] and entry["running"]
    except (OSError, ValueError, KeyError, TypeError):
        return {"running": False, "processes": []}
    return content


def end_leftovers(file: Path) -> list[str]:
    """Ends what a crashed platform left running; returns the names.

    Where the system can, children end with their supervisor; this is for those that are still
    at it and for systems that cannot.
    """
    if not file.exists():
        return []
    left = [
        (entry["name"], process)
        for entry in read_processes(file)["processes"]
        if (process := _process(entry)) is not None
    ]
    for _, process in left:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, stubborn = psutil.wait_procs([process for _, process in left], timeout=_STOP_TIMEOUT)
    for process in stubborn:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stubborn, timeout=_STOP_TIMEOUT)
    return [name for name, _ in left]


def _identity(pid: int | None) -> dict[str, Any]:
    if pid is not None:
        with suppress(psutil.NoSuchProcess):
            return {"pid": pid, "started_at": psutil.Process(pid).create_time()}
    return {"pid": None, "started_at": None}


def _process(entry: dict[str, Any]) -> psutil.Process | None:
    """The process that the entry means, unless it ended."""
    if entry["pid"] is None:
        return None
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(entry["pid"])
        same = abs(process.create_time() - entry["started_at"]) < _SAME_PROCESS
        if same and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None
