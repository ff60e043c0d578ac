"""What is left of the gateway without its edge: HTTP, JSON and the shared calls to inference.

`edge.py` starts it beside a platform, with the gateway's own environment, and compares. There is no
token, no quota, no envelope, no limit, no count and no log line here; what is measured as the
edge's cost is all of these.
"""

import asyncio
import json
import os
from typing import Any

import uvicorn
import uvloop
from opentelemetry.sdk.trace import TracerProvider
from starlette.types import Receive, Scope, Send

from gateway.access import Caller
from gateway.client_presence import ClientPresence
from gateway.coalescer import Bounds
from gateway.domain import Client
from gateway.inference_client import InferenceClient
from gateway.key_directory import load_keys
from gateway.room import Room
from gateway.settings import Settings
from gateway.signing_keys import KeyRing
from gateway.token_issuer import ServiceToken, TokenIssuer
from servicekit.garbage import collect_seldom
from servicekit.grpc_client import open_channel


class BareGateway:
    """Answers every POST with the default model's prediction of its text."""

    def __init__(self, inference: InferenceClient, model: str) -> None:
        client = Client("bench", "demo", (), frozenset({"models:predict"}), ())
        self._caller = Caller(client, client.scopes)
        self._inference = inference
        self._model = model

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request (ASGI)."""
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        (prediction,) = await self._inference.predict(
            self._model,
            [json.loads(body)["text"]],
            ["text"],
            subjects=[""],
            caller=self._caller,
            presence=ClientPresence(receive),
        )
        answer = json.dumps(
            {
                "prediction_id": prediction.prediction_id,
                "predicted_sentiment": prediction.label,
                "confidence": prediction.confidence,
                "model": prediction.model,
                "model_version": prediction.model_version,
                "inference_ms": prediction.inference_ms,
            }
        ).encode()
        headers: list[Any] = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(answer)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


async def serve(settings: Settings, port: int) -> None:
    """Serves until the process is stopped."""
    issuer = TokenIssuer(
        KeyRing(load_keys(settings.signing_keys_dir)),
        issuer=settings.issuer,
        audience=settings.audience,
        lifetime=settings.token_lifetime,
    )
    async with open_channel(
        settings.inference_target,
        token=ServiceToken(issuer),
        default_timeout=settings.request_timeout,
        tracer_provider=TracerProvider(shutdown_on_exit=False),
    ) as channel:
        inference = InferenceClient(
            channel,
            Bounds(
                calls=settings.inference_calls,
                most_calls=settings.inference_most_calls,
                items_per_call=settings.inference_items_per_call,
            ),
            Room(settings.inference_items),
            longest_wait=settings.request_timeout,
        )
        config = uvicorn.Config(
            BareGateway(inference, settings.default_model),
            port=port,
            http="httptools",
            loop="none",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
        )
        collect_seldom()  # as the gateway does
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(Settings(), int(os.environ["BARE_PORT"])))
