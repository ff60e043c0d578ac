"""Reports over gRPC, as the gateway asks for them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from grpc.aio import AioRpcError

from drift.domain import ModelVersion
from servicekit.errors import (
    InvalidInput,
    NotFound,
    PermissionDenied,
    ServiceError,
    Unauthenticated,
    Unavailable,
)
from servicekit.grpc_errors import from_rpc_error
from testkit.issuer import FakeIssuer
from weir.drift.v1 import drift_pb2 as pb
from weir.drift.v1 import drift_pb2_grpc
from weir.events.v1 import events_pb2

from .serving import NOW, serving

REVIEWS = ModelVersion("reviews", "1")
NEXT = ModelVersion("reviews", "2")
Ask = Callable[..., Awaitable[pb.Report]]
WriteReference = Callable[..., Path]


@pytest_asyncio.fixture
async def ask(service: Any, tmp_path: Path, issuer: FakeIssuer) -> AsyncIterator[Ask]:
    """Asks for a report; the error comes as the service raised it."""
    async with serving(service, tmp_path, issuer) as channel:

        async def call(
            model: str = "reviews", version: str = "", token: str | None = None
        ) -> pb.Report:
            async with channel(token) as opened:
                stub: Any = drift_pb2_grpc.DriftServiceStub(opened)
                try:
                    answer = await stub.GetReport(pb.GetReportRequest(model=model, version=version))
                except AioRpcError as error:
                    raise from_rpc_error(error, "drift") from error
                return answer.report

        yield call


def signals(report: pb.Report) -> dict[str, pb.Signal]:
    return {signal.name: signal for signal in report.signals}


async def test_report_says_what_has_drifted_by_how_much_and_how_sure_that_is(
    ask: Ask, service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await service.publish(*world.events(80, extra_tokens=10))
    await service.consume()
    verdicts = {verdict.signal: verdict for verdict in (await ask()).verdicts}
    length, label = verdicts["input_tokens"], verdicts["label"]
    assert length.state == pb.VERDICT_STATE_DRIFT
    assert (length.group, length.rows, length.reference_rows) == ("text", 80, 2000)
    assert length.effect.lower < length.effect.value < length.effect.upper
    assert length.p_value < 0.001
    assert 0.2 < length.minimum_detectable_effect < 1
    assert label.state == pb.VERDICT_STATE_NO_DRIFT


async def test_verdicts_on_few_rows_say_only_that(
    ask: Ask, service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await service.publish(*world.events(5))
    await service.consume()
    report = await ask()
    for verdict in report.verdicts:
        assert verdict.state != pb.VERDICT_STATE_DRIFT
        assert not verdict.HasField("effect")
        assert not verdict.HasField("p_value")
    assert not report.HasField("impact")


async def test_report_compares_the_window_with_the_reference(
    ask: Ask, service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await service.publish(*world.events(80))
    await service.consume()
    report = await ask()
    assert (report.model, report.model_version) == ("reviews", "1")
    assert report.generated_at.ToDatetime(UTC) == NOW
    assert (report.reference.source, report.reference.rows) == ("made-up, test split", 2000)
    assert (report.window.rows, report.window.capacity) == (80, 100)
    assert report.window.first_predicted_at.seconds < report.window.last_predicted_at.seconds
    by_name = signals(report)
    assert set(by_name) == {
        *("input_tokens", "unknown_token_rate", "script", "mixed_script_rate"),
        *("label", "confidence"),
    }
    assert {signal.status for signal in report.signals} == {pb.SIGNAL_STATUS_MEASURED}
    length = by_name["input_tokens"].number
    assert length.HasField("ks_distance")
    assert length.mean_difference.value == pytest.approx(length.window.mean - length.reference.mean)
    assert length.mean_difference.lower < 0 < length.mean_difference.upper
    assert length.window.p05 < length.window.p50 < length.window.p95 <= length.window.maximum
    ratio = by_name["unknown_token_rate"].ratio
    assert ratio.difference.lower < ratio.difference.value < ratio.difference.upper
    label = by_name["label"].category
    assert sum(label.window.values()) == 80
    assert set(label.share_differences) == {"negative", "positive"}


async def test_few_rows_give_summaries_and_no_statistics(
    ask: Ask, service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await service.publish(*world.events(29))
    await service.consume()
    report = await ask()
    assert {signal.status for signal in report.signals} == {pb.SIGNAL_STATUS_NOT_ENOUGH_DATA}
    by_name = signals(report)
    number = by_name["confidence"].number
    assert number.window.rows == 29
    assert number.window.mean > 0
    assert not number.HasField("ks_distance")
    assert not number.HasField("mean_difference")
    assert not by_name["unknown_token_rate"].ratio.HasField("difference")
    assert not by_name["label"].category.HasField("total_variation")
    assert not by_name["label"].category.share_differences


async def test_closed_window_is_reported_until_the_next_one_says_something(
    ask: Ask, service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await service.publish(*world.events(110))
    await service.consume()
    assert (await ask()).window.rows == 100
    await service.publish(*world.events(20))
    await service.consume()
    assert (await ask()).window.rows == 30


async def test_reference_without_predictions_has_an_empty_window(
    ask: Ask, write_reference: WriteReference
) -> None:
    write_reference()
    report = await ask()
    assert report.window.rows == 0
    assert report.window.capacity == 100
    assert not report.window.HasField("first_predicted_at")
    assert {signal.status for signal in report.signals} == {pb.SIGNAL_STATUS_NOT_ENOUGH_DATA}
    assert report.feedback.labelled == 0
    assert not report.feedback.HasField("accuracy")


async def test_no_version_means_the_one_that_was_predicted_with_last(
    ask: Ask, service: Any, world: Any, write_reference: WriteReference
) -> None:
    for version in (REVIEWS, NEXT):
        write_reference(version)
    assert (await ask()).model_version == "2"
    await service.publish(*world.events(3, NEXT), *world.events(3, REVIEWS))
    await service.publisher.publish(
        "weir:feedback",
        [
            events_pb2.FeedbackRecorded(
                model="reviews", model_version="2", predicted_label="a", correct_label="a"
            )
        ],
    )
    await service.consume()
    assert (await ask()).model_version == "1"
    assert (await ask(version="2")).model_version == "2"


async def test_feedback_has_its_accuracy_with_an_interval(
    ask: Ask, service: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await service.publisher.publish(
        "weir:feedback",
        [
            events_pb2.FeedbackRecorded(
                model="reviews",
                model_version="1",
                predicted_label="positive",
                correct_label="positive" if number < 15 else "negative",
            )
            for number in range(20)
        ],
    )
    await service.consume()
    feedback = (await ask()).feedback
    assert (feedback.labelled, feedback.accuracy) == (20, 0.75)
    assert feedback.accuracy_lower == pytest.approx(0.5313, abs=5e-5)
    assert feedback.accuracy_upper == pytest.approx(0.8881, abs=5e-5)


@pytest.mark.parametrize("version", ["", "7"])
async def test_model_of_neither_predictions_nor_reference_is_unknown(
    ask: Ask, version: str
) -> None:
    with pytest.raises(NotFound) as caught:
        await ask("nobody", version)
    assert caught.value.code == "MODEL_UNKNOWN"


async def test_predictions_without_a_reference_say_so(ask: Ask, service: Any, world: Any) -> None:
    await service.publish(*world.events(50))
    await service.consume()
    with pytest.raises(NotFound) as caught:
        await ask()
    assert caught.value.code == "REFERENCE_MISSING"


async def test_broken_reference_is_unavailable_until_it_is_mended(
    ask: Ask, service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference().write_text("{")
    await service.publish(*world.events(50))
    await service.consume()
    with pytest.raises(Unavailable) as caught:
        await ask()
    assert caught.value.code == "REFERENCE_INVALID"
    write_reference()
    assert (await ask()).window.rows == 50


@pytest.mark.parametrize(("model", "version"), [("", ""), ("../..", ""), ("a", "b/../c")])
async def test_names_that_leave_the_repository_are_refused(
    ask: Ask, model: str, version: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        await ask(model, version)
    assert caught.value.code == "MODEL_NAME_INVALID"
    assert len(caught.value.violations) == 1


@pytest.mark.parametrize(
    ("scopes", "error"), [((), PermissionDenied), (("predictions:read",), PermissionDenied)]
)
async def test_other_scopes_do_not_read_drift(
    ask: Ask, issuer: FakeIssuer, scopes: tuple[str, ...], error: type[ServiceError]
) -> None:
    with pytest.raises(error):
        await ask(token=issuer.token(*scopes))


async def test_nobody_reads_drift_without_a_token(ask: Ask) -> None:
    with pytest.raises(Unauthenticated):
        await ask(token="nonsense")
