"""kserve's REST inference client, version 2 of its protocol."""

import asyncio

import numpy as np
from flow import BEARER, HTTP, check, refused, run
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

HEADERS = {"authorization": BEARER}
FIRST = np.arange(16, dtype=np.int32).reshape(1, 16)
SECOND = np.ones((1, 16), dtype=np.int32)


def ask(method, *arguments, **options):
    async def call():
        async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
            return await getattr(client, method)(HTTP, *arguments, **options)

    return asyncio.run(call())


def infer(request, model):
    return ask("infer", request, model_name=model, headers=dict(HEADERS))


def simple_request(*, binary, outputs=None):
    inputs = []
    for name, array in (("INPUT0", FIRST), ("INPUT1", SECOND)):
        inputs.append(InferInput(name, list(array.shape), "INT32"))
        inputs[-1].set_data_from_numpy(array, binary_data=binary)
    return InferRequest("simple", inputs, request_id="7", request_outputs=outputs)


def values(response, name):
    (output,) = [each for each in response.outputs if each.name == name]
    return output.as_numpy()


@check
def health_is_in_the_body():
    assert ask("is_server_live") is True
    assert ask("is_server_ready") is True
    assert ask("is_model_ready", "simple", headers=HEADERS) is True
    assert not ask("is_model_ready", "absent", headers=HEADERS)


@check
def sum_and_difference():
    for binary in (True, False):
        response = infer(simple_request(binary=binary), "simple")
        assert response.id == "7"
        assert (values(response, "OUTPUT0") == FIRST + SECOND).all()
        assert (values(response, "OUTPUT1") == FIRST - SECOND).all()


@check
def binary_outputs():
    wanted = [RequestedOutput("OUTPUT1", {"binary_data": True})]
    response = infer(simple_request(binary=True, outputs=wanted), "simple")
    assert [each.name for each in response.outputs] == ["OUTPUT1"]
    assert (values(response, "OUTPUT1") == FIRST - SECOND).all()


@check
def texts_are_judged():
    tensor = InferInput("text", [2], "BYTES", data=["good", "bad"])
    response = infer(InferRequest("sentiment", [tensor]), "sentiment")
    assert response.outputs[0].name == "label"
    assert response.outputs[0].data == ["positive", "negative"]

    array = np.array(["good", "bad"], dtype=object)
    tensor = InferInput("text", [2], "BYTES")
    tensor.set_data_from_numpy(array, binary_data=True)
    response = infer(InferRequest("sentiment", [tensor]), "sentiment")
    assert response.outputs[0].data == ["positive", "negative"]


@check
def plain_dictionaries():
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["good"]}
    response = infer({"inputs": [tensor]}, "sentiment")
    assert response.outputs[0].data == ["positive"]


@check
def errors_are_told():
    refused(lambda: infer(simple_request(binary=True), "absent"), "404", "absent")
    tensor = InferInput("text", [1], "BYTES", data=[" "])
    refused(lambda: infer(InferRequest("sentiment", [tensor]), "sentiment"), "400", "blank")


run()
