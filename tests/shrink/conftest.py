"""The checkpoint that is shrunk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.zoo import checkpoints


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float32 Llama of 0.2 million weights, in one file."""
    import transformers

    config = transformers.LlamaConfig(
        vocab_size=256, hidden_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=96
    )  # fmt: skip
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("llama")
    checkpoints.saved(transformers.LlamaForCausalLM(config), folder)
    return folder
