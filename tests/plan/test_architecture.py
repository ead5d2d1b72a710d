"""Parameters, activations and caches follow from a configuration alone, and are those of the real models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import InvalidInput
from workbench.plan import architecture

SMALL = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 8, "num_key_value_heads": 4,
    "vocab_size": 128, "max_position_embeddings": 64, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0,
}  # fmt: skip
CONFIGS: dict[str, dict[str, Any]] = {
    "llama": SMALL,
    "llama tied, with biases": {"type": "llama", **SMALL, "tie_word_embeddings": True, "attention_bias": True},
    "mistral": {**SMALL, "head_dim": 16},
    "qwen2": SMALL,
    "qwen3": {**SMALL, "head_dim": 16},
    "mixtral": {**SMALL, "num_local_experts": 4, "num_experts_per_tok": 2},
    "gpt2": {"n_embd": 64, "n_layer": 2, "n_head": 8, "vocab_size": 128, "n_positions": 32, "bos_token_id": 0, "eos_token_id": 0},
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("gpt2", 124_439_808), ("gpt2-xl", 1_557_611_200), ("llama-2-7b", 6_738_415_616), ("llama-2-70b", 68_976_648_192),
        ("llama-3-8b", 8_030_261_248), ("llama-3-70b", 70_553_706_496), ("llama-3-405b", 405_853_388_800),
        ("mistral-7b", 7_241_732_096), ("mixtral-8x7b", 46_702_792_704), ("qwen2.5-0.5b", 494_032_768),
        ("qwen2.5-7b", 7_615_616_512), ("qwen2.5-72b", 72_706_203_648),
    ],
)  # fmt: skip
def test_known_models_have_their_published_parameters(name: str, published: int) -> None:
    assert architecture.known()[name].num_params == published


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_config_has_the_parameters_of_the_model_that_transformers_builds(kind: str, tmp_path: Path) -> None:
    import torch
    import transformers

    values = dict(CONFIGS[kind])
    config = transformers.AutoConfig.for_model(values.pop("type", kind), **values)
    config.save_pretrained(tmp_path)
    with torch.device("meta"):
        built = transformers.AutoModelForCausalLM.from_config(config)
    found = architecture.find(str(tmp_path))
    assert found.num_params == sum(each.numel() for each in {id(p): p for p in built.parameters()}.values())
    assert architecture.find(str(tmp_path / "config.json")).num_params == found.num_params


def test_a_block_keeps_the_activations_that_torch_keeps() -> None:
    """Within a fifth: transformers' norms keep one vector more."""
    import torch
    import transformers

    kept = {}
    for layers in (1, 2):
        config = transformers.LlamaConfig(**{**SMALL, "num_hidden_layers": layers})
        model = transformers.LlamaForCausalLM(config)
        weights = {each.untyped_storage().data_ptr() for each in model.parameters()}
        storages: dict[int, int] = {}

        def note(tensor: torch.Tensor, found: dict[int, int] = storages, own: set[int] = weights) -> torch.Tensor:
            if tensor.untyped_storage().data_ptr() not in own:
                found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            out = model.model(torch.zeros(2, 32, dtype=torch.long)).last_hidden_state
        kept[layers] = sum(storages.values())
        del out
    foretold = architecture.from_config(config.to_dict(), "small").block_activations()[0]
    assert 1.0 <= (kept[2] - kept[1]) / (2 * 32 * 4) / foretold < 1.2


def test_ranks_share_a_block_and_sequence_parallel_ones_all_of_it_but_what_they_gather() -> None:
    model = architecture.known()["llama-3-8b"]
    alone, split, shared = (
        model.block_activations(tensor=tensor, is_sequence_parallel=parallel)[0]
        for tensor, parallel in ((1, False), (4, False), (4, True))
    )
    gathered = 3 * model.hidden  # before attention, before the gate, and before the matrix beside it
    assert shared == alone / 4 + gathered and split < alone


def test_a_cache_holds_keys_and_values_of_every_layer() -> None:
    assert architecture.known()["llama-3-70b"].kv_bytes() == 2 * 80 * 8 * 128 * 2


def test_what_is_not_understood_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="did you mean llama-3-8b"):
        architecture.find("llama-3-8")
    file = tmp_path / "config.json"
    for text, reason in (
        ("{", "no configuration"), ("[]", "no configuration"), (json.dumps({"model_type": "bert"}), "'bert'"),
        (json.dumps({"model_type": "llama", "hidden_size": 8}), "lacks"),
    ):  # fmt: skip
        file.write_text(text)
        with pytest.raises(InvalidInput, match=reason):
            architecture.find(str(tmp_path))
