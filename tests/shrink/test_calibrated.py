"""Steps that look at activations work on one block after the other, as they do on a whole model, and help as their papers say."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tests.shrink import trained
from workbench import catalog
from workbench.errors import InvalidInput
from workbench.nouns import Examples
from workbench.shrink import _texts
from workbench.shrink.perplexity import perplexity
from workbench.shrink.shrink import Calibration, shrink

GPTQ3 = {"use": "weight_only", "bits": 3, "group_size": 64, "method": "gptq"}
LAYER = "model.layers.1.mlp.down_proj"


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Calibration, Path]:
    folder = tmp_path_factory.mktemp("texts")
    for name, part in (("calibration.txt", 2), ("test.txt", 3)):
        (folder / name).write_text(trained.text(part))
    return Calibration(folder / "calibration.txt", length=trained.LENGTH, num_texts=64), folder / "test.txt"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained.llama(tmp_path_factory.mktemp("source") / "llama", seed=0)


@pytest.mark.slow
def test_calibrated_methods_lose_less_than_those_without_data(
    source: Path, texts: tuple[Calibration, Path], tmp_path: Path
) -> None:
    calibration, test = texts
    steps: dict[str, Any] = {
        "rounded": {**GPTQ3, "method": "rtn"}, "gptq": GPTQ3, "magnitude": {"use": "magnitude_prune", "sparsity": 0.7},
        "wanda": {"use": "wanda", "sparsity": 0.7}, "sparse_gpt": {"use": "sparse_gpt", "sparsity": 0.7}, "2:4": "n_m_prune",
        "sparse_gpt 2:4": {"use": "sparse_gpt", "pattern": "2:4"},
    }  # fmt: skip
    found = {}
    for name, step in steps.items():
        shrink(source, tmp_path / name, [step], calibration=calibration)
        found[name] = perplexity(tmp_path / name, test, length=trained.LENGTH, num_texts=128)
    pairs = (("gptq", "rounded"), ("wanda", "magnitude"), ("sparse_gpt", "magnitude"), ("sparse_gpt 2:4", "2:4"))
    for better, worse in pairs:  # benchmarks/shrink_quality.py: three seeds
        assert found[better] < found[worse], (better, found)


@pytest.mark.slow
def test_block_by_block_gives_what_the_step_gives_on_the_whole_model(
    source: Path, texts: tuple[Calibration, Path], tmp_path: Path
) -> None:
    import transformers

    calibration = texts[0]
    shrink(source, tmp_path / "out", [GPTQ3], calibration=calibration)
    found = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "out", quantization_config=transformers.CompressedTensorsConfig(dequantize=True)
    )
    whole = transformers.AutoModelForCausalLM.from_pretrained(source, attn_implementation="sdpa").eval()
    tokens = _texts.tokens(source, calibration.file, length=calibration.length, num_texts=calibration.num_texts)
    examples = Examples({"input_ids": tokens}, np.zeros(len(tokens), np.int64))
    linear = {
        name: module
        for name, module in whole.named_modules()
        if isinstance(module, torch.nn.Linear) and name != "lm_head"
    }
    context = SimpleNamespace(
        data=SimpleNamespace(calibration=examples), weights=lambda _: [(name, each.weight) for name, each in linear.items()],
        say=lambda *_, **__: None, quantize=lambda *_: None,
    )  # fmt: skip
    catalog.make("compress", GPTQ3).run(whole, context)  # type: ignore[attr-defined]
    for name, module in linear.items():
        same = torch.isclose(found.get_submodule(name).weight, module.weight, atol=1e-5).float().mean()
        assert same > 0.98, (name, same)  # sums in another order move a few weights to the other side of a step


@pytest.mark.slow
def test_smoothed_and_rounded_models_answer_nearly_the_same(
    source: Path, texts: tuple[Calibration, Path], tmp_path: Path
) -> None:
    calibration, test = texts
    before = perplexity(source, test, length=trained.LENGTH, num_texts=64)
    smooth = shrink(source, tmp_path / "smooth", ["smooth_quant"], calibration=calibration)
    assert perplexity(tmp_path / "smooth", test, length=trained.LENGTH, num_texts=64) == pytest.approx(before, rel=1e-4)
    errors = [
        each["output_error"]
        for shard in smooth["shards"].values()
        for each in shard["layers"]
        if "output_error" in each
    ]
    assert len(errors) == 2 and max(errors) < 1e-4
    for name, steps in {
        "int8": ["smooth_quant", "int8_dynamic"],
        "fp8": ["smooth_quant", "fp8"],
        "awq": [{**GPTQ3, "bits": 4, "method": "awq"}],
    }.items():
        shrink(source, tmp_path / name, steps, calibration=calibration)
        assert perplexity(tmp_path / name, test, length=trained.LENGTH, num_texts=64) == pytest.approx(before, rel=0.05)


@pytest.mark.slow
def test_the_perplexity_of_blocks_is_that_of_transformers(
    source: Path, texts: tuple[Calibration, Path], tmp_path: Path
) -> None:
    import transformers

    shrink(source, tmp_path / "out", [{"use": "weight_only", "bits": 3, "group_size": 64, "symmetric": False}])
    for folder in (source, tmp_path / "out"):
        options = (
            {"quantization_config": transformers.CompressedTensorsConfig(dequantize=True)} if folder != source else {}
        )
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, **options).eval()
        tokens = torch.from_numpy(_texts.tokens(folder, texts[1], length=trained.LENGTH, num_texts=8))
        with torch.no_grad():
            expected = float(model(tokens, labels=tokens).loss.exp())
        assert perplexity(folder, texts[1], length=trained.LENGTH, num_texts=8) == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_after_an_end_between_blocks_the_same_call_gives_the_same_files(
    source: Path, texts: tuple[Calibration, Path], tmp_path: Path
) -> None:
    def end(progress: Any) -> None:
        if progress.layer == "block 0":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shrink(source, tmp_path / "out", [GPTQ3], calibration=texts[0], on_progress=end)
    assert not list((tmp_path / "out").glob(".hidden")) and not (tmp_path / "out" / "config.json").exists()
    shrink(source, tmp_path / "out", [GPTQ3], calibration=texts[0])
    shrink(source, tmp_path / "straight", [GPTQ3], calibration=texts[0])
    files = list((tmp_path / "straight").glob("*.safetensors"))
    assert len(files) == 3
    assert all(path.read_bytes() == (tmp_path / "out" / path.name).read_bytes() for path in files)


@pytest.mark.slow
def test_a_layer_that_does_not_fit_is_left_and_what_lacks_is_refused(
    source: Path, texts: tuple[Calibration, Path], tmp_path: Path
) -> None:
    record = shrink(
        source,
        tmp_path / "out",
        [{**GPTQ3, "group_size": 128, "skip": ["*.1.mlp.down_proj"]}],
        calibration=texts[0],
    )
    told = {each["name"] for shard in record["shards"].values() for each in shard["layers"] if "bytes" in each}
    assert told == {"model.layers.0.mlp.down_proj.weight"}
    with pytest.raises(InvalidInput, match="a text to calibrate on"):
        shrink(source, tmp_path / "none", [GPTQ3])
    with pytest.raises(InvalidInput, match="texts of 64 tokens, and 1000000 are wanted"):
        shrink(source, tmp_path / "none", [GPTQ3], calibration=Calibration(texts[1], trained.LENGTH, 1_000_000))
    assert not (tmp_path / "none").exists()
