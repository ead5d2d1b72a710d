"""One server for all tests of this folder: two versions of an ONNX model and a language model, keys of three kinds, an audit log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http

from tests.conftest import small_job
from workbench.bench import carry_out
from workbench.protect import keys as protecting
from workbench.protect import sign
from workbench.serve import api_keys, process, repository
from workbench.store import Store

LANGUAGE = {
    "model": {"use": "tiny_lm", "layers": 1, "width": 16, "heads": 2, "ffn": 32},
    "data": {"use": "python_source", "length": 32, "num_examples": 200},
    "steps": [],
}
MAX_BYTES = 1 << 20
RECEIVE_SECONDS = 1.5


@dataclass(frozen=True)
class Running:
    server: process.Serving
    repository: Path
    keys: Path  # folder of `workbench protect`
    api_keys: Path
    audit: Path
    tokens: dict[str, str]  # admin, predict
    artifacts: dict[str, Path]  # digits, lm

    def headers(self, token: str = "admin") -> dict[str, str]:
        return {"authorization": f"Bearer {self.tokens.get(token, token)}"}


@pytest.fixture(scope="session")
def artifacts(shared_store: Store) -> dict[str, Path]:
    """Artifact folders of a small classifier and a small language model."""
    jobs = {"digits": small_job(), "lm": small_job(**LANGUAGE)}
    return {name: Path(carry_out(job, shared_store).folder) / "artifact" for name, job in jobs.items()}


@pytest.fixture(scope="session")
def running(artifacts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("serve")
    models, keys, file, log = (folder / name for name in ("models", "keys", "api_keys.json", "audit.jsonl"))
    protecting.create(keys)
    for name, version in (("digits", 1), ("digits", 2), ("lm", 1)):
        made, _ = repository.add(artifacts[name], models, name=name, version=version)
        sign.sign(made / str(version), keys)
    config = models / "digits" / "config.pbtxt"
    config.write_text(config.read_text() + "version_policy { all {} }\n")
    tokens = {"admin": api_keys.add(file, "boss", ("predict", "admin"))[1]}
    tokens["predict"] = api_keys.add(file, "app", ("predict",))[1]
    words = ["--keys", file, "--protect", keys, "--audit", log]
    limits = ["--max-bytes", str(MAX_BYTES), "--receive-seconds", str(RECEIVE_SECONDS)]
    with process.serving([models, *words, *limits]) as server:
        yield Running(server, models, keys, file, log, tokens, artifacts)


@pytest.fixture(scope="session")
def example(artifacts: dict[str, Path]) -> np.ndarray:
    """Four digits, as float32."""
    with np.load(artifacts["digits"] / "probe.npz") as probe:
        return probe["input_pixels"]


@pytest.fixture(scope="session")
def rest(running: Running) -> Iterator[over_http.InferenceServerClient]:
    client = over_http.InferenceServerClient(running.server.url.removeprefix("http://"))
    yield client
    client.close()


@pytest.fixture(scope="session")
def remote(running: Running) -> Iterator[over_grpc.InferenceServerClient]:
    client = over_grpc.InferenceServerClient(running.server.grpc)
    yield client
    client.close()
