"""Tells a webhook of incidents: at least once, in order, signed, and for a bounded time.

It is a consumer of its own on the stream of incidents, so the monitor never waits for it, and what
was not delivered when it ended is delivered by whoever takes over.
"""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Sequence

import httpx
import structlog
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from prometheus_client import Counter

from servicekit.event_stream import Event, entry_order
from weir.events.v1 import events_pb2 as pb

_log = structlog.get_logger(__name__)

GROUP = "drift_webhook"
CONSUMER = "drift_webhook"
"""The same in every replica: one of them delivers at a time."""
DELIVERED = Counter("weir_drift_webhook_delivered_total", "Notifications that were taken.")
FAILURES = Counter(
    "weir_drift_webhook_failures_total", "Tries to notify that failed, by why.", ["reason"]
)
GIVEN_UP = Counter("weir_drift_webhook_given_up_total", "Notifications that nobody took in time.")

_NOTIFIED = {
    pb.DRIFT_INCIDENT_CHANGE_OPENED: "drift.incident.opened",
    pb.DRIFT_INCIDENT_CHANGE_UPDATED: "drift.incident.updated",
    pb.DRIFT_INCIDENT_CHANGE_CLOSED: "drift.incident.closed",
}
"""Who acknowledges or silences an incident knows of it."""
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
_LONGEST_TRY = 10.0


class Webhook:
    """Posts what happened to incidents.

    Headers: `Weir-Event-Id`, the same whenever it is told again, and `Weir-Signature`,
    `t=<seconds since the epoch>,v1=<hex>`: HMAC-SHA256, with the secret, of `<t>.<body>`. A
    receiver compares in constant time and refuses what is older than five minutes:

        t, v1 = (part.split("=", 1)[1] for part in header.split(","))
        expected = hmac.new(secret, t.encode() + b"." + body, "sha256").hexdigest()
        good = hmac.compare_digest(expected, v1) and abs(time.time() - int(t)) < 300

    Args:
        http: a client that follows no redirects and gives up in time.
        secret: empty leaves the signature out.
        give_up_after: seconds from when an incident changed, after which it is not told any more.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        url: str,
        secret: bytes,
        *,
        give_up_after: float,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._http = http
        self._url = url
        self._secret = secret
        self._give_up_after = give_up_after
        self._clock = clock
        self._sleep = sleep

    async def deliver(self, events: Sequence[Event]) -> None:
        """Delivers each, or gives it up; never raises for what the receiver does."""
        for event in events:
            changed = _parsed(event)
            if changed is None or changed.state == pb.DRIFT_INCIDENT_STATE_SILENCED:
                continue
            what = _NOTIFIED.get(changed.change)
            if what is not None:
                until = entry_order(event.entry_id)[0] / 1000 + self._give_up_after
                await self._try_until(until, what, changed)

    async def _try_until(self, until: float, what: str, changed: pb.DriftIncidentChanged) -> None:
        event_id = f"{changed.incident_id}:{changed.revision}"
        body = body_of(what, event_id, changed)
        pause = _FIRST_PAUSE
        while True:
            failure = await self._post(event_id, body)
            if not failure:
                DELIVERED.inc()
                return
            FAILURES.labels(failure).inc()
            if self._clock() + pause >= until:
                GIVEN_UP.inc()
                _log.error("webhook_given_up", event_id=event_id, reason=failure)
                return
            if pause == _FIRST_PAUSE:
                _log.warning("webhook_failed", event_id=event_id, reason=failure)
            await self._sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _post(self, event_id: str, body: bytes) -> str:
        """One try; why it failed, empty when it did not."""
        headers = {"content-type": "application/json", "weir-event-id": event_id}
        if self._secret:
            headers["weir-signature"] = signature_of(self._secret, int(self._clock()), body)
        try:
            # What the receiver says is not read: it may be long, or never end.
            async with (
                asyncio.timeout(_LONGEST_TRY),
                self._http.stream("POST", self._url, content=body, headers=headers) as answer,
            ):
                return "" if answer.is_success else f"status_{answer.status_code}"
        except (httpx.HTTPError, TimeoutError) as error:
            return type(error).__name__


def signature_of(secret: bytes, at: int, body: bytes) -> str:
    """The header `Weir-Signature`."""
    mac = hmac.new(secret, f"{at}.".encode() + body, hashlib.sha256)
    return f"t={at},v1={mac.hexdigest()}"


def body_of(what: str, event_id: str, changed: pb.DriftIncidentChanged) -> bytes:
    """The JSON of a notification."""
    incident = MessageToDict(changed, preserving_proto_field_name=True)
    incident["group"] = incident.pop("signal")
    name = pb.DriftIncidentState.Name(changed.state)
    incident["state"] = name.removeprefix("DRIFT_INCIDENT_STATE_").lower()
    del incident["change"]
    return json.dumps({"type": what, "event_id": event_id, "incident": incident}).encode()


def _parsed(event: Event) -> pb.DriftIncidentChanged | None:
    try:
        return pb.DriftIncidentChanged.FromString(event.data)
    except DecodeError:
        _log.error("incident_unreadable", entry_id=event.entry_id)
        return None
