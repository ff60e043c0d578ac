"""A table of exported models, to choose the one that earns its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from training.domain import Example
from training.exported import FUSED, Exported
from training.progress import Progress

# Dev rows over which graphs take turns, of all sources.
ROWS = 240
Row = dict[str, Any]


def candidates(
    exports: Sequence[Exported],
    names: Sequence[str] = ("",),
    measured: Mapping[int, Mapping[str, Any]] | None = None,
) -> list[Row]:
    """One row for each model; ``measured`` has, by place, what ``turns`` found."""
    rows: list[Row] = []
    for place, (exported, name) in enumerate(zip(exports, names, strict=True)):
        accuracies = {
            title: {"fp32": of["fp32_accuracy"], "served": of["accuracy"]}
            for title, of in exported.metrics.items()
        }
        throughput = exported.speed["throughput"]
        rows.append(
            {
                "run": name or exported.directory.parent.name,
                "quantisation": exported.quantisation,
                "layers": exported.layers,
                "vocabulary": exported.vocabulary,
                "megabytes": round(exported.files[exported.graph.name]["bytes"] / 1e6, 1),
                "accuracy": accuracies,
                "latency": exported.speed["latency"],
                "throughput": measured[place] if measured else throughput,
                "failed": [str(check) for check in exported.failed],
            }
        )
    return rows


def turns(
    exports: Sequence[Exported],
    dev: Sequence[Example],
    clock: Callable[[], float],
    progress: Progress,
) -> dict[int, dict[str, Any]]:
    """Texts a second of every model's fp32 and served graph over the same rows, in one process.

    The ratio is to the first model's fp32 graph.
    """
    # Imported late: the table alone needs no onnxruntime.
    from training.encoded_rows import encode_rows
    from training.graph_scoring import cores
    from training.graph_speed import throughput
    from training.tokenizer import load_tokenizer
    from training.training_record import TOKENIZER

    chosen = dev[:: max(1, len(dev) // ROWS)]
    graphs: dict[str, tuple[Path, int]] = {}
    rows = {}
    for place, exported in enumerate(exports):
        tokenizer = load_tokenizer(exported.directory / TOKENIZER, exported.max_tokens)
        encoded = encode_rows(
            tokenizer,
            chosen,
            max_tokens=exported.max_tokens,
            truncation=exported.truncation,
            progress=progress,
            title=f"encoding for {exported.directory.parent.name}",
        )
        items = exported.batching.max_items
        graphs[f"{place} fp32"] = (exported.directory / FUSED, items)
        alone = not exported.batching.independent
        if exported.graph.name != FUSED:
            graphs[f"{place} int8"] = (exported.graph, 1 if alone else items)
        for name in (f"{place} fp32", f"{place} int8"):
            rows[name] = [row.ids for row in encoded]
    found = throughput(graphs, rows, cores(), clock)
    return {
        place: {
            kind: found[f"{place} {kind}"]
            for kind in ("fp32", "int8")
            if f"{place} {kind}" in found
        }
        for place in range(len(exports))
    }


def markdown_table(rows: Sequence[Row]) -> str:
    """The rows for people: accuracy as fp32 → served, milliseconds for one text on one thread."""
    titles = sorted({title for row in rows for title in row["accuracy"]})
    lengths = [line["tokens"] for line in rows[0]["latency"] if line["items"] == 1]
    head = ["run", "layers", "tokens known", "MB", *titles,
            *(f"ms at {length}" for length in lengths), "texts/s", "×"]  # fmt: skip
    lines = [head, ["---"] * len(head)]
    for row in rows:
        served = "fp32" if row["quantisation"] == "none" else "int8"
        speed = row["throughput"][served]
        alone = {line["tokens"]: line for line in row["latency"] if line["items"] == 1}
        lines.append(
            [
                row["run"] + (" (FAILED)" if row["failed"] else ""),
                str(row["layers"]),
                str(row["vocabulary"]),
                f"{row['megabytes']:.1f}",
                *(_change(row["accuracy"].get(title)) for title in titles),
                *(_milliseconds(alone.get(length), served) for length in lengths),
                f"{speed['texts_per_second']:.0f}",
                f"{speed['ratio']:.2f}",
            ]
        )
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _change(accuracy: Mapping[str, float] | None) -> str:
    return f"{accuracy['fp32']:.4f} → {accuracy['served']:.4f}" if accuracy else "–"


def _milliseconds(line: Mapping[str, float] | None, served: str) -> str:
    if line is None:
        return "–"
    if served == "fp32":
        return f"{line['fp32_ms']:.1f}"
    return f"{line['fp32_ms']:.1f} → {line[f'{served}_ms']:.1f}"
