"""Requests that wait together are answered together, each with its own answer, and one that fails fails alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from workbench.serve._batcher import MAX_WAITING, Batcher
from workbench.serve._signature import Signature, Tensor
from workbench.serve._statistics import Statistics
from workbench.serve.refusal import Refusal


class Doubling:
    """A model that doubles numbers, notes its batches, and has no answer to 13."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.batches.append(len(inputs["x"]))
        if (inputs["x"] == 13).any():
            raise IndexError("13 is out of range")
        return {"y": inputs["x"] * 2}


def answers(
    values: list[int], *, together: bool, is_quick: bool, datatype: str = "INT64"
) -> tuple[Doubling, Statistics, list[Any]]:
    model, statistics = Doubling(), Statistics()
    signature = Signature({"x": Tensor("x", datatype, (-1, 1))}, {"y": Tensor("y", datatype, (-1, 1))}, max_batch=8)

    async def ask() -> list[Any]:
        batcher = Batcher(model, signature, statistics, together=together, is_quick=is_quick)
        waiting = [batcher.answer({"x": np.array([[value]], signature.inputs["x"].dtype)}) for value in values]
        return await asyncio.gather(*waiting, return_exceptions=True)

    return model, statistics, asyncio.run(ask())


@pytest.mark.parametrize("is_quick", [True, False])
def test_what_waits_is_answered_together_and_each_gets_its_own(is_quick: bool) -> None:
    model, statistics, found = answers(list(range(20, 40)), together=True, is_quick=is_quick)
    assert [int(each["y"][0, 0]) for each in found] == [2 * value for value in range(20, 40)]
    assert max(model.batches) == 8 and sum(model.batches) == 20 == statistics.num_examples
    assert statistics.num_executions == len(model.batches) < 6


@pytest.mark.parametrize("is_quick", [True, False])
def test_a_model_that_may_not_is_asked_one_by_one(is_quick: bool) -> None:
    model, _, found = answers([1, 2, 3, 4], together=False, is_quick=is_quick)
    assert model.batches == [1, 1, 1, 1] and [int(each["y"][0, 0]) for each in found] == [2, 4, 6, 8]


@pytest.mark.parametrize("is_quick", [True, False])
def test_one_that_fails_fails_alone(is_quick: bool) -> None:
    _, statistics, found = answers([1, 2, 13, 4], together=True, is_quick=is_quick)
    assert isinstance(found[2], Refusal) and found[2].http_status == 400
    assert [int(found[index]["y"][0, 0]) for index in (0, 1, 3)] == [2, 4, 8]
    assert (statistics.success, statistics.fail) == (3, 1)


def test_a_fault_of_a_model_of_floats_is_not_blamed_on_the_request() -> None:
    _, _, found = answers([13], together=True, is_quick=True, datatype="FP32")
    assert isinstance(found[0], IndexError)


def test_one_more_than_may_wait_is_refused() -> None:
    _, _, found = answers([1] * (MAX_WAITING + 9), together=True, is_quick=True)
    refused = [each for each in found if isinstance(each, Refusal)]
    assert len(refused) == 9 and refused[0].http_status == 429
