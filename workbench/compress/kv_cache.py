"""The keys and values that a decoder keeps while it writes, in 8 or 4 bits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from workbench.errors import WorkbenchError
from workbench.nouns import ModelCard, Quantization
from workbench.params import param
from workbench.part import Context, Step

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

FLOAT = "float"


class KvCache(Step):
    """No number of the file changes: what is kept of each token while writing does, and every later token reads that.

    Keys have a scale for each channel of a group of tokens, as their outliers lie in few channels; values have one for each
    token and head. The newest tokens, fewer than a group, are kept as they are. Quality is measured as writing meets it.
    """

    title = "Keys and values in 8 or 4 bits"
    source = "Liu et al., arXiv 2402.02750 (KIVI), sections 3.2 and 3.3"
    precision = True

    bits: Literal[8, 4] = param(8, help="Width of a kept number", unit="bits")
    group: int = param(
        32,
        help="Tokens whose keys share scales; at most so many newest ones stay as they are",
        unit="tokens",
        ge=8,
        le=1024,
    )

    @classmethod
    def sample(cls, folder: Path) -> dict[str, Any]:
        return {"bits": 4, "group": 8}

    def why_not(self, card: ModelCard) -> list[str]:
        if not card.kv_numbers:
            return [
                f"{card.name} keeps no keys and values from token to token: it is no language model of transformers"
            ]
        if card.kv_precision != FLOAT:
            return [f"keys and values are already kept as {card.kv_precision}"]
        length = int(card.inputs[0].shape[1])
        return [f"texts have {length} tokens: group={self.group} would never be full"] if self.group >= length else []

    def preview(self, card: ModelCard) -> ModelCard:
        return replace(card, kv_precision=f"int{self.bits}")

    def run(self, model: nn.Module, ctx: Context) -> nn.Module:
        """Record how keys and values are kept; raises WorkbenchError for heads whose numbers don't fill bytes."""
        config: Any = model.inner.config  # type: ignore[union-attr]
        if others := set(getattr(config, "layer_types", None) or ()) - {"full_attention"}:
            raise WorkbenchError(
                f"only full attention keeps keys and values so, this model has {', '.join(sorted(others))}"
            )
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        if width * self.bits % 8:
            raise WorkbenchError(
                f"heads of {width} numbers don't fill bytes in {self.bits} bits", next_move="take bits=8"
            )
        how = Quantization(
            "cache", "float32", f"int{self.bits}", bits=self.bits, group_size=self.group, symmetric=False
        )
        ctx.quantize("cache.keys", replace(how, granularity="channel"))
        ctx.quantize("cache.values", replace(how, granularity="token"))
        return model

    def describe(self) -> str:
        return f"kv int{self.bits}"
