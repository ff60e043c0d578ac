"""What is kept in MLflow, and that nothing depends on it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from training.domain import Pruned
from training.tracking import TRACKING, event_metrics, flat, tracked_run
from training.tune import with_values

from .conftest import Weir, make_rows, write_rows
from .exported_runs import make_run
from .test_tune import make, prepared

__all__ = ["prepared"]

# What mlflow should no longer ask of SQLAlchemy: these tests ask mlflow themselves, too.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without a run: making its tables takes longer than a test."""
    from mlflow.tracking import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def client(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Tracking as it is by default, in a working directory of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WEIR_NO_TRACKING")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    from mlflow.tracking import MlflowClient

    store = tmp_path / ".weir" / "training" / "mlflow.db"
    store.parent.mkdir(parents=True)
    shutil.copyfile(empty_store, store)
    return MlflowClient(f"sqlite:///{store}")


def runs(client: Any) -> list[Any]:
    experiments = [of.experiment_id for of in client.search_experiments()]
    found: list[Any] = client.search_runs(experiments, order_by=["attributes.start_time"])
    return found


def artefacts(client: Any, run: Any, folder: str | None = None) -> set[str]:
    return {of.path for of in client.list_artifacts(run.info.run_id, folder)}


# The first one imports torch and mlflow and makes data, which a busy machine takes minutes for.
@pytest.mark.timeout(480)
def test_a_fit_is_kept_with_its_recipe_its_course_and_its_model(
    client: Any, weir: Weir, data: Path, thin_base: Path, tmp_path: Path
) -> None:
    options = ("--set", "training.evaluate_every=5", "--set", "training.rows_per_batch=8")
    result = weir(
        *("fit", data, "--base", thin_base, "--output", tmp_path / "run", "--epochs", 1),
        *("--max-tokens", 32, "--set", "training.max_rows=80", *options),
    )

    assert result.exception is None, result.output
    (run,) = runs(client)
    assert run.info.status == "FINISHED"
    assert run.data.params["training.max_rows"] == "80"
    assert run.data.params["training.evaluate_every"] == "5"
    measured = client.get_metric_history(run.info.run_id, "dev/mean")
    assert [of.step for of in measured] == [5, 10]
    assert {"dev/toys/accuracy", "dev/toys/loss"} <= run.data.metrics.keys()
    assert artefacts(client, run) == {"data_card.md", "log.jsonl", "model"}
    assert "model/training.json" in artefacts(client, run, "model")
    assert (tmp_path / "run" / TRACKING).exists()


def test_a_registered_package_joins_the_run_that_it_came_from(
    client: Any, weir: Weir, tmp_path: Path
) -> None:
    run = make_run(tmp_path / "run")
    said: list[str] = []
    with tracked_run("toy", "run", said.append, beside=run, go_on=False, enabled=True) as tracked:
        tracked.params({"a": 1})
    dev = write_rows(tmp_path / "toys" / "dev.jsonl", make_rows(20, seed=2))

    result = weir(
        *("register", run, "--dev", dev, "--name", "toy", "--version", "1"),
        *("--repository", tmp_path / "models"),
    )

    assert result.exception is None, result.output
    (kept,) = runs(client)
    assert (kept.data.params, kept.info.status) == ({"a": "1"}, "FINISHED")
    assert "package-1/model.yaml" in artefacts(client, kept, "package-1")


def test_an_evaluation_joins_the_run_that_it_is_of(client: Any, weir: Weir, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    with tracked_run("toy", "run", print, beside=run, go_on=False, enabled=True):
        pass
    dev = write_rows(tmp_path / "toys" / "dev.jsonl", make_rows(20, seed=2))

    result = weir(
        *("evaluate", run, "--graph", "fp32", "--data", dev, "--resamples", 2),
        *("--output", tmp_path / "out"),
    )

    assert result.exception is None, result.output
    (kept,) = runs(client)
    names = {"evaluation/evaluation.html", "evaluation/evaluation.json"}
    assert artefacts(client, kept, "evaluation") == names


def test_trials_are_nested_and_tell_how_they_ended(client: Any, tmp_path: Path) -> None:
    with tracked_run("toy", "study", print, beside=tmp_path, go_on=True, enabled=True) as study:
        with study.nested("trial 0") as trial:
            trial.params({"x": 0.5})
            trial.metrics({"dev/mean": 0.9}, 1)
        with pytest.raises(Pruned), study.nested("trial 1"):
            raise Pruned("behind")
        with pytest.raises(ValueError, match="broken"), study.nested("trial 2"):
            raise ValueError("broken")
    with tracked_run("toy", "study", print, beside=tmp_path, go_on=True, enabled=True) as study:
        study.artefact(tmp_path / TRACKING)

    parents = {of.info.run_name: of.data.tags.get("mlflow.parentRunId") for of in runs(client)}
    ends = {of.info.run_name: of.info.status for of in runs(client)}
    parent = next(of.info.run_id for of in runs(client) if of.info.run_name == "study")
    assert parents == {"study": None, "trial 0": parent, "trial 1": parent, "trial 2": parent}
    assert ends == {
        "study": "FINISHED", "trial 0": "FINISHED", "trial 1": "KILLED", "trial 2": "FAILED",
    }  # fmt: skip


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "sqlite:////proc/nowhere/a.db", "odd://x"])
def test_a_store_that_is_away_is_told_once_and_fails_nothing(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    said: list[str] = []

    with tracked_run("toy", "run", said.append, beside=tmp_path, go_on=True, enabled=True) as run:
        run.params({"a": 1})
        run.metrics({"b": 1.0}, 1)
        run.artefact(tmp_path)
        with run.nested("trial 0") as nested:
            nested.metrics({"b": 1.0}, 1)

    assert len(said) == 1
    assert said[0].startswith("note: tracking is off from here on")
    assert not (tmp_path / TRACKING).exists()


def test_switched_off_it_keeps_nothing_and_imports_nothing(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from training.tracking import tracked_run\n"
        "import training.__main__\n"
        "with tracked_run('a', 'b', print, beside=Path(), go_on=True, enabled=False) as run:\n"
        "    run.params({}); run.metrics({}, 1); run.artefact(Path('x'))\n"
        "    with run.nested('c') as nested: nested.params({})\n"
        "assert not {'mlflow', 'optuna', 'torch'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_a_recipe_is_flat_and_has_no_search_space(prepared: Any) -> None:
    recipe = with_values(make(prepared, {}), {"training.ema": 0.9})

    settings = flat(recipe)

    assert settings["training.ema"] == 0.9
    assert settings["labels"] == '["negative", "positive"]'
    assert not any(key.startswith("tuning") for key in settings)


def test_events_become_figures() -> None:
    assert event_metrics({"step": 20, "loss": 0.5, "learning_rate": 1e-5}) == {
        "train/loss": 0.5, "train/learning_rate": 1e-5,
    }  # fmt: skip
    measured = {"step": 5, "dev": {"toys": {"rows": 9, "f1": 0.5}}, "mean": 0.5, "best": True}
    assert event_metrics(measured) == {
        "dev/toys/rows": 9.0, "dev/toys/f1": 0.5, "dev/mean": 0.5,
    }  # fmt: skip
