"""Text that a served language model generates is what the saved model says, token by token."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests import own_tokenizer
from tests.conftest import small_job
from tests.serve.conftest import LANGUAGE
from workbench import artifact
from workbench.bench import carry_out
from workbench.serve import process
from workbench.store import Store

pytestmark = pytest.mark.slow  # together they take longer than `make check` may

TOKEN = "0123456789abcdef0123456789abcdef"
PROMPT = "import os\n"


@pytest.fixture(scope="module")
def folder(shared_store: Store) -> Path:
    return Path(carry_out(small_job(**LANGUAGE, format={"use": "hugging_face"}), shared_store).folder) / "artifact"


@pytest.fixture(scope="module")
def with_tokenizer(shared_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with a tokenizer of its own, trained on text that was read by it."""
    made = tmp_path_factory.mktemp("checkpoint")
    own_tokenizer.causal(made)
    (made / "text.txt").write_text(own_tokenizer.TEXT, encoding="utf-8")
    record = {
        "model": {"use": "hugging_face", "checkpoint": str(made)},
        "data": {"use": "text_files", "path": str(made / "text.txt"), "tokenizer": str(made), "length": 32},
        "steps": [{"use": "train", "epochs": 4, "learning_rate": 0.01}],
    }
    return Path(carry_out(small_job(**record, format={"use": "hugging_face"}), shared_store).folder) / "artifact"


@pytest.fixture(scope="module")
def client(folder: Path, with_tokenizer: Path, artifacts: dict[str, Path]) -> Iterator[httpx.Client]:
    words = [f"lm={folder}", f"words={with_tokenizer}", f"digits={artifacts['digits']}", "--streams", "2"]
    with (
        process.serving(words, environment={"WORKBENCH_TOKEN": TOKEN}) as server,
        httpx.Client(base_url=server.url, headers=server.headers, timeout=60) as made,
    ):
        yield made


def generated(client: httpx.Client, model: str = "lm", **body: Any) -> dict[str, Any]:
    answer = client.post(f"/v2/models/{model}/generate", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_the_cache_changes_nothing(client: httpx.Client, folder: Path) -> None:
    """Each token is the likeliest after all before it, read anew without a cache."""
    told = generated(client, text_input=PROMPT, parameters={"max_tokens": 12})
    session, tokens = artifact.open_session(artifact.read(folder)), list(PROMPT.encode())
    for token in told["tokens"]:
        assert token == session({"tokens": np.array([tokens])})["logits"][0, -1].argmax()
        tokens.append(token)
    assert len(told["tokens"]) == 12 and told["finish_reason"] == "length"
    assert told["text_output"] == bytes(told["tokens"]).decode(errors="replace")
    assert generated(client, tokens=list(PROMPT.encode()), parameters={"max_tokens": 12}) == told


def test_a_stream_is_the_same_text_in_pieces(client: httpx.Client) -> None:
    wanted = {"text_input": PROMPT, "parameters": {"max_tokens": 8, "temperature": 1.0, "top_k": 20, "seed": 3}}
    whole = generated(client, **wanted)
    with client.stream("POST", "/v2/models/lm/generate_stream", json=wanted) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        pieces = [json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line]
    assert [each["token"] for each in pieces] == whole["tokens"]
    assert "".join(each["text_output"] for each in pieces) == whole["text_output"]
    assert [each["finish_reason"] for each in pieces] == [""] * 7 + ["length"]
    other = {**wanted, "parameters": {**wanted["parameters"], "seed": 4}}  # type: ignore[dict-item]
    assert generated(client, **other)["tokens"] != whole["tokens"]


def test_a_model_with_its_own_tokenizer_takes_and_gives_text(client: httpx.Client, with_tokenizer: Path) -> None:
    """What transformers makes of the saved folder, tokenizer included, is what is served."""
    import transformers

    theirs = transformers.AutoTokenizer.from_pretrained(with_tokenizer, local_files_only=True)
    model = transformers.AutoModelForCausalLM.from_pretrained(with_tokenizer, local_files_only=True)
    prompt = "for word in words:\n    return"
    given = theirs(prompt, return_tensors="pt")["input_ids"]
    wanted = model.generate(given, max_new_tokens=10, do_sample=False)[0, given.shape[1] :].tolist()
    told = generated(client, "words", text_input=prompt, parameters={"max_tokens": 10})
    assert told["tokens"] == wanted[: len(told["tokens"])] and len(set(told["tokens"])) > 1
    assert told["text_output"] == theirs.decode(told["tokens"], skip_special_tokens=True)
    assert generated(client, "words", tokens=given[0].tolist(), parameters={"max_tokens": 10}) == told


BAD: list[dict[str, Any]] = [
    {}, {"text_input": 3}, {"text_input": ""}, {"text_input": "x" * 32}, {"text_input": "a", "tokens": [1]}, {"tokens": "a"}, {"tokens": [1.5]},
    {"tokens": [256]}, {"tokens": [-1]}, {"tokens": []}, *({"text_input": "a", "parameters": each} for each in (
        3, {"max_tokens": 0}, {"max_tokens": 32}, {"max_tokens": "8"}, {"max_tokens": True}, {"temperature": -1}, {"top_k": 0},
        {"seed": -1}, {"other": 1},
    )),
]  # fmt: skip


@pytest.mark.parametrize("body", BAD, ids=str)
def test_what_is_wrong_is_told(client: httpx.Client, body: dict[str, Any]) -> None:
    for path in ("generate", "generate_stream"):
        answer = client.post(f"/v2/models/lm/{path}", json=body)
        assert answer.status_code == 400 and answer.json()["error"]


def test_a_model_that_does_not_generate_says_so(client: httpx.Client) -> None:
    answer = client.post("/v2/models/digits/generate", json={"text_input": "a"})
    assert answer.status_code == 400 and "hugging_face" in answer.json()["error"]
    assert client.post("/v2/models/none/generate", json={"text_input": "a"}).status_code == 404
    bare = httpx.post(f"{client.base_url}/v2/models/lm/generate", json={"text_input": "a"})
    assert bare.status_code == 401


def test_more_texts_than_streams_are_refused_not_queued(client: httpx.Client) -> None:
    """Sixteen at once on two streams: each is answered whole or refused with 429, and afterwards there is room again."""
    statuses = list[int]()

    def ask() -> None:
        body = {"text_input": PROMPT, "parameters": {"max_tokens": 20}}
        statuses.append(client.post("/v2/models/lm/generate", json=body).status_code)

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200, 429} and len(statuses) == 16
    with client.stream("POST", "/v2/models/lm/generate_stream", json={"text_input": PROMPT}) as answer:
        next(answer.iter_lines())  # and goes away
    assert generated(client, text_input=PROMPT)["finish_reason"] == "length"
