"""tritonclient.http, as in its examples."""

import numpy as np
import tritonclient.http as http
from flow import BEARER, HTTP, check, refused, run
from tritonclient._plugin import InferenceServerClientPlugin


class Bearer(InferenceServerClientPlugin):
    """Adds the token to every request."""

    def __call__(self, request):
        request.headers["authorization"] = BEARER


client = http.InferenceServerClient(HTTP.removeprefix("http://"))
client.register_plugin(Bearer())
stranger = http.InferenceServerClient(HTTP.removeprefix("http://"))
FIRST = np.arange(16, dtype=np.int32).reshape(1, 16)
SECOND = np.ones((1, 16), dtype=np.int32)


def simple_inputs(*, binary, rows=1):
    inputs = []
    for name, row in (("INPUT0", FIRST), ("INPUT1", SECOND)):
        array = np.repeat(row, rows, axis=0)
        inputs.append(http.InferInput(name, array.shape, "INT32"))
        inputs[-1].set_data_from_numpy(array, binary_data=binary)
    return inputs


def texts(*words, shape=None, binary=True):
    array = np.array(words, dtype=object).reshape(shape or [len(words)])
    tensor = http.InferInput("text", array.shape, "BYTES")
    tensor.set_data_from_numpy(array, binary_data=binary)
    return [tensor]


@check
def health_needs_no_token():
    assert stranger.is_server_live()
    assert stranger.is_server_ready()
    assert not stranger.is_model_ready("simple")


@check
def everything_else_does():
    refused(lambda: stranger.get_server_metadata(), "401")
    refused(lambda: stranger.infer("simple", simple_inputs(binary=True)), "401")


@check
def models_are_ready_or_not():
    assert client.is_model_ready("simple")
    assert client.is_model_ready("simple", "1")
    assert not client.is_model_ready("simple", "9")
    assert not client.is_model_ready("absent")


@check
def metadata():
    assert client.get_server_metadata()["name"] == "weir"
    found = client.get_model_metadata("simple")
    assert [(t["name"], t["datatype"], t["shape"]) for t in found["inputs"]] == [
        ("INPUT0", "INT32", [-1, 16]),
        ("INPUT1", "INT32", [-1, 16]),
    ]
    config = client.get_model_config("simple")
    assert config["max_batch_size"] > 1
    assert config["input"][0] == {"name": "INPUT0", "data_type": "TYPE_INT32", "dims": [16]}
    refused(lambda: client.get_model_metadata("absent"), "404", "absent")


@check
def sum_and_difference():
    for binary in (True, False):
        for outputs in (
            None,
            [http.InferRequestedOutput("OUTPUT0", binary_data=binary)],
            [
                http.InferRequestedOutput("OUTPUT1", binary_data=not binary),
                http.InferRequestedOutput("OUTPUT0", binary_data=binary),
            ],
        ):
            inputs = simple_inputs(binary=binary)
            result = client.infer("simple", inputs, outputs=outputs, request_id="7")
            assert result.get_response()["id"] == "7"
            assert (result.as_numpy("OUTPUT0") == FIRST + SECOND).all()
            if outputs and len(outputs) == 1:
                assert result.as_numpy("OUTPUT1") is None
            else:
                assert (result.as_numpy("OUTPUT1") == FIRST - SECOND).all()


@check
def many_rows_and_later_answers():
    pending = [client.async_infer("simple", simple_inputs(binary=True, rows=8)) for _ in range(4)]
    for each in pending:
        assert each.get_result().as_numpy("OUTPUT0").shape == (8, 16)


@check
def coded_requests():
    for algorithm in ("gzip", "deflate"):
        result = client.infer(
            "simple",
            simple_inputs(binary=True),
            request_compression_algorithm=algorithm,
            response_compression_algorithm=algorithm,
        )
        assert (result.as_numpy("OUTPUT0") == FIRST + SECOND).all()


@check
def strings_come_back():
    words = np.array([["Grüße 😀", ""] + ["x"] * 14], dtype=object)
    for binary in (True, False):
        tensor = http.InferInput("INPUT0", words.shape, "BYTES")
        tensor.set_data_from_numpy(words, binary_data=binary)
        wanted = [http.InferRequestedOutput("OUTPUT0", binary_data=binary)]
        found = client.infer("simple_identity", [tensor], outputs=wanted).as_numpy("OUTPUT0")
        given = [each if isinstance(each, str) else each.decode() for each in found.ravel()]
        assert given == words.ravel().tolist()


@check
def texts_are_judged():
    for tensor in (
        texts("good", "bad"),
        texts("good", "bad", binary=False),
        texts("good", "bad", shape=[2, 1]),
    ):
        result = client.infer("sentiment", tensor, parameters={"subject": "somebody"})
        assert result.as_numpy("label").tolist() == [b"positive", b"negative"]
        assert result.as_numpy("probabilities").shape == (2, 2)
        assert result.as_numpy("confidence").dtype == np.float32
        assert len(set(result.as_numpy("prediction_id").tolist())) == 2


@check
def bad_input_is_told():
    def infer(name="INPUT0", shape=(1, 16), dtype=np.int32, datatype="INT32"):
        tensor = http.InferInput(name, shape, datatype)
        tensor.set_data_from_numpy(np.zeros(shape, dtype=dtype))
        return client.infer("simple", [tensor, simple_inputs(binary=True)[1]])

    refused(lambda: infer(name="INPUT9"), "400", "INPUT9")
    refused(lambda: infer(shape=(1, 15)), "400", "shape")
    refused(lambda: infer(dtype=np.float32, datatype="FP32"), "400", "INT32")
    refused(lambda: client.infer("simple", simple_inputs(binary=True)[:1]), "400", "INPUT1")
    refused(lambda: client.infer("simple", simple_inputs(binary=True, rows=257)), "400", "rows")
    refused(lambda: client.infer("simple", simple_inputs(binary=True), "9"), "404", "version")
    refused(lambda: client.infer("sentiment", texts("good", " ")), "400", "blank")


@check
def statistics():
    (counted,) = client.get_inference_statistics("simple", "1")["model_stats"]
    assert counted["inference_count"] >= counted["inference_stats"]["success"]["count"] > 0
    assert len(client.get_inference_statistics()["model_stats"]) == 3


@check
def model_control():
    def states():
        index = client.get_model_repository_index()
        return {each["name"]: each["state"] for each in index}

    client.unload_model("simple")
    assert states() == {"simple": "UNAVAILABLE", "simple_identity": "READY", "sentiment": "READY"}
    assert not client.is_model_ready("simple")
    refused(lambda: client.infer("simple", simple_inputs(binary=True)), "503")
    client.load_model("simple")
    assert client.is_model_ready("simple")
    assert set(states().values()) == {"READY"}
    refused(lambda: client.load_model("simple", config="{}"), "400", "config")
    refused(lambda: client.load_model("absent"), "404")


run()
