"""An OTLP/gRPC receiver in the test's own process."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


@dataclass(frozen=True)
class ReceivedSpan:
    """What tests ask about a span; ids in hex, `parent_id` empty at a root."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, str]
    failed: bool


class OtlpReceiver(trace_service_pb2_grpc.TraceServiceServicer):
    """Collects the spans that are exported to `endpoint`."""

    def __init__(self) -> None:
        self.endpoint = ""
        self._spans: list[ReceivedSpan] = []
        self._changed = threading.Condition()

    def Export(self, request: Any, context: Any) -> Any:
        """Takes a batch of spans (the protocol's own method)."""
        with self._changed:
            self._spans.extend(_spans(request))
            self._changed.notify_all()
        return trace_service_pb2.ExportTraceServiceResponse()

    def wait_for(
        self, accept: Callable[[list[ReceivedSpan]], bool], timeout: float = 15.0
    ) -> list[ReceivedSpan]:
        """All spans so far, once `accept` holds for them.

        Raises:
            TimeoutError: it never did; the message lists what came.
        """
        give_up = time.monotonic() + timeout
        with self._changed:
            while not accept(self._spans):
                if not self._changed.wait(give_up - time.monotonic()):
                    seen = sorted({f"{span.service}: {span.name}" for span in self._spans})
                    raise TimeoutError(f"the spans that came: {seen}")
            return list(self._spans)


@contextmanager
def running_receiver() -> Iterator[OtlpReceiver]:
    """A receiver on a free port of loopback."""
    receiver = OtlpReceiver()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(receiver, server)
    port = server.add_insecure_port("127.0.0.1:0")
    receiver.endpoint = f"127.0.0.1:{port}"
    server.start()
    try:
        yield receiver
    finally:
        server.stop(None).wait()


def _spans(request: Any) -> Iterator[ReceivedSpan]:
    for resource in request.resource_spans:
        service = _attributes(resource.resource.attributes).get("service.name", "")
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield ReceivedSpan(
                    service=service,
                    name=span.name,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    attributes=_attributes(span.attributes),
                    failed=span.status.code == 2,
                )


def _attributes(pairs: Any) -> dict[str, str]:
    return {
        pair.key: str(getattr(pair.value, pair.value.WhichOneof("value") or "string_value"))
        for pair in pairs
    }
