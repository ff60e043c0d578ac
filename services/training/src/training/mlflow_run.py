"""Tracked runs in MLflow: a SQLite file by default, a server by ``MLFLOW_TRACKING_URI``.

The only importer of mlflow. Its first error is told, once, and the run goes on without it.
"""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Before the import: it would report its use to its makers, and wait minutes for a server.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")

from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient

from training.tracking import Say, TrackedRun, ending

DEFAULT_STORE = Path(".weir/training/mlflow.db")
ARTEFACTS = "mlflow-artefacts"
LONGEST_PARAM = 6000
PARENT = "mlflow.parentRunId"
NAME = "mlflow.runName"


class _Store:
    """A client that is given up at its first error."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._client: MlflowClient | None = None
        self._broken = False
        self.experiment = ""

    def open(self, experiment: str) -> None:
        """Find or make the experiment."""

        def make(_: Any) -> str:
            uri = os.environ.get("MLFLOW_TRACKING_URI")
            place = None
            if not uri:
                DEFAULT_STORE.parent.mkdir(parents=True, exist_ok=True)
                uri = f"sqlite:///{DEFAULT_STORE.resolve()}"
                place = (DEFAULT_STORE.parent / ARTEFACTS / experiment).resolve().as_uri()
            self._client = MlflowClient(uri)
            found = self._client.get_experiment_by_name(experiment)
            if found is not None:
                return str(found.experiment_id)
            return str(self._client.create_experiment(experiment, artifact_location=place))

        self.experiment = self.ask(make, "")

    def ask(self, question: Callable[[Any], Any], otherwise: Any) -> Any:
        """The answer, or ``otherwise`` where the store is away."""
        if self._broken:
            return otherwise
        try:
            with warnings.catch_warnings():
                # What it should no longer ask of SQLAlchemy is for its makers to know.
                warnings.simplefilter("ignore", DeprecationWarning)
                return question(self._client)
        # Whatever went wrong in a library that speaks to databases, servers and clouds: a training
        # run must not end for it.
        except Exception as exc:
            self._broken = True
            reason = " ".join(str(exc).split())[:200]
            self._say(f"note: tracking is off from here on ({type(exc).__name__}: {reason})")
            return otherwise


class MlflowRun:
    """One run; an empty ``id`` is that of a run that was never made."""

    def __init__(self, store: _Store, run: str) -> None:
        self._store = store
        self.id = run

    @classmethod
    def open(cls, experiment: str, name: str, say: Say, known: str | None = None) -> MlflowRun:
        """The run ``known``, where the store still has it, or a new one."""
        # It tells of every migration of its database.
        for logger in ("mlflow", "alembic"):
            logging.getLogger(logger).setLevel(logging.ERROR)
        store = _Store(say)
        store.open(os.environ.get("MLFLOW_EXPERIMENT_NAME") or experiment)
        if known and store.ask(lambda client: _resumed(client, known), False):
            return cls(store, known)
        return cls(store, _made(store, {NAME: name}))

    def params(self, values: Mapping[str, object]) -> None:
        """Keep what was chosen; what was kept before stays."""

        def log(client: Any) -> None:
            kept = client.get_run(self.id).data.params
            params = [
                Param(key, str(of)[:LONGEST_PARAM]) for key, of in values.items() if key not in kept
            ]
            client.log_batch(self.id, params=params)

        self._store.ask(log, None)

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Keep what was measured at a step."""
        now = int(time.time() * 1000)
        metrics = [Metric(key, of, now, step) for key, of in values.items()]
        self._store.ask(lambda client: client.log_batch(self.id, metrics=metrics), None)

    def artefact(self, path: Path, folder: str = "") -> None:
        """Keep a file or a directory."""

        def log(client: Any) -> None:
            log_one = client.log_artifacts if path.is_dir() else client.log_artifact
            log_one(self.id, str(path), folder or None)

        self._store.ask(log, None)

    @contextmanager
    def nested(self, name: str) -> Iterator[TrackedRun]:
        """A run below this one."""
        run = MlflowRun(self._store, _made(self._store, {NAME: name, PARENT: self.id}))
        with ending(run):
            yield run

    def end(self, status: str) -> None:
        """Say how it ended: FINISHED, FAILED or KILLED."""
        self._store.ask(lambda client: client.set_terminated(self.id, status), None)


def _made(store: _Store, tags: Mapping[str, str]) -> str:
    named = [RunTag(key, of) for key, of in tags.items()]

    def make(client: Any) -> str:
        made = client.create_run(store.experiment, tags={tag.key: tag.value for tag in named})
        return str(made.info.run_id)

    return str(store.ask(make, ""))


def _resumed(client: Any, run: str) -> bool:
    found = client.search_runs(
        [of.experiment_id for of in client.search_experiments()],
        filter_string=f"attributes.run_id = '{run}'",
    )
    if found:
        client.update_run(run, status="RUNNING")
    return bool(found)
