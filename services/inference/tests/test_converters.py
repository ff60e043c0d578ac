"""What an item says for itself, and what is told of one that failed."""

import time
from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration

from inference.converters import from_outcome, to_item
from inference.domain import Fault, Rejection
from servicekit.request_context import Principal
from weir.inference.v1 import inference_pb2 as pb

CALLER = Principal("client", "acme", frozenset(), "t-1", 0.0)


@pytest.mark.parametrize(
    ("timeout", "of_call", "expected"),
    [(None, None, None), (None, 9.0, 9.0), (2.5, None, 2.5), (2.5, 9.0, 2.5), (60.0, 9.0, 9.0)],
)
def test_item_waits_as_long_as_it_says_and_never_longer_than_its_call(
    timeout: float | None, of_call: float | None, expected: float | None
) -> None:
    now = time.monotonic()
    duration = Duration()
    duration.FromTimedelta(timedelta(seconds=timeout or 0))
    stated = pb.PredictItem(text="good", timeout=None if timeout is None else duration)
    item = to_item(stated, CALLER, "r", None if of_call is None else now + of_call)
    left = None if item.deadline is None else item.deadline - now
    assert left == pytest.approx(expected, abs=1.0) if expected else left is None


def test_item_carries_its_own_trace() -> None:
    assert to_item(pb.PredictItem(traceparent="00-a-b-01"), CALLER, "r").traceparent == "00-a-b-01"


@pytest.mark.parametrize("fault", list(Fault))
def test_every_fault_has_a_reason_and_says_when_to_try_again(fault: Fault) -> None:
    error = from_outcome(Rejection(fault, "Why.", retry_after=0.25)).error
    assert pb.ItemErrorReason.Name(error.reason) == f"ITEM_ERROR_REASON_{fault.name}"
    assert error.retry_after.ToTimedelta() == timedelta(seconds=0.25)
    assert not from_outcome(Rejection(fault, "Why.")).error.HasField("retry_after")
