"""What watching costs: processor time of the drift service for each prediction.

    tests/bench/drift_cost.py --rate 200 --seconds 60 --json result.json

A Redis and the drift service as it is deployed; predictions that look like those of the reference
of a real model come at a steady rate, and the service's own user and system time is read before and
after. The first two windows are not measured: in them the nulls are drawn, once for a reference.
Settings of drift that are in the environment apply. Exit code 1 where the bound is missed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path

import numpy as np
import psutil
from redis import Redis
from rich.console import Console
from rich.table import Table

from drift.domain import ModelVersion
from drift.reference_repository import ReferenceRepository
from drift.signals import INPUT_TOKENS
from servicekit.identifiers import new_id, time_of
from testkit.platform import free_port
from testkit.stores import running_redis
from weir.events.v1 import events_pb2

STREAM, GROUP, STATE = "weir:predictions:0", "drift", "weir:drift:state"
MODELS = Path(__file__).parents[2] / "deploy" / "models"
ABOUT = ModelVersion("sentiment", "2")
WARM_UP = 2100
"""Predictions: more than two windows of the default size."""
BOUND = 150.0
"""Microseconds for each prediction."""
_PAUSE = 0.05
_PATIENCE = 300.0


class Texts:
    """Predictions drawn from the reference: without drift there is nothing to explain."""

    def __init__(self) -> None:
        reference = ReferenceRepository(MODELS).find(ABOUT)
        vectors, tokens = reference.window.vectors(), reference.window.number(INPUT_TOKENS)
        if vectors is None or tokens is None:
            raise SystemExit(f"the reference of {ABOUT} has no texts")
        self._rng = np.random.default_rng(8)
        self._sample = vectors.sample
        self._tokens, weights = tokens.weighted_values()
        self._shares = weights / weights.sum()

    def prediction(self) -> events_pb2.PredictionRecorded:
        """One, of now, as inference publishes it."""
        rng, identifier = self._rng, new_id()
        row = int(rng.integers(len(self._sample)))
        tokens = int(rng.choice(self._tokens, p=self._shares))
        confidence = float(self._sample.confidences[row])
        label, other = ("positive", "negative") if rng.random() < 0.5 else ("negative", "positive")
        fact = events_pb2.PredictionRecorded(
            prediction_id=str(identifier),
            model=ABOUT.model,
            model_version=ABOUT.version,
            tenant=f"tenant-{int(rng.pareto(1)) % 40}",
            client_id="shop",
            request_id=f"{identifier.int:032x}",
            input=events_pb2.InputFacts(
                sha256=sha256(identifier.bytes).digest(),
                characters=tokens * 5,
                tokens=tokens,
                special_tokens=2,
                letters={"latin": tokens * 4},
            ),
            label=label,
            confidence=confidence,
            probabilities={label: confidence, other: 1 - confidence},
            inference_ms=float(rng.lognormal(1.5, 0.5)),
            projection=events_pb2.Projection(
                values=self._sample.values[row].tobytes(), scale=float(self._sample.scales[row])
            ),
        )
        fact.predicted_at.FromDatetime(time_of(identifier))
        return fact

    def append(self, redis: Redis, count: int) -> None:
        """Appends some in one round trip."""
        pipeline = redis.pipeline(transaction=False)
        for _ in range(count):
            fact = self.prediction()
            fields = {"type": fact.DESCRIPTOR.full_name, "data": fact.SerializeToString()}
            pipeline.xadd(STREAM, {**fields, "traceparent": ""})
        pipeline.execute()


@contextmanager
def running_drift(redis_url: str, directory: Path) -> Iterator[psutil.Process]:
    """The service; what it says goes into a file."""
    environment = os.environ | {
        "WEIR_EVENTS_REDIS_URL": redis_url,
        "WEIR_MODEL_REPOSITORY": str(MODELS),
        "WEIR_GRPC_ADDRESS": f"127.0.0.1:{free_port()}",
        "WEIR_METRICS_ADDRESS": "127.0.0.1:0",
        "WEIR_JWKS_URL": "https://issuer.invalid/jwks.json",
    }
    with (directory / "drift.log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-m", "drift"], env=environment, stdout=log)
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(20)


def wait_until_applied(redis: Redis) -> None:
    """Returns when drift has applied everything that is in the stream."""
    ends = time.monotonic() + _PATIENCE
    while time.monotonic() < ends:
        (last, _), *_ = redis.xrevrange(STREAM, count=1)
        if redis.hget(STATE, f"position:{STREAM}") == last:
            return
        time.sleep(_PAUSE)
    raise SystemExit("drift did not apply what was appended")


def seconds_of(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def measure(rate: int, seconds: float) -> dict[str, float]:
    """Processor time at a steady rate, and of the idle service."""
    texts = Texts()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="weir-bench-")))
        store = stack.enter_context(running_redis(directory))
        redis = stack.enter_context(Redis.from_url(store.url))
        texts.append(redis, WARM_UP)
        process = stack.enter_context(running_drift(store.url, directory))
        wait_until_applied(redis)
        before = seconds_of(process)
        time.sleep(min(10.0, seconds))
        idle = (seconds_of(process) - before) / min(10.0, seconds)
        before, began, sent = seconds_of(process), time.monotonic(), 0
        while (passed := time.monotonic() - began) < seconds:
            due = int(passed * rate) - sent
            if due:
                texts.append(redis, due)
                sent += due
            time.sleep(_PAUSE)
        wait_until_applied(redis)
        used = seconds_of(process) - before
        rss = process.memory_info().rss
    return {
        "predictions": sent,
        "rate": rate,
        "microseconds_of_a_prediction": round(used / sent * 1e6, 1),
        "idle_microseconds_of_a_second": round(idle * 1e6, 1),
        "resident_megabytes": round(rss / 1e6, 1),
    }


def main() -> int:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=int, default=200, help="predictions a second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    found = measure(arguments.rate, arguments.seconds)
    table = Table("figure", "found", "at most")
    for name, value in found.items():
        bound = f"{BOUND:g}" if name == "microseconds_of_a_prediction" else ""
        table.add_row(name, f"{value:g}", bound)
    Console().print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")
    return int(found["microseconds_of_a_prediction"] > BOUND)


if __name__ == "__main__":
    sys.exit(main())
