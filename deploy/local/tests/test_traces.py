"""Traces from the file that services append their spans to."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from typer.testing import CliRunner

from weir_local.__main__ import app
from weir_local.traces import spans_of, tree_of


def span(name: str, trace: str, identifier: str, parent: str | None, second: int) -> dict[str, Any]:
    return {
        "name": name,
        "context": {"trace_id": f"0x{trace}", "span_id": f"0x{identifier}"},
        "parent_id": parent and f"0x{parent}",
        "start_time": f"2026-01-01T00:00:0{second}.000000Z",
        "end_time": f"2026-01-01T00:00:0{second + 1}.500000Z",
        "status": {"status_code": "UNSET"},
        "resource": {"attributes": {"service.name": f"service-of-{name}"}},
    }


def write(home: Path, *spans: dict[str, Any]) -> Path:
    file = home / "traces.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in spans) + '{"name": "cut sh')
    return file


def shown(home: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["trace", "--home", str(home), *arguments])
    return result.exit_code, result.output


def test_children_stand_below_their_parents_whatever_their_order_in_the_file(
    tmp_path: Path,
) -> None:
    file = write(
        tmp_path,
        span("insert", "aa", "3", "2", 2),
        span("infer", "aa", "2", "1", 1),
        span("POST /predict", "aa", "1", "foreign", 0),
    )
    console = Console(width=100)
    with console.capture() as capture:
        console.print(tree_of(spans_of(file, "aa")))
    root, *rows = capture.get().splitlines()
    assert root == "trace aa"
    assert ["POST /predict" in rows[0], "infer" in rows[1], "insert" in rows[2]] == [True] * 3
    assert [row.index("service-of") for row in rows] == [4, 8, 12]
    assert "+1000.0 ms, 1500.0 ms" in rows[1]


def test_without_an_id_the_newest_prediction_is_shown(tmp_path: Path) -> None:
    write(
        tmp_path,
        span("POST /predict", "aa", "1", None, 0),
        span("POST /predict", "bb", "1", None, 2),
        span("GET /health", "cc", "1", None, 4),
    )
    assert "trace bb" in shown(tmp_path)[1]
    assert "trace aa" in shown(tmp_path, "aa")[1]


def test_missing_trace_and_missing_file_are_told(tmp_path: Path) -> None:
    assert shown(tmp_path) == (1, f"no traces in {tmp_path}: No such file or directory\n")
    write(tmp_path)
    code, output = shown(tmp_path, "aa")
    assert code == 1
    assert "no such trace" in output
