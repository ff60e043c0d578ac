"""The data card: what a person should know of a prepared data set before training on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# What became of rows that are not in the data set, in the order of the work.
REASONS = {
    "bad": "bad rows (listed in rejected.jsonl)",
    "unmapped": "left out by the label map",
    "duplicate": "exact duplicates",
    "near_duplicate": "near duplicates (case, punctuation, white space)",
    "contradictory": "the same text with different labels",
    "leaked": "train text that is a dev or test text",
}


def data_card(described: Mapping[str, Any]) -> str:
    """Render ``data_card.md`` from the content of ``dataset.json``, so that they cannot differ."""
    labels = described["labels"]
    parts = [
        f"# Data: {described['name']}",
        f"Labels: {', '.join(f'{index} = {name}' for index, name in enumerate(labels))}. "
        f"Seed {described['recipe']['seed']}. Rows are JSON: text, label (an index), source.",
        "## Rows",
        _table(["split", "source", *labels, "rows"], _count_rows(described["counts"], labels)),
        "## Mixture",
        "Train rows of each source before and after weighing. A weight above 1 repeats rows, one "
        "below 1 is a sample with the same share per label.",
        _table(
            ["source", "weight", "train rows", "in the mixture"],
            [
                [source, of["weight"], of["rows"], of["mixed"]]
                for source, of in described["mixture"].items()
            ],
        ),
        "## Left out",
        _table(
            ["source", *REASONS.values()],
            [
                [source, *(counts.get(reason, 0) for reason in REASONS)]
                for source, counts in described["dropped"].items()
            ],
        ),
        _kept_note(described),
        "## Cleaning",
        "Texts that each step changed.",
        _cleaning_table(described["cleaned"]),
        "## Lengths",
        _table(
            ["split", "of", *_quantile_names(described["lengths"])],
            [
                [split, unit, *quantiles.values()]
                for split, units in described["lengths"].items()
                for unit, quantiles in units.items()
            ],
        ),
        "## Inputs",
        _table(
            ["source", "split", "file", "rows", "SHA-256"],
            [
                [of["source"], of["split"], of["file"], of["rows"], f"`{of['sha256']}`"]
                for of in described["inputs"]
            ],
        ),
        "## Outputs",
        _table(
            ["file", "rows", "SHA-256"],
            [[name, of["rows"], f"`{of['sha256']}`"] for name, of in described["files"].items()],
        ),
        f"Prepared by code with SHA-256 `{described['code_sha256']}`.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _count_rows(
    counts: Mapping[str, Mapping[str, Mapping[str, int]]], labels: Sequence[str]
) -> Iterator[list[object]]:
    for split, sources in counts.items():
        for source, by_label in sources.items():
            numbers = [by_label.get(label, 0) for label in labels]
            yield [split, source, *numbers, sum(numbers)]


def _kept_note(described: Mapping[str, Any]) -> str:
    kept = described["kept_evaluation_duplicates"]
    return f"Repeated texts left in dev and test, as wanted: {kept}." if kept else ""


def _cleaning_table(cleaned: Mapping[str, Mapping[str, int]]) -> str:
    steps = list(dict.fromkeys(step for counts in cleaned.values() for step in counts))
    if not steps:
        return "None."
    rows = [
        [source, *(counts.get(step, 0) for step in steps)] for source, counts in cleaned.items()
    ]
    return _table(["source", *steps], rows)


def _quantile_names(lengths: Mapping[str, Mapping[str, Mapping[str, int]]]) -> list[str]:
    return next((list(of) for units in lengths.values() for of in units.values()), [])


def _table(header: Sequence[object], rows: Iterator[list[object]] | list[list[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
