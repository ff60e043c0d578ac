"""Which stage of a request a sampled stack belongs to.

The innermost frame that a rule knows decides, so that a library's work counts for whoever had it
done, and only what nobody claims counts as the library's own.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

Rule = tuple[str, str]
"""A stage, and what the path of a frame's file holds."""

_LIBRARIES: Sequence[Rule] = (
    ("metrics", r"prometheus_client/"),
    ("traces", r"opentelemetry/|request_tracing\.py|servicekit/(tracing|telemetry|trace_\w+)\.py"),
    ("logs", r"structlog/|servicekit/logs\.py|logging/__init__"),
    ("token", r"access_tokens\.py|gateway/access\.py|joserfc/"),
)
RULES: dict[str, Sequence[Rule]] = {
    "gateway": (
        *_LIBRARIES,
        ("quota", r"gateway/(redis_quota|quota_\w+|sliding_window|rate_limit_headers)\.py"),
        ("body", r"gateway/(request_body|api_shapes|text_rules)\.py"),
        ("gRPC client", r"gateway/(inference_client|coalescer|upstream)\.py|grpc/|grpc_client\.py"),
        ("audit", r"gateway/audit_trail\.py"),
        ("answer", r"starlette/responses\.py|gateway/(prediction_routes|prediction_answers)\.py"),
        ("envelope", r"gateway/http_envelope\.py"),
        ("routing", r"fastapi/|starlette/"),
        ("HTTP", r"uvicorn/|gateway/http_server\.py"),
        ("redis client", r"redis/"),
    ),
    "inference": (
        *_LIBRARIES,
        ("tokenise", r"inference/text_encoder\.py"),
        ("model", r"inference/onnx_\w+\.py|onnxruntime/|inference/\w*(classifier|model)\.py"),
        ("record", r"inference/(recorder|sealing)\.py"),
        ("event stream", r"servicekit/(event_stream|stream_room)\.py|redis/"),
        ("convert", r"inference/(converters|grpc_api|item_traces)\.py"),
        ("schedule", r"inference/"),
        ("gRPC server", r"grpc/|servicekit/"),
        ("threads", r"concurrent/futures|threading"),
    ),
}
OTHER = "event loop and the rest"
_FRAME = re.compile(r"\(([^()]*?)(?::\d+)?\)$")


def shares(service: str, stacks: Iterable[str]) -> dict[str, float]:
    """The share of each stage in collapsed stacks, `frame (file:line);frame … count`."""
    rules = [(stage, re.compile(pattern)) for stage, pattern in RULES.get(service, ())]
    counted: Counter[str] = Counter()
    for line in stacks:
        stack, _, count = line.rpartition(" ")
        if stack:
            counted[_stage(stack.split(";"), rules)] += int(count)
    total = sum(counted.values())
    return {stage: count / total for stage, count in counted.most_common()} if total else {}


def _stage(frames: Sequence[str], rules: Sequence[tuple[str, "re.Pattern[str]"]]) -> str:
    for frame in reversed(frames):
        found = _FRAME.search(frame)
        if found is None:
            continue
        for stage, pattern in rules:
            if pattern.search(found[1]):
                return stage
    return OTHER
