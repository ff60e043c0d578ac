"""Stages, shares, shadows and the way back: what routing.yaml says after each command."""

from __future__ import annotations

import itertools
import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from training.__main__ import app
from training.domain import InputError, Refused, StorageError
from training.local_repository import LocalRepository
from training.repository import open_repository
from training.routing import Signature, promoted, routing_text
from training.stages import Placing, promote

Run = Callable[..., Result]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository whose model has versions 1 to 3, the first one in production."""
    for version in ("1", "2", "3"):
        add_package(tmp_path / "models" / "toy" / version)
    routing = {"versions": {"1": 100}, "shadow": [], "sticky": "subject"}
    (tmp_path / "models" / "toy" / "routing.yaml").write_bytes(routing_text(routing))
    return tmp_path / "models"


def add_package(directory: Path) -> None:
    directory.mkdir(parents=True)
    metrics = {"toys dev": {"accuracy": 0.9}}
    described = {"created_at": "2026-01-01T00:00:00Z", "metrics": metrics}
    (directory / "model.yaml").write_text(yaml.safe_dump(described))


@pytest.fixture
def weir(root: Path) -> Run:
    def run(command: str, *arguments: object) -> Result:
        given = [command, *map(str, arguments), "--repository", str(root)]
        return CliRunner().invoke(app, given, env={"COLUMNS": "160"})

    return run


def through_stages(weir: Run, version: str, *last: object) -> Result:
    for stage in ("dev", "staging"):
        assert weir("promote", "toy", version, "--to", stage).exception is None
    return weir("promote", "toy", version, "--to", "production", *last)


def routing(root: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((root / "toy" / "routing.yaml").read_text())
    return content


def events(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / "toy" / "events.jsonl").read_text().splitlines()]


def test_a_version_goes_through_the_stages_and_takes_all_traffic(weir: Run, root: Path) -> None:
    result = through_stages(weir, "2")

    assert result.exception is None, result.output
    assert "toy 2 is in production; traffic: 100 % to 2" in result.output
    assert routing(root)["versions"] == {"2": 100}
    assert routing(root)["stages"] == {"dev": "2", "staging": "2", "production": "2"}
    assert routing(root)["sticky"] == "subject"
    assert b"&" not in (root / "toy" / "routing.yaml").read_bytes()  # people read it, too


@pytest.mark.parametrize("stage", ["staging", "production"])
def test_a_stage_cannot_be_left_out(weir: Run, root: Path, stage: str) -> None:
    before = (root / "toy" / "routing.yaml").read_bytes()

    result = weir("promote", "toy", "2", "--to", stage)

    assert isinstance(result.exception, Refused)
    assert "has not been in" in str(result.exception)
    assert (root / "toy" / "routing.yaml").read_bytes() == before
    assert weir("promote", "toy", "2", "--to", stage, "--skip-stages").exception is None


def test_a_version_that_was_in_a_stage_earlier_may_go_on(weir: Run, root: Path) -> None:
    weir("promote", "toy", "2", "--to", "dev")
    weir("promote", "toy", "3", "--to", "dev")

    assert weir("promote", "toy", "2", "--to", "staging").exception is None
    assert routing(root)["stages"] == {"dev": "3", "staging": "2"}
    assert routing(root)["versions"] == {"1": 100}


def test_a_canary_takes_its_share_and_the_old_version_stays_in_production(
    weir: Run, root: Path
) -> None:
    through_stages(weir, "2", "--share", 10)

    assert routing(root)["versions"] == {"1": 90, "2": 10}
    assert routing(root)["stages"]["production"] == "1"
    weir("promote", "toy", "2", "--to", "production", "--share", 25)
    assert routing(root)["versions"] == {"1": 75, "2": 25}


def test_shares_stay_whole_and_keep_their_proportions() -> None:
    start = {"versions": {"1": 50, "2": 49, "3": 1}, "shadow": [], "stages": {}, "history": []}
    signature = Signature("a", "now", "me")

    after = promoted(start, "4", "production", signature, share=33, skip_stages=True)

    assert after["versions"] == {"1": 33, "2": 33, "3": 1, "4": 33}


def test_a_shadow_gets_copies_and_no_traffic(weir: Run, root: Path) -> None:
    through_stages(weir, "2", "--shadow")

    assert (routing(root)["versions"], routing(root)["shadow"]) == ({"1": 100}, ["2"])
    weir("promote", "toy", "2", "--to", "production")
    assert (routing(root)["versions"], routing(root)["shadow"]) == ({"2": 100}, [])


def test_a_version_that_answers_is_no_shadow(weir: Run) -> None:
    result = weir("promote", "toy", "1", "--to", "production", "--shadow", "--skip-stages")

    assert "it cannot be a shadow" in str(result.exception)


def test_one_command_goes_back_to_what_was_served_before(weir: Run, root: Path) -> None:
    through_stages(weir, "2", "--share", 10)
    weir("promote", "toy", "2", "--to", "production")

    result = weir("rollback", "toy", "--reason", "slow")

    assert "toy production: back to 1; traffic: 90 % to 1, 10 % to 2" in result.output
    assert routing(root)["versions"] == {"1": 90, "2": 10}
    assert weir("rollback", "toy").exception is None
    assert routing(root)["versions"] == {"1": 100}
    assert routing(root)["stages"] == {"dev": "2", "staging": "2", "production": "1"}
    assert "no earlier version" in str(weir("rollback", "toy").exception)


def test_another_stage_goes_back_alone(weir: Run, root: Path) -> None:
    weir("promote", "toy", "2", "--to", "dev")
    weir("promote", "toy", "3", "--to", "dev")

    assert "dev: back to 2" in weir("rollback", "toy", "--stage", "dev").output
    assert "dev: back to none" in weir("rollback", "toy", "--stage", "dev").output
    assert routing(root)["versions"] == {"1": 100}


def test_a_version_that_is_gone_does_not_come_back(weir: Run, root: Path) -> None:
    through_stages(weir, "2")
    (root / "toy" / "1" / "model.yaml").unlink()
    before = (root / "toy" / "routing.yaml").read_bytes()

    assert "version 1 of toy is no longer there" in str(weir("rollback", "toy").exception)
    assert (root / "toy" / "routing.yaml").read_bytes() == before


def test_every_change_is_an_event_with_who_and_why(weir: Run, root: Path) -> None:
    weir("promote", "toy", "2", "--to", "dev", "--by", "ada", "--reason", "nightly")
    weir("rollback", "toy", "--stage", "dev", "--by", "bob")

    first, second = events(root)
    assert (first["by"], first["action"], first["stage"]) == ("ada", "promote", "dev")
    assert (first["model"], first["from"], first["to"]) == ("toy", None, "2")
    assert first["reason"] == "nightly"
    assert first["at"].endswith("Z")
    assert (second["by"], second["action"], second["from"]) == ("bob", "rollback", "2")
    assert second["undoes"] == first["id"]


def test_doing_it_twice_changes_and_records_nothing(weir: Run, root: Path) -> None:
    through_stages(weir, "2")
    before = (root / "toy" / "routing.yaml").read_bytes(), len(events(root))

    assert weir("promote", "toy", "2", "--to", "production").exception is None
    assert ((root / "toy" / "routing.yaml").read_bytes(), len(events(root))) == before


def test_an_event_that_a_dying_process_did_not_write_is_written_by_the_next(
    weir: Run, root: Path
) -> None:
    weir("promote", "toy", "2", "--to", "dev")
    kept = b'{"somebody": "else"}\nnot JSON\n'
    (root / "toy" / "events.jsonl").write_bytes(kept)

    weir("promote", "toy", "2", "--to", "staging")

    lines = (root / "toy" / "events.jsonl").read_bytes()
    assert lines.startswith(kept)
    assert [json.loads(line)["stage"] for line in lines.splitlines()[2:]] == ["dev", "staging"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("promote", "toy", "9", "--to", "dev"), "toy has no version 9; there are 1, 2, 3"),
        (("promote", "other", "1", "--to", "dev"), "there is no package"),
        (("promote", "toy", "2", "--to", "dev", "--share", "5"), "are about production"),
        (
            ("promote", "toy", "2", "--to", "production", "--share", "5", "--shadow"),
            "not both",
        ),
        (("stages", "other"), "there is no package"),
    ],
)
def test_what_cannot_be_meant_is_an_input_error(
    weir: Run, arguments: tuple[str, ...], complaint: str
) -> None:
    result = weir(*arguments)

    assert isinstance(result.exception, InputError)
    assert complaint in str(result.exception)


@pytest.mark.parametrize(
    "content", [b"[]", b"versions: [1]", b"versions: {a: b}", b"versions: {", b"\xff"]
)
def test_a_malformed_routing_file_is_left_alone(weir: Run, root: Path, content: bytes) -> None:
    (root / "toy" / "routing.yaml").write_bytes(content)

    result = weir("promote", "toy", "2", "--to", "dev")

    assert isinstance(result.exception, InputError)
    assert "routing.yaml" in str(result.exception)
    assert (root / "toy" / "routing.yaml").read_bytes() == content


def test_the_tables_show_what_serves(weir: Run, root: Path) -> None:
    through_stages(weir, "2", "--share", 10)
    (root / "toy" / "3" / "model.yaml").write_text("[]")

    stages, models = weir("stages", "toy").output, weir("models").output

    rows = {line.split()[0]: " ".join(line.split()) for line in stages.splitlines() if line.strip()}
    assert rows["1"] == "1 production 90 % 2026-01-01T00:00:00Z 0.9000 toys dev"
    assert rows["2"] == "2 dev, staging 10 % 2026-01-01T00:00:00Z 0.9000 toys dev"
    assert "malformed" in rows["3"]
    assert "toy 3 2 2 1 traffic: 90 % to 1, 10 % to 2" in " ".join(models.split())


def _promote_many(root: Path, version: str) -> None:
    repository = open_repository(str(root))
    for number in range(10):
        # Another version each time: what is there already would not be an edit.
        chosen = version if number % 2 else "1"
        signature = Signature(f"{version}-{number}", "now", "me")
        promote(repository, "toy", chosen, "dev", Placing(), signature)


def test_promotions_at_the_same_time_all_survive(root: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_promote_many, args=(root, one)) for one in ("2", "3")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0

    history = routing(root)["history"]
    assert [entry["id"] for entry in history] == [event["id"] for event in events(root)]
    # Each change knows the one before it: none was made on what another had replaced.
    for before, after in itertools.pairwise(history):
        assert after["from"] == before["to"]
    assert {entry["id"].split("-")[0] for entry in history} == {"2", "3"}


def test_who_waits_too_long_for_the_lock_is_told(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.local_repository.PATIENCE_SECONDS", 0.0)
    repository = LocalRepository(root)

    def edit_inside(content: bytes | None) -> bytes | None:
        with pytest.raises(StorageError, match="somebody else has been editing"):
            repository.edit("toy", "routing.yaml", lambda _: b"lost")
        return content

    repository.edit("toy", "routing.yaml", edit_inside)
