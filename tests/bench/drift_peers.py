"""Evidently and NannyML at their defaults, in environments of their own, on the same windows."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from drift_results import Result

PEERS = {"evidently": "Evidently", "nannyml": "NannyML"}
_TELL_NOBODY = {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1"}
"""The peers would report to their makers that they are used."""


class Peers:
    """Runs cases through the peers, each a process that is started once: importing one takes long.

    Args:
        environments: where they are installed; None to leave them out.
        windows: of a case that they see, at most.
    """

    def __init__(self, environments: Path | None, windows: int) -> None:
        self._environments = environments
        self._running: dict[str, subprocess.Popen[str]] = {}
        self.windows = windows

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for peer in self._running.values():
            peer.stdin.close()
            peer.wait()

    @property
    def wanted(self) -> bool:
        """Whether there are any."""
        return self._environments is not None

    def alarms(self, case: str, compared: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[Result]:
        """Share of the windows at which each alarms.

        Args:
            compared: references [rows, columns], each with its windows [windows, rows, columns].
        """
        if not self.wanted:
            return []
        alarmed = dict.fromkeys(PEERS, 0.0)
        for reference, windows in compared:
            answers = self._ask(list(PEERS), {"reference": reference, "windows": windows})
            for peer, answer in answers.items():
                alarmed[peer] += answer["alarms"] * len(windows)
        count = sum(len(windows) for _, windows in compared)
        return [
            Result(case, alarmed[peer] / count, count, tool=name) for peer, name in PEERS.items()
        ]

    def accuracies(self, outcomes: np.ndarray, windows: Sequence[np.ndarray]) -> list[float]:
        """NannyML's estimates; none without peers."""
        if not self.wanted:
            return []
        named = {f"window-{place:04}": window for place, window in enumerate(windows)}
        answers = self._ask(["nannyml"], {"outcomes": outcomes, **named})
        return list(answers["nannyml"]["accuracies"])

    def _ask(self, peers: Sequence[str], columns: dict[str, np.ndarray]) -> dict[str, dict]:
        """Of all at once: nothing here is about their speed."""
        with tempfile.TemporaryDirectory() as directory:
            case = Path(directory) / "case.npz"
            np.savez(case, **columns)
            for peer in peers:
                if peer not in self._running:
                    self._running[peer] = self._start(peer)
                self._running[peer].stdin.write(f"{case}\n")
                self._running[peer].stdin.flush()
            answers = {peer: self._running[peer].stdout.readline() for peer in peers}
        for peer, answer in answers.items():
            if not answer:
                sys.exit(f"{peer} failed; its own words are above")
        return {peer: json.loads(answer) for peer, answer in answers.items()}

    def _start(self, peer: str) -> subprocess.Popen[str]:
        script = Path(__file__).parent / "peer_drift" / f"with_{peer}.py"
        return subprocess.Popen(
            [self._environments / f"peer-{peer}" / "bin" / "python", script],
            env={**os.environ, **_TELL_NOBODY},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
