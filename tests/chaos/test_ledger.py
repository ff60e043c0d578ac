"""The ledger in a minute: every process is killed at least once under traffic, nothing is lost."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from chaos.ledger import Options, Outcome, prove


def described(outcome: Outcome) -> str:
    printed = io.StringIO()
    outcome.report(Console(file=printed, width=120))
    return printed.getvalue()


@pytest.mark.timeout(300)
def test_acknowledged_predictions_outlive_random_kills(tmp_path: Path) -> None:
    outcome = prove(Options(kills=10, seconds=45.0, seed=20261, clients=4), tmp_path / "home")
    text = described(outcome)
    print(text)
    assert not outcome.books.complaints, text
    assert len(outcome.ledger.acknowledged) > 100, text
