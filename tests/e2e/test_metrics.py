"""The running services export what is documented, and all that alerts and dashboards ask."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest
from deploy.queries import expressions, unknown_in
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from testkit.platform import Platform, wait_until

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "deploy/observability/METRICS.md"
SERVICES = ("gateway", "inference", "prediction_log", "drift")
EXPRESSIONS = list(expressions())
PRIVATE = {"client", "client_id", "tenant", "subject", "path", "user", "prediction_id", "token"}


def samples(platform: Platform, service: str) -> Iterator[Sample]:
    for family in text_string_to_metric_families(platform.metrics(service)):
        yield from family.samples


def families(platform: Platform, service: str) -> set[str]:
    # The parser drops what a counter's name ends with.
    lines = platform.metrics(service).splitlines()
    return {line.split()[2] for line in lines if line.startswith("# TYPE weir_")}


@pytest.fixture(scope="module")
def used(platform: Platform) -> Platform:
    """The platform after somebody used it: what has labels has values now."""
    with platform.client() as api:
        made = api.post("/predict", json={"text": "Seen by all eyes."}).raise_for_status().json()
        api.post("/predict/batch", json={"texts": ["One.", "Two."]}).raise_for_status()
        path = f"/v1/predictions/{made['prediction_id']}"
        wait_until(lambda: api.get(path).status_code == 200, path)
        api.post(f"{path}/feedback", json={"correct_label": "negative"}).raise_for_status()
        api.get("/v1/drift/windows")
        api.get(f"/no/such/path/{made['prediction_id']}")
    wait_until(
        lambda: "weir_drift_window_rows{" in platform.metrics("drift"),
        "drift's first look at its windows",
    )
    return platform


@pytest.fixture(scope="module")
def documented() -> Mapping[str, Mapping[str, tuple[str, frozenset[str]]]]:
    """Type and labels of each metric, by service and name, as METRICS.md has them."""
    found: dict[str, dict[str, tuple[str, frozenset[str]]]] = {name: {} for name in SERVICES}
    for line in PAGE.read_text().splitlines():
        if line.startswith("| `weir_"):
            name, kind, labels, services, *_ = (cell.strip() for cell in line.split("|")[1:])
            names = frozenset(label.strip("` ") for label in labels.split(",")) - {"–"}
            for service in services.split(", "):
                found[service][name.strip("`")] = (kind, names)
    return found


@pytest.fixture(scope="module")
def exported(
    used: Platform, documented: Mapping[str, Mapping[str, tuple[str, frozenset[str]]]]
) -> dict[str, frozenset[str]]:
    """Labels of everything that can be asked for: scraped, with the labels of what has no value."""
    found: dict[str, frozenset[str]] = {}
    for service in SERVICES:
        for sample in samples(used, service):
            found[sample.name] = found.get(sample.name, frozenset()) | set(sample.labels)
        for name in families(used, service):
            kind, labels = documented[service][name]
            ends = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
            for end in ends:
                more = {"le"} if end == "_bucket" else set()
                found[name + end] = found.get(name + end, frozenset()) | labels | more
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_service_exports_what_is_documented(
    used: Platform,
    documented: Mapping[str, Mapping[str, tuple[str, frozenset[str]]]],
    service: str,
) -> None:
    assert families(used, service) == set(documented[service])


def test_the_page_is_what_the_services_declare() -> None:
    script = REPOSITORY / "deploy/observability/metrics_page.py"
    done = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_labels_are_those_that_are_documented_and_name_nobody(
    used: Platform,
    documented: Mapping[str, Mapping[str, tuple[str, frozenset[str]]]],
    service: str,
) -> None:
    for sample in samples(used, service):
        if sample.name.startswith("weir_"):
            name = sample.name
            while name not in documented[service]:
                name = name.rpartition("_")[0]
            assert set(sample.labels) - {"le"} == documented[service][name][1], sample.name
        assert not PRIVATE & set(sample.labels), sample.name


@pytest.mark.parametrize("service", SERVICES)
def test_every_process_says_what_it_is(used: Platform, service: str) -> None:
    (built,) = (each for each in samples(used, service) if each.name == "weir_build_info")
    assert built.labels["service"] == service
    assert built.labels["version"][0].isdigit()


@pytest.mark.parametrize(
    ("service", "metric"),
    [
        ("gateway", "weir_audit_dropped_total"),
        ("gateway", "weir_revocations_dropped_total"),
        ("inference", "weir_inference_unlogged_total"),
        ("inference", "weir_inference_dropped_total"),
        ("inference", "weir_inference_shadow_dropped_total"),
        ("prediction_log", "weir_prediction_log_dead_letters_total"),
        ("prediction_log", "weir_prediction_log_unopened_inputs_total"),
    ],
)
def test_losses_are_there_before_the_first(used: Platform, service: str, metric: str) -> None:
    assert any(sample.name == metric for sample in samples(used, service))


def test_a_path_that_does_not_exist_makes_no_series(used: Platform, api: httpx.Client) -> None:
    assert "/no/such/path" not in used.metrics("gateway")


@pytest.mark.parametrize(
    ("where", "expression"), EXPRESSIONS, ids=[where for where, _ in EXPRESSIONS]
)
def test_query_names_what_the_services_export(
    exported: dict[str, frozenset[str]], where: str, expression: str
) -> None:
    assert unknown_in(expression, exported) == []
