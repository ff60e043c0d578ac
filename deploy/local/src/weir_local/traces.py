"""Shows the traces of a local platform, from the spans that its services append to a file."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.text import Text
from rich.tree import Tree


@dataclass(frozen=True)
class Span:
    """One finished span."""

    trace_id: str
    span_id: str
    parent_id: str
    """Empty where the caller's own span is not ours to see."""
    service: str
    name: str
    start: datetime
    end: datetime
    failed: bool

    @property
    def milliseconds(self) -> float:
        """How long it took."""
        return (self.end - self.start).total_seconds() * 1e3


def read_spans(file: Path) -> Iterator[Span]:
    """The spans in a file, in the order in which they were written.

    Raises:
        OSError: the file cannot be read.
    """
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            try:
                yield _span(json.loads(line))
            except (ValueError, KeyError, TypeError):
                # The last line of a process that was killed may be cut short.
                continue


def _span(content: Mapping[str, Any]) -> Span:
    context = content["context"]
    return Span(
        trace_id=context["trace_id"].removeprefix("0x"),
        span_id=context["span_id"].removeprefix("0x"),
        parent_id=(content["parent_id"] or "").removeprefix("0x"),
        service=content["resource"]["attributes"]["service.name"],
        name=content["name"],
        start=datetime.fromisoformat(content["start_time"]),
        end=datetime.fromisoformat(content["end_time"]),
        failed=content["status"]["status_code"] == "ERROR",
    )


def spans_of(file: Path, trace_id: str | None) -> Sequence[Span]:
    """The spans of one trace; without an id, of the newest trace that a prediction belongs to.

    Raises:
        OSError: the file cannot be read.
    """
    traces: dict[str, list[Span]] = defaultdict(list)
    for span in read_spans(file):
        traces[span.trace_id].append(span)
    if trace_id is not None:
        return traces.get(trace_id, [])
    predictions = [
        spans for spans in traces.values() if any("/predict" in span.name for span in spans)
    ]
    return max(predictions, key=lambda spans: max(span.end for span in spans), default=[])


def tree_of(spans: Sequence[Span]) -> Tree:
    """The trace as a tree: who called whom, when after the start, and for how long."""
    began = min(span.start for span in spans)
    known = {span.span_id for span in spans}
    children: dict[str, list[Span]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: span.start):
        children[span.parent_id if span.parent_id in known else ""].append(span)
    tree = Tree(f"trace {spans[0].trace_id}")

    def add(branch: Tree, parent_id: str) -> None:
        for span in children[parent_id]:
            after = (span.start - began).total_seconds() * 1e3
            label = Text.assemble(
                (f"{span.service:<15}", "cyan"),
                (span.name, "red" if span.failed else ""),
                (f"  +{after:.1f} ms, {span.milliseconds:.1f} ms", "dim"),
            )
            add(branch.add(label), span.span_id)

    add(tree, "")
    return tree
