"""A small decoder-only transformer (Llama's plan) over bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.nouns import DataCard, Layer, ModelCard, TensorSpec
from workbench.params import param
from workbench.part import Model
from workbench.zoo import _layers

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn


class TinyLm(Model):
    """Predicts the next token, or classifies a text by what it holds at the last token.

    A language model's vocabulary is the data's; embedding and output layer have their own weights.
    """

    title = "Tiny language model"
    source = "Touvron et al., arXiv 2302.13971 (RMS norm, rotary positions, gated feed-forward), as in transformers"
    licence = "Apache-2.0 (transformers)"
    tasks = ("language-modelling", "text-classification")

    layers: int = param(2, help="Transformer layers", unit="layers", ge=1, le=48)
    width: int = param(64, help="Size of a token's vector, an even multiple of heads", unit="units", ge=8, le=2048)
    heads: int = param(4, help="Attention heads", unit="heads", ge=1, le=32)
    ffn: int = param(128, help="Width of the feed-forward layer", unit="units", ge=8, le=8192)
    vocabulary: int = param(
        256, help="Tokens of a text to classify; a language model takes the data's", ge=2, le=1_000_000
    )

    @classmethod
    def sample(cls, folder: Path) -> dict[str, Any]:
        return {"layers": 1, "width": 32, "ffn": 64}

    def why_not(self, data: DataCard) -> list[str]:
        reasons = super().why_not(data)
        if self.width % (2 * self.heads):  # rotary positions turn pairs of units
            reasons.append(f"width={self.width} is not a multiple of 2 × heads={2 * self.heads}")
        if not reasons and [spec.name for spec in data.inputs] != ["tokens"]:
            reasons.append(f"takes one input, tokens; {data.name} has {', '.join(spec.name for spec in data.inputs)}")
        return reasons

    def card(self, data: DataCard) -> ModelCard:
        layers = self._layers(data)
        outputs, kept = _layers.logits(data), 0
        if data.task == "language-modelling":
            kept = 2 * self.layers * self.width
            outputs = (TensorSpec("logits", "float32", ("batch", self._length(data), data.num_classes)),)
        return ModelCard(
            self.name(), data.task, data.inputs, outputs, layers, _layers.count(layers),
            licence=self.licence, source=self.source, library="transformers", kv_numbers=kept,
        )  # fmt: skip

    def build(self, data: DataCard) -> nn.Module:
        from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification

        from workbench.zoo._wrapped import NO_PADDING, TRANSFORMERS_NAMES, Wrapped

        config = LlamaConfig(
            vocab_size=self._vocabulary(data), hidden_size=self.width, intermediate_size=self.ffn, num_hidden_layers=self.layers,
            num_attention_heads=self.heads, max_position_embeddings=self._length(data), use_cache=False,
            bos_token_id=None, eos_token_id=None,
        )  # fmt: skip
        if data.task == "language-modelling":
            return Wrapped(LlamaForCausalLM(config), ["tokens"], renamed=TRANSFORMERS_NAMES)
        config.num_labels = data.num_classes
        model = LlamaForSequenceClassification(config)
        model.config.pad_token_id = NO_PADDING
        return Wrapped(model, ["tokens"], renamed=TRANSFORMERS_NAMES)

    def _vocabulary(self, data: DataCard) -> int:
        return data.num_classes if data.task == "language-modelling" else self.vocabulary

    @staticmethod
    def _length(data: DataCard) -> int:
        return int(data.inputs[0].shape[1])

    def _layers(self, data: DataCard) -> tuple[Layer, ...]:
        length, size = self._length(data), self.width
        layers = [_layers.embedding("inner.model.embed_tokens", self._vocabulary(data), size)]
        head_width = size // self.heads
        plan = {f"self_attn.{piece}_proj": (size, size) for piece in "qkvo"}
        plan |= {"mlp.gate_proj": (size, self.ffn), "mlp.up_proj": (size, self.ffn), "mlp.down_proj": (self.ffn, size)}
        for index in range(self.layers):
            name = f"inner.model.layers.{index}"
            layers += [
                _layers.linear(
                    f"{name}.{piece}",
                    *shape,
                    positions=length,
                    bias=False,
                    head_width=head_width if "attn" in piece else 0,
                )
                for piece, shape in plan.items()
            ]
            layers += [
                _layers.norm(f"{name}.{each}_layernorm", size, bias=False) for each in ("input", "post_attention")
            ]
        layers.append(_layers.norm("inner.model.norm", size, bias=False))
        head = "lm_head" if data.task == "language-modelling" else "score"
        layers.append(_layers.linear(f"inner.{head}", size, data.num_classes, positions=length, bias=False))
        return tuple(layers)
