"""What health checks hear of a replica that lacks some of its models, or all of them."""

import pytest

from inference.grpc_api import SERVICE
from inference.readiness import MODELS, Readiness

from .served import Served, break_golden


class Health(dict[str, bool]):
    async def set_serving(self, serving: bool, *, service: str | None = None) -> None:
        self[service or ""] = serving


def readiness(served: Served, health: Health, *, unrecorded: bool = False) -> Readiness:
    return Readiness(health, served.repository, service=SERVICE, may_predict_unrecorded=unrecorded)


async def test_replica_whose_models_are_well_is_ready(served: Served) -> None:
    health = Health()
    await readiness(served, health).tell()
    assert health == {"": True, SERVICE: True, MODELS: True}


async def test_replica_that_serves_an_older_version_is_ready_and_not_well(served: Served) -> None:
    break_golden(served.add("2"))
    served.route(v2=100)
    await served.watch.look()
    health = Health()
    await readiness(served, health).tell()
    assert health == {"": True, SERVICE: True, MODELS: False}


async def test_replica_without_any_model_is_not_ready(served: Served) -> None:
    await served.control.unload("sentiment")
    health = Health()
    await readiness(served, health).tell()
    assert health == {"": False, SERVICE: False, MODELS: False}


@pytest.mark.parametrize("unrecorded", [True, False])
async def test_service_that_cannot_record_predicts_only_where_it_may(
    served: Served, unrecorded: bool
) -> None:
    health = Health()
    subject = readiness(served, health, unrecorded=unrecorded)
    await subject.stream_changed(recording=False)
    assert health == {"": True, SERVICE: unrecorded, MODELS: True}
    await subject.stream_changed(recording=True)
    assert health[SERVICE]
