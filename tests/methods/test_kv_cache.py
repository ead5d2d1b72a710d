"""Keys and values in few bits: what is kept, what reading it costs, and that writing and measuring meet the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.conftest import small_job
from workbench.formats import _decoding, _kv_cache

TEXT = {"use": "python_source", "length": 32, "num_examples": 200}
LLAMA = {"vocab_size": 256, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "max_position_embeddings": 64}  # fmt: skip
GPT2 = {"vocab_size": 256, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}


def causal(kind: str) -> Any:
    import transformers

    torch.manual_seed(0)
    made = {
        "llama": lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**LLAMA)),
        "gpt2": lambda: transformers.GPT2LMHeadModel(transformers.GPT2Config(**GPT2)),
    }[kind]()
    for parameter in made.parameters():
        if parameter.ndim == 2:
            parameter.data *= 6  # fresh models hardly attend: their keys must matter
    return made.eval()


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("axis", [2, 3])
def test_a_kept_number_is_half_a_step_off_at_most(bits: int, axis: int) -> None:
    numbers = torch.randn(2, 3, 16, 8, generator=torch.Generator().manual_seed(0)) * 5
    kept = _kv_cache.coded(numbers, bits, axis)
    gap = (_kv_cache.decoded(kept, bits, torch.float32) - numbers).abs()
    rounded = numbers.abs().amax(axis, keepdim=True) * 2**-10  # smallest numbers and scales are float16
    assert (gap <= kept.scales.float() / 2 + rounded).all() and gap.max() > 0
    assert kept.codes.nbytes == numbers.numel() * bits // 8


def test_equal_numbers_are_kept_as_they_are() -> None:
    same = torch.full((1, 1, 8, 4), 0.5)
    assert torch.equal(_kv_cache.decoded(_kv_cache.coded(same, 4, 3), 4, torch.float32), same)


def test_keys_with_an_outlier_channel_need_scales_of_channels() -> None:
    """KIVI's observation: with one scale per token the outlier takes the grid from all other channels of that token."""
    keys = torch.randn(1, 1, 32, 16, generator=torch.Generator().manual_seed(0))
    keys[..., 3] *= 30
    others = [channel for channel in range(16) if channel != 3]
    off = {
        name: (_kv_cache.decoded(_kv_cache.coded(keys, 4, axis), 4, torch.float32) - keys)[..., others].std().item()
        for name, axis in (("channel", 2), ("token", 3))
    }
    assert off["channel"] < 0.25 * off["token"]


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
@pytest.mark.parametrize("bits", [8, 4])
def test_writing_meets_what_quality_is_measured_on(kind: str, bits: int) -> None:
    """One token after the other, through the decoder that serves; the whole text, group by group, as metrics do."""
    model, kept = causal(kind), {"bits": bits, "group": 8}
    tokens = torch.randint(0, 256, (1, 30), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        whole = _kv_cache.logits(model, tokens, **kept)[0]
        plain = model(input_ids=tokens).logits[0]
    decoder = _decoding.decoder(model, kept)
    assert decoder is not None
    reading = decoder.read(tokens[0, :1].tolist())
    written = [reading.logits, *(reading.go_on(int(token)).copy() for token in tokens[0, 1:])]
    assert torch.allclose(torch.tensor(np.array(written)), whole, atol=2e-4 * float(whole.abs().max()))
    assert torch.allclose(whole[:8], plain[:8], atol=1e-4), "a first group sees nothing in few bits"
    gap = float((whole[8:] - plain[8:]).abs().max() / plain.abs().max())
    assert 1e-5 < gap < {8: 0.05, 4: 0.6}[bits]


def test_a_batch_of_texts_is_the_texts_alone() -> None:
    model = causal("llama")
    tokens = torch.randint(0, 256, (3, 20), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        together = _kv_cache.logits(model, tokens, bits=4, group=8)
        alone = torch.cat([_kv_cache.logits(model, each[None], bits=4, group=8) for each in tokens])
    assert torch.allclose(together, alone, atol=1e-4 * float(alone.abs().max()))


def job(*steps: Any, **changes: Any) -> Any:
    record = {
        "model": {"use": "tiny_lm", "layers": 1, "width": 16, "heads": 2, "ffn": 32},
        "data": TEXT,
        "format": "hugging_face",
    }
    return small_job(steps=list(steps), **{**record, **changes})


def test_it_is_refused_in_words() -> None:
    small = {"use": "kv_cache", "group": 8}
    assert not job(small).why_not() and not job({"use": "bfloat16"}, small).why_not()
    for reasons, word in (
        (job(small, format="onnx").why_not(), "keep nothing between tokens"),
        (job(small, small).why_not(), "already kept as int8"),
        (job({"use": "kv_cache", "group": 32}).why_not(), "would never be full"),
        (job(small, {"use": "train"}).why_not(), "already decided"),
        (small_job(steps=[small]).why_not(), "no language model"),
    ):
        assert any(word in reason for reason in reasons), reasons
