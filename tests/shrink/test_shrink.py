"""A checkpoint is shrunk as the steps in memory would, opens in transformers, and survives kills, full disks and lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.shrink.small import INT4, one_file
from workbench import grids
from workbench.compress import _grid, _rows, _rtn, _zeros
from workbench.errors import InvalidInput
from workbench.shrink.shrink import shrink

LAYER = "model.layers.1.mlp.down_proj"


def opened(folder: Path, **options: Any) -> Any:
    import transformers

    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype="auto", **options).eval()


def dense(folder: Path) -> Any:
    """Open a packed checkpoint with its weights widened once."""
    import transformers

    return opened(folder, quantization_config=transformers.CompressedTensorsConfig(dequantize=True))


def logits(model: Any) -> Any:
    with torch.no_grad():
        return model(torch.arange(24)[None]).logits


def in_memory(
    weight: torch.Tensor, *, bits: int, group_size: int | None, symmetric: bool, search: bool
) -> torch.Tensor:
    """Return the weight as the step `weight_only` leaves it."""
    scales, zeros = _rtn.of_groups(_grid.grouped(weight, group_size), bits=bits, symmetric=symmetric, search=search)
    wide = [_grid.spread(each, weight, group_size) for each in (scales, zeros)]
    return (_grid.rounded(weight, wide[0], wide[1], bits) - wide[1]) * wide[0]


@pytest.mark.parametrize(
    "bits, group_size, symmetric, search",
    [(4, 32, True, False), (4, 32, True, True), (8, None, True, False), (3, 32, True, False), (2, 16, True, False), (4, 32, False, False)],
)  # fmt: skip
def test_packed_weights_are_those_of_the_step_in_memory_and_transformers_opens_them(
    llama: Path, tmp_path: Path, bits: int, group_size: int | None, symmetric: bool, search: bool
) -> None:
    step = {
        "use": "weight_only",
        "bits": bits,
        "group_size": group_size,
        "symmetric": symmetric,
        "search_range": search,
    }
    record = shrink(llama, tmp_path / "out", [step])
    expected, found = opened(llama), dense(tmp_path / "out")
    for name, module in expected.named_modules():
        if isinstance(module, torch.nn.Linear) and name != "lm_head":
            how = {"bits": bits, "group_size": group_size, "symmetric": symmetric, "search": search}
            module.weight.data = in_memory(module.weight.data, **how)
            assert torch.equal(found.get_submodule(name).weight, module.weight), name
    assert torch.allclose(logits(found), logits(expected), atol=1e-5)
    layers = {layer["name"]: layer for shard in record["shards"].values() for layer in shard["layers"]}
    told = layers[f"{LAYER}.weight"]["relative_error"]
    given = load_file(llama / "model.safetensors")[f"{LAYER}.weight"]
    with torch.no_grad():
        gap = (found.get_submodule(LAYER).weight - given).norm() / given.norm()
    assert told == pytest.approx(float(gap), rel=1e-4)
    assert record["bytes"] == sum(path.stat().st_size for path in (tmp_path / "out").glob("*.safetensors"))


def test_a_packed_checkpoint_runs_without_being_widened_first(llama: Path, tmp_path: Path) -> None:
    shrink(llama, tmp_path / "out", [INT4])
    assert torch.allclose(logits(opened(tmp_path / "out")), logits(dense(tmp_path / "out")), atol=1e-4)


def test_int8_of_rows_and_tokens_opens_too(llama: Path, tmp_path: Path) -> None:
    shrink(llama, tmp_path / "out", ["int8_dynamic"])
    stored = load_file(tmp_path / "out" / "model.safetensors")
    assert stored[f"{LAYER}.weight"].dtype == torch.int8
    gap = logits(opened(tmp_path / "out")) - logits(opened(llama))
    assert 0 < gap.norm() < 0.1 * logits(opened(llama)).norm()


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_words_are_those_of_compressed_tensors(bits: int) -> None:
    from compressed_tensors.compressors.pack_quantized import helpers

    rows = np.random.default_rng(0).integers(0, 2**bits, (5, 50), np.uint8)
    theirs = helpers.pack_to_int32(torch.from_numpy(rows.astype(np.int16) - 2 ** (bits - 1)).to(torch.int8), bits)
    assert np.array_equal(grids.to_words(rows, bits), theirs.numpy())


@pytest.mark.parametrize(
    "bits, symmetric, search", [(4, True, True), (4, False, True), (8, True, False), (3, False, False)]
)
def test_compiled_and_plain_arithmetic_give_the_same_integers(
    bits: int, symmetric: bool, search: bool, monkeypatch: Any
) -> None:
    groups = np.random.default_rng(0).normal(size=(300, 40)).astype(np.float32)
    groups[7] = 0
    how = {"bits": bits, "symmetric": symmetric, "search": search}
    ranges = grids.ranges(groups, **how)  # type: ignore[arg-type]
    compiled = [
        *ranges,
        grids.rounded(groups, *ranges, bits),
        grids.to_bytes(grids.rounded(groups, *ranges, bits), bits),
    ]
    assert grids.is_compiled()
    monkeypatch.setattr(grids, "is_compiled", lambda: False)
    ranges = grids.ranges(groups, **how)  # type: ignore[arg-type]
    plain = [*ranges, grids.rounded(groups, *ranges, bits), grids.to_bytes(grids.rounded(groups, *ranges, bits), bits)]
    for one, other in zip(compiled, plain):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_pruned_checkpoints_have_the_zeros_of_the_steps_in_memory(tmp_path: Path, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    weight = (torch.randn(64, 48) * 8).round().div(8).to(dtype)  # many are equal: ties go by position
    one_file(tmp_path / "in", {"a.weight": weight, "norm.weight": torch.ones(48, dtype=dtype)})
    shrink(tmp_path / "in", tmp_path / "magnitude", [{"use": "magnitude_prune", "sparsity": 0.37}])
    expected = weight.clone()
    _zeros.zero_lowest([expected], [weight.abs()], 0.37, "layer")
    assert torch.equal(load_file(tmp_path / "magnitude" / "model.safetensors")["a.weight"], expected)
    shrink(tmp_path / "in", tmp_path / "pattern", ["n_m_prune"])
    expected = weight.masked_fill(_rows.lowest_per_group(weight.abs(), 2, 4), 0.0)
    assert torch.equal(load_file(tmp_path / "pattern" / "model.safetensors")["a.weight"], expected)


def test_zeros_survive_rounding(llama: Path, tmp_path: Path) -> None:
    shrink(llama, tmp_path / "out", ["n_m_prune", INT4])
    found = dense(tmp_path / "out").get_submodule(LAYER).weight
    assert ((found == 0).unflatten(1, (-1, 4)).sum(-1) >= 2).all()


def test_casting_takes_everything_along(llama: Path, tmp_path: Path) -> None:
    shrink(llama, tmp_path / "out", ["bfloat16"])
    assert opened(tmp_path / "out").dtype == torch.bfloat16
    given, found = (load_file(folder / "model.safetensors") for folder in (llama, tmp_path / "out"))
    assert all(torch.equal(found[name], given[name].bfloat16()) for name in given)
    with pytest.raises(InvalidInput, match="nothing in .* would change"):
        shrink(tmp_path / "out", tmp_path / "again", ["bfloat16"])


def test_a_skipped_layer_and_one_that_does_not_fit_stay_and_are_told(llama: Path, tmp_path: Path) -> None:
    record = shrink(llama, tmp_path / "out", [{"use": "weight_only", "group_size": 128, "skip": ["*.q_proj"]}])
    told = {layer["name"]: layer for shard in record["shards"].values() for layer in shard["layers"]}
    assert told["model.layers.0.self_attn.q_proj.weight"]["why_not"] == ["skipped"]
    assert told[f"{LAYER}.weight"]["why_not"] == ["96 inputs are no multiple of 128"]
    assert torch.isfinite(logits(dense(tmp_path / "out"))).all()


def test_what_cannot_be_done_is_refused_before_anything_is_written(llama: Path, tmp_path: Path) -> None:
    refusals = [
        ([{"use": "weight_only", "method": "gptq"}], "--calibration"), ([INT4, "n_m_prune"], "the last"), (["smooth_quant"], "--calibration"), (["train"], "the model at work"), (["low_rank"], "random weights in their place"),
        ([{**INT4, "skip": ["model.layers.9.*"]}], "no layer is called"), ([], "no step"), (["weight_onyl"], "weight_only"),
    ]  # fmt: skip
    for steps, reason in refusals:
        with pytest.raises(InvalidInput, match=reason):
            shrink(llama, tmp_path / "out", steps)
    assert not (tmp_path / "out").exists()
    with pytest.raises(InvalidInput, match="the source itself"):
        shrink(llama, llama, [INT4])
    shrink(llama, tmp_path / "out", [INT4])
    with pytest.raises(InvalidInput, match="already quantized"):
        shrink(tmp_path / "out", tmp_path / "twice", [INT4])
    with pytest.raises(InvalidInput, match="another shrinking"):
        shrink(llama, tmp_path / "out", ["n_m_prune"])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    with pytest.raises(InvalidInput, match=r"letter\.txt"):
        shrink(llama, tmp_path / "full", [INT4])
    turned = one_file(tmp_path / "gpt2", {"h.0.c_fc.weight": torch.ones(4, 4)}, model_type="gpt2")
    with pytest.raises(InvalidInput, match="other way round"):
        shrink(turned, tmp_path / "out2", [INT4])
