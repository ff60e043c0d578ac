"""What the inference engine's own work costs: `make bench BENCH=scheduler`.

The engine alone, in one process, without servers, tokens or records: texts a second and each one's
time in a closed loop, beside the ceiling, which is ONNX Runtime in a loop over the same texts,
sorted by length, on as many threads. Both take turns; the medians count. Then an open loop at three
times that rate shows what overload does. `ARGS="--help"` lists what can be chosen.
"""

import argparse
import asyncio
import json
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from threading import Thread

import numpy as np
import onnxruntime as ort
from rich.console import Console
from rich.table import Table
from texts import KINDS, texts_of

from inference.admission import Limits
from inference.cpu_limit import available_cores
from inference.domain import Caller, Item, Rejection
from inference.runnable import RunnableModel
from inference.scheduler import Scheduler
from inference.text_classifier import PreparedText
from inference.version_loading import load_version

MODEL = Path(__file__).resolve().parents[2] / "deploy" / "models" / "sentiment" / "2"
GENEROUS = Limits(items=1_000_000, seconds=3600.0, short_queue=1_000_000)
AS_DEPLOYED = Limits(items=2048, seconds=0.4, short_queue=256)


@dataclass
class Measured:
    """One way of running texts of one kind."""

    rates: list[float] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return median(self.rates)

    def quantile(self, percent: int) -> float:
        if len(self.milliseconds) < 2:
            return max(self.milliseconds, default=0.0)
        return quantiles(self.milliseconds, n=100)[percent - 1]


