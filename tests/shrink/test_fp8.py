"""8-bit floats of a checkpoint are those of torch, and transformers reads what we read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.shrink.small import one_file
from tests.shrink.test_shrink import LAYER, dense, logits, opened
from workbench import _float8, grids
from workbench.shrink._reading import Weights
from workbench.shrink.shrink import shrink


def by_torch(weight: torch.Tensor) -> torch.Tensor:
    scale = weight.abs().amax(1, keepdim=True) / 448
    return (weight / scale).to(torch.float8_e4m3fn).float() * scale


@pytest.mark.parametrize("compiled", [True, False])
def test_every_number_is_rounded_as_torch_does(compiled: bool, monkeypatch: Any) -> None:
    """Ties, subnormals, and what is too small or as large as can be."""
    assert grids.is_compiled()
    monkeypatch.setattr(grids, "is_compiled", lambda: compiled)
    codes = torch.arange(256, dtype=torch.uint8)
    numbers = codes.view(torch.float8_e4m3fn).float()
    numbers = numbers[numbers.isfinite()].unique()
    between = torch.cat([numbers, (numbers[1:] + numbers[:-1]) / 2, numbers * (1 + 2**-20), torch.randn(5000) * 30])
    between = between.clamp(-448, 448)
    found = _float8.rounded(between[None].numpy(), np.ones((1, 1), np.float32))
    assert np.array_equal(found[0], between.to(torch.float8_e4m3fn).view(torch.uint8).numpy())
    wide = between.to(torch.float8_e4m3fn).float()
    assert torch.equal(torch.from_numpy(_float8.widened(found[0])), wide)
    gap = float((wide - between).square().sum())
    assert _float8.lost(between[None].numpy(), found, np.ones((1, 1), np.float32)) == pytest.approx(gap, rel=1e-4)


def test_transformers_opens_it_and_reads_what_our_loader_reads(llama: Path, tmp_path: Path) -> None:
    record = shrink(llama, tmp_path / "out", ["fp8"])
    stored = load_file(tmp_path / "out" / "model.safetensors")
    assert stored[f"{LAYER}.weight"].dtype == torch.float8_e4m3fn
    expected, found = opened(llama), dense(tmp_path / "out")
    ours = Weights([tmp_path / "out" / "model.safetensors"])
    for name, module in expected.named_modules():
        if isinstance(module, torch.nn.Linear) and name != "lm_head":
            module.weight.data = by_torch(module.weight.data)
            assert torch.equal(found.get_submodule(name).weight, module.weight), name
            assert np.array_equal(ours.dense(f"{name}.weight"), module.weight.detach().numpy()), name
    assert torch.allclose(logits(found), logits(expected), atol=1e-5)
    assert torch.allclose(logits(opened(tmp_path / "out")), logits(expected), atol=1e-4), "widened at the first call"
    told = {layer["name"]: layer for shard in record["shards"].values() for layer in shard["layers"]}
    given = load_file(llama / "model.safetensors")[f"{LAYER}.weight"]
    assert told[f"{LAYER}.weight"]["relative_error"] == pytest.approx(
        float((by_torch(given) - given).norm() / given.norm()), rel=1e-4
    )
    assert told[f"{LAYER}.weight"]["bytes"] == given.numel() + 4 * len(given)
    assert record["bytes"] == sum(path.stat().st_size for path in (tmp_path / "out").glob("*.safetensors"))


def test_inputs_may_be_rounded_while_running(llama: Path, tmp_path: Path) -> None:
    shrink(llama, tmp_path / "out", [{"use": "fp8", "dynamic_inputs": True}])
    assert (
        opened(tmp_path / "out")
        .config.quantization_config.quantization_config.config_groups["group_0"]
        .input_activations.dynamic
    )
    gap = logits(opened(tmp_path / "out")) - logits(opened(llama))
    assert 0 < gap.norm() < 0.2 * logits(opened(llama)).norm()


@pytest.mark.parametrize(("dtype", "step"), [(torch.bfloat16, 2**-8), (torch.float16, 2**-11)])
def test_of_16_bit_models_transformers_rounds_the_product_once_more(
    llama: Path, tmp_path: Path, dtype: torch.dtype, step: float
) -> None:
    opened(llama).to(dtype).save_pretrained(tmp_path / "in")
    shrink(tmp_path / "in", tmp_path / "out", ["fp8"])
    given = load_file(tmp_path / "in" / "model.safetensors")[f"{LAYER}.weight"].float()
    ours = torch.from_numpy(Weights([tmp_path / "out" / "model.safetensors"]).dense(f"{LAYER}.weight"))
    theirs = dense(tmp_path / "out").get_submodule(LAYER).weight
    assert theirs.dtype == dtype
    assert ((theirs.float() - ours).abs() <= step * ours.abs() + 2**-25).all(), "float16 ends at 2⁻²⁴"
    assert (ours - given).norm() < 0.04 * given.norm()


def test_small_weights_in_float16_keep_their_precision(tmp_path: Path) -> None:
    """A scale of 2⁻¹³ / 448 would be no whole number of float16's smallest steps; one of zeros would be 0."""
    weight = (torch.rand(8, 64) + 0.5).half() * 2**-14
    weight[3] = 0
    one_file(tmp_path / "in", {"a.weight": weight})
    shrink(tmp_path / "in", tmp_path / "out", ["fp8"])
    found = torch.from_numpy(Weights([tmp_path / "out" / "model.safetensors"]).dense("a.weight"))
    assert ((found - weight.float()).abs() <= weight.float() / 16).all()


def test_after_an_end_between_files_the_same_call_gives_the_same_files(llama: Path, tmp_path: Path) -> None:
    def end(progress: Any) -> None:
        if progress.done > progress.total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shrink(llama, tmp_path / "out", ["fp8"], shard_bytes=100_000, on_progress=end)
    assert not (tmp_path / "out" / "config.json").exists()
    kept = {path: path.stat().st_ino for path in (tmp_path / "out").glob("*.safetensors")}
    shrink(llama, tmp_path / "out", ["fp8"], shard_bytes=100_000)
    assert len(kept) > 1 and all(path.stat().st_ino == inode for path, inode in kept.items())
    shrink(llama, tmp_path / "straight", ["fp8"], shard_bytes=100_000)
    for path in (tmp_path / "straight").glob("*.safetensors"):
        assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes()
