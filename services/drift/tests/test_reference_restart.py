"""A change of the reference outlives a kill -9, and every replica follows it: real processes."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from grpc.aio import insecure_channel

from testkit.issuer import FakeIssuer
from testkit.stores import Store
from testkit.waiting import until
from weir.drift.v1 import drift_pb2 as pb
from weir.drift.v1 import references_pb2, references_pb2_grpc

from .test_process import Process, own_redis, process, process_at, publish
from .test_report_history import times

__all__ = ["own_redis", "process"]
WriteReference = Callable[..., Path]


async def change(of: Process, token: str, method: str, **fields: Any) -> str:
    """Promotes or activates a reference; returns its id."""
    request = getattr(references_pb2, f"{method}Request")(
        model="reviews", version="1", reason="the new normal", **fields
    )
    async with insecure_channel(of.address) as channel:
        stub: Any = references_pb2_grpc.ReferenceServiceStub(channel)
        metadata = [("authorization", f"Bearer {token}")]
        answer = await getattr(stub, method)(request, timeout=30, metadata=metadata)
    return str(answer.reference.reference_id)


async def judged(by: Process) -> tuple[str, int]:
    """By which reference the newest window is judged, and what it says of the length."""
    report = await by.report()
    states = {verdict.signal: verdict.state for verdict in report.verdicts}
    return report.reference.reference_id, states["input_tokens"]


async def test_killed_process_and_other_replica_judge_by_the_reference_in_force(
    tmp_path: Path,
    process: Process,
    own_redis: Store,
    world: Any,
    write_reference: WriteReference,
    issuer: FakeIssuer,
) -> None:
    write_reference()
    process.environment["WEIR_DRIFT_WINDOW_ROWS"] = "100"
    process.given["WEIR_DRIFT_WINDOW_ROWS"] = "100"
    manager = issuer.token("drift:read", "drift:manage")
    (tmp_path / "second").mkdir()
    with process_at(tmp_path / "second", process.given, issuer.token("drift:read")) as other:
        process.start()
        other.start()
        await until(process.is_serving, 90)
        await until(other.is_serving, 90)
        await publish(own_redis, world.events(350, extra_tokens=10))
        await until(lambda: process.has_rows(50), 60)
        assert await judged(other) == ("package", pb.VERDICT_STATE_DRIFT)

        promoted = await change(
            process, manager, "PromoteReference", range=times(0, 301), accept_drift=True
        )
        process.end(signal.SIGKILL)
        assert await judged(other) == (promoted, pb.VERDICT_STATE_NO_DRIFT)
        process.start()
        await until(process.is_serving, 90)
        assert await judged(process) == (promoted, pb.VERDICT_STATE_NO_DRIFT)

        await change(other, manager, "ActivateReference", reference_id="package")
        other.end(signal.SIGKILL)
        assert await judged(process) == ("package", pb.VERDICT_STATE_DRIFT)
