"""One stage of a transformer: the same model, with the layers of other stages taken out and names unchanged."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from workbench.layout import _blocks, _splitting

FINAL_NORMS = ("norm", "layernorm", "ln_f")


class Skipped(nn.Module):
    """Stands for a layer of another stage: hands its input on."""

    def forward(self, hidden: Tensor, *_: Any, **__: Any) -> Tensor:
        return hidden


class Received(nn.Module):
    """Stands for the embeddings: what the stage before sent is embedded already."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        # transformers' ViT asks its embeddings for their dtype on this path
        self.patch_embeddings = SimpleNamespace(projection=SimpleNamespace(weight=torch.empty(0, dtype=dtype)))

    def forward(self, hidden: Tensor | None = None, *_: Any, inputs_embeds: Tensor | None = None, **__: Any) -> Tensor:
        found = inputs_embeds if inputs_embeds is not None else hidden
        assert found is not None
        return found


class NoPositions(nn.Module):
    """Stands for GPT-2's table of positions, which is added to the embeddings in the first stage."""

    def forward(self, positions: Tensor) -> Tensor:
        return torch.zeros((), device=positions.device)


class Stage(nn.Module):
    """Answers with hidden states (batch, tokens, width), or with logits when it is the last.

    `whole` is a copy of the model that this stage owns; only the blocks in `kept` stay. `rows` name the examples of a
    microbatch in `inputs`, which every process has; −1 is padding.
    """

    def __init__(self, whole: Any, kept: range, *, is_first: bool, is_last: bool) -> None:
        super().__init__()
        self.whole, self.is_first, self.is_last = whole, is_first, is_last
        self.inputs: dict[str, Tensor] = {}
        self.arithmetic: Any = None
        base, inner = whole.inner.base_model, whole.inner
        start = next(name for name in _blocks.CUTTABLE if _has(whole, name))
        self.start, self.dtype = start, next(whole.parameters()).dtype
        blocks = whole.get_submodule(start)
        for index in range(len(blocks)):
            if index not in kept:
                blocks[index] = Skipped()
        if not is_first:
            _begin_later(base, self.dtype)
        if not is_last:
            for name in FINAL_NORMS:
                if hasattr(base, name):
                    setattr(base, name, nn.Identity())
            if getattr(base, "pooler", None) is not None:
                base.pooler = None
            for name, child in inner.named_children():
                if child is not base:
                    setattr(inner, name, nn.Identity())

    @property
    def blocks(self) -> list[nn.Module]:
        return [block for _, block in _splitting.named_blocks(self.whole)]

    def forward(self, received: Tensor, *, rows: Tensor) -> Tensor:
        whole: Any = self.whole
        given = {name: tensor[rows.clamp(min=0)] for name, tensor in self.inputs.items()}
        with self.arithmetic():
            if self.is_first and whole.fit is not None:
                given["pixels"] = whole.fit(given["pixels"])
            named = {whole.renamed.get(name, name): tensor for name, tensor in given.items()}
            if not self.is_first:
                is_picture = named.pop("pixel_values", None) is not None
                named.pop("input_ids", None)
                named["pixel_values" if is_picture else "inputs_embeds"] = received
            if self.is_last:
                return whole.inner(**named).logits
            return whole.inner.base_model(**named).last_hidden_state.to(self.dtype)


def _begin_later(base: Any, dtype: torch.dtype) -> None:
    """Take out what comes before the blocks."""
    if hasattr(base, "embeddings"):
        base.embeddings = Received(dtype)
    for name in ("embed_tokens", "wte", "drop"):
        if hasattr(base, name):
            setattr(base, name, nn.Identity())
    if hasattr(base, "wpe"):
        base.wpe = NoPositions()


def _has(module: nn.Module, name: str) -> bool:
    for piece in name.split("."):
        if not hasattr(module, piece):
            return False
        module = getattr(module, piece)
    return True
