"""What a webhook hears: each change at least once, signed, and never for ever."""

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from drift.settings import Settings
from drift.webhook import CONSUMER, GROUP, Webhook
from servicekit.event_stream import Event, EventConsumer
from servicekit.identifiers import new_id
from weir.events.v1 import events_pb2 as pb

SECRET = b"hush"
NOW = 1_790_000_000.0
INCIDENT = str(new_id())


class Receiver:
    """Answers with what a test says, the last of it for ever; its clock moves as one waits."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.now = NOW
        self.pauses: list[float] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer, headers={"location": "https://elsewhere.example/"})

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    async def told(self, *events: Event, secret: bytes = SECRET) -> list[dict[str, Any]]:
        async with httpx.AsyncClient(transport=httpx.MockTransport(self)) as http:
            webhook = Webhook(
                http,
                "https://pager.example/hook",
                secret,
                give_up_after=600,
                clock=lambda: self.now,
                sleep=self.sleep,
            )
            await webhook.deliver(events)
        return [json.loads(request.content) for request in self.requests]


def event(
    change: pb.DriftIncidentChange = pb.DRIFT_INCIDENT_CHANGE_OPENED,
    state: pb.DriftIncidentState = pb.DRIFT_INCIDENT_STATE_OPEN,
    revision: int = 1,
) -> Event:
    changed = pb.DriftIncidentChanged(
        incident_id=INCIDENT,
        revision=revision,
        model="reviews",
        model_version="1",
        signal="text",
        severity="critical",
        state=state,
        change=change,
    )
    changed.details.update({"action": "retrain", "reasons": ["It lasts."]})
    return Event(f"{int(NOW * 1000)}-0", "", changed.SerializeToString(), "")


async def test_notification_says_what_happened_to_which_incident() -> None:
    receiver = Receiver(204)
    (told,) = await receiver.told(event())
    assert (told["type"], told["event_id"]) == ("drift.incident.opened", f"{INCIDENT}:1")
    incident = told["incident"]
    assert (incident["model"], incident["group"], incident["state"]) == ("reviews", "text", "open")
    assert incident["details"]["reasons"] == ["It lasts."]
    assert receiver.requests[0].headers["weir-event-id"] == told["event_id"]


async def test_signature_can_be_verified_as_documented() -> None:
    receiver = Receiver(200)
    await receiver.told(event())
    (request,) = receiver.requests
    header, body = request.headers["weir-signature"], request.content
    t, v1 = (part.split("=", 1)[1] for part in header.split(","))
    expected = hmac.new(SECRET, t.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(expected, v1)
    assert int(t) == NOW


async def test_without_a_secret_nothing_claims_to_be_signed() -> None:
    receiver = Receiver(200)
    await receiver.told(event(), secret=b"")
    assert "weir-signature" not in receiver.requests[0].headers


async def test_failure_is_tried_again_with_growing_pauses() -> None:
    receiver = Receiver(503, httpx.ConnectError("away"), httpx.ReadTimeout("slow"), 200)
    told = await receiver.told(event())
    assert len({each["event_id"] for each in told}) == 1
    assert receiver.pauses == [1.0, 2.0, 4.0]


@pytest.mark.parametrize("answer", [301, 307, 404, 500, httpx.ConnectError("away")])
async def test_what_nobody_takes_is_given_up_and_the_next_is_told(answer: int | Exception) -> None:
    receiver = Receiver(answer)
    await receiver.told(event())
    assert NOW + 500 < receiver.now < NOW + 600
    assert {request.url.host for request in receiver.requests} == {"pager.example"}
    receiver.answers = [200]
    before = len(receiver.requests)
    await receiver.told(event(revision=2))
    assert len(receiver.requests) == before + 1


async def test_silenced_and_settled_incidents_notify_nobody() -> None:
    receiver = Receiver(200)
    told = await receiver.told(
        event(pb.DRIFT_INCIDENT_CHANGE_UPDATED, pb.DRIFT_INCIDENT_STATE_SILENCED),
        event(pb.DRIFT_INCIDENT_CHANGE_ACKNOWLEDGED, pb.DRIFT_INCIDENT_STATE_ACKNOWLEDGED),
        event(pb.DRIFT_INCIDENT_CHANGE_SILENCED),
        Event("1-0", "", b"\xff", ""),
        event(pb.DRIFT_INCIDENT_CHANGE_CLOSED, pb.DRIFT_INCIDENT_STATE_CLOSED),
    )
    assert [each["type"] for each in told] == ["drift.incident.closed"]


@pytest.mark.parametrize(
    ("url", "insecure", "taken"),
    [
        ("", False, True),
        ("https://pager.example/hook", False, True),
        ("http://127.0.0.1:9000/", True, True),
        ("http://127.0.0.1:9000/", False, False),
        ("http://pager.example/", True, False),
        ("ftp://pager.example/", True, False),
        ("https://", False, False),
        ("pager.example", False, False),
    ],
)
def test_address_is_https_or_this_machine(
    url: str, insecure: bool, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEIR_DRIFT_WEBHOOK_URL", url)
    monkeypatch.setenv("WEIR_DRIFT_WEBHOOK_INSECURE", str(insecure))

    def make() -> None:
        Settings()

    if taken:
        make()
    else:
        with pytest.raises(ValidationError, match="drift_webhook_url"):
            make()


async def test_what_was_not_delivered_before_a_crash_is_delivered_after_it(
    service: Any, make_consumer: Callable[[], Any]
) -> None:
    changed = pb.DriftIncidentChanged.FromString(event().data)
    await service.publisher.publish("weir:incidents", [changed])

    class Killed(BaseException):
        pass

    async def die(events: Any) -> None:
        raise Killed

    with pytest.raises(Killed):
        await make_consumer().consume_once(die)
    receiver = Receiver(200)

    async def deliver(events: Any) -> None:
        await receiver.told(*events)

    assert await make_consumer().consume_once(deliver) == 1
    assert await make_consumer().consume_once(deliver) == 0


@pytest.fixture
def make_consumer(redis: Any) -> Callable[[], Any]:

    return lambda: EventConsumer(
        redis,
        stream="weir:incidents",
        group=GROUP,
        consumer=CONSUMER,
        batch_size=1,
        block=0.01,
    )
