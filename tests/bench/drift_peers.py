"""Evidently and NannyML at their defaults, in environments of their own, on the same windows."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from drift_results import Result

PEERS = {"evidently": "Evidently", "nannyml": "NannyML"}
_TELL_NOBODY = {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1"}
"""The peers would report to their makers that they are used."""


class Peers:
    """Runs cases through the peers.

    Args:
        environments: where they are installed; None to leave them out.
        windows: of a case that they see, at most.
    """

    def __init__(self, environments: Path | None, windows: int) -> None:
        self._environments = environments
        self.windows = windows

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
        found = []
        for peer, name in PEERS.items():
            alarms = [
                (self._run(peer, {"reference": reference, "windows": windows})["alarms"], windows)
                for reference, windows in compared
            ]
            count = sum(len(windows) for _, windows in alarms)
            share = sum(share * len(windows) for share, windows in alarms) / count
            found.append(Result(case, share, count, tool=name))
        return found

    def accuracies(self, outcomes: np.ndarray, windows: Sequence[np.ndarray]) -> list[float]:
        """NannyML's estimates; none without peers."""
        if not self.wanted:
            return []
        named = {f"window-{place:04}": window for place, window in enumerate(windows)}
        return list(self._run("nannyml", {"outcomes": outcomes, **named})["accuracies"])

    def _run(self, peer: str, columns: dict[str, np.ndarray]) -> dict:
        script = Path(__file__).parent / "peer_drift" / f"with_{peer}.py"
        with tempfile.TemporaryDirectory() as directory:
            case = Path(directory) / "case.npz"
            np.savez(case, **columns)
            python = self._environments / f"peer-{peer}" / "bin" / "python"
            done = subprocess.run(
                [python, script, case],
                env={**os.environ, **_TELL_NOBODY},
                capture_output=True,
                text=True,
            )
        if done.returncode:
            sys.exit(f"{peer} failed:\n{done.stderr[-2000:]}")
        return json.loads(done.stdout.splitlines()[-1])
