"""Fits a model to prepared data: base weights in, a finished and recorded model out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer

from training.base_model import BaseModel, find_base_model
from training.dev_metrics import Scores
from training.domain import Example
from training.objective import LabelLoss
from training.precision import choose_device, choose_precision
from training.prepared_data import PreparedData
from training.progress import Progress
from training.provenance import code_sha256
from training.recipe import Recipe
from training.recipe_section import digest
from training.run_directory import RunDirectory
from training.run_watch import Watch
from training.student import make_student
from training.teacher import RowEncoder, Teacher, distil, load_teacher
from training.text_classifier import TextClassifier, save_classifier
from training.trainer import Measured, Objective, Step, Trainer
from training.training_record import TOKENIZER, DataRecord, TrainingRecord, write_record

# Settings that change no weight, so a run may be resumed with others.
FREE = {"checkpoint_every_steps", "checkpoint_every_minutes", "keep_checkpoints"}


def fit(
    recipe: Recipe,
    data: PreparedData,
    output: Path,
    progress: Progress,
    clock: Callable[[], float],
    *,
    resume: bool = False,
    stop_signal: Callable[[], int] = lambda: 0,
    on_event: Callable[[Mapping[str, Any]], object] = lambda event: None,
) -> Path:
    """Train ``recipe.model`` on ``data`` in the run's directory ``output``; return the model's.

    The same data, recipe, base, torch build and number of threads give the same weights on a CPU,
    also when the run was killed and resumed. ``clock`` counts seconds; ``stop_signal`` is asked
    after every step, and ``on_event`` is told what goes into ``log.jsonl``. Raises InputError for
    what cannot be used, TrainingError when training fails, and Interrupted after keeping a
    checkpoint when there was a signal.
    """
    base = find_base_model(recipe.model.base)
    device = choose_device()
    precision = choose_precision(recipe.training.precision, device, torch.cpu.get_capabilities())
    run = RunDirectory(output, recipe.training.keep_checkpoints)
    # The caller's random state is left as it was.
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(recipe.training.seed)
        rows = data.splits["train"][: recipe.training.max_rows]
        student = make_student(recipe, base, data.labels, rows, progress)
        teacher = None
        if recipe.distillation is not None:
            teacher = load_teacher(recipe.distillation, data.labels)
        state = run.begin(
            _must_match(recipe, data, base, teacher),
            _should_match(device, precision),
            resume=resume,
            say=progress.say,
        )
        encode = RowEncoder(recipe.model, progress)
        train = encode(student.tokenizer, rows, "train", recipe.training.max_tokens)
        # Prepared rows are shuffled: the first ones are a sample.
        measured = _first_of_each_source(data.splits["dev"], recipe.training.dev_rows)
        dev = encode(student.tokenizer, measured, "dev")
        objective: Objective = LabelLoss(recipe.training.label_smoothing)
        if teacher is not None:
            objective = distil(recipe, student, teacher, rows, train, device, progress)
        trainer = Trainer(
            student.model,
            objective,
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
        watch = Watch(trainer, run, recipe, clock, stop_signal, seconds, on_event)
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
        layers=student.layers,
        vocabulary=int(model.config.vocab_size),
        teacher_sha256=teacher.sha256 if teacher else None,
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
    return run.finish(lambda stage: _write_model(stage, model, student.tokenizer, recipe, record))


def _run(
    trainer: Trainer, watch: Watch, progress: Progress, device: torch.device, precision: str
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


def _first_of_each_source(rows: tuple[Example, ...], limit: int | None) -> list[Example]:
    seen: dict[str, int] = {}
    chosen = []
    for row in rows:
        seen[row.source] = seen.get(row.source, 0) + 1
        if limit is None or seen[row.source] <= limit:
            chosen.append(row)
    return chosen


def _must_match(
    recipe: Recipe, data: PreparedData, base: BaseModel, teacher: Teacher | None
) -> dict[str, str]:
    decisive = recipe.model_copy(
        update={
            "training": recipe.training.model_copy(
                update={key: type(recipe.training).model_fields[key].default for key in FREE}
            )
        }
    )
    return {
        "recipe": digest(decisive),
        "data": data.sha256,
        "base model": base.sha256,
        "teacher": teacher.sha256 if teacher else "none",
    }


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
