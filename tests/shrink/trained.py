"""Small Llamas that learned Python's own source byte by byte, saved as transformers saves them, tokenizer included."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

LENGTH = 64
UPDATES, BATCH = 220, 24


def text(part: int) -> str:
    """Return 200 kB of the standard library's source; the parts don't overlap."""
    files = sorted(Path(os.__file__).parent.glob("[a-z]*.py"))
    whole = "".join(path.read_text(errors="replace") for path in files).encode("ascii", "replace").decode()
    return whole[part * 200_000 : (part + 1) * 200_000]


def tokenizer() -> Any:
    """Return one whose tokens are bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = {letter: index for index, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    made = Tokenizer(models.BPE(vocab=alphabet, merges=[]))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=made)


def llama(folder: Path, *, seed: int) -> Path:
    """Train for seconds and save; perplexity ends near 8."""
    import transformers

    torch.manual_seed(seed)
    config = transformers.LlamaConfig(
        vocab_size=256, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=128,
        max_position_embeddings=256, tie_word_embeddings=False,
    )  # fmt: skip
    model, bytes_to = transformers.LlamaForCausalLM(config), tokenizer()
    tokens = torch.tensor(bytes_to(text(0) + text(1), verbose=False)["input_ids"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    decay = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, total_steps=UPDATES)
    for _ in range(UPDATES):
        starts = torch.randint(len(tokens) - LENGTH, (BATCH,))
        batch = torch.stack([tokens[start : start + LENGTH] for start in starts.tolist()])
        model(batch, labels=batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        decay.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    bytes_to.save_pretrained(folder)
    return folder
