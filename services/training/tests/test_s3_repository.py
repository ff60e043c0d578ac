"""A repository in a bucket of a real S3 server: whole packages, and no lost edits."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from training.__main__ import app
from training.domain import InputError, StorageError
from training.repository import open_repository
from training.s3_repository import S3Repository

FILES = {"golden.jsonl": b"{}\n", "model.onnx": b"\x08" * 100_000, "model.yaml": b"format: 1\n"}


@pytest.fixture
def repository(bucket: Any) -> S3Repository:
    return S3Repository("models/team/a")


def add(repository: S3Repository, version: str) -> None:
    with repository.staging("toy", version) as stage:
        for file, content in FILES.items():
            (stage / file).write_bytes(content)


def keys(bucket: Any) -> list[str]:
    return sorted(each.key.removeprefix("team/a/") for each in bucket.objects.all())


def test_a_package_arrives_whole_and_comes_back_the_same(repository: S3Repository) -> None:
    add(repository, "1")

    assert (repository.models(), repository.versions("toy")) == (["toy"], ["1"])
    with repository.package("toy", "1") as copy:
        assert {path.name: path.read_bytes() for path in copy.iterdir()} == FILES


def test_the_manifest_is_written_last(
    repository: S3Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    put = S3Repository._put

    def watch(self: S3Repository, path: str, content: bytes, condition: dict[str, str]) -> None:
        assert self.versions("toy") == []
        put(self, path, content, condition)
        written.append(path.rsplit("/", 1)[-1])

    monkeypatch.setattr(S3Repository, "_put", watch)

    add(repository, "1")

    assert written == ["golden.jsonl", "model.onnx", "model.yaml"]


def test_an_upload_that_fails_leaves_nothing(
    repository: S3Repository, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = S3Repository._put

    def fail(self: S3Repository, path: str, content: bytes, condition: dict[str, str]) -> None:
        if path.endswith("model.yaml"):
            raise StorageError("the store is away")
        put(self, path, content, condition)

    monkeypatch.setattr(S3Repository, "_put", fail)

    with pytest.raises(StorageError, match="away"):
        add(repository, "1")
    assert keys(bucket) == []


def test_a_version_is_never_overwritten(repository: S3Repository, bucket: Any) -> None:
    add(repository, "1")

    with pytest.raises(InputError, match="immutable"):
        add(repository, "1")

    assert keys(bucket) == [f"toy/1/{file}" for file in FILES]


def test_of_two_that_write_the_same_version_the_first_one_keeps_it(
    repository: S3Repository, bucket: Any
) -> None:
    def both() -> None:
        with repository.staging("toy", "1") as late:
            (late / "model.yaml").write_bytes(b"late: true\n")
            add(repository, "1")

    with pytest.raises(InputError, match="somebody else writes it"):
        both()

    assert keys(bucket) == [f"toy/1/{file}" for file in FILES]
    assert repository.read("toy", "1/model.yaml") == FILES["model.yaml"]


def test_an_edit_that_came_between_is_kept(repository: S3Repository) -> None:
    """Also when the file did not exist before."""
    asked: list[bytes | None] = []

    def edit(content: bytes | None) -> bytes:
        asked.append(content)
        if len(asked) <= 2:
            other = f"{len(asked)}".encode()
            repository.edit("toy", "routing.yaml", lambda present: (present or b"") + other)
        return (content or b"") + b"+mine"

    repository.edit("toy", "routing.yaml", edit)

    assert asked == [None, b"1", b"12"]
    assert repository.read("toy", "routing.yaml") == b"12+mine"


def test_an_edit_that_always_loses_is_refused(
    repository: S3Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.s3_repository.TRIES", 3)

    def edit(content: bytes | None) -> bytes:
        repository.edit("toy", "routing.yaml", lambda present: (present or b"") + b".")
        return b"mine"

    with pytest.raises(StorageError, match="others kept changing it"):
        repository.edit("toy", "routing.yaml", edit)
    assert b"mine" not in (repository.read("toy", "routing.yaml") or b"")


def test_the_commands_work_on_a_bucket(repository: S3Repository, bucket: Any) -> None:
    for version in ("1", "2"):
        add(repository, version)
    repository.edit("toy", "routing.yaml", lambda _: b"versions: {'1': 100}\n")

    def weir(*arguments: str) -> str:
        location = ("--repository", "s3://models/team/a/")
        result = CliRunner().invoke(app, [*arguments, *location], env={"COLUMNS": "120"})
        assert result.exception is None, result.output
        return result.output

    weir("promote", "toy", "2", "--to", "production", "--skip-stages", "--share", "5")
    assert "95 % to 1, 5 % to 2" in weir("models")
    assert "back to 1; traffic: 100 % to 1" in weir("rollback", "toy")

    routing = yaml.safe_load(repository.read("toy", "routing.yaml") or b"")
    recorded = (repository.read("toy", "events.jsonl") or b"").splitlines()
    assert routing["versions"] == {"1": 100}
    assert [json.loads(line)["action"] for line in recorded] == ["canary", "rollback"]


def test_a_bucket_that_is_not_there_is_told(repository: S3Repository) -> None:
    with pytest.raises(StorageError, match="s3://nowhere/x"):
        S3Repository("nowhere").edit("x", "routing.yaml", lambda _: b"")


def test_missing_packages_are_told(repository: S3Repository) -> None:
    with pytest.raises(InputError, match="there is no package"), repository.package("toy", "1"):
        pass


@pytest.mark.parametrize("location", ["gs://bucket/a", "s3://", "http://host/models"])
def test_another_kind_of_store_is_refused(location: str) -> None:
    with pytest.raises(InputError, match="neither a path nor s3://"):
        open_repository(location)


def test_without_the_extra_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)

    with pytest.raises(InputError, match=r"weir-training\[s3\]"):
        S3Repository("bucket")


def test_a_store_that_is_away_is_told(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")

    with pytest.raises(StorageError, match="s3://models"):
        S3Repository("models").read("toy", "routing.yaml")


def test_a_directory_repository_is_a_path(tmp_path: Path) -> None:
    assert open_repository(str(tmp_path)).models() == []
