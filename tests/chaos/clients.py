"""HTTP clients that write down every prediction the platform acknowledged, and every refusal."""

import asyncio
import hashlib
import json
import random
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

HANG = 15.0
"""Seconds after which a request counts as hung; the gateway's own deadline is 10."""
TYPED = frozenset({502, 503, 504})
"""Statuses that tell a client to try again; everything else is a fault."""
_TOKEN_LIFETIME = 300.0
_LARGEST_BATCH = 16
_REMEMBERED = 100
_LABELS = ("negative", "positive")
_WORDS = [
    "a",
    "film",
    "of",
    "rare",
    "grace",
    "dull",
    "long",
    "warm",
    "bright",
    "and",
    "never",
    "quite",
    "as",
    "slow",
    "in",
    "its",
    "last",
    "act",
]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that was not answered with predictions."""

    began: float
    ended: float
    """Both on the monotonic clock, seconds."""
    reason: str
    """Status and code of a problem, or the kind of broken connection."""
    broken: bool
    """The connection broke, or none could be made."""
    fault: str
    """Why no client should ever see this; empty for what a client may simply try again."""


@dataclass(slots=True)
class Ledger:
    """What all clients wrote down."""

    file: Path
    acknowledged: dict[str, str] = field(default_factory=dict)
    """SHA-256 of the text by prediction id."""
    feedback: dict[str, str] = field(default_factory=dict)
    """Prediction id by the id of acknowledged feedback on it."""
    repeated_ids: list[str] = field(default_factory=list)
    sent: set[str] = field(default_factory=set)
    """SHA-256 of every text that was ever sent."""
    answers: list[tuple[float, float]] = field(default_factory=list)
    """Begin and end of each answered request."""
    refusals: list[Refusal] = field(default_factory=list)

    def write(self, rows: list[tuple[str, str]]) -> None:
        """Adds acknowledged predictions, also to the file."""
        with self.file.open("a") as file:
            for prediction_id, digest in rows:
                if prediction_id in self.acknowledged:
                    self.repeated_ids.append(prediction_id)
                self.acknowledged[prediction_id] = digest
                file.write(f"{prediction_id} {digest}\n")

    def reasons(self) -> Counter[str]:
        """How often each refusal came."""
        return Counter(refusal.reason for refusal in self.refusals)


class Client:
    """Asks for predictions, one request after the other, until told to stop.

    Args:
        pause: seconds between an answer and the next request.
        batches: share of requests that carry several texts.
        opinions: feedback on earlier predictions, per request.
    """

    def __init__(
        self,
        name: str,
        address: str,
        credentials: tuple[str, str],
        ledger: Ledger,
        *,
        seed: int,
        pause: float,
        batches: float = 0.2,
        opinions: float = 0.1,
    ) -> None:
        self._name = name
        self._http = httpx.AsyncClient(base_url=address, timeout=HANG)
        self._credentials = credentials
        self._ledger = ledger
        self._random = random.Random(f"{seed} {name}")
        self._pause = pause
        self._batches = batches
        self._opinions = opinions
        self._own: deque[str] = deque(maxlen=_REMEMBERED)
        self._number = 0
        self._token = ""
        self._token_until = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Goes on until `stop`."""
        async with self._http:
            while not stop.is_set():
                await self._ask()
                await asyncio.sleep(self._pause)

    async def _ask(self) -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(HANG):
                if began > self._token_until and not await self._fetch_token(began):
                    return
                if len(self._own) == _REMEMBERED and self._random.random() < self._opinions:
                    await self._give_feedback(began, self._own[0])
                else:
                    await self._predict(began)
        except httpx.TransportError as error:
            hung = "no answer in time" if isinstance(error, httpx.TimeoutException) else ""
            self._refused(began, type(error).__name__, broken=True, fault=hung)
        except TimeoutError:
            self._refused(began, "hung", broken=True, fault="no answer in time")

    async def _fetch_token(self, began: float) -> bool:
        answer = await self._http.post(
            "/oauth2/token", data={"grant_type": "client_credentials"}, auth=self._credentials
        )
        if answer.status_code != 200:
            self._refused(began, f"token {answer.status_code}", fault="no token")
            return False
        self._token = answer.json()["access_token"]
        self._token_until = time.monotonic() + _TOKEN_LIFETIME
        return True

    async def _predict(self, began: float) -> None:
        several = self._random.random() < self._batches
        texts = [
            self._text() for _ in range(self._random.randint(2, _LARGEST_BATCH) if several else 1)
        ]
        digests = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
        self._ledger.sent.update(digests)
        answer = await self._http.post(
            "/predict/batch" if several else "/predict",
            json={"texts": texts} if several else {"text": texts[0]},
            headers={"authorization": f"Bearer {self._token}"},
        )
        if answer.status_code != 200:
            self._refused(began, *_judged(answer))
            return
        content = answer.json()
        predictions: list[dict[str, Any]] = content["predictions"] if several else [content]
        if len(predictions) != len(texts) or any(each.get("unlogged") for each in predictions):
            self._refused(began, "incomplete", fault=f"an answer that is none: {content}")
            return
        ids = [prediction["prediction_id"] for prediction in predictions]
        self._ledger.write(list(zip(ids, digests, strict=True)))
        self._own.extend(ids)
        self._ledger.answers.append((began, time.monotonic()))

    async def _give_feedback(self, began: float, prediction: str) -> None:
        answer = await self._http.post(
            f"/v1/predictions/{prediction}/feedback",
            json={"correct_label": self._random.choice(_LABELS)},
            headers={"authorization": f"Bearer {self._token}"},
        )
        if answer.is_success:
            self._ledger.feedback[answer.json()["feedback_id"]] = prediction
        else:
            # An acknowledged prediction is found as soon as the log has written it, not before.
            reason, fault = _judged(answer)
            unknown = answer.status_code == 404
            self._refused(began, f"feedback: {reason}", "" if unknown else fault)

    def _text(self) -> str:
        """A text that nobody else sends: its hash says who asked."""
        self._number += 1
        words = " ".join(self._random.choices(_WORDS, k=self._random.randint(3, 30)))
        return f"Take {self._number} of {self._name}: {words}."

    def _refused(self, began: float, reason: str, fault: str = "", *, broken: bool = False) -> None:
        self._ledger.refusals.append(Refusal(began, time.monotonic(), reason, broken, fault))


def _judged(answer: httpx.Response) -> tuple[str, str]:
    """The reason, and what is wrong with being refused so."""
    status = answer.status_code
    try:
        code = answer.json()["code"]
    except (json.JSONDecodeError, KeyError, TypeError):
        return str(status), f"no problem document: {answer.text[:200]!r}"
    reason = f"{status} {code}"
    if status not in TYPED:
        return reason, "not to be tried again"
    if answer.headers.get("content-type") != "application/problem+json":
        return reason, "wrong content type"
    if status == 503 and "retry-after" not in answer.headers:
        return reason, "no Retry-After"
    return reason, ""
