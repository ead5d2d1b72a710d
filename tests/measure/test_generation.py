"""Writing texts: what is timed, what is counted, what is refused; and a run that wrote some."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from handmade import card

from tests.conftest import small_job
from workbench.artifact import read
from workbench.bench import carry_out
from workbench.charts.generation import generation_data, generation_figure
from workbench.errors import InvalidInput, WorkbenchError
from workbench.estimate import estimate
from workbench.measure import _generation
from workbench.measure.generation import Generation
from workbench.nouns import Run
from workbench.part import Decoder
from workbench.report import write_report
from workbench.store import Store
from workbench.table import rows

pytestmark = pytest.mark.slow  # together they take longer than `make check` may

LANGUAGE = {
    "model": {"use": "tiny_lm", "layers": 1, "width": 16, "heads": 2, "ffn": 32},
    "data": {"use": "python_source", "length": 32, "num_examples": 200},
    "steps": [{"use": "train", "epochs": 1}],
    "format": "hugging_face",
    "metrics": [{"use": "generation", "prompt": 8, "restarts": 1, "texts": 2}],
}


class CountingReading:
    """Says that the token after t is t + 1, and keeps ten bytes of each."""

    def __init__(self, log: list[int], tokens: Any) -> None:
        self.log, self.num = log, 0
        for token in tokens:
            self.go_on(token)

    def go_on(self, token: int) -> np.ndarray:
        self.log.append(token)
        self.num += 1
        self.logits = np.eye(50)[token + 1]
        return self.logits

    def cache_bytes(self) -> int:
        return 10 * self.num


def counting(log: list[int], context: int = 40) -> Decoder:
    return Decoder(lambda tokens: CountingReading(log, tokens), context, 50, frozenset())


def test_the_likeliest_token_is_read_next_to_the_end_of_the_context() -> None:
    log: list[int] = []
    answer = _generation.timed([lambda: counting(log)], prompts=[[1, 2, 3]], tokens=None, texts=2, turn=0)
    assert log[-40:] == list(range(1, 41))
    assert np.shape(answer["first_ms"]) == (1, 2) and np.shape(answer["token_ms"]) == (1, 2, 37)
    assert answer["kv_bytes"] == 400


def test_variants_write_in_turn_and_the_first_one_changes() -> None:
    order: list[str] = []

    def named(name: str) -> Decoder:
        def read(tokens: Any) -> CountingReading:
            order.append(name)
            return CountingReading([], tokens)

        return Decoder(read, 40, 50, frozenset())

    for turn, expected in ((0, "abba"), (1, "baab")):
        order.clear()
        openers = [lambda: named("a"), lambda: named("b")]
        _generation.timed(openers, prompts=[[1]], tokens=8, texts=2, turn=turn)
        assert "".join(order[2:]) == expected, "two warm up"


def test_a_slower_variant_has_a_higher_ratio_and_rates_follow_the_context(tmp_path: Path) -> None:
    """Token i takes i ms here and half of it with the parent."""
    grows = np.tile(np.arange(1.0, 13.0), (3, 2, 5, 1))
    grows[:, 1] /= 2
    answers = [{"first_ms": np.ones((2, 5)).tolist(), "token_ms": each.tolist(), "kv_bytes": 77} for each in grows]
    ctx: Any = SimpleNamespace(parent=True, seed=0, keep=lambda file, **arrays: f"samples/{file}")
    found = Generation(prompt=8)._measurements(ctx, answers, {"measured_alone": True})
    by_name = {each.name: each for each in found}
    assert by_name["token_ratio_to_parent"].value == pytest.approx(2.0)
    assert by_name["kv_bytes"].value == 77 and by_name["kv_bytes"].conditions == {"context": 20}
    rates = {each.conditions["context"]: each.value for each in found if each.name == "tokens_per_second"}
    assert rates == {
        11: pytest.approx(500),
        14: pytest.approx(200),
        17: pytest.approx(125),
        20: pytest.approx(1000 / 11),
    }


@pytest.mark.parametrize("prompt, tokens", [(36, None), (10, 31), (40, None)])
def test_what_the_context_cannot_hold_is_told(prompt: int, tokens: int | None) -> None:
    with pytest.raises(InvalidInput, match="context is 40"):
        _generation.timed([lambda: counting([])], prompts=[[1] * prompt], tokens=tokens, texts=2, turn=0)


def test_only_language_models_in_formats_that_keep_what_was_read_are_asked() -> None:
    (reason,) = Generation().why_not(card())
    assert "written by language models" in reason
    (reason,) = small_job(**{**LANGUAGE, "metrics": [{"use": "generation"}], "format": "onnx"}).why_not()
    assert "onnx keeps nothing between tokens" in reason
    (reason,) = small_job(**{**LANGUAGE, "metrics": [{"use": "generation", "prompt": 33}]}).why_not()
    assert "have 32 tokens: prompt=33 is longer" in reason


def test_the_reference_in_onnx_is_measured_without_it() -> None:
    _, reference = small_job(**{**LANGUAGE, "metrics": ["size", "generation"]}).relatives()
    assert (
        reference is not None
        and [metric.name() for metric in reference.metrics] == ["size"]
        and not reference.why_not()
    )


@pytest.fixture(scope="module")
def run(shared_store: Store) -> Run:
    return carry_out(small_job(**LANGUAGE), shared_store)


def test_a_run_tells_what_it_kept_as_the_estimate_said(run: Run) -> None:
    assert run.status == "done", run.error
    (row,) = rows([run])
    assert row["kv_bytes"] == 2 * 16 * 4 * 32
    assert row["token_ms"] > 0 and row["first_token_ms"] > 0
    job = small_job(**LANGUAGE)
    (note,) = [
        note
        for note in estimate(job.cards(job.model.card(job.data.card())), "hugging_face")[0].notes
        if "while writing" in note
    ]
    assert "128 bytes a token" in note


def test_keys_and_values_in_few_bits_are_fewer_bytes_beside_their_parent(run: Run, shared_store: Store) -> None:
    """Each key channel of 8 tokens has a scale and a smallest number, in two bytes each; each value of a head likewise."""
    steps = [*LANGUAGE["steps"], {"use": "kv_cache", "bits": 4, "group": 8}]  # type: ignore[misc]
    small = carry_out(small_job(**{**LANGUAGE, "steps": steps}), shared_store)
    assert small.status == "done", small.error
    numbers, channels, heads = 32 * 16, 16, 2
    scales = (32 // 8) * channels * 4 + 32 * heads * 4
    assert small.get("kv_bytes").value == 2 * numbers // 2 + scales  # type: ignore[union-attr]
    assert small.parent == run.run_id and small.get("token_ratio_to_parent") is not None
    assert "int4" in read(Path(small.folder) / "artifact").card["precision"]["keys_and_values"]


def test_the_page_draws_what_language_models_wrote(run: Run, tmp_path: Path) -> None:
    (pace,) = generation_data([run])
    assert pace.contexts[-1] == 32 and all(a <= b for a, b in itertools.pairwise(pace.contexts))
    assert all(lo <= rate <= hi for lo, rate, hi in zip(pace.lo, pace.rates, pace.hi))
    assert f"{pace.kv_bytes:,.0f} bytes kept" in generation_figure([pace]).layout.meta["alt"]
    assert "Writing text" in write_report([run], tmp_path / "page.html").read_text()
    with pytest.raises(WorkbenchError, match="no run here has written"):
        generation_data([])
