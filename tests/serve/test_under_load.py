"""The load test of `workbench load` against the real server, over both protocols."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.serve.conftest import Running
from workbench.load import Settings, Target, measure_load


def request_of(example: np.ndarray) -> dict[str, Any]:
    one = example[:1]
    return {"inputs": [{"name": "pixels", "shape": list(one.shape), "datatype": "FP32", "data": one.ravel().tolist()}]}


@pytest.mark.parametrize("way", ["rest", "grpc"])
def test_a_kept_connection_is_answered_at_once_and_nothing_fails(
    way: str, running: Running, example: np.ndarray
) -> None:
    """Without TCP_NODELAY each answer but the first waits 40 ms for the client's delayed acknowledgement."""
    url = running.server.url if way == "rest" else f"grpc://{running.server.grpc}"
    target = Target(url, "digits", request_of(example), running.tokens["predict"])
    (step,) = measure_load(target, Settings(rates=(20,), seconds=2, connections=1, arrivals="even")).steps
    assert step.num_failed == 0, step.failures
    assert float(np.median(step.service_ms)) < 30
