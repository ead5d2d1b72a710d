"""What is wrong with a request is the client's to mend: 4xx and never 5xx, a gRPC status and never INTERNAL or UNKNOWN."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.serve.conftest import MAX_BYTES, RECEIVE_SECONDS, Running

ZEROS = [0.0] * 64
LENGTH = "Inference-Header-Content-Length"


def asked(
    running: Running, body: bytes | str, *, path: str = "/v2/models/digits/infer", method: str = "POST", token: str = "predict",
    **headers: str,
) -> tuple[int, dict[str, Any]]:  # fmt: skip
    """Return the status and the JSON of an answer."""
    host = running.server.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=30)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, {**running.headers(token), **named})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    is_json = answer.headers.get_content_type() == "application/json"
    return answer.status, json.loads(content) if is_json else {}


def one(**changes: Any) -> dict[str, Any]:
    """Return a request of one good tensor, with changes in that tensor; None takes a field out."""
    tensor = {"name": "pixels", "datatype": "FP32", "shape": [1, 1, 8, 8], "data": ZEROS, **changes}
    return {"inputs": [{key: value for key, value in tensor.items() if value is not None}]}


BAD_JSON: dict[str, Any] = {
    "no JSON": "{", "an empty body": "", "a list": "[]", "a number": "3", "no inputs": "{}", "inputs of no list": {"inputs": 3},
    "inputs of no objects": {"inputs": [3]}, "no input": {"inputs": []}, "no name": one(name=None), "a name of a number": one(name=3),
    "another name": one(name="other"), "no datatype": one(datatype=None), "another datatype": one(datatype="INT64"),
    "an unknown datatype": one(datatype="FP33"), "no shape": one(shape=None), "a shape of text": one(shape="1"),
    "a negative size": one(shape=[-1, 1, 8, 8]), "no example": one(shape=[0, 1, 8, 8], data=[]), "a size that is true": one(shape=[True, 1, 8, 8]),
    "a broken size": one(shape=[1.0, 1, 8, 8]), "another shape": one(shape=[1, 1, 8, 7]), "an axis less": one(shape=[1, 64]),
    "a huge size": one(shape=[10**18, 1, 8, 8]), "too many examples": one(shape=[65, 1, 8, 8], data=ZEROS * 65),
    "a value less": one(data=ZEROS[1:]), "no data": one(data=None), "data of text": one(data="abc"), "texts in data": one(data=["0"] * 64),
    "null in data": one(data=[None] * 64), "truths in data": one(data=[True] * 64), "an object in data": one(data=[{}] * 64),
    "ragged data": one(data=[[0.0], [0.0, 1.0]]), "deep data": '{"inputs":' + "[" * 900 + "]" * 900 + "}",
    "data 70 deep": one(data=json.loads("[" * 70 + "0" + "]" * 70)), "too large a float": one(data=[1e39] * 64), "too large a number": one(data=[10**400] * 64),
    "NaN": json.dumps(one(data=[float("nan")] * 64)), "an input twice": {"inputs": one()["inputs"] * 2},
    "an unknown output": {**one(), "outputs": [{"name": "other"}]}, "an output twice": {**one(), "outputs": [{"name": "logits"}] * 2},
    "outputs of no list": {**one(), "outputs": "logits"}, "parameters of no object": {**one(), "parameters": 3}, "an id of a number": {**one(), "id": 3},
    "a sequence": {**one(), "parameters": {"sequence_id": 7}}, "classification": {**one(), "outputs": [{"name": "logits", "parameters": {"classification": 3}}]},
    "bytes that are not there": one(data=None, parameters={"binary_data_size": 256}), "a size of text": one(data=None, parameters={"binary_data_size": "256"}),
    "a negative number of bytes": one(data=None, parameters={"binary_data_size": -1}),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD_JSON)
def test_rest_tells_what_is_wrong(running: Running, what: str) -> None:
    bad = BAD_JSON[what]
    status, told = asked(running, bad if isinstance(bad, str) else json.dumps(bad))
    assert status == 400 and told["error"], (status, told)


def binary(content: bytes, *, told: int, length: str | None = None) -> tuple[bytes, dict[str, str]]:
    header = json.dumps(one(data=None, parameters={"binary_data_size": told})).encode()
    return header + content, {LENGTH.replace("-", "_"): str(len(header)) if length is None else length}


@pytest.mark.parametrize(
    "content, told, length",
    [
        (b"\0" * 256, 255, None), (b"\0" * 257, 256, None), (b"\0" * 255, 256, None), (b"\0" * 256, 252, None), (b"\0" * 256, 256, "x"),
        (b"\0" * 256, 256, "999999"), (b"\0" * 256, 256, "-1"), (b"\0" * 256, 256, "0"), (np.full(64, np.nan, np.float32).tobytes(), 256, None),
        (np.full(64, np.inf, np.float32).tobytes(), 256, None),
    ],
)  # fmt: skip
def test_binary_tensors_end_where_they_say(running: Running, content: bytes, told: int, length: str | None) -> None:
    body, headers = binary(content, told=told, length=length)
    assert asked(running, body, **headers)[0] == 400
    good, headers = binary(b"\0" * 256, told=256)
    assert asked(running, good, **headers)[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/v2/models/none/infer", "/v2/models/..%2f..%2fetc/infer", "/v2/models/../infer", "/v2/models/digits/versions/3/infer",
        "/v2/models/digits/versions/-1/infer", "/v2/models/digits/versions/x/infer", "/v2/models//infer", "/v2/models/%00/infer", "/v2/models/" + "x" * 3000 + "/infer",
        "/v2/models/digits/versions/" + "9" * 400 + "/infer", "/nowhere", "/v2/models/%ff/infer",
    ],
)  # fmt: skip
def test_an_unknown_place_is_404(running: Running, path: str) -> None:
    assert asked(running, json.dumps(one()), path=path)[0] == 404


def test_a_wrong_method_is_405(running: Running) -> None:
    assert asked(running, "", method="GET")[0] == 405 and asked(running, "", method="DELETE", path="/predict")[0] == 405


@pytest.mark.parametrize(
    "body", [{}, {"input": 3}, {"input": [1, 2]}, {"input": {"other": [1]}}, {"input": "x"}, {"input": [], "model": 3}]
)
def test_predict_tells_what_is_wrong(running: Running, body: Any) -> None:
    assert asked(running, json.dumps(body), path="/predict")[0] == 400


def test_a_token_outside_the_vocabulary_is_told_and_hurts_nobody_else(running: Running) -> None:
    def tokens(value: int) -> str:
        given = {"name": "tokens", "datatype": "INT64", "shape": [1, 32], "data": [value] * 32}
        return json.dumps({"inputs": [given]})

    path = "/v2/models/lm/infer"
    assert asked(running, tokens(10**6), path=path)[0] == 400
    assert asked(running, tokens(2**70), path=path)[0] == 400
    assert asked(running, tokens(1), path=path)[0] == 200


def test_compressed_bodies_are_bounded_by_what_they_unpack_to(running: Running) -> None:
    assert asked(running, gzip.compress(json.dumps(one()).encode()), Content_Encoding="gzip")[0] == 200
    assert asked(running, gzip.compress(b" " * (MAX_BYTES + 1)), Content_Encoding="gzip")[0] == 413
    assert asked(running, b"no gzip", Content_Encoding="gzip")[0] == 400
    assert asked(running, gzip.compress(json.dumps(one()).encode())[:-9], Content_Encoding="gzip")[0] == 400
    assert asked(running, json.dumps(one()), Content_Encoding="br")[0] == 415


def test_a_hundred_megabytes_are_refused_and_never_held(running: Running) -> None:
    """Once with its length told before, once in chunks that never say how long they go on."""
    server = psutil.Process(running.server.process.pid)
    before = server.memory_info().rss
    assert asked(running, b"[" + b"0," * (50 << 20) + b"0]")[0] == 413
    host, port = running.server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as client:
        head = f"POST /predict HTTP/1.1\r\nHost: x\r\nAuthorization: {running.headers('predict')['authorization']}\r\n"
        client.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
        chunk = b"%x\r\n" % (1 << 16) + b"0" * (1 << 16) + b"\r\n"
        for _ in range(40):
            client.sendall(chunk)
        assert client.recv(12) == b"HTTP/1.1 413"
    assert server.memory_info().rss - before < 30 << 20


@pytest.mark.parametrize("sent", ["nothing", "half a header", "half a body", "a byte at a time"])
def test_a_connection_that_dawdles_is_closed(running: Running, sent: str) -> None:
    host, port = running.server.url.removeprefix("http://").split(":")
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nAuthorization: {running.headers('predict')['authorization']}\r\n"
    begun = time.monotonic()
    with socket.create_connection((host, int(port)), timeout=10 * RECEIVE_SECONDS) as client:
        client.settimeout(0.2)
        client.sendall(
            {"nothing": b"", "half a header": head.encode()}.get(sent, head.encode() + b"Content-Length: 99\r\n\r\n{")
        )
        received = b""
        while time.monotonic() - begun < 10 * RECEIVE_SECONDS:
            try:
                if sent == "a byte at a time":
                    client.sendall(b" ")
                block = client.recv(4096)
            except TimeoutError:
                continue
            except OSError:
                break
            if not block:
                break
            received += block
    assert RECEIVE_SECONDS * 0.9 < time.monotonic() - begun < RECEIVE_SECONDS + 4
    assert received.startswith(b"HTTP/1.1 408") == ("body" in sent or "byte" in sent)


def test_headers_without_end_are_cut_off(running: Running) -> None:
    host, port = running.server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as client, pytest.raises(OSError):
        client.sendall(b"GET /v2 HTTP/1.1\r\n")
        for _ in range(1000):
            client.sendall(b"X-Filler: " + b"x" * 1000 + b"\r\n")
            time.sleep(0.0005)


def message(**changes: Any) -> Any:
    """Return a ModelInferRequest of one good raw tensor, with changes."""
    request = service_pb2.ModelInferRequest(
        model_name=changes.pop("model", "digits"), model_version=changes.pop("version", "")
    )
    raw, contents = changes.pop("raw", [bytes(256)]), changes.pop("contents", None)
    for _ in range(changes.pop("times", 1)):
        tensor = request.inputs.add(**{"name": "pixels", "datatype": "FP32", "shape": [1, 1, 8, 8], **changes})
        if contents is not None:
            getattr(tensor.contents, contents[0]).extend(contents[1])
    request.raw_input_contents.extend(raw)
    return request


def stub_of(running: Running) -> tuple[grpc.Channel, Any]:
    channel = grpc.insecure_channel(running.server.grpc, [("grpc.max_send_message_length", -1)])
    return channel, service_pb2_grpc.GRPCInferenceServiceStub(channel)


BAD_MESSAGES: dict[str, tuple[dict[str, Any], str]] = {
    "unknown model": ({"model": "none"}, "NOT_FOUND"), "a path": ({"model": "../../etc"}, "NOT_FOUND"), "unknown version": ({"version": "7"}, "NOT_FOUND"),
    "a version of words": ({"version": "../1"}, "NOT_FOUND"), "another name": ({"name": "other"}, "INVALID_ARGUMENT"),
    "another datatype": ({"datatype": "INT64"}, "INVALID_ARGUMENT"), "another shape": ({"shape": [1, 64]}, "INVALID_ARGUMENT"),
    "a negative size": ({"shape": [-1, 1, 8, 8]}, "INVALID_ARGUMENT"), "a huge size": ({"shape": [2**62, 1, 8, 8]}, "INVALID_ARGUMENT"),
    "no inputs": ({"times": 0}, "INVALID_ARGUMENT"), "nothing at all": ({"times": 0, "raw": []}, "INVALID_ARGUMENT"),
    "an input twice": ({"times": 2, "raw": [bytes(256)] * 2}, "INVALID_ARGUMENT"), "bytes too few": ({"raw": [bytes(255)]}, "INVALID_ARGUMENT"),
    "bytes too many": ({"raw": [bytes(260)]}, "INVALID_ARGUMENT"), "no content": ({"raw": []}, "INVALID_ARGUMENT"),
    "both contents": ({"contents": ("fp32_contents", ZEROS)}, "INVALID_ARGUMENT"),
    "content of another kind": ({"raw": [], "contents": ("int64_contents", [0] * 64)}, "INVALID_ARGUMENT"),
    "too few values": ({"raw": [], "contents": ("fp32_contents", ZEROS[1:])}, "INVALID_ARGUMENT"),
    "NaN": ({"raw": [np.full(64, np.nan, np.float32).tobytes()]}, "INVALID_ARGUMENT"),
    "too many bytes": ({"raw": [bytes(MAX_BYTES + 1)]}, "RESOURCE_EXHAUSTED"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD_MESSAGES)
def test_grpc_tells_what_is_wrong(running: Running, what: str) -> None:
    changes, status = BAD_MESSAGES[what]
    channel, stub = stub_of(running)
    with channel, pytest.raises(grpc.RpcError) as told:
        stub.ModelInfer(message(**changes), metadata=list(running.headers("predict").items()), timeout=20)
    assert told.value.code().name == status, told.value.details()


def test_typed_contents_are_answered_like_raw_ones(running: Running) -> None:
    channel, stub = stub_of(running)
    with channel:
        metadata = list(running.headers("predict").items())
        raw = stub.ModelInfer(message(), metadata=metadata, timeout=20)
        typed = stub.ModelInfer(message(raw=[], contents=("fp32_contents", ZEROS)), metadata=metadata, timeout=20)
    assert raw.raw_output_contents == typed.raw_output_contents


def test_a_thousand_connections_are_open_while_it_answers(running: Running) -> None:
    host, port = running.server.url.removeprefix("http://").split(":")
    clients = [
        socket.create_connection((host, int(port)), timeout=10) for _ in range(400 if os.cpu_count() == 1 else 1000)
    ]
    try:
        assert asked(running, json.dumps(one()))[0] == 200
    finally:
        for client in clients:
            client.close()


def test_a_client_that_goes_away_leaves_no_trace(running: Running) -> None:
    host, port = running.server.url.removeprefix("http://").split(":")
    body = json.dumps(one()).encode()
    head = f"POST /v2/models/digits/infer HTTP/1.1\r\nHost: x\r\nAuthorization: {running.headers('predict')['authorization']}\r\n"
    for end in (len(body), len(body) // 2):
        for _ in range(20):
            with socket.create_connection((host, int(port)), timeout=10) as client:
                client.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body[:end])
    assert asked(running, body)[0] == 200
    time.sleep(0.2)
    page = metrics(running)
    assert 'workbench_under_way{port="rest"} 1.0' in page and 'status="500"' not in page and "INTERNAL" not in page


def metrics(running: Running) -> str:
    connection = http.client.HTTPConnection(running.server.url.removeprefix("http://"), timeout=30)
    connection.request("GET", "/metrics", headers=running.headers("predict"))
    page = connection.getresponse().read().decode()
    connection.close()
    return page


def test_a_link_to_this_file_is_no_model(running: Running) -> None:
    """The listing is of folders alone; what a link points to is not even named."""
    link = running.repository / "linked"
    link.symlink_to(running.repository / "digits", target_is_directory=True)
    try:
        assert asked(running, "", path="/v2/repository/models/linked/load", token="admin")[0] == 404
        assert "linked" not in str(asked(running, "", path="/v2/repository/index", token="admin")[1])
    finally:
        Path(link).unlink()
