"""kserve's gRPC inference client."""

import asyncio

import numpy as np
from flow import BEARER, GRPC, check, refused, run
from kserve import InferenceGRPCClient, InferInput, InferRequest

HEADERS = (("authorization", BEARER),)
FIRST = np.arange(16, dtype=np.int32).reshape(1, 16)
SECOND = np.ones((1, 16), dtype=np.int32)


def ask(method, *arguments, **options):
    async def call():
        async with InferenceGRPCClient(GRPC) as client:
            return await getattr(client, method)(*arguments, **options)

    return asyncio.run(call())


def values(response, name):
    (output,) = [each for each in response.outputs if each.name == name]
    return output.as_numpy()


@check
def health():
    assert ask("is_server_live") is True
    assert ask("is_server_ready") is True
    assert ask("is_model_ready", "simple", headers=HEADERS) is True
    refused(lambda: ask("is_model_ready", "absent", headers=HEADERS), "NOT_FOUND")


@check
def typed_and_raw_contents():
    typed = [
        InferInput(name, [1, 16], "INT32", data=array.ravel().tolist())
        for name, array in (("INPUT0", FIRST), ("INPUT1", SECOND))
    ]
    raw = []
    for name, array in (("INPUT0", FIRST), ("INPUT1", SECOND)):
        raw.append(InferInput(name, [1, 16], "INT32"))
        raw[-1].set_data_from_numpy(array, binary_data=True)
    for inputs in (typed, raw):
        request = InferRequest("simple", inputs, request_id="7")
        response = ask("infer", request, headers=HEADERS)
        assert (response.id, response.model_version) == ("7", "1")
        assert (values(response, "OUTPUT0") == FIRST + SECOND).all()
        assert (values(response, "OUTPUT1") == FIRST - SECOND).all()


@check
def texts_are_judged():
    tensor = InferInput("text", [2], "BYTES", data=["good", "bad"])
    response = ask("infer", InferRequest("sentiment", [tensor]), headers=HEADERS)
    assert values(response, "label").tolist() == [b"positive", b"negative"]


@check
def without_a_token_nothing_is_answered():
    tensor = InferInput("text", [1], "BYTES", data=["good"])
    refused(lambda: ask("infer", InferRequest("sentiment", [tensor])), "UNAUTHENTICATED")


run()
