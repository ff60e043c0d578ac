"""How fast a full log answers: lists, statistics, charts, the audit trail, exports; and its memory.

    tests/bench/log_queries.py --rows 5000000 --json result.json
    tests/bench/log_queries.py --only audit --rows 5000000

It starts a platform of its own, fills its PostgreSQL with made rows and asks over gRPC and REST,
with tokens, quotas and the audit trail on. Everything shares the machine, this program included.
Exit code 1 where a bound is missed.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import grpc
import httpx
from google.protobuf.timestamp_pb2 import Timestamp
from log_rows import DAYS, RARE_CLIENT, RARE_LABEL, fill, fill_audit, one_hash
from rich.console import Console
from rich.table import Table

from testkit.platform import Platform, running_platform
from weir.predictions.v1 import audit_pb2, audit_pb2_grpc, predictions_pb2_grpc
from weir.predictions.v1 import predictions_pb2 as pb

MODELS = Path(__file__).resolve().parents[2] / "deploy" / "models"
TENANT = "demo"
LIST_MS, STATS_MS, EXPORT_RATE = 20.0, 100.0, 100_000.0
FORMATS = {
    "csv": pb.EXPORT_FORMAT_CSV,
    "jsonl": pb.EXPORT_FORMAT_JSON_LINES,
    "parquet": pb.EXPORT_FORMAT_PARQUET,
}


@dataclass(frozen=True)
class Latency:
    """Of repeated calls, milliseconds."""

    question: str
    p50: float
    p95: float
    bound: float | None
    """Of the p95; None where there is none."""

    @property
    def ok(self) -> bool:
        return self.bound is None or self.p95 <= self.bound


@dataclass(frozen=True)
class Export:
    """One whole file."""

    way: str
    rows: int
    seconds: float
    megabytes: float
    log_mb: float
    """Most resident memory of the log's process while it ran."""
    gateway_mb: float

    @property
    def rate(self) -> float:
        return self.rows / self.seconds

    @property
    def ok(self) -> bool:
        return self.rate >= EXPORT_RATE


