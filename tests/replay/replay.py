"""Sends labelled texts through a running platform and checks what the books say about them.

    python tests/replay/replay.py ../data/dev.jsonl.gz            # needs `make run` elsewhere
    python tests/replay/replay.py ../data/dev.jsonl.gz --own      # starts a platform of its own
    python tests/replay/replay.py ../data/dev.jsonl.gz --own --stop-postgres

A text file has one JSON object a line: {"text": "...", "label": 0}; labels are indices or names.
It checks that every request is answered, the accuracy, that the labels are the ones of the
evaluation in training (where the model package knows the file), and that every prediction can be
read from the log, once, within two seconds of the last answer. The exit code is 0 when all hold.
"""

import gzip
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Annotated, Any

import httpx
import typer
import yaml
from rich.console import Console
from rich.progress import track

from testkit.platform import Platform, running_platform

MODELS = Path(__file__).resolve().parents[2] / "deploy" / "models"
PAGE = 500
VISIBLE_WITHIN = 2.0
"""Seconds from the last answer until all rows can be read."""
DRAINED_WITHIN = 30.0
"""The same after PostgreSQL was away."""

console = Console()


@dataclass(frozen=True)
class Answer:
    """What came back for one text."""

    status: int
    code: str = ""
    """Of the problem, where there was one."""
    prediction_id: str = ""
    label: str = ""
    milliseconds: float = 0.0


def main(
    data: Annotated[Path, typer.Argument(help="Labelled texts: JSON lines, plain or .gz.")],
    home: Annotated[
        Path, typer.Option(envvar="WEIR_HOME", help="Home of the running platform.")
    ] = Path(".weir"),
    own: Annotated[bool, typer.Option(help="Start a platform for this run.")] = False,
    stop_postgres: Annotated[
        bool, typer.Option(help="Stop PostgreSQL from one third of the run to its end.")
    ] = False,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests at the same time.")] = 8,
    at_least: Annotated[float, typer.Option(help="Accuracy that must be reached.")] = 0.885,
) -> None:
    """Send labelled texts through a platform and check the books."""
    if stop_postgres and not own:
        raise typer.BadParameter("--stop-postgres needs --own")
    texts, labels = read_rows(data)
    with (
        platform_at(home, own=own) as (address, credentials, platform),
        httpx.Client(base_url=address, timeout=30.0) as api,
    ):
        api.headers["Authorization"] = f"Bearer {get_token(api, *credentials)}"
        answers = send(api, texts, concurrency, platform if stop_postgres else None)
        last_answer = time.monotonic()
        if stop_postgres and platform is not None:
            platform.start("postgres")
            console.print("PostgreSQL is started again")
        ids = [answer.prediction_id for answer in answers if answer.status == 200]
        seconds = wait_for_rows(
            api, set(ids), last_answer, DRAINED_WITHIN if stop_postgres else VISIBLE_WITHIN
        )
        rows = list(rows_of(api, set(ids)))
    holds = report(data, answers, labels, at_least)
    holds &= check("every prediction can be read", seconds is not None, f"after {seconds} s")
    holds &= check("one row each", len(rows) == len(ids) == len(set(ids)), f"{len(rows)} rows")
    raise typer.Exit(0 if holds else 1)


def read_rows(data: Path) -> tuple[list[str], list[str]]:
    """Texts, and their labels by name where the file has indices."""
    content = gzip.decompress(data.read_bytes()) if data.suffix == ".gz" else data.read_bytes()
    rows = [json.loads(line) for line in content.splitlines()]
    names = yaml.safe_load((package_directory() / "model.yaml").read_text())["labels"]
    labels = [
        row["label"] if isinstance(row["label"], str) else names[row["label"]] for row in rows
    ]
    return [row["text"] for row in rows], labels


def package_directory() -> Path:
    """The package of the default model that takes the traffic."""
    routing = yaml.safe_load((MODELS / "sentiment" / "routing.yaml").read_text())
    version = max(routing["versions"], key=routing["versions"].get)
    return MODELS / "sentiment" / version


@contextmanager
def platform_at(home: Path, *, own: bool) -> Iterator[tuple[str, tuple[str, str], Platform | None]]:
    """Address, client credentials, and the platform itself where it is our own."""
    if own:
        with (
            tempfile.TemporaryDirectory(prefix="weir-replay-") as directory,
            running_platform(Path(directory) / "home", MODELS) as platform,
        ):
            yield platform.endpoints.http, platform.client_credentials(), platform
        return
    try:
        client = json.loads((home / "client.json").read_text())
        address = json.loads((home / "endpoints.json").read_text())["http"]
    except OSError as error:
        console.print(f"no platform runs in {home} ({error.strerror}): start it with `make run`")
        raise typer.Exit(2) from None
    yield address, (client["client_id"], client["client_secret"]), None


