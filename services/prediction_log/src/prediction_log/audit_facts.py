"""Puts on the audit stream what callers of the log did to private data and to the trail."""

from collections.abc import Callable
from uuid import UUID

from servicekit import request_context
from servicekit.event_stream import EventPublisher
from servicekit.identifiers import time_of
from weir.events.v1 import events_pb2


class AuditFacts:
    """Publishes before the deed, so that none goes unseen."""

    def __init__(self, publisher: EventPublisher, stream: str, new_id: Callable[[], UUID]) -> None:
        self._publisher = publisher
        self._stream = stream
        self._new_id = new_id

    async def publish(
        self,
        action: str,
        *,
        tenant: str,
        client_id: str,
        client_address: str = "",
        target: UUID | None = None,
    ) -> None:
        """Returns once the stream has it.

        Raises:
            EventStreamUnavailable: it does not; the deed must not be done.
        """
        identifier = self._new_id()
        fact = events_pb2.AuditRecorded(
            event_id=str(identifier),
            action=action,
            outcome=events_pb2.AUDIT_OUTCOME_ALLOWED,
            client_id=client_id,
            tenant=tenant,
            client_address=client_address,
            request_id=request_context.request_id.get(),
            target=str(target or ""),
        )
        fact.occurred_at.FromDatetime(time_of(identifier))
        await self._publisher.publish(self._stream, [fact])