class Ceiling:
    """The runtime itself; `batches` is how many of the sorted texts run together."""

    def __init__(self, directory: Path, threads: int, batches: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        file = str(directory / "model.onnx")
        self._sessions = [
            ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
            for _ in range(threads)
        ]
        self._names = [entry.name for entry in self._sessions[0].get_inputs()]
        self._batches = batches

    def rate(self, token_ids: Sequence[np.ndarray]) -> float:
        """Texts a second."""
        ordered = sorted(token_ids, key=len)
        feeds = [
            self._feed(ordered[at : at + self._batches])
            for at in range(0, len(ordered), self._batches)
        ]
        # Taken in turns from the long end, so that the threads end together.
        waiting = iter(feeds[::-1])

        def work(session: ort.InferenceSession) -> None:
            for feed in waiting:
                session.run(["logits"], feed)

        started = time.perf_counter()
        threads = [Thread(target=work, args=(session,)) for session in self._sessions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(ordered) / (time.perf_counter() - started)

    def _feed(self, texts: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        padded = np.zeros((len(texts), max(map(len, texts))), dtype=np.int64)
        mask = np.zeros_like(padded)
        for row, ids in enumerate(texts):
            padded[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
        filled = {"input_ids": padded, "attention_mask": mask}
        return {name: filled.get(name, np.zeros_like(padded)) for name in self._names}


async def closed_loop(
    scheduler: Scheduler,
    model: RunnableModel,
    texts: Sequence[str],
    concurrency: int,
    together: int,
    into: Measured,
) -> None:
    """Callers that ask for `together` texts at a time, and again when they are answered."""
    waiting = iter(range(0, len(texts), together))

    async def ask() -> None:
        for at in waiting:
            started = time.perf_counter()
            answers = await scheduler.run(
                [(model, item(text, at)) for text in texts[at : at + together]]
            )
            into.milliseconds.append((time.perf_counter() - started) * 1e3)
            if any(isinstance(answer, Rejection) for answer in answers):
                raise RuntimeError("a text was refused")

    started = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(concurrency)))
    into.rates.append(len(texts) / (time.perf_counter() - started))


async def overload(
    scheduler: Scheduler, model: RunnableModel, texts: Sequence[str], rate: float, seconds: float
) -> tuple[Measured, Measured]:
    """Sends at a rate, whoever waits; returns what was answered and what was refused."""
    answered, refused = Measured(), Measured()

    async def ask(number: int, due: float) -> None:
        (answer,) = await scheduler.run([(model, item(texts[number % len(texts)], number))])
        into = refused if isinstance(answer, Rejection) else answered
        into.milliseconds.append((time.perf_counter() - due) * 1e3)

    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            due = begun + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(ask(number, due))
    took = time.perf_counter() - begun
    for measured in (answered, refused):
        measured.rates.append(len(measured.milliseconds) / took)
    return answered, refused


def item(text: str, request: int) -> Item:
    """Each request of its own, of one tenant."""
    return Item(text, Caller("bench", "bench"), str(request))


def encoded(model: RunnableModel, texts: Sequence[str]) -> list[np.ndarray]:
    """Token ids, which the ceiling gets for nothing."""
    prepared = (model.prepare(item(text, 0)) for text in texts)
    return [each.token_ids for each in prepared if isinstance(each, PreparedText)]


async def measure(options: argparse.Namespace, console: Console) -> dict[str, object]:
    """Every kind of text, each way in turns."""
    threads = options.threads or available_cores()
    model = load_version(options.model).model
    batches = options.batches if model.batching.independent else 1
    ceiling = Ceiling(options.model, threads, batches)
    table = Table("texts", "ceiling/s", *(f"{each} at a time" for each in options.at), "of 256")
    results: dict[str, object] = {"threads": threads, "batching": model.batching.independent}
    for kind in options.kinds:
        texts = texts_of(kind, options.texts)[: options.count if kind == "short" else options.long]
        top = Measured()
        ways = {(each, 1): Measured() for each in options.at} | {(1, 256): Measured()}
        async with Scheduler(threads, GENEROUS) as scheduler:
            await asyncio.to_thread(scheduler.warm_up, model)
            for _ in range(options.rounds):
                top.rates.append(ceiling.rate(encoded(model, texts)))
                for (concurrency, together), way in ways.items():
                    few = texts if concurrency * together > 1 else texts[: len(texts) // 4]
                    await closed_loop(scheduler, model, few, concurrency, together, way)
        table.add_row(
            kind,
            f"{top.rate:.0f}",
            *(
                f"{way.rate:.0f} ({way.rate / top.rate:.2f}) p50 {way.quantile(50):.1f} "
                f"p99 {way.quantile(99):.1f} ms"
                for way in ways.values()
            ),
        )
        results[kind] = {
            "ceiling": top.rate,
            **{
                f"{at}x{of}": [way.rate, way.quantile(50), way.quantile(99)]
                for (at, of), way in ways.items()
            },
        }
        full = ways[max(options.at), 1]
        if options.overload:
            results[f"{kind} overload"] = await overloaded(
                options, console, model, kind, texts, full
            )
    console.print(table)
    results["rss_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return results


async def overloaded(
    options: argparse.Namespace,
    console: Console,
    model: RunnableModel,
    kind: str,
    texts: Sequence[str],
    full: Measured,
) -> dict[str, float]:
    """Three times what the closed loop was answered, with the limits that a service has."""
    async with Scheduler(options.threads or available_cores(), AS_DEPLOYED) as scheduler:
        await asyncio.to_thread(scheduler.warm_up, model)
        answered, refused = await overload(scheduler, model, texts, 3 * full.rate, options.overload)
    found = {
        "goodput": answered.rate / full.rate,
        "admitted_p99_ms": answered.quantile(99),
        "p99_at_full_load_ms": full.quantile(99),
        "refused_p99_ms": refused.quantile(99),
    }
    console.print(f"{kind}, three times the rate:", found)
    return found


def main() -> int:
    """Prints a table and, as the last line, JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL, help="directory of a package")
    parser.add_argument("--texts", type=Path, help="directory of SST-2 and IMDB; made ones else")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--threads", type=int, help="as many as cores by default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=1024, help="short texts a round")
    parser.add_argument("--long", type=int, default=256, help="long or mixed texts a round")
    parser.add_argument("--at", type=int, nargs="+", default=[1, 64, 256], help="callers")
    parser.add_argument("--batches", type=int, default=4, help="of the ceiling, where it may")
    parser.add_argument("--overload", type=float, default=5.0, help="seconds; 0 leaves it out")
    options = parser.parse_args()
    results = asyncio.run(measure(options, Console(width=140)))
    sys.stdout.write(json.dumps(results) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
