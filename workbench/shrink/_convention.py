"""What config.json has to say so that transformers and vLLM open the result: the convention of compressed-tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench._numbers import FLOATS
from workbench.shrink import _source
from workbench.shrink._recipe import Recipe
from workbench.shrink._shards import Shard
from workbench.shrink._source import Source

TORCH_NAMES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


def config(source: Source, recipe: Recipe, shards: Sequence[Shard]) -> dict[str, Any]:
    """Return the configuration of the result; without packed layers it is the source's, or tells of another dtype."""
    told = dict(source.config)
    if recipe.stores is None:
        return told
    if recipe.stores.quantization is None:
        dtypes = {piece.dtype for shard in shards for tensor in shard.tensors for piece in tensor.pieces}
        for key in {"dtype", "torch_dtype"} & set(told) or {"dtype"}:
            told[key] = next((TORCH_NAMES[dtype] for dtype in TORCH_NAMES if dtype in dtypes), told.get(key))
        return told
    return {**told, "quantization_config": quantization(recipe.stores.quantization, shards)}


def quantization(how: Mapping[str, Any], shards: Sequence[Shard]) -> dict[str, Any]:
    """Return `quantization_config`: every linear layer is packed so, but for those that are named."""
    group = {
        "targets": ["Linear"], "weights": how["weights"], "input_activations": how["input_activations"],
        "output_activations": None, "format": how["format"],
    }  # fmt: skip
    return {
        "quant_method": "compressed-tensors", "format": how["format"], "quantization_status": "compressed",
        "config_groups": {"group_0": group}, "ignore": ignored(shards), "kv_cache_scheme": None,
        "global_compression_ratio": None,
    }  # fmt: skip


def ignored(shards: Sequence[Shard]) -> list[str]:
    """Return the modules with a float matrix, and the output layer that is tied to the embedding."""
    names = [
        _source.layer_of(tensor.stored)
        for shard in shards
        for tensor in shard.tensors
        if tensor.stores is None and len(tensor.stored.shape) == 2 and tensor.stored.dtype in FLOATS
    ]
    return sorted({*names, "lm_head"})
