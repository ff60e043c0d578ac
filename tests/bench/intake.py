"""How many predictions a second the log takes from the stream to a commit: `make bench`.

It starts a PostgreSQL (synchronous commit on), a Redis (every write on disk before it is
acknowledged) and the prediction log as it is deployed, fills the stream with predictions that it
makes, and watches the log write them. All of it shares the machine. Settings of the log that are in
the environment apply: `WEIR_BATCH_SIZE=1000 python tests/bench/intake.py`.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from rich.console import Console
from rich.table import Table

from servicekit.identifiers import new_id, time_of
from testkit.platform import free_port
from testkit.stores import PostgresStore, Store, running_postgres, running_redis
from weir.events.v1 import events_pb2

STREAM, GROUP = "weir:predictions:0", "prediction_log"
TENANTS = 40
MODELS = {
    ("sentiment", "1"): ["negative", "positive"],
    ("sentiment", "2"): ["negative", "positive"],
    ("topics", "7"): [f"topic-{number}" for number in range(8)],
}
SAMPLED = 0.01
"""Share of the predictions whose trace is recorded."""
PIPELINE = 1000


def main() -> None:
    """Prints a table and, as the last line, JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--consumers", type=int, default=1, help="processes of the log")
    options = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="weir-bench-")))
        for name in ("postgres", "redis"):
            (directory / name).mkdir()
        postgres = stack.enter_context(running_postgres(directory / "postgres", durable=True))
        store = stack.enter_context(running_redis(directory / "redis"))
        redis = stack.enter_context(Redis.from_url(store.url))
        environment = environment_of(postgres, store)
        subprocess.run([*LOG, "migrate"], env=environment, check=True, stdout=subprocess.DEVNULL)
        mean_bytes = fill(redis, options.records)
        consumers = [
            stack.enter_context(consumer(directory, number, environment))
            for number in range(options.consumers)
        ]
        result = measure(redis, options.records, consumers, postgres, store)
        result["event_bytes"] = mean_bytes
    show(result)


LOG = [sys.executable, "-m", "prediction_log"]


def environment_of(postgres: PostgresStore, store: Store) -> dict[str, str]:
    """Of the log's processes."""
    return os.environ | {
        "WEIR_DATABASE_URL": postgres.create_database(),
        "WEIR_EVENTS_REDIS_URL": store.url,
        "WEIR_ISSUER": "https://issuer.invalid",
        "WEIR_JWKS_URL": "https://issuer.invalid/jwks.json",
        "WEIR_TRIM_INTERVAL": "1",
    }


def fill(redis: Redis, records: int) -> float:
    """Appends that many predictions of about now; returns an event's mean size in bytes."""
    # The server's default of half a gigabyte would bound the number of records.
    redis.config_set("maxmemory", 0)
    redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    rng = random.Random(6)
    total = 0
    for begin in range(0, records, PIPELINE):
        pipeline = redis.pipeline(transaction=False)
        for _ in range(min(PIPELINE, records - begin)):
            data = prediction(rng).SerializeToString()
            total += len(data)
            pipeline.xadd(
                STREAM,
                {
                    "type": "weir.events.v1.PredictionRecorded",
                    "data": data,
                    "traceparent": f"00-{rng.getrandbits(128):032x}-{rng.getrandbits(64):016x}-"
                    + ("01" if rng.random() < SAMPLED else "00"),
                },
            )
        pipeline.execute()
    return total / records


def prediction(rng: random.Random) -> events_pb2.PredictionRecorded:
    """One as inference publishes it; few tenants make most of them."""
    identifier = new_id()
    (model, version), labels = rng.choice(list(MODELS.items()))
    label = rng.choice(labels)
    confidence = 0.5 + rng.random() / 2
    tokens = rng.randrange(5, 120)
    fact = events_pb2.PredictionRecorded(
        prediction_id=str(identifier),
        model=model,
        model_version=version,
        tenant=f"tenant-{int(rng.paretovariate(1)) % TENANTS}",
        client_id=f"client-{rng.randrange(200)}",
        delegate_id="gateway",
        request_id=f"{rng.getrandbits(128):032x}",
        input=events_pb2.InputFacts(
            sha256=sha256(identifier.bytes).digest(),
            characters=tokens * 5,
            tokens=tokens,
            unknown_tokens=rng.randrange(3),
            special_tokens=2,
        ),
        label=label,
        confidence=confidence,
        probabilities=dict.fromkeys(labels, (1 - confidence) / (len(labels) - 1))
        | {label: confidence},
        inference_ms=rng.lognormvariate(1.5, 0.5),
    )
    fact.predicted_at.FromDatetime(time_of(identifier))
    return fact


