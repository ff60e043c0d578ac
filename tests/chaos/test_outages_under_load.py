"""PostgreSQL stopped and frozen under traffic: no prediction fails, all are written after.

How much slower predictions are meanwhile is measured by `make chaos`, on a machine that is quiet.
"""

import pytest

from chaos.clients import Ledger
from chaos.outage import WAYS, Way, outage
from testkit.platform import Platform


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """Of both outages: nothing of the first may get lost in the second."""
    return Ledger(tmp_path_factory.mktemp("ledger") / "ledger.txt")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("way", WAYS)
def test_predictions_go_on_without_postgres(platform: Platform, ledger: Ledger, way: Way) -> None:
    outcome = outage(platform, way, ledger, seconds=4.0, pairs=1, clients=3)
    assert outcome.books.complaints == []
    assert all(window.milliseconds for window in outcome.windows)