class Log:
    """The platform's log over gRPC, with the demo client's token."""

    def __init__(self, platform: Platform, channel: grpc.aio.Channel) -> None:
        self._metadata = (("authorization", f"Bearer {platform.token()}"),)
        self._stub: Any = predictions_pb2_grpc.PredictionLogServiceStub(channel)
        self._audit: Any = audit_pb2_grpc.AuditServiceStub(channel)

    async def ask(self, method: str, request: Any) -> Any:
        stub = self._audit if hasattr(self._audit, method) else self._stub
        return await getattr(stub, method)(request, metadata=self._metadata, timeout=60)

    async def export(self, request: Any) -> tuple[int, int]:
        """Rows and bytes."""
        rows = size = 0
        async for answer in self._stub.ExportPredictions(request, metadata=self._metadata):
            rows, size = answer.rows, size + len(answer.data)
        return rows, size


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--rows", type=int, default=5_000_000, help="predictions; a fifth as many audit records"
    )
    parser.add_argument("--only", choices=["audit"], help="without predictions, lists and exports")
    parser.add_argument("--export-rows", type=int, default=1_000_000, help="about so many a file")
    parser.add_argument("--calls", type=int, default=200, help="of each question")
    parser.add_argument("--json", type=Path, help="where the numbers go as well")
    arguments = parser.parse_args()
    console = Console()
    with (
        tempfile.TemporaryDirectory(prefix="weir-bench-") as directory,
        running_platform(Path(directory) / "home", MODELS) as platform,
    ):
        url = platform.endpoints.postgres
        started = time.perf_counter()
        await fill_audit(url, TENANT, arguments.rows // 5)
        if not arguments.only:
            with console.status("filling") as status:
                began = await fill(
                    url, TENANT, arguments.rows, lambda n: status.update(f"filling: {n:,} rows")
                )
        console.print(
            f"{arguments.rows // 5:,} audit records"
            + ("" if arguments.only else f" and {arguments.rows:,} predictions")
            + f" in {time.perf_counter() - started:.0f} s"
        )
        exports: list[Export] = []
        async with grpc.aio.insecure_channel(platform.endpoints.prediction_log) as channel:
            log = Log(platform, channel)
            latencies = await ask_audit(platform, log, arguments.calls)
            if not arguments.only:
                digest = await one_hash(url, TENANT)
                latencies += await ask_everything(platform, log, digest, arguments.calls)
                exports = await export_everything(platform, log, began, arguments)
    show(console, latencies, exports)
    if arguments.json:
        content = {
            "rows": arguments.rows,
            "latencies": [asdict(each) for each in latencies],
            "exports": [asdict(each) | {"rows_per_second": each.rate} for each in exports],
        }
        arguments.json.write_text(json.dumps(content, indent=1) + "\n")
    return 0 if all(each.ok for each in (*latencies, *exports)) else 1


async def ask_everything(platform: Platform, log: Log, digest: str, calls: int) -> list[Latency]:
    ago = datetime.now(UTC) - timedelta(days=90)
    lists = {
        "first page": {},
        "a month ago": {"predicted_before": stamp(datetime.now(UTC) - timedelta(days=30))},
        "model and version": {"model": "sentiment", "model_version": "3"},
        "label": {"label": "negative"},
        "not shadow": {"shadow": False},
        "client": {"client_id": "client-3"},
        "low confidence": {"confidence_to": 0.55},
        "with feedback": {"has_feedback": True},
    }
    found = [
        await timed(f"list: {name}", calls, LIST_MS, partial(log.ask, *listing(**f)))
        for name, f in lists.items()
    ]
    deep = await deep_cursor(log)
    found.append(await timed("list: page 100", calls, LIST_MS, partial(log.ask, *listing(deep))))
    rare = {
        "one input's hash": {"input_sha256": digest},
        "rare label": {"label": RARE_LABEL},
        "rare client": {"client_id": RARE_CLIENT},
        "no such label": {"label": "nonsense"},
    }
    few = max(calls // 20, 5)
    found += [
        await timed(f"list: {name}", few, None, partial(log.ask, *listing(**f)))
        for name, f in rare.items()
    ]
    series = pb.GetStatsSeriesRequest(predicted_from=stamp(ago), bucket=pb.STATS_BUCKET_DAY)
    lines = pb.GetStatsSeriesRequest(predicted_from=stamp(ago), by_version=True)
    stats = pb.GetStatsRequest(filter=pb.PredictionFilter(predicted_from=stamp(ago)))
    for name, method, request in (
        ("90 days: statistics", "GetStats", stats),
        ("90 days: series", "GetStatsSeries", series),
        ("90 days: series by version", "GetStatsSeries", lines),
    ):
        found.append(await timed(name, calls, STATS_MS, partial(log.ask, method, request)))
    async with http(platform) as api:
        since = ago.date()
        for name, path, bound in (
            ("REST list: first page", "/v1/predictions", LIST_MS),
            ("REST 90 days: series", f"/v1/stats/series?from={since:%Y-%m-%d}T00:00Z", STATS_MS),
        ):
            found.append(await timed(name, calls, bound, partial(fetched, api, path)))
    return found


async def ask_audit(platform: Platform, log: Log, calls: int) -> list[Latency]:
    """Pages of the audit trail; each is put on the trail itself before it is given out."""
    questions: dict[str, dict[str, Any]] = {
        "first page": {},
        "a month ago": {"occurred_before": stamp(datetime.now(UTC) - timedelta(days=30))},
        "client": {"client_id": "audited-3"},
        "target": {"target": "target-77"},
        "refusals": {"outcome": "refused"},
    }
    found = [
        await timed(
            f"audit: {name}",
            calls,
            LIST_MS,
            partial(
                log.ask,
                "ListAuditRecords",
                audit_pb2.ListAuditRecordsRequest(filter=audit_pb2.AuditFilter(**matching)),
            ),
        )
        for name, matching in questions.items()
    ]
    async with http(platform) as api:
        for name, query in (("first page", ""), ("refusals", "?outcome=refused")):
            call = partial(fetched, api, f"/v1/audit{query}")
            found.append(await timed(f"REST audit: {name}", calls, LIST_MS, call))
    return found


async def export_everything(
    platform: Platform, log: Log, began: datetime, arguments: argparse.Namespace
) -> list[Export]:
    share = min(1.0, arguments.export_rows / (0.7 * arguments.rows))
    before = began + share * timedelta(days=DAYS)
    done = []
    for name, file_format in FORMATS.items():
        matching = pb.PredictionFilter(predicted_before=stamp(before))
        request = pb.ExportPredictionsRequest(filter=matching, format=file_format)
        done.append(await measured(platform, f"gRPC {name}", partial(log.export, request)))
    async with http(platform) as api:
        for name in FORMATS:
            query = {"format": name, "before": before.isoformat()}
            rows = done[len(done) % len(FORMATS)].rows

            async def fetch(query: dict[str, str] = query, rows: int = rows) -> tuple[int, int]:
                size = 0
                async with api.stream("GET", "/v1/predictions/export", params=query) as answer:
                    answer.raise_for_status()
                    async for piece in answer.aiter_raw():
                        size += len(piece)
                return rows, size

            done.append(await measured(platform, f"REST {name}", fetch))
    return done


async def timed(
    question: str, calls: int, bound: float | None, call: Callable[[], Awaitable[Any]]
) -> Latency:
    times = []
    for number in range(calls + 3):
        started = time.perf_counter()
        await call()
        # The first ones pay for what is made on demand.
        if number >= 3:
            times.append((time.perf_counter() - started) * 1e3)
    return Latency(question, median(times), quantiles(times, n=20)[-1], bound)


async def measured(
    platform: Platform, way: str, call: Callable[[], Awaitable[tuple[int, int]]]
) -> Export:
    processes = [platform.process(name) for name in ("prediction_log", "gateway")]
    for process in processes:
        forget_most_resident(process.pid)
    started = time.perf_counter()
    rows, size = await call()
    seconds = time.perf_counter() - started
    log_mb, gateway_mb = (most_resident(process.pid) for process in processes)
    return Export(way, rows, seconds, size / 1e6, log_mb, gateway_mb)


def forget_most_resident(pid: int | None) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def most_resident(pid: int | None) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return float("nan")


async def deep_cursor(log: Log) -> str:
    cursor = ""
    for _ in range(10):
        cursor = (await log.ask(*listing(cursor, limit=500))).next_cursor or cursor
    return cursor


def listing(cursor: str = "", limit: int = 50, **fields: Any) -> tuple[str, Any]:
    matching = pb.PredictionFilter(**fields)
    request = pb.ListPredictionsRequest(filter=matching, cursor=cursor, limit=limit)
    return "ListPredictions", request


def http(platform: Platform) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=platform.endpoints.http,
        headers={"authorization": f"Bearer {platform.token()}"},
        timeout=60,
    )


async def fetched(api: httpx.AsyncClient, path: str) -> None:
    (await api.get(path)).raise_for_status()


def stamp(moment: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp


def show(console: Console, latencies: list[Latency], exports: list[Export]) -> None:
    table = Table("question", "p50 ms", "p95 ms", "bound", "")
    for each in latencies:
        bound = "" if each.bound is None else f"{each.bound:.0f}"
        verdict = "" if each.bound is None else "ok" if each.ok else "MISSED"
        table.add_row(each.question, f"{each.p50:.1f}", f"{each.p95:.1f}", bound, verdict)
    console.print(table)
    if not exports:
        return
    table = Table("export", "rows", "rows/s", "MB/s", "log MB", "gateway MB", "")
    for each in exports:
        table.add_row(
            each.way,
            f"{each.rows:,}",
            f"{each.rate:,.0f}",
            f"{each.megabytes / each.seconds:.0f}",
            f"{each.log_mb:.0f}",
            f"{each.gateway_mb:.0f}",
            "ok" if each.ok else "MISSED",
        )
    console.print(table)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
