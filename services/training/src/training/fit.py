"""Fits a model to prepared data: base weights in, a finished and recorded model out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer

from training.base_model import BaseModel, find_base_model
from training.dev_metrics import Scores
from training.domain import Example, InputError, Interrupted
from training.encoded_rows import EncodedRow, encode_rows
from training.objective import LabelLoss
from training.precision import choose_device, choose_precision
from training.prepared_data import PreparedData
from training.progress import Progress
from training.provenance import code_sha256
from training.recipe import Recipe
from training.recipe_section import digest
from training.run_directory import RunDirectory
from training.text_classifier import TextClassifier, new_classifier, save_classifier
from training.tokenizer import load_tokenizer
from training.trainer import Measured, Step, Trainer
from training.training_record import TOKENIZER, DataRecord, TrainingRecord, write_record

# Settings that change no weight, so a run may be resumed with others.
FREE = {"checkpoint_every_steps", "checkpoint_every_minutes", "keep_checkpoints"}
STEPS_BETWEEN_LOGS = 20


def fit(
    recipe: Recipe,
    data: PreparedData,
    output: Path,
    progress: Progress,
    clock: Callable[[], float],
    *,
    resume: bool = False,
    stop_signal: Callable[[], int] = lambda: 0,
) -> Path:
    """Train ``recipe.model`` on ``data`` in the run's directory ``output``; return the model's.

    The same data, recipe, base, torch build and number of threads give the same weights on a CPU,
    also when the run was killed and resumed. ``clock`` counts seconds; ``stop_signal`` is asked
    after every step. Raises InputError for what cannot be used, TrainingError when training
    fails, and Interrupted after keeping a checkpoint when there was a signal.
    """
    base = find_base_model(recipe.model.base)
    device = choose_device()
    precision = choose_precision(recipe.training.precision, device, torch.cpu.get_capabilities())
    run = RunDirectory(output, recipe.training.keep_checkpoints)
    # The caller's random state is left as it was.
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(recipe.training.seed)
        tokenizer = load_tokenizer(base.directory / TOKENIZER, recipe.model.max_tokens)
        model = new_classifier(base.directory, data.labels, recipe.model.pooling)
        _check_model(model, recipe, progress)
        state = run.begin(
            _must_match(recipe, data, base),
            _should_match(device, precision),
            resume=resume,
            say=progress.say,
        )
        train, dev = _encode(recipe, data, tokenizer, progress)
        trainer = Trainer(
            model,
            LabelLoss(recipe.training.label_smoothing),
            train,
            dev,
            recipe.training,
            device=device,
            precision=precision,
        )
        seconds = 0.0
        if state is not None:
            trainer.load(state)
            seconds = float(state["seconds"])
            progress.say(f"resumed after step {trainer.position.step}")
        watch = _Watch(trainer, run, recipe, clock, stop_signal, seconds)
        _run(trainer, watch, progress, device, precision)
        model = trainer.take_best()
    record = TrainingRecord(
        labels=data.labels,
        base_model=base.name,
        base_model_sha256=base.sha256,
        licence=base.licence,
        data=DataRecord.train_files(data),
        dataset_sha256=data.sha256,
        recipe=recipe,
        recipe_sha256=digest(recipe),
        code_sha256=code_sha256(),
        steps=trainer.position.step,
        best_step=trainer.position.best_step,
        metrics=trainer.position.best_scores,
        seconds=round(watch.seconds(), 1),
        threads=torch.get_num_threads(),
        device=device.type,
        precision=precision,
        torch=torch.__version__,
        transformers=transformers.__version__,
    )
    return run.finish(lambda stage: _write_model(stage, model, tokenizer, recipe, record))


class _Watch:
    """Logs, keeps checkpoints and stops, between the steps of a run."""

    def __init__(
        self,
        trainer: Trainer,
        run: RunDirectory,
        recipe: Recipe,
        clock: Callable[[], float],
        stop_signal: Callable[[], int],
        seconds: float,
    ) -> None:
        self._trainer, self._run, self._recipe = trainer, run, recipe.training
        self._clock, self._stop_signal = clock, stop_signal
        self._before = seconds
        self._began = self._saved = clock()

    def seconds(self) -> float:
        """The time that the run took, with what it took before it was resumed."""
        return self._before + self._clock() - self._began

    def measured(self, result: Measured) -> None:
        self._run.log(
            {
                "step": result.step,
                "dev": result.scores,
                "mean": result.value,
                "best": result.is_best,
            }
        )

    def stepped(self, step: Step) -> None:
        if step.number % STEPS_BETWEEN_LOGS == 0:
            self._run.log(
                {
                    "step": step.number,
                    "loss": step.loss,
                    "learning_rate": step.learning_rate,
                    "tokens": self._trainer.position.tokens,
                    "seconds": round(self.seconds(), 3),
                }
            )
        signal = self._stop_signal()
        if signal or self._is_due(step.number):
            self._run.save({**self._trainer.state(), "seconds": self.seconds()}, step.number)
            self._saved = self._clock()
        if signal:
            raise Interrupted(f"stopped after step {step.number}: go on with --resume", signal)

    def _is_due(self, step: int) -> bool:
        every = self._recipe.checkpoint_every_steps
        minutes = (self._clock() - self._saved) / 60
        return bool(every and step % every == 0) or minutes >= self._recipe.checkpoint_every_minutes


def _run(
    trainer: Trainer, watch: _Watch, progress: Progress, device: torch.device, precision: str
) -> None:
    rows = f"{trainer.total} steps on {device.type} in {precision}"
    progress.say(f"training: {rows}")
    done = trainer.position.step
    with progress.task("training", trainer.total, "tokens", done=done) as advance:

        def on_step(step: Step) -> None:
            advance(amount=step.tokens, note=f"loss {step.loss:.3f}")
            watch.stepped(step)

        def on_measured(result: Measured) -> None:
            watch.measured(result)
            progress.say(f"step {result.step}: {_summary(result.scores)}")

        trainer.run(on_step, on_measured)
    at = trainer.position
    early = ", stopped early" if at.stopped else ""
    progress.say(f"best at step {at.best_step} of {at.step}{early}: {_summary(at.best_scores)}")


def _summary(scores: Scores) -> str:
    return ", ".join(
        f"{source} {of['accuracy']:.4f} (loss {of['loss']:.3f})" for source, of in scores.items()
    )


def _encode(
    recipe: Recipe, data: PreparedData, tokenizer: Tokenizer, progress: Progress
) -> tuple[list[EncodedRow], list[EncodedRow]]:
    # Prepared rows are shuffled: the first ones are a sample.
    parts = {
        "train": data.splits["train"][: recipe.training.max_rows],
        "dev": _first_of_each_source(data.splits["dev"], recipe.training.dev_rows),
    }
    train, dev = (
        encode_rows(
            tokenizer,
            rows,
            max_tokens=recipe.model.max_tokens,
            truncation=recipe.model.truncation,
            progress=progress,
            title=f"tokenising {split}",
        )
        for split, rows in parts.items()
    )
    return train, dev


def _first_of_each_source(rows: tuple[Example, ...], limit: int | None) -> list[Example]:
    seen: dict[str, int] = {}
    chosen = []
    for row in rows:
        seen[row.source] = seen.get(row.source, 0) + 1
        if limit is None or seen[row.source] <= limit:
            chosen.append(row)
    return chosen


def _check_model(model: TextClassifier, recipe: Recipe, progress: Progress) -> None:
    if recipe.model.max_tokens > model.max_tokens:
        raise InputError(
            f"{recipe.model.base}: {model.max_tokens} tokens at most, "
            f"{recipe.model.max_tokens} wanted"
        )
    family = model.config.model_type
    if family != "bert":
        progress.say(f"note: a {family} model can be trained but not packaged: only BERT is fused")
    if recipe.model.truncation != "head":
        progress.say("note: servers cut texts at the head's end, so this cannot be packaged")


def _must_match(recipe: Recipe, data: PreparedData, base: BaseModel) -> dict[str, str]:
    decisive = recipe.model_copy(
        update={
            "training": recipe.training.model_copy(
                update={key: type(recipe.training).model_fields[key].default for key in FREE}
            )
        }
    )
    return {"recipe": digest(decisive), "data": data.sha256, "base model": base.sha256}


def _should_match(device: torch.device, precision: str) -> dict[str, str]:
    return {
        "code": code_sha256(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "number of threads": str(torch.get_num_threads()),
        "device": device.type,
        "precision": precision,
    }


def _write_model(
    directory: Path,
    model: TextClassifier,
    tokenizer: Tokenizer,
    recipe: Recipe,
    record: TrainingRecord,
) -> None:
    save_classifier(model, directory)
    tokenizer.no_padding()
    tokenizer.enable_truncation(recipe.model.max_tokens)
    tokenizer.save(str(directory / TOKENIZER))
    write_record(directory, record)
