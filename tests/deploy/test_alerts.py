"""Alerts help whoever is woken: each says what it is about, has a runbook, and is tested."""

import pytest
from deploy.alert_rules import REPOSITORY, Alert, alerts, seen_in_tests

SECTIONS = ("## What it means", "## What users feel", "## Look", "## Do", "## It is over when")
ALERTS = alerts()


def _named(alert: Alert) -> str:
    return f"{alert.name}-{alert.labels.get('drift', alert.severity)}"


@pytest.mark.parametrize("alert", ALERTS, ids=_named)
def test_alert_says_how_urgent_it_is_and_what_it_is_about(alert: Alert) -> None:
    assert alert.severity in {"page", "ticket"}
    assert set(alert.annotations) == {"summary", "description", "runbook_url"}
    assert all(len(text) > 15 for text in alert.annotations.values())


@pytest.mark.parametrize("alert", ALERTS, ids=_named)
def test_alert_has_a_runbook_that_says_what_to_do(alert: Alert) -> None:
    assert alert.annotations["runbook_url"] == f"deploy/runbooks/alerts/{alert.name}.md"
    page = (REPOSITORY / alert.annotations["runbook_url"]).read_text()
    assert page.startswith(f"# {alert.name}\n")
    places = [page.index(section) for section in SECTIONS]
    assert places == sorted(places)
    assert "`" in page[places[2] : places[3]], "there is nothing to look with"


def test_every_runbook_of_an_alert_has_its_alert() -> None:
    pages = {page.stem for page in (REPOSITORY / "deploy/runbooks/alerts").glob("*.md")}
    assert pages == {alert.name for alert in ALERTS}


def test_every_alert_is_seen_firing_and_silent() -> None:
    firing, silent = seen_in_tests()
    assert firing == {(alert.name, alert.severity) for alert in ALERTS}
    assert silent == {alert.name for alert in ALERTS}


def test_what_was_promised_is_watched() -> None:
    watched = {alert.name for alert in ALERTS}
    assert watched >= {
        "WeirAvailabilityBudgetBurn",
        "WeirLatencyBudgetBurn",
        "WeirLogBehind",
        "WeirLogBacklog",
        "WeirPredictionsUnlogged",
        "WeirAuditEventsDropped",
        "WeirDriftIncidentOpen",
        "WeirCertificateExpires",
        "WeirSigningKeyOld",
        "WeirServiceAbsent",
        "WeirInstanceDown",
        "WeirQuotaFallbackActive",
        "WeirDatabasePoolExhausted",
        "WeirDeadLetters",
    }