class Consumer:
    """A process of the log."""

    def __init__(self, process: subprocess.Popen[bytes], metrics: str) -> None:
        self.process = psutil.Process(process.pid)
        self._metrics = metrics

    def samples(self) -> dict[str, float]:
        """What it counted about the stream, by the metrics' names."""
        text = httpx.get(self._metrics).text
        return {
            sample.name.removeprefix("weir_prediction_log_"): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.labels.get("stream") == STREAM and len(sample.labels) == 1
        }


@contextmanager
def consumer(directory: Path, number: int, environment: dict[str, str]) -> Iterator[Consumer]:
    """The log, writing what comes."""
    port = free_port()
    with (directory / f"log-{number}.jsonl").open("wb") as log:
        process = subprocess.Popen(
            [*LOG, "serve"],
            env=environment
            | {
                "WEIR_INSTANCE": f"log-{number}",
                "WEIR_GRPC_ADDRESS": f"unix:{directory}/log-{number}.sock",
                "WEIR_METRICS_ADDRESS": f"127.0.0.1:{port}",
            },
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Consumer(process, f"http://127.0.0.1:{port}/metrics")
    finally:
        process.terminate()
        process.wait()


def measure(
    redis: Redis, records: int, consumers: list[Consumer], postgres: PostgresStore, store: Store
) -> dict[str, Any]:
    """Waits until all is written and acknowledged; returns what it took."""
    load = os.getloadavg()[0]
    last = redis.xinfo_stream(STREAM)["last-generated-id"]
    while not delivered(redis):
        time.sleep(0.005)
    started, used = time.perf_counter(), cpu_seconds(consumers, postgres, store)
    while delivered(redis) != last or redis.xpending(STREAM, GROUP)["pending"]:
        time.sleep(0.02)
    seconds = time.perf_counter() - started
    used = {
        name: (after - used[name]) / records * 1e6
        for name, after in cpu_seconds(consumers, postgres, store).items()
    }
    samples = [one.samples() for one in consumers]
    batches = sum(sample["batch_entries_count"] for sample in samples)
    return {
        "records": records,
        "consumers": len(consumers),
        "records_per_second": records / seconds,
        "seconds": seconds,
        "batches": batches,
        "mean_batch": records / batches,
        "batch_seconds": sum(sample["batch_seconds_sum"] for sample in samples) / batches,
        "max_rss_mib": max(peak_rss(one.process) for one in consumers) / 2**20,
        "cpu_us_per_record": used | {"all": sum(used.values())},
        "cores": len(os.sched_getaffinity(0)),
        "load_before": load,
    }


def delivered(redis: Redis) -> bytes | None:
    """The last entry that the group was handed; None before the first."""
    (group,) = redis.xinfo_groups(STREAM)
    return None if group["last-delivered-id"] == b"0-0" else group["last-delivered-id"]


def cpu_seconds(
    consumers: list[Consumer], postgres: PostgresStore, store: Store
) -> dict[str, float]:
    """What the processes have used so far, theirs and the kernel's work for them."""
    server = psutil.Process(postgres.pid)
    return {
        "log": sum(spent(one.process) for one in consumers),
        "postgres": sum(map(spent, [server, *server.children(recursive=True)])),
        "redis": spent(psutil.Process(store.pid)),
    }


def spent(process: psutil.Process) -> float:
    """Of one process, seconds."""
    times = process.cpu_times()
    return times.user + times.system


def peak_rss(process: psutil.Process) -> int:
    """Most memory that it ever had, bytes."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("Linux tells the peak")


def show(result: dict[str, Any]) -> None:
    """The table for people, the JSON for programs."""
    table = Table(title="Intake: from the stream to a commit", show_header=False)
    for name, value in result.items():
        if isinstance(value, dict):
            value = "  ".join(f"{part} {share:.1f}" for part, share in value.items())
        table.add_row(name, f"{value:,.3f}" if isinstance(value, float) else str(value))
    Console().print(table)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
