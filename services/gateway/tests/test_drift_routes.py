"""Closed windows, comparisons of times, and plans of windows, over REST."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from servicekit.errors import FieldViolation, InvalidInput, NotFound
from testkit.issuer import FakeIssuer
from weir.drift.v1 import drift_pb2 as pb

from .backends import PREDICTED_AT, PREDICTION_ID, Backends
from .conftest import Call
from .test_predict import refused, wrong_field

SET_ASIDE_ID = "0199f3c2-6f0a-7c1e-9d55-2b8f4c6e0a12"
MODEL = "/v1/drift/models/sentiment"
RANGES = {
    "reference": {"from": "2026-11-01T00:00:00Z", "to": "2026-11-08T00:00:00+01:00"},
    "window": {"from": "2026-11-08T00:00:00Z", "to": "2026-11-09T00:00:00Z"},
}


@pytest.fixture
def compare(http: httpx.AsyncClient, issuer: FakeIssuer) -> Call:
    async def call(json: Any, *, scope: str = "drift:read", **query: str) -> httpx.Response:
        headers = {"authorization": f"Bearer {issuer.token(scope)}"}
        return await http.post(f"{MODEL}/comparisons", json=json, params=query, headers=headers)

    return call


async def test_kept_reports_are_listed(get: Call, backends: Backends) -> None:
    backends.drift.reports.reports.add(
        report_id=PREDICTION_ID,
        first_predicted_at=PREDICTED_AT,
        last_predicted_at=PREDICTED_AT,
        rows=500,
        drifted=["label"],
        judged=True,
        reference_id="package",
    )
    backends.drift.reports.reports.add(
        report_id=SET_ASIDE_ID,
        first_predicted_at=PREDICTED_AT,
        last_predicted_at=PREDICTED_AT,
        rows=500,
        fault="ValueError",
    )
    assert (await get(f"{MODEL}/reports", version="1")).json() == {
        "model": "sentiment",
        "model_version": "1",
        "reports": [
            {
                "report_id": PREDICTION_ID,
                "first_predicted_at": "2026-09-21T14:13:20Z",
                "last_predicted_at": "2026-09-21T14:13:20Z",
                "rows": 500,
                "drifted": ["label"],
                "judged": True,
                "reference_id": "package",
                "fault": None,
            },
            {
                "report_id": SET_ASIDE_ID,
                "first_predicted_at": "2026-09-21T14:13:20Z",
                "last_predicted_at": "2026-09-21T14:13:20Z",
                "rows": 500,
                "drifted": [],
                "judged": False,
                "reference_id": None,
                "fault": "ValueError",
            },
        ],
    }


@pytest.mark.parametrize("extension", ["", ".html", ".md"])
async def test_report_on_a_closed_window(get: Call, backends: Backends, extension: str) -> None:
    backends.drift.report.report_id = PREDICTION_ID
    answer = await get(f"{MODEL}/reports/{PREDICTION_ID}{extension}")
    assert answer.status_code == 200
    (asked,) = backends.drift.calls.requests
    assert (asked.model, asked.version, asked.report_id) == ("sentiment", "", PREDICTION_ID)
    if not extension:
        assert answer.json()["report_id"] == PREDICTION_ID


async def test_window_that_is_not_kept_is_404(get: Call, backends: Backends) -> None:
    backends.drift.calls.failure = NotFound("Gone.", reason="REPORT_UNKNOWN")
    refused(await get(f"{MODEL}/reports/{PREDICTION_ID}"), 404, "REPORT_UNKNOWN")
    refused(await get(f"{MODEL}/reports/%00"), 404, "REPORT_UNKNOWN")


async def test_report_says_what_to_do_and_which_rows_changed(get: Call, backends: Backends) -> None:
    backends.drift.report = pb.Report(
        model="sentiment",
        model_version="1",
        recommendation=pb.Recommendation(
            action=pb.RECOMMENDED_ACTION_RETRAIN, reasons=["It lasts."]
        ),
        slices=[pb.Slice(signal="label", rows="positive", reference_share=0.5, window_share=0.75)],
        shapes=[pb.Shape(signal="label", names=["positive"], reference=[0.5], window=[0.75])],
        verdicts=[
            pb.Verdict(signal="label", state=pb.VERDICT_STATE_DRIFT, since=PREDICTED_AT, windows=3),
            pb.Verdict(signal="script", state=pb.VERDICT_STATE_NO_DRIFT),
        ],
    )
    report = (await get(f"{MODEL}/reports/latest")).json()
    assert report["report_id"] is None
    assert report["recommendation"] == {"action": "retrain", "reasons": ["It lasts."]}
    assert report["slices"] == [
        {"signal": "label", "rows": "positive", "reference_share": 0.5, "window_share": 0.75}
    ]
    assert report["shapes"] == [
        {
            "signal": "label",
            "edges": [],
            "names": ["positive"],
            "reference": [0.5],
            "window": [0.75],
        }
    ]
    drifted, other = report["verdicts"]
    assert (drifted["since"], drifted["windows"]) == ("2026-09-21T14:13:20Z", 3)
    assert (other["since"], other["windows"]) == (None, 0)


@pytest.mark.parametrize(
    "path",
    ["", "/latest", "/latest.html", "/latest.md", f"/{PREDICTION_ID}", f"/{PREDICTION_ID}.html"],
)
async def test_own_windows_are_asked_for_in_the_name_of_the_callers_tenant(
    get: Call, backends: Backends, path: str
) -> None:
    await get(f"{MODEL}/reports{path}")
    await get(f"{MODEL}/reports{path}", scope="all")
    await get(f"{MODEL}/reports{path}", scope="tenant")
    # Whoever states another tenant is not listened to.
    await get(f"{MODEL}/reports{path}", scope="tenant", tenant="tenant-2")
    asked = [request.tenant for request in backends.drift.calls.requests]
    assert asked == ["", "", "tenant-1", "tenant-1"]


async def test_times_of_own_windows_are_compared(
    http: httpx.AsyncClient, issuer: FakeIssuer, backends: Backends
) -> None:
    headers = {"authorization": f"Bearer {issuer.token('drift:read')}"}
    for query in ({}, {"scope": "tenant"}, {"scope": "tenant", "format": "md"}):
        answer = await http.post(f"{MODEL}/comparisons", json=RANGES, params=query, headers=headers)
        assert answer.status_code == 200
    plain, own, page = backends.drift.calls.requests
    assert (plain.tenant, own.tenant, page.comparison.tenant) == ("", "tenant-1", "tenant-1")


async def test_report_says_whose_it_is(get: Call, backends: Backends) -> None:
    assert (await get(f"{MODEL}/reports/latest")).json()["tenant"] is None
    backends.drift.report.tenant = "tenant-1"
    answer = await get(f"{MODEL}/reports/latest", scope="tenant")
    assert answer.json()["tenant"] == "tenant-1"


async def test_tenant_that_is_not_watched_is_404(get: Call, backends: Backends) -> None:
    backends.drift.calls.failure = NotFound("None.", reason="TENANT_NOT_WATCHED")
    refused(await get(f"{MODEL}/reports/latest", scope="tenant"), 404, "TENANT_NOT_WATCHED")


async def test_scope_that_is_none_is_refused(get: Call) -> None:
    wrong_field(await get(f"{MODEL}/reports/latest", scope="tenant-2"), "scope")


async def test_times_are_compared(compare: Call, backends: Backends) -> None:
    answer = await compare({**RANGES, "version": "1"})
    assert answer.json()["model"] == "sentiment"
    (asked,) = backends.drift.calls.requests
    assert (asked.model, asked.version) == ("sentiment", "1")
    moments = [getattr(asked.reference, "from"), asked.reference.to]
    assert [each.ToDatetime(UTC) for each in moments] == [
        datetime(2026, 11, 1, tzinfo=UTC),
        datetime(2026, 11, 7, 23, tzinfo=UTC),
    ]
    assert asked.window.to.ToDatetime(UTC) == datetime(2026, 11, 9, tzinfo=UTC)


async def test_comparison_can_be_a_page(compare: Call, backends: Backends) -> None:
    answer = await compare(RANGES, format="html")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "style-src 'sha256-" in answer.headers["content-security-policy"]
    (asked,) = backends.drift.calls.requests
    assert asked.format == pb.REPORT_FORMAT_HTML
    assert asked.comparison.model == "sentiment"


async def test_range_that_drift_refuses_is_named(compare: Call, backends: Backends) -> None:
    violation = FieldViolation("reference", "no window that is kept began in it")
    backends.drift.calls.failure = InvalidInput(
        "No.", reason="TIME_RANGE_INVALID", violations=[violation]
    )
    problem = refused(await compare(RANGES), 422, "TIME_RANGE_INVALID")
    assert problem["errors"] == [
        {"field": "reference", "message": "no window that is kept began in it"}
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"window": RANGES["window"]}, "reference"),
        ({**RANGES, "more": 1}, "more"),
        ({**RANGES, "window": {"from": "2026-11-08T00:00:00", "to": "x"}}, "window.from"),
        (
            {**RANGES, "window": {"from": "0001-01-01T00:00:00Z", "to": "2026-11-08T00:00:00Z"}},
            "window.from",
        ),
        (
            {**RANGES, "window": {"from": "2026-11-08T00:00:00Z", "to": "9999-12-31T23:59:59Z"}},
            "window.to",
        ),
    ],
)
async def test_body_that_names_no_ranges_is_refused(compare: Call, body: Any, field: str) -> None:
    problem = refused(await compare(body), 422, "INVALID_INPUT")
    assert field in [error["field"] for error in problem["errors"]]


async def test_comparing_needs_the_scope(compare: Call) -> None:
    refused(await compare(RANGES, scope="models:read"), 403, "SCOPE_MISSING")


async def test_power_is_told_by_signal(get: Call, backends: Backends) -> None:
    backends.drift.plan.signals.add(
        signal="label", group="output", kind="category", power=0.5, rows_for_80=1200
    )
    assert (await get(f"{MODEL}/power", n="1000", effect="0.2")).json() == {
        "model": "sentiment",
        "model_version": "1",
        "reference_id": "package",
        "signals": [
            {
                "signal": "label",
                "group": "output",
                "kind": "category",
                "power": 0.5,
                "minimum_detectable_effect": None,
                "rows_for_80": 1200,
                "rows_for_95": None,
            }
        ],
    }
    (asked,) = backends.drift.calls.requests
    assert (asked.rows, asked.effect) == (1000, 0.2)


@pytest.mark.parametrize(
    ("n", "effect", "field"),
    [("0", "0.2", "n"), ("10", "0", "effect"), ("10", "nan", "effect"), ("10", "inf", "effect")],
)
async def test_plan_that_is_none_is_refused(get: Call, n: str, effect: str, field: str) -> None:
    wrong_field(await get(f"{MODEL}/power", n=n, effect=effect), field)
