"""One or two bits a weight really lie in the file, and counting bits answers what multiplying does."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.methods._skewed import digits, in_torch
from tests.methods.test_few_bits import INNER, trained
from tests.promises._every import carried_out_here, small_job
from tests.promises._stranger import open_as_a_stranger
from workbench import catalog
from workbench.artifact import read
from workbench.context import SavingContext, predict
from workbench.formats import _xnor_kernel
from workbench.nouns import StoredWeight
from workbench.part import Format
from workbench.store import Store

KERNELS = [_xnor_kernel.in_numpy, pytest.param("compiled", marks=pytest.mark.slow)]
HOLDS = ("onnx", "pt2")
BITS = {"ternary": 2, "binary": 1, "xnor": 1}


@cache
def filed(kind: str, format_name: str) -> tuple[np.ndarray, dict[str, StoredWeight], dict[str, Any]]:
    model, quantization = trained(kind)
    made, (splits, _) = catalog.make("formats", format_name), digits()
    assert isinstance(made, Format)
    with tempfile.TemporaryDirectory() as place:
        example = {name: array[:4].copy() for name, array in splits.calibration.inputs.items()}
        ctx = SavingContext(None, example, splits.calibration, quantization, 0)  # type: ignore[arg-type]
        (Path(place) / "card.json").write_text('{"inputs": [{"name": "pixels"}]}')
        told = made.save(model, Path(place), ctx)
        return predict(made.open(Path(place)), splits.test), made.stored(Path(place)), told


@pytest.fixture(autouse=True)
def without_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling takes seconds: only the slow tests do."""
    monkeypatch.setattr(_xnor_kernel, "counter", lambda: _xnor_kernel.in_numpy)


@pytest.mark.parametrize("format_name", HOLDS)
@pytest.mark.parametrize("kind", BITS)
def test_the_file_has_the_bits_of_theory_and_a_scale_a_row(kind: str, format_name: str) -> None:
    _, stored, told = filed(kind, format_name)
    weight, bits = stored[INNER], BITS[kind]
    outputs, row = weight.values.shape[0], weight.values[0].size
    assert weight.dtype == f"int{bits}" and told["weights"] == f"int{bits} and float32"
    assert weight.num_bytes == outputs * (row * bits // 8 + 4)
    assert weight.num_bytes - 4 * outputs == weight.values.size * 4 // (32 // bits), (
        "the share of float32 that is claimed"
    )
    assert {each.dtype for name, each in stored.items() if name != INNER} == {"float32"}


@pytest.mark.parametrize("format_name", HOLDS)
@pytest.mark.parametrize("kind", BITS)
def test_the_file_answers_what_the_model_in_memory_does(kind: str, format_name: str) -> None:
    outputs, stored, _ = filed(kind, format_name)
    wanted = in_torch(trained(kind)[0])
    gaps = np.abs(outputs - wanted).max(1) / np.abs(wanted).max()
    assert np.quantile(gaps, 0.99) < 1e-4  # a sign may turn where an input is a rounding error away from zero
    if format_name == "pt2":
        weight = trained(kind)[0].get_submodule(INNER).get_parameter("weight").detach().numpy()
        assert np.array_equal(stored[INNER].values, weight)


def counting(kernel: Any) -> Any:
    return _xnor_kernel.compiled() if kernel == "compiled" else kernel


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("sizes", [(1, 1, 1), (7, 5, 63), (4, 9, 64), (33, 17, 200)])
def test_counted_products_are_exact(kernel: Any, sizes: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_xnor_kernel, "counter", lambda: counting(kernel))
    rows, columns, count = sizes
    random = np.random.default_rng(0)
    left, right = (random.normal(size=(size, count)).astype(np.float32) for size in (rows, columns))
    left[0, 0] = 0.0  # counts as +1
    found = _xnor_kernel.products(_xnor_kernel.pack(left >= 0), _xnor_kernel.pack(right >= 0), count)
    signs = [np.where(each >= 0, 1, -1) for each in (left, right)]
    assert found.dtype == np.int32 and np.array_equal(found, signs[0] @ signs[1].T)
    assert np.array_equal(_xnor_kernel.linear(left, _xnor_kernel.pack(right >= 0)), found)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    "where", [((3, 3), (1, 1), (1, 1), (1, 1)), ((5, 2), (2, 1), (2, 0), (1, 2)), ((1, 1), (1, 1), (0, 0), (1, 1))]
)
@pytest.mark.parametrize("channels", [3, 64, 70])
def test_counted_convolutions_are_exact(
    kernel: Any, where: Any, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_xnor_kernel, "counter", lambda: counting(kernel))
    size, stride, (rows, columns), dilation = where
    random = np.random.default_rng(0)
    inputs = random.normal(size=(2, channels, 9, 8)).astype(np.float32)
    weights = random.normal(size=(6, channels, *size)).astype(np.float32)
    found = _xnor_kernel.conv2d(inputs, _xnor_kernel.taps(weights >= 0), *where)
    signs, taps = (torch.from_numpy(np.where(each >= 0, 1, -1).astype(np.float32)) for each in (inputs, weights))
    padded = torch.nn.functional.pad(signs, (columns, columns, rows, rows), value=1.0)
    wanted = torch.nn.functional.conv2d(padded, taps, stride=stride, dilation=dilation)
    assert np.array_equal(found, wanted.numpy())


def test_torch_calls_the_kernel_with_any_batch() -> None:
    _xnor_kernel.register()
    assert _xnor_kernel.register() is _xnor_kernel.register(), "an operation is registered once"
    inputs, weights = torch.randn(3, 10), torch.randn(4, 10)
    stored = torch.from_numpy(np.packbits((weights >= 0).numpy(), axis=1, bitorder="little"))
    wanted = torch.sign(inputs) @ torch.sign(weights).T
    assert torch.equal(torch.ops.xnor.linear(inputs, stored), wanted)
    assert torch.equal(torch.ops.xnor.linear(inputs[:1], stored), wanted[:1])


@pytest.mark.parametrize("format_name", ["pt2", pytest.param("onnx", marks=pytest.mark.slow)])
def test_a_network_of_signs_opens_for_a_stranger_who_has_no_compiler(format_name: str, shared_store: Store) -> None:
    job = small_job({"use": "binary", "inputs": "signs", "epochs": 1}, format={"use": format_name})
    run = carried_out_here(job, shared_store)
    assert run.status == "done", (run.error or {}).get("traceback")
    ended = open_as_a_stranger(read(Path(run.folder) / run.artifact))
    assert ended.returncode == 0, ended.stderr
