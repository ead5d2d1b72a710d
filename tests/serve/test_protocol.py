"""An unchanged tritonclient finds every endpoint, on both ports, and gets the answers that the file gives when opened here."""

from __future__ import annotations

import queue
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http
from tritonclient.utils import InferenceServerException

from tests.serve.conftest import Running
from workbench import artifact

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def expected(running: Running, example: np.ndarray) -> np.ndarray:
    return artifact.open_session(artifact.read(running.artifacts["digits"]))({"pixels": example})["logits"]


@pytest.mark.parametrize("binary_out", [False, True])
@pytest.mark.parametrize("binary_in", [False, True])
@pytest.mark.parametrize("compressed", [None, "gzip", "deflate"])
def test_rest_gives_the_files_answer(
    rest: Any, running: Running, example: np.ndarray, expected: np.ndarray, binary_in: bool, binary_out: bool, compressed: Any
) -> None:  # fmt: skip
    given = over_http.InferInput("pixels", list(example.shape), "FP32")
    given.set_data_from_numpy(example, binary_data=binary_in)
    wanted = [over_http.InferRequestedOutput("logits", binary_data=binary_out)]
    answer = rest.infer(
        "digits", [given], outputs=wanted, request_id="a1", headers=running.headers("predict"),
        request_compression_algorithm=compressed,
    )  # fmt: skip
    assert np.abs(answer.as_numpy("logits") - expected).max() <= TOLERANCE
    assert answer.get_response()["id"] == "a1" and answer.get_response()["model_version"] == "2"


def test_grpc_gives_the_files_answer_alone_and_in_a_stream(
    remote: Any, running: Running, example: np.ndarray, expected: np.ndarray
) -> None:
    given = over_grpc.InferInput("pixels", list(example.shape), "FP32")
    given.set_data_from_numpy(example)
    answer = remote.infer("digits", [given], model_version="1", headers=running.headers("predict"))
    assert np.abs(answer.as_numpy("logits") - expected).max() <= TOLERANCE
    assert answer.get_response().model_version == "1"
    told: queue.Queue[Any] = queue.Queue()
    remote.start_stream(lambda result, error: told.put(error or result), headers=running.headers("predict"))
    wrong = over_grpc.InferInput("pixels", [1, 1, 8, 7], "FP32")
    wrong.set_data_from_numpy(np.zeros((1, 1, 8, 7), np.float32))
    for index, tensor in enumerate((given, wrong, given)):
        remote.async_stream_infer("digits", [tensor], request_id=str(index))
    first, refused, last = (told.get(timeout=20) for _ in range(3))
    remote.stop_stream()
    assert np.abs(first.as_numpy("logits") - expected).max() <= TOLERANCE
    assert "shape" in str(refused) and last.get_response().id == "2"


def test_tokens_are_answered_on_both_ports(rest: Any, remote: Any, running: Running) -> None:
    tokens = np.arange(64, dtype=np.int64).reshape(2, 32)
    expected = artifact.open_session(artifact.read(running.artifacts["lm"]))({"tokens": tokens})["logits"]
    for module, client in ((over_http, rest), (over_grpc, remote)):
        given = module.InferInput("tokens", [2, 32], "INT64")
        given.set_data_from_numpy(tokens)
        answer = client.infer("lm", [given], headers=running.headers("predict")).as_numpy("logits")
        assert np.abs(answer - expected).max() <= TOLERANCE


def test_both_ports_tell_the_same_of_server_and_models(rest: Any, remote: Any, running: Running) -> None:
    headers = {"headers": running.headers("predict")}
    assert rest.is_server_live() and rest.is_server_ready() and remote.is_server_live() and remote.is_server_ready()
    assert rest.is_model_ready("digits", "1", **headers) and remote.is_model_ready("digits", "1", **headers)
    assert not rest.is_model_ready("digits", "3", **headers)
    assert rest.get_server_metadata(**headers) == remote.get_server_metadata(as_json=True, **headers)
    one = rest.get_model_metadata("digits", **headers)
    assert one["versions"] == ["1", "2"] and one["inputs"][0]["shape"] == [-1, 1, 8, 8]
    other = remote.get_model_metadata("digits", **headers)
    assert [(each.name, each.datatype, list(each.shape)) for each in other.inputs] == [
        ("pixels", "FP32", [-1, 1, 8, 8])
    ]
    assert rest.get_model_config("digits", **headers)["backend"] == "onnxruntime"
    assert remote.get_model_config("digits", **headers).config.max_batch_size == 64


def test_statistics_count_what_was_answered(rest: Any, remote: Any, running: Running, example: np.ndarray) -> None:
    headers = {"headers": running.headers("predict")}

    def count() -> tuple[int, int]:
        one = rest.get_inference_statistics("digits", "1", **headers)["model_stats"][0]
        other = remote.get_inference_statistics("digits", "1", **headers).model_stats[0]
        assert int(one["inference_count"]) == other.inference_count
        return other.inference_count, other.inference_stats.success.count

    before = count()
    given = over_http.InferInput("pixels", list(example.shape), "FP32")
    given.set_data_from_numpy(example)
    rest.infer("digits", [given], model_version="1", headers=running.headers())  # it adds to the headers that it gets
    assert count() == (before[0] + 4, before[1] + 1)
    assert len(rest.get_inference_statistics(**headers)["model_stats"]) == 3


def test_models_are_listed_unloaded_and_loaded(rest: Any, remote: Any, running: Running) -> None:
    headers = {"headers": running.headers()}
    names = [(each["name"], each["version"], each["state"]) for each in rest.get_model_repository_index(**headers)]
    assert names == [("digits", "1", "READY"), ("digits", "2", "READY"), ("lm", "1", "READY")]
    remote.unload_model("lm", **headers)
    assert not rest.is_model_ready("lm", **headers)
    with pytest.raises(InferenceServerException, match="no model 'lm'"):
        remote.get_model_metadata("lm", **headers)
    assert [each.state for each in remote.get_model_repository_index(**headers).models][-1] == "UNAVAILABLE"
    rest.load_model("lm", **headers)
    assert remote.is_model_ready("lm", **headers)


def test_a_load_takes_nothing_from_the_request(rest: Any, remote: Any, running: Running) -> None:
    for client in (rest, remote):
        with pytest.raises(InferenceServerException, match="from the repository"):
            client.load_model("lm", config='{"backend": "python"}', headers=running.headers())
