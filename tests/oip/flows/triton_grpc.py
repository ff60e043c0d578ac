"""tritonclient.grpc, as in its examples."""

import os
import queue
from pathlib import Path

import grpc as grpc_library
import numpy as np
import tritonclient.grpc as grpc
from flow import BEARER, GRPC, check, refused, run
from google.protobuf import descriptor_pb2
from tritonclient._plugin import InferenceServerClientPlugin
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc


class Bearer(InferenceServerClientPlugin):
    """Adds the token to every request."""

    def __call__(self, request):
        request.headers["authorization"] = BEARER


client = grpc.InferenceServerClient(GRPC)
client.register_plugin(Bearer())
stranger = grpc.InferenceServerClient(GRPC)
FIRST = np.arange(16, dtype=np.int32).reshape(1, 16)
SECOND = np.ones((1, 16), dtype=np.int32)


def simple_inputs(first=FIRST):
    inputs = []
    for name, array in (("INPUT0", first), ("INPUT1", np.repeat(SECOND, len(first), axis=0))):
        inputs.append(grpc.InferInput(name, array.shape, "INT32"))
        inputs[-1].set_data_from_numpy(array)
    return inputs


@check
def contract_is_the_public_one():
    ours = descriptor_pb2.FileDescriptorProto.FromString(
        Path(os.environ["WEIR_CONTRACT"]).read_bytes()
    )
    theirs = {}
    for public in (service_pb2, model_config_pb2):
        file = descriptor_pb2.FileDescriptorProto()
        public.DESCRIPTOR.CopyToProto(file)
        theirs |= fields_of(file)
    assert ours.package == "inference"
    missing = set(fields_of(ours).items()) - set(theirs.items())
    assert not missing, missing
    methods = {each.name for service in ours.service for each in service.method}
    public_methods = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name
    assert methods <= set(public_methods)


def fields_of(file):
    """(message, number) → name, type, label; (enumeration, number) → name."""
    found = {}

    def take(message, prefix):
        for field in message.field:
            told = (field.name, field.type, field.type_name, field.label)
            found[f"{prefix}.{message.name}", field.number] = told
        for inner in message.nested_type:
            take(inner, f"{prefix}.{message.name}")

    for message in file.message_type:
        take(message, "")
    for enumeration in file.enum_type:
        for value in enumeration.value:
            found[enumeration.name, value.number] = value.name
    return found


@check
def health_needs_no_token():
    assert stranger.is_server_live()
    assert stranger.is_server_ready()
    refused(lambda: stranger.get_server_metadata(), "UNAUTHENTICATED")


@check
def models_are_ready_or_not():
    assert client.is_model_ready("simple")
    assert client.is_model_ready("simple", "1")
    refused(lambda: client.is_model_ready("absent"), "NOT_FOUND")


@check
def metadata():
    assert client.get_server_metadata().name == "weir"
    found = client.get_model_metadata("simple", as_json=True)
    assert [each["name"] for each in found["outputs"]] == ["OUTPUT0", "OUTPUT1", "prediction_id"]
    config = client.get_model_config("simple").config
    assert (config.name, config.backend) == ("simple", "onnxruntime")
    assert config.input[0].data_type == model_config_pb2.TYPE_INT32


@check
def sum_and_difference():
    result = client.infer("simple", simple_inputs(), request_id="7")
    assert result.get_response().id == "7"
    assert (result.as_numpy("OUTPUT0") == FIRST + SECOND).all()
    assert (result.as_numpy("OUTPUT1") == FIRST - SECOND).all()
    wanted = [grpc.InferRequestedOutput("OUTPUT1")]
    result = client.infer("simple", simple_inputs(), outputs=wanted, compression_algorithm="gzip")
    assert result.as_numpy("OUTPUT0") is None
    assert (result.as_numpy("OUTPUT1") == FIRST - SECOND).all()


@check
def explicit_contents():
    stub = service_pb2_grpc.GRPCInferenceServiceStub(grpc_library.insecure_channel(GRPC))
    request = service_pb2.ModelInferRequest(model_name="simple")
    for name, array in (("INPUT0", FIRST), ("INPUT1", SECOND)):
        tensor = request.inputs.add(name=name, datatype="INT32", shape=[1, 16])
        tensor.contents.int_contents[:] = array.ravel().tolist()
    answer = stub.ModelInfer(request, metadata=(("authorization", BEARER),))
    assert list(answer.outputs[0].contents.int_contents) == (FIRST + SECOND).ravel().tolist()


@check
def strings_come_back():
    words = np.array([["Grüße 😀".encode(), b""] + [b"x"] * 14], dtype=object)
    tensor = grpc.InferInput("INPUT0", words.shape, "BYTES")
    tensor.set_data_from_numpy(words)
    found = client.infer("simple_identity", [tensor]).as_numpy("OUTPUT0")
    assert (found == words).all()


@check
def texts_are_judged():
    words = np.array([b"good", b"bad"], dtype=object)
    tensor = grpc.InferInput("text", [2], "BYTES")
    tensor.set_data_from_numpy(words)
    result = client.infer("sentiment", [tensor])
    assert result.as_numpy("label").tolist() == [b"positive", b"negative"]
    assert result.as_numpy("probabilities").shape == (2, 2)


@check
def later_answers_and_streams():
    answers = queue.Queue()

    def take(result, error):
        answers.put(error or result)

    client.async_infer("simple", simple_inputs(), callback=take)
    assert (answers.get(timeout=20).as_numpy("OUTPUT0") == FIRST + SECOND).all()

    client.start_stream(callback=take)
    for number in range(20):
        shape = FIRST + number
        name = "simple" if number != 7 else "absent"
        client.async_stream_infer(name, simple_inputs(shape), request_id=str(number))
    for number in range(20):
        answer = answers.get(timeout=20)
        if number == 7:
            assert "absent" in str(answer)
            continue
        assert answer.get_response().id == str(number)
        assert (answer.as_numpy("OUTPUT0") == FIRST + number + SECOND).all()
    client.stop_stream()


@check
def bad_input_is_told():
    wide = np.zeros((1, 17), dtype=np.int32)
    tensor = grpc.InferInput("INPUT0", wide.shape, "INT32")
    tensor.set_data_from_numpy(wide)
    inputs = [tensor, simple_inputs()[1]]
    refused(lambda: client.infer("simple", inputs), "INVALID_ARGUMENT", "shape")
    refused(lambda: client.infer("simple", simple_inputs()[:1]), "INVALID_ARGUMENT", "INPUT1")
    refused(lambda: client.infer("simple", simple_inputs(), "9"), "NOT_FOUND")


@check
def statistics():
    (counted,) = client.get_inference_statistics("simple").model_stats
    assert counted.inference_count > 0


@check
def model_control():
    client.unload_model("simple_identity")
    index = {each.name: each.state for each in client.get_model_repository_index().models}
    assert index["simple_identity"] == "UNAVAILABLE"
    refused(lambda: client.load_model("simple_identity", config="{}"), "INVALID_ARGUMENT")
    client.load_model("simple_identity")
    assert client.is_model_ready("simple_identity")


run()
