"""A study: trials of settings, kept in a database that several processes may share.

The only importer of optuna. A process that dies leaves its trial running; the others see that its
heart has stopped, mark it failed, and try its settings again.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from training.domain import InputError, Pruned, TrainingError
from training.tuning_recipe import Parameter, Tuning, Value

HEARTBEAT_SECONDS = 10
GRACE_SECONDS = 60
# Settings whose process died are tried so many times again, for they may be what killed it.
RETRIES = 2
# How long another process may hold the database.
LOCK_SECONDS = 60
SQLITE = "sqlite:///"
_ERROR = "error"


@dataclass(frozen=True, slots=True)
class Tried:
    """A finished trial."""

    number: int
    values: Mapping[str, Value]
    score: float


class Trial:
    """One choice of values, by dotted setting."""

    def __init__(self, trial: optuna.Trial, parameters: Mapping[str, Parameter]) -> None:
        self.number = trial.number
        self.values = {name: _suggest(trial, name, of) for name, of in parameters.items()}
        self._trial = trial

    def report(self, score: float, measurement: int) -> None:
        """Tell the score of a measurement, from 1. Raises Pruned when others were better there."""
        self._trial.report(score, measurement)
        if self._trial.should_prune():
            raise Pruned(f"measurement {measurement}: {score:.4f}")


Objective = Callable[[Trial], float]


class Study:
    """The study ``name`` in the database ``url``, made when it is not there.

    ``identity`` says what is tuned: a study of something else is refused. Raises InputError for
    that, and when the database cannot be used.
    """

    def __init__(
        self, url: str, name: str, tuning: Tuning, identity: Mapping[str, str], *, maximise: bool
    ) -> None:
        self._parameters = tuning.parameters
        optuna.logging.set_verbosity(logging.WARNING)
        try:
            self._study = optuna.create_study(
                study_name=name,
                storage=_storage(url),
                sampler=optuna.samplers.TPESampler(seed=tuning.seed),
                pruner=_pruner(tuning),
                direction="maximize" if maximise else "minimize",
                load_if_exists=True,
            )
            self._check(identity)
            # Who joins must not choose what the first one has chosen already.
            seed = tuning.seed + len(self._study.trials)
            self._study.sampler = optuna.samplers.TPESampler(seed=seed)
        except (SQLAlchemyError, ImportError, OSError) as exc:
            reason = " ".join(str(exc).split("\n")[0].split())
            raise InputError(f"{url}: cannot be used as storage ({reason})") from exc

    def finished(self) -> int:
        """Trials that came to an end of their own: completed, pruned, or diverged."""
        ended = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        return sum(
            trial.state is not TrialState.FAIL or _ERROR in trial.user_attrs
            for trial in self._study.get_trials(deepcopy=False, states=ended)
        )

    def run(self, trials: int, objective: Objective, say: Callable[[str], object]) -> None:
        """Try until the study has ``trials`` finished ones, whoever ran them.

        A trial that raises Pruned or TrainingError is finished; anything else ends the run.
        """

        def run_one(trial: optuna.Trial) -> float:
            chosen = Trial(trial, self._parameters)
            say(f"trial {chosen.number}: {_shown(chosen.values)}")
            try:
                return objective(chosen)
            except Pruned as exc:
                raise optuna.TrialPruned(str(exc)) from exc
            except TrainingError as exc:
                trial.set_user_attr(_ERROR, str(exc))
                raise

        def tell(_: optuna.Study, trial: FrozenTrial) -> None:
            say(f"{self._line(trial)}; {self.finished()} of {trials} done")

        while self.finished() < trials:
            self._study.optimize(run_one, n_trials=1, catch=(TrainingError,), callbacks=[tell])

    def best(self) -> Tried | None:
        """The best of the trials that completed, or None."""
        completed = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if not completed:
            return None
        trial = self._study.best_trial
        return Tried(trial.number, dict(trial.params), float(trial.value or 0.0))

    def _check(self, identity: Mapping[str, str]) -> None:
        known = self._study.user_attrs.get("identity")
        if known is None:
            self._study.set_user_attr("identity", dict(identity))
            return
        differ = [key for key, of in identity.items() if known.get(key) != of]
        if differ:
            raise InputError(
                f"study {self._study.study_name} is of another {', '.join(differ)}: "
                "choose another --study"
            )

    def _line(self, trial: FrozenTrial) -> str:
        outcome = {TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}.get(trial.state)
        score = outcome or f"{trial.value:.4f}"
        best = self.best()
        beside = f", best {best.score:.4f} in trial {best.number}" if best else ""
        return f"trial {trial.number}: {score}{beside}"


def _storage(url: str) -> RDBStorage:
    options: dict[str, Any] = {}
    if url.startswith(SQLITE):
        Path(url.removeprefix(SQLITE)).parent.mkdir(parents=True, exist_ok=True)
        options = {"connect_args": {"timeout": LOCK_SECONDS}}
    with warnings.catch_warnings():
        # Heartbeats are what makes a killed process's trial come back; they are years old.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return RDBStorage(
            url,
            engine_kwargs=options,
            heartbeat_interval=HEARTBEAT_SECONDS,
            grace_period=GRACE_SECONDS,
            heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=RETRIES),
        )


def _pruner(tuning: Tuning) -> optuna.pruners.BasePruner:
    if tuning.pruner == "none":
        return optuna.pruners.NopPruner()
    if tuning.pruner == "hyperband":
        return optuna.pruners.HyperbandPruner()
    return optuna.pruners.MedianPruner(n_startup_trials=3)


def _suggest(trial: optuna.Trial, name: str, parameter: Parameter) -> Value:
    if parameter.choices is not None:
        chosen: Value = trial.suggest_categorical(name, list(parameter.choices))
        return chosen
    low, high = parameter.low or 0, parameter.high or 0
    if isinstance(low, int) and isinstance(high, int):
        return int(trial.suggest_int(name, low, high, log=parameter.log))
    return float(trial.suggest_float(name, low, high, log=parameter.log))


def _shown(values: Mapping[str, Value]) -> str:
    return ", ".join(
        f"{name.rpartition('.')[2]} {of:.3g}" if isinstance(of, float) else f"{name} {of}"
        for name, of in values.items()
    )
