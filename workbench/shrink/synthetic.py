"""Llama-shaped checkpoints of random bfloat16, to try shrinking on: written without torch and without ever being in memory."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

BLOCK_BYTES = 1 << 22


def llama(
    folder: Path, *, layers: int, width: int = 1024, vocabulary: int = 2048, per_file: int = 4, seed: int = 0
) -> Path:
    """Write config.json, an index and files of `per_file` layers each; normal weights of deviation 0.02."""
    folder.mkdir(parents=True)
    ffn, kv = 7 * width // 2, width // 4
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": width, "intermediate_size": ffn,
        "num_hidden_layers": layers, "num_attention_heads": width // 64, "num_key_value_heads": width // 256, "head_dim": 64,
        "vocab_size": vocabulary, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "hidden_act": "silu",
        "tie_word_embeddings": False, "dtype": "bfloat16",
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    block = {
        "self_attn.q_proj": (width, width), "self_attn.k_proj": (kv, width), "self_attn.v_proj": (kv, width),
        "self_attn.o_proj": (width, width), "mlp.gate_proj": (ffn, width), "mlp.up_proj": (ffn, width), "mlp.down_proj": (width, ffn),
        "input_layernorm": (width,), "post_attention_layernorm": (width,),
    }  # fmt: skip
    ends = {"model.embed_tokens": (vocabulary, width), "model.norm": (width,), "lm_head": (vocabulary, width)}
    parts = [ends if not first else {} for first in range(0, layers, per_file)]
    for layer in range(layers):
        parts[layer // per_file] = {
            **parts[layer // per_file],
            **{f"model.layers.{layer}.{n}": s for n, s in block.items()},
        }
    names = [f"model-{index + 1:05}-of-{len(parts):05}.safetensors" for index in range(len(parts))]
    noise = _noise(seed)
    for name, shapes in zip(names, parts):
        _write(folder / name, {f"{layer}.weight": shape for layer, shape in shapes.items()}, noise)
    where = {f"{layer}.weight": name for name, shapes in zip(names, parts) for layer in shapes}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return folder


def _noise(seed: int) -> np.ndarray:
    """Return a block of bfloat16 bits, as bytes."""
    values = np.random.default_rng(seed).normal(0, 0.02, BLOCK_BYTES // 2).astype(np.float32)
    return (values.view(np.uint32) >> 16).astype("<u2").view(np.uint8)


def _write(path: Path, shapes: dict[str, tuple[int, ...]], noise: np.ndarray) -> None:
    """Each tensor is the noise from another place on, over and over."""
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for index, shape in enumerate(shapes.values()):
            left, turned = 2 * math.prod(shape), np.roll(noise, -2 * 1009 * index)
            while left:
                left -= file.write(turned[:left].data)
