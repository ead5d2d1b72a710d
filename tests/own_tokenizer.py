"""A small byte-pair tokenizer, trained where it is asked for, saved as checkpoints bring theirs along."""

from __future__ import annotations

import json
from pathlib import Path

TEXT = "".join(
    f"import os\nprint('sum {n}: {n + n}')\nfor word in words:\n    return größe, {n % 7}\n" for n in range(150)
)


def save(folder: Path, *, words: str = TEXT, size: int = 320) -> Path:
    """Write tokenizer.json and tokenizer_config.json into a folder; returns the folder."""
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers, trainers

    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=["<end>", "<pad>"], initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator([words], trainer)
    folder.mkdir(parents=True, exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<end>",
        "pad_token": {"__type": "AddedToken", "content": "<pad>", "lstrip": False},
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def causal(folder: Path, *, context: int = 64) -> Path:
    """Save a tiny random Llama beside its tokenizer."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=320, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=context, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(save(folder))
    return folder


def encoder(folder: Path) -> Path:
    """Save a tiny random BERT beside its tokenizer."""
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=320, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64, initializer_range=0.5,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(save(folder))
    return folder
