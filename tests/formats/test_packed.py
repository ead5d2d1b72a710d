"""Integers of a few bits really lie packed in the file, and the file answers what the model in memory answers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.formats.test_weights import stored
from tests.promises._every import carried_out_here
from tests.promises._stranger import open_as_a_stranger
from workbench.artifact import read
from workbench.formats import _packed
from workbench.job import Job
from workbench.nouns import Grid, Quantization, Run
from workbench.store import Store

pytestmark = pytest.mark.slow  # together they take longer than `make check` may

MODELS: dict[str, Any] = {
    "lenet": ("lenet_300_100", "digits", {"use": "train", "epochs": 1}),
    "vit": ({"use": "vit", "layers": 1, "width": 48}, "digits", {"use": "train", "epochs": 1}),
    "text": (
        {"use": "tiny_lm", "layers": 1, "width": 48},
        {"use": "python_source", "length": 32, "num_examples": 200},
        {"use": "magnitude_prune", "sparsity": 0.1},
    ),
}
HOLDS = ("onnx", "pt2")


def run_of(model: str, format_name: str, store: Store, **options: Any) -> Run:
    part, data, first = MODELS[model]
    steps = [first, {"use": "weight_only", **options}]
    record = {"model": part, "data": data, "steps": steps, "format": format_name, "metrics": ["size"]}
    run = carried_out_here(Job.from_json(record), store)
    assert run.status == "done", (run.error or {}).get("traceback")
    return run


def how(bits: int, group_size: int | None, *, symmetric: bool = True, float_zeros: bool = False) -> Quantization:
    """A drawn grid of 5 rows of 70 weights."""
    random = np.random.default_rng(bits)
    shape = (5, -(-70 // (group_size or 70)))
    zeros = random.integers(0, 2**bits, shape).astype(np.uint8)
    if symmetric:
        zeros[:] = 2 ** (bits - 1)
    scales = random.random(shape, dtype=np.float32)
    grid = Grid(
        random.integers(0, 2**bits, (5, 70)).astype(np.uint8), scales, zeros + np.float32(0.3) if float_zeros else zeros
    )
    return Quantization("weight_only", f"int{bits}", "float32", bits=bits, group_size=group_size, symmetric=symmetric,
                        float_zeros=float_zeros, grid=grid)  # fmt: skip


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_packing_spends_the_bits_of_each_integer_and_no_more(bits: int) -> None:
    rows = np.random.default_rng(0).integers(0, 2**bits, (6, 64)).astype(np.uint8)
    packed = _packed.to_bytes(rows, bits)
    assert packed.nbytes * 8 == rows.size * bits
    assert np.array_equal(_packed.from_bytes(packed, bits, 64), rows)


def test_four_bits_lie_low_half_first_as_the_kernel_wants() -> None:
    assert _packed.to_bytes(np.array([[0x1, 0xA, 0xF]], np.uint8), 4).tolist() == [[0xA1, 0x0F]]


@pytest.mark.parametrize("zeros", [{}, {"symmetric": False}, {"symmetric": False, "float_zeros": True}])
@pytest.mark.parametrize("group_size", [16, 32, 256, None])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_a_packed_grid_is_read_back_bit_for_bit_in_the_bytes_foretold(
    bits: int, group_size: int | None, zeros: dict[str, bool]
) -> None:
    asked = how(bits, group_size, **zeros)
    packed = _packed.pack(asked)
    grid, group = asked.grid, np.arange(70) // (group_size or 70)
    assert grid is not None
    wanted = (grid.integers - grid.zeros[:, group].astype(np.float32)) * grid.scales[:, group]
    found = _packed.stored(packed)
    assert np.array_equal(found.values, wanted)
    assert found.num_bytes == asked.packed_bytes(5, 70)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("format_name", HOLDS)
def test_the_file_has_the_bits_per_weight_of_theory(format_name: str, model: str, shared_store: Store) -> None:
    """Per weight: its bits, 32 / 32 of a scale, and the padding of rows that are no multiple of 32."""
    weights = stored(run_of(model, format_name, shared_store, bits=4))
    packed = {name: weight for name, weight in weights.items() if weight.dtype == "int4"}
    assert len(packed) >= 3
    for name, weight in packed.items():
        outputs, inputs = weight.values.shape
        most = outputs * math.ceil(inputs / 32) * 32 * (4 + 1)
        assert outputs * inputs * (4 + 1) <= 8 * weight.num_bytes <= most, name
        if inputs % 32 == 0:
            assert 8 * weight.num_bytes / weight.values.size == 5.0


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("format_name", HOLDS)
def test_int4_halves_int8_up_to_the_scales(format_name: str, model: str, shared_store: Store) -> None:
    runs = {bits: run_of(model, format_name, shared_store, bits=bits) for bits in (8, 4)}
    sizes = {
        bits: sum(each.num_bytes for each in stored(run).values() if each.dtype == f"int{bits}")
        for bits, run in runs.items()
    }
    scales = sizes[4] * 4 // 20  # of each block's 16 + 4 bytes
    assert sizes[8] / 2 < sizes[4] < sizes[8] / 2 + scales


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"bits": 4},
        {"bits": 2, "symmetric": False},
        {"bits": 8, "group_size": None},
        {"bits": 4, "method": "hqq", "symmetric": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("format_name", HOLDS)
def test_the_file_answers_as_the_rounded_model_in_memory_and_opens_for_a_stranger(
    format_name: str, model: str, options: dict[str, Any], shared_store: Store
) -> None:
    saved = read(Path(run_of(model, format_name, shared_store, **options).folder) / "artifact")
    assert saved.card["probe"]["gap_to_torch"] < 1e-5
    assert saved.card["precision"]["weights"].startswith(f"int{options['bits']}")
    assert saved.card["precision"]["simulated"] is False
    ended = open_as_a_stranger(saved)
    assert ended.returncode == 0, ended.stderr


def test_an_onnx_file_shrinks_by_the_bytes_that_packing_saves(shared_store: Store) -> None:
    runs = {bits: run_of("lenet", "onnx", shared_store, bits=bits) for bits in (8, 4)}
    packed = {bits: sum(each.num_bytes for each in stored(run).values()) for bits, run in runs.items()}
    on_disk = {bits: run.get("artifact_bytes").value for bits, run in runs.items()}  # type: ignore[union-attr]
    assert on_disk[8] - on_disk[4] == pytest.approx(packed[8] - packed[4], abs=300)  # numbers in the graph


def test_onnx_computes_with_the_packed_weights(shared_store: Store) -> None:
    import onnx

    run = run_of("lenet", "onnx", shared_store, bits=4)
    graph = onnx.load(str(Path(run.folder) / "artifact" / "model.onnx")).graph
    assert [node.op_type for node in graph.node if node.op_type in ("MatMul", "Gemm")] == []
    assert sum(node.op_type == "MatMulNBits" for node in graph.node) == 3
    assert {tuple(t.dims) for t in graph.initializer if t.data_type == onnx.TensorProto.UINT8} == {
        (300, 2, 16), (100, 10, 16), (10, 4, 16),
    }  # fmt: skip
    taken = Job.from_json(run.job).format.layer_ms(
        Path(run.folder) / "artifact", {"pixels": np.zeros((1, 1, 8, 8), np.float32)}
    )
    assert set(taken) >= {"fc1", "fc2", "fc3"}


def test_onnx_says_that_it_has_no_kernel_for_three_bits() -> None:
    from workbench.describe import model_card

    job = Job.from_json({"model": "lenet_300_100", "data": "digits", "steps": [{"use": "weight_only", "bits": 3}],
                         "format": "onnx", "metrics": ["size"]})  # fmt: skip
    assert any("none for 3" in reason for reason in job.why_not(model_card(job)))


@pytest.mark.parametrize("zeros", [{}, {"symmetric": False}, {"symmetric": False, "float_zeros": True}])
@pytest.mark.parametrize("group_size", [16, 32, 256, None])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_torch_widens_to_the_very_weights(bits: int, group_size: int | None, zeros: dict[str, bool]) -> None:
    import torch

    from workbench.formats._packed_layers import PackedLinear

    asked = how(bits, group_size, **zeros)
    found = PackedLinear(torch.nn.Linear(70, 5), asked).widened()
    assert np.array_equal(found.numpy(), _packed.stored(_packed.pack(asked)).values)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_three_bits_lie_eight_to_three_bytes_in_a_pt2_and_open_for_a_stranger(model: str, shared_store: Store) -> None:
    run = run_of(model, "pt2", shared_store, bits=3, symmetric=False)
    weights = [each for each in stored(run).values() if each.dtype == "int3"]
    assert len(weights) >= 3
    for weight in weights:
        outputs, inputs = weight.values.shape
        blocks = weight.num_bytes / outputs
        assert inputs * 3 / 8 < blocks <= (inputs + 31) * 3 / 8 + -(-inputs // 16) * (4 + 3 / 8) + 1
    saved = read(Path(run.folder) / "artifact")
    assert saved.card["precision"]["weights"].startswith("int3") and saved.card["probe"]["gap_to_torch"] < 1e-5
    ended = open_as_a_stranger(saved)
    assert ended.returncode == 0, ended.stderr


def test_a_pt2_says_which_layer_it_can_not_pack() -> None:
    import torch

    from workbench.errors import WorkbenchError
    from workbench.formats import _packed_layers

    class Own(torch.nn.Linear):
        pass

    with pytest.raises(WorkbenchError, match=r"0 is a Own.*skip=0"):
        _packed_layers.replace(torch.nn.Sequential(Own(70, 5)), {"0": how(4, 32)})