def get_token(api: httpx.Client, client_id: str, secret: str) -> str:
    """An access token by client credentials."""
    answer = api.post(
        "/oauth2/token", data={"grant_type": "client_credentials"}, auth=(client_id, secret)
    )
    answer.raise_for_status()
    token: str = answer.json()["access_token"]
    return token


def send(
    api: httpx.Client, texts: list[str], concurrency: int, stopped: Platform | None
) -> list[Answer]:
    """One request per text; PostgreSQL of `stopped` goes away after a third of them."""
    started = time.monotonic()
    answers: list[Answer] = []
    with ThreadPoolExecutor(concurrency) as pool:
        pending = pool.map(lambda text: ask(api, text), texts)
        for answer in track(pending, "sending", len(texts), console=console):
            answers.append(answer)
            if stopped is not None and len(answers) == len(texts) // 3:
                stopped.process("postgres").stop()
                console.print("PostgreSQL is stopped")
    seconds = time.monotonic() - started
    times = quantiles([answer.milliseconds for answer in answers], n=100)
    console.print(
        f"{len(texts)} requests, {concurrency} at a time, in {seconds:.1f} s: "
        f"{len(texts) / seconds:.0f}/s, p50 {times[49]:.1f} ms, p95 {times[94]:.1f} ms, "
        f"p99 {times[98]:.1f} ms"
    )
    return answers


def ask(api: httpx.Client, text: str) -> Answer:
    """One prediction."""
    started = time.perf_counter()
    answer = api.post("/predict", json={"text": text})
    milliseconds = (time.perf_counter() - started) * 1e3
    if answer.status_code != 200:
        return Answer(answer.status_code, answer.json()["code"], milliseconds=milliseconds)
    content = answer.json()
    return Answer(
        200,
        prediction_id=content["prediction_id"],
        label=content["predicted_sentiment"],
        milliseconds=milliseconds,
    )


def rows_of(api: httpx.Client, ids: set[str]) -> Iterator[dict[str, Any]]:
    """The rows of these predictions, from the newest pages of the log."""
    cursor, oldest = None, min(ids)
    while True:
        parameters: dict[str, Any] = {"limit": PAGE} | ({"cursor": cursor} if cursor else {})
        page = api.get("/v1/predictions", params=parameters)
        if page.status_code != 200:
            return
        content = page.json()
        for row in content["predictions"]:
            # Ids begin with their time, and pages with the newest.
            if row["prediction_id"] < oldest:
                return
            if row["prediction_id"] in ids:
                yield row
        cursor = content["next_cursor"]
        if not cursor:
            return


def wait_for_rows(api: httpx.Client, ids: set[str], since: float, within: float) -> float | None:
    """Seconds from `since` until all rows can be read; None when they cannot in time."""
    while True:
        missing = ids - {row["prediction_id"] for row in rows_of(api, ids)}
        seconds = time.monotonic() - since
        if not missing:
            return round(seconds, 2)
        if seconds > within:
            console.print(f"{len(missing)} predictions are not in the log")
            return None


def report(data: Path, answers: list[Answer], labels: list[str], at_least: float) -> bool:
    """Checks answers, accuracy and agreement with the evaluation in training."""
    failed = [f"{answer.status} {answer.code}" for answer in answers if answer.status != 200]
    right = sum(answer.label == label for answer, label in zip(answers, labels, strict=True))
    accuracy = right / len(labels)
    holds = check("no request failed", not failed, f"{len(failed)} failed: {set(failed)}")
    holds &= check(f"accuracy ≥ {at_least}", accuracy >= at_least, f"{accuracy:.4f}")
    manifest = yaml.safe_load((package_directory() / "model.yaml").read_text())
    digest = hashlib.sha256(data.read_bytes()).hexdigest()
    if digest not in {source["sha256"] for source in manifest["data"]}:
        console.print("  the package knows nothing of this file: labels are not compared")
        return holds
    indices = {label: str(index) for index, label in enumerate(manifest["labels"])}
    digits = "".join(indices.get(answer.label, "?") for answer in answers)
    found = hashlib.sha256(digits.encode()).hexdigest()
    evaluated = {metrics.get("labels_sha256") for metrics in manifest["metrics"].values()}
    return holds & check("labels are those of the evaluation", found in evaluated, found[:12])


def check(what: str, holds: bool, found: str) -> bool:
    """Prints one line and passes the verdict on."""
    console.print(f"  {'[green]holds[/]' if holds else '[red]FAILS[/]'}  {what} ({found})")
    return holds


if __name__ == "__main__":
    sys.exit(typer.run(main))
