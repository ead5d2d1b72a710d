"""What is read back from a file is what the module held: every format, every precision, every prunable layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.promises._every import FORMATS, STEPS, carried_out_here, record_of
from workbench import catalog
from workbench.artifact import read
from workbench.describe import model_card
from workbench.job import Job
from workbench.nouns import Run, StoredWeight
from workbench.part import Format
from workbench.prefix import PrefixCache, keys
from workbench.store import Store

pytestmark = pytest.mark.slow  # together they take longer than `make check` may

PRECISIONS: list[Any] = [None, *(name for name in STEPS if catalog.get("compress", name).precision)]  # type: ignore[attr-defined]
LENET = {"use": "lenet_5", "channels_1": 8, "channels_2": 16, "hidden": 32}
TEXT = {"use": "python_source", "length": 32, "num_examples": 200}
MODELS: dict[str, tuple[Any, Any]] = {
    "lenet": (LENET, "digits"),
    "vit": ({"use": "vit", "layers": 1, "width": 32}, "digits"),
    "text": ({"use": "tiny_lm", "layers": 1, "width": 32}, TEXT),
}


def job_of(model: str, format_name: str, *steps: Any) -> Job:
    part, data = MODELS[model]
    train = {"use": "train", "epochs": 1} if data == "digits" else {"use": "magnitude_prune", "sparsity": 0.1}
    return Job.from_json(
        {"model": part, "data": data, "steps": [train, *steps], "format": format_name, "metrics": ["size"]}
    )


def stored(run: Run) -> dict[str, StoredWeight]:
    made = catalog.make("formats", run.job["format"])
    assert isinstance(made, Format)
    return made.stored(Path(run.folder) / "artifact")


def module_weights(job: Job, run: Run, store: Store) -> dict[str, np.ndarray]:
    """Return the module's own weights after the job's steps, from what the worker kept."""
    state = PrefixCache(store.root).get(keys(job.model, run.data_sha256, job.steps, job.seed)[-1])
    assert state is not None
    return {
        name.removesuffix(".weight"): tensor.detach().numpy()
        for name, tensor in state.model.state_dict().items()
        if name.endswith(".weight")
    }


def half_a_step(weight: np.ndarray, per_channel: bool) -> np.ndarray:
    """Return half the spacing of a symmetric int8 grid over each output channel, or over all."""
    rows = np.abs(weight.reshape(len(weight), -1)).max(axis=1) if per_channel else np.abs(weight).max()[None]
    return (rows / 127 / 2).reshape(-1, *[1] * (weight.ndim - 1))


@pytest.mark.slow
@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("model", MODELS)
def test_every_prunable_layer_is_found_and_is_the_modules(
    model: str, precision: str | None, format_name: str, tmp_path: Path, shared_store: Store
) -> None:
    job = job_of(model, format_name, *([record_of("compress", precision, tmp_path)] if precision else []))
    card = model_card(job)
    if job.why_not(card):
        return
    run = carried_out_here(job, shared_store)
    assert run.status == "done", (run.error or {}).get("traceback")
    found, wanted = stored(run), module_weights(job, run, shared_store)
    after = {layer.name: layer for layer in job.cards(card)[-1].layers if layer.prunable}
    assert after and set(after) <= set(found)
    for name, layer in after.items():
        read_back = found[name]
        assert read_back.values.shape == layer.weight_shape == wanted[name].shape
        shared, coded = layer.precision.startswith("codebook"), format_name == "coded"
        assert read_back.dtype == layer.precision or shared
        assert not shared or read_back.dtype.startswith("codebook" if coded else "float32")
        gap = np.abs(read_back.values - wanted[name])
        if layer.precision == "int8":
            if (
                format_name == "openvino"
            ):  # 7 bits in a first layer; SmoothQuant's factors, taken out again, widen the steps
                assert np.linalg.norm(gap) < 0.02 * np.linalg.norm(wanted[name]), name
                assert read_back.num_bytes == wanted[name].size + 4 * len(wanted[name])  # a scale each
                continue
            assert (gap <= half_a_step(wanted[name], per_channel=True) * 1.001 + 1e-9).all(), name
            assert read_back.num_bytes == wanted[name].size + 5 * len(wanted[name])  # a scale and a zero point each
        elif layer.precision == "bfloat16":
            assert (gap <= np.abs(wanted[name]) * 2**-8).all(), name
            assert read_back.num_bytes == wanted[name].nbytes // 2
        elif layer.precision == "float8_e4m3fn":
            least = np.abs(wanted[name]).max(axis=1, keepdims=True) / 448 * 2**-10  # half of a subnormal's step
            assert (gap <= np.maximum(np.abs(wanted[name]) / 16, least) * 1.001).all(), name
            assert read_back.num_bytes == layer.packed_bytes
        else:
            assert not gap.any(), name
            assert read_back.num_bytes == (layer.packed_bytes or wanted[name].nbytes) or (
                coded and 0 < read_back.num_bytes < wanted[name].nbytes
            )


@pytest.mark.parametrize(
    ("precision", "format_name"), [("int8_static", "onnx"), ("int8_dynamic", "onnx"), ("bfloat16", "pt2")]
)
def test_a_layer_in_skip_is_stored_as_the_module_has_it(precision: str, format_name: str, shared_store: Store) -> None:
    job = job_of("lenet", format_name, {"use": precision, "skip": ["fc1"]})
    run = carried_out_here(job, shared_store)
    found, wanted = stored(run), module_weights(job, run, shared_store)
    assert found["fc1"].dtype == "float32" and np.array_equal(found["fc1"].values, wanted["fc1"])
    assert found["fc2"].dtype != "float32" and not np.array_equal(found["fc2"].values, wanted["fc2"])


def test_one_scale_for_all_is_read_as_well(shared_store: Store) -> None:
    job = job_of("lenet", "onnx", {"use": "int8_static", "per_channel": False})
    run = carried_out_here(job, shared_store)
    wanted_by_layer = module_weights(job, run, shared_store)
    found = stored(run)
    assert {"conv1", "fc1"} <= found.keys()
    for name, weight in found.items():
        wanted = wanted_by_layer[name]
        assert (np.abs(weight.values - wanted) <= half_a_step(wanted, per_channel=False) * 1.001 + 1e-9).all()


def test_a_folded_normalisation_is_a_factor_of_each_channel(shared_store: Store) -> None:
    job = Job.from_json({"model": {"use": "small_cnn", "width": 8, "blocks": 2}, "data": "digits",
                         "steps": [{"use": "train", "epochs": 1}], "metrics": ["size"]})  # fmt: skip
    run = carried_out_here(job, shared_store)
    found, wanted = stored(run), module_weights(job, run, shared_store)
    for name in ("blocks.0.conv", "blocks.1.conv"):
        factors = (found[name].values / wanted[name]).reshape(len(wanted[name]), -1)
        assert np.allclose(factors, factors[:, :1], rtol=1e-3)
    assert not any("norm" in name for name in found)


def test_a_skipped_layer_between_int8_ones_runs_in_float32(shared_store: Store, tmp_path: Path) -> None:
    """ONNX Runtime would quantize it by itself while loading, unless told not to."""
    import onnx

    from workbench.formats import _onnx_session

    run = carried_out_here(job_of("lenet", "onnx", {"use": "int8_static", "skip": ["fc1"]}), shared_store)
    options = _onnx_session.options(1)
    options.optimized_model_filepath = str(tmp_path / "ran.onnx")
    _onnx_session.session(Path(run.folder) / "artifact" / "model.onnx", options)
    ran = [node.op_type for node in onnx.load(str(tmp_path / "ran.onnx")).graph.node]
    assert ran.count("Gemm") == 1 and ran.count("QGemm") == 1
    assert "WeightBiasQuantization" in (Path(run.folder) / "artifact" / "load.py").read_text()


@pytest.mark.parametrize("precision", [None, "int8_static", "int8_dynamic"])
@pytest.mark.parametrize("model", ["lenet", "vit", "text"])
def test_the_runtime_tells_the_time_of_every_prunable_layer(
    model: str, precision: str | None, tmp_path: Path, shared_store: Store
) -> None:
    job = job_of(model, "onnx", *([record_of("compress", precision, tmp_path)] if precision else []))
    card = model_card(job)
    if job.why_not(card):
        return
    run = carried_out_here(job, shared_store)
    artifact = read(Path(run.folder) / "artifact")
    with np.load(Path(artifact.folder) / "probe.npz") as probe:
        inputs = {each["name"]: probe[f"input_{each['name']}"][:1] for each in artifact.card["inputs"]}
    taken = job.format.layer_ms(Path(artifact.folder), inputs)
    assert {layer.name for layer in card.layers if layer.prunable} <= set(taken)
    assert all(0 < each < 1000 for each in taken.values())


def test_a_layer_that_is_called_twice_is_stored_once_under_its_name(tmp_path: Path) -> None:
    import onnx
    import torch
    from torch import nn

    from workbench.formats import _onnx_graph, _onnx_weights

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8, bias=False)

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return self.layer(torch.relu(self.layer(pixels)))

    model = Twice()
    path = tmp_path / "model.onnx"
    _onnx_graph.write(model, {"pixels": np.ones((2, 3, 8), np.float32)}, path)
    assert np.array_equal(_onnx_weights.stored(path)["layer"].values, model.layer.weight.detach().numpy())
    assert sum(list(tensor.dims) == [8, 8] for tensor in onnx.load(str(path)).graph.initializer) == 1
