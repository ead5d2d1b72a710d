"""A checkpoint is looked into by its headers alone; what lies, is cut or points elsewhere is refused."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from tests.zoo import checkpoints
from workbench._safetensors import INDEX
from workbench.errors import InvalidInput
from workbench.plan.architecture import known
from workbench.plan.inspect import inspect

LLAMA = {
    "model_type": "llama", "hidden_size": 8192, "num_hidden_layers": 80, "num_attention_heads": 64, "num_key_value_heads": 8,
    "intermediate_size": 28672, "vocab_size": 128256, "max_position_embeddings": 8192,
}  # fmt: skip
BLOCK = {
    "self_attn.q_proj": (8192, 8192), "self_attn.k_proj": (1024, 8192), "self_attn.v_proj": (1024, 8192),
    "self_attn.o_proj": (8192, 8192), "mlp.gate_proj": (28672, 8192), "mlp.up_proj": (28672, 8192),
    "mlp.down_proj": (8192, 28672), "input_layernorm": (8192,), "post_attention_layernorm": (8192,),
}  # fmt: skip


def write(path: Path, shapes: dict[str, tuple[int, ...]], **changes: Any) -> None:
    """Write a bfloat16 safetensors file whose weights are a hole: the headers are real, the zeros take no room."""
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    header |= changes
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)


@pytest.fixture(scope="module")
def seventy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of Llama-3-70B's shapes in 81 files, 141 GB of holes."""
    folder = tmp_path_factory.mktemp("llama-3-70b")
    (folder / "config.json").write_text(json.dumps(LLAMA))
    (folder / "README.md").write_text("---\nlicense: llama3\n---\n")
    files = {f"model-{layer:05}-of-00081.safetensors": {f"model.layers.{layer}.{name}.weight": shape for name, shape in BLOCK.items()}
             for layer in range(80)}  # fmt: skip
    ends = {"model.embed_tokens.weight": (128256, 8192), "model.norm.weight": (8192,), "lm_head.weight": (128256, 8192)}
    files["model-00080-of-00081.safetensors"] = ends
    for name, shapes in files.items():
        write(folder / name, shapes)
    (folder / INDEX).write_text(
        json.dumps({"weight_map": {tensor: name for name, shapes in files.items() for tensor in shapes}})
    )
    return folder


def test_a_checkpoint_past_any_memory_is_told_exactly(seventy: Path) -> None:
    found = inspect(str(seventy))
    assert found["num_params"] == known()["llama-3-70b"].num_params == found["architecture"]["num_params"]
    assert found["bytes"] == 2 * found["num_params"] and found["files"] == 81 and not found["missing_files"]
    assert found["dtypes"] == {"BF16": {"tensors": 80 * 9 + 3, "params": found["num_params"], "bytes": found["bytes"]}}
    groups = {group["pattern"]: group for group in found["groups"]}
    assert groups["model.layers.*.mlp.up_proj.weight"]["tensors"] == 80 and len(groups) == 12
    assert found["licence"] == "llama3" and found["kv_bytes_per_token"] == 327_680


def test_files_that_the_index_names_in_vain_are_told(seventy: Path, tmp_path: Path) -> None:
    for path in seventy.iterdir():
        if path.name != "model-00007-of-00081.safetensors":
            os.link(path, tmp_path / path.name)
    found = inspect(str(tmp_path))
    assert found["missing_files"] == ["model-00007-of-00081.safetensors"] and found["files"] == 80


def test_another_model_is_told_too_with_the_reason_why_it_has_no_plan(tmp_path: Path) -> None:
    folder = checkpoints.saved(checkpoints.bert(), tmp_path / "bert")
    found = inspect(folder)
    assert found["architecture"] is None and "'bert'" in found["why_not_planned"]
    assert found["num_params"] > 1000 and set(found["dtypes"]) == {"F32"}


def test_a_name_is_enough_for_a_known_model() -> None:
    assert inspect("llama-3-405b")["num_params"] == 405_853_388_800


def test_what_lies_or_is_cut_is_refused(tmp_path: Path) -> None:
    path, shapes = tmp_path / "model.safetensors", {"a": (4, 4), "b": (4,)}
    with pytest.raises(InvalidInput, match="no safetensors files"):
        inspect(str(tmp_path))
    write(path, shapes)
    assert inspect(str(tmp_path))["num_params"] == 20
    whole = path.read_bytes()
    damages = {
        "expected": whole[:-1], "claims": (10**15).to_bytes(8, "little") + whole[8:], "damaged": whole[:8] + b"[" + whole[9:],
    }  # fmt: skip
    for reason, content in damages.items():
        path.write_bytes(content)
        with pytest.raises(InvalidInput, match=reason):
            inspect(str(tmp_path))
    path.write_bytes(b"")
    with pytest.raises(InvalidInput, match="cut off"):
        inspect(str(tmp_path))
    lies = [
        ([4], [0, 8], "expected"), ([4], [32, 4_000_000], "expected"), ([5], [32, 40], "its shape"), ([-4, -1], [32, 40], "damaged"),
    ]  # fmt: skip
    for shape, offsets, reason in lies:
        write(path, shapes, b={"dtype": "BF16", "shape": shape, "data_offsets": offsets})
        with pytest.raises(InvalidInput, match=reason):
            inspect(str(tmp_path))


def test_an_index_can_not_point_out_of_its_folder(tmp_path: Path) -> None:
    write(tmp_path / "model.safetensors", {"a": (4,)})
    for text, reason in ((json.dumps({"weight_map": {"a": "../x.safetensors"}}), "elsewhere"), ("{", "no index"), ('{"weight_map": []}', "no index")):  # fmt: skip
        (tmp_path / INDEX).write_text(text)
        with pytest.raises(InvalidInput, match=reason):
            inspect(str(tmp_path))
