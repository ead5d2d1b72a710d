"""Mark the weights of one layer as somebody's, so that the saved file can be told from others later."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import projection
from workbench.errors import InvalidInput, WorkbenchError
from workbench.nouns import Layer, ModelCard
from workbench.params import did_you_mean, param
from workbench.part import Context, Step

if TYPE_CHECKING:
    from torch import nn


class Watermark(Step):
    """The signs of a secret projection of the layer's weights spell the mark of an owner; zeros stay zero.

    Put it after pruning and training, before steps that decide how numbers are stored: the mark outlives pruning by magnitude,
    rounding to int8 and 4 bits, and some fine-tuning. It is lost when the layer's neurons are permuted, or the layer is narrowed,
    split or replaced. Departure from the paper: the smallest change in closed form, not a term of the loss.
    `workbench protect watermark detect` looks for it in any artifact.
    """

    title = "Watermark"
    source = "Uchida et al., arXiv 1701.04082, eq. 2 and 3; closed form instead of a regulariser"

    key: str = param(..., help="File that workbench protect watermark keygen made")
    owner: str = param(..., help="Whose mark: detecting asks for the same words")
    layer: str = param("", help="Layer that carries it; empty = the one with most weights")
    num_bits: int = param(64, help="Length of the mark", unit="bits", ge=24, le=1024)
    strength: float = param(
        2.5, help="Distance of each bit from chance, in standard deviations of unmarked weights", gt=0, le=10
    )

    @classmethod
    def sample(cls, folder: Path) -> dict[str, Any]:
        """A made-up key: 32 bytes that everybody knows."""
        key = projection.MarkKey(bytes(range(projection.KEY_BYTES)))
        path = folder / projection.KEY_FILE.format(key.id)
        path.write_text(f"{key.secret.hex()}\n")
        return {"key": str(path), "owner": "a test", "num_bits": 32}

    def why_not(self, card: ModelCard) -> list[str]:
        reasons = []
        if card.precision != "float32":
            reasons.append(f"weights are already {card.precision}: mark them before that is decided")
        known = {layer.name: layer for layer in card.layers if layer.prunable}
        if self.layer and self.layer not in known:
            return [*reasons, f"layer: no layer {self.layer!r}{did_you_mean(self.layer, known)}"]
        if not known:
            return [*reasons, "no layer with weights that may change"]
        carrier = known[self.layer] if self.layer else max(known.values(), key=_num_nonzero)
        if _num_nonzero(carrier) < projection.WEIGHTS_PER_BIT * self.num_bits:
            reasons.append(_too_few(carrier.name, _num_nonzero(carrier), self.num_bits))
        return reasons

    def run(self, model: nn.Module, ctx: Context) -> nn.Module:
        """Mark in place; raises when a bit can't be brought to its sign."""
        import torch

        key, weights = projection.read_key(self.key), dict(ctx.weights(model))
        name = self.layer or max(weights, key=lambda each: int(torch.count_nonzero(weights[each])), default="")
        if name not in weights:
            raise InvalidInput([f"watermark found no layer {name!r} to mark"], next_move="name another layer")
        before = weights[name].detach().cpu().numpy()
        if (left := int((before != 0).sum())) < projection.WEIGHTS_PER_BIT * self.num_bits:
            raise WorkbenchError(_too_few(name, left, self.num_bits), next_move="lower num_bits, or mark another layer")
        bits = projection.bits_of(key, self.owner, self.num_bits)
        after = projection.marked(before, key, bits, strength=self.strength)
        if (wrong := int((projection.projected(after, key, self.num_bits) * bits <= 0).sum())) > 0:
            raise WorkbenchError(
                f"{wrong} bits of {name} can't be set", next_move="lower num_bits, or mark another layer"
            )
        with torch.no_grad():
            weights[name].copy_(torch.from_numpy(after))
        change = float(((after - before) ** 2).sum() / (before**2).sum()) ** 0.5
        ctx.say(f"{self.num_bits} bits in {name} with key {key.id}, weights changed by {change:.1%} of their size")
        return model

    def describe(self) -> str:
        return f"watermark {self.num_bits} bits"


def _num_nonzero(layer: Layer) -> int:
    count = 1
    for size in layer.weight_shape:
        count *= size
    return int(count * layer.density)


def _too_few(layer: str, count: int, num_bits: int) -> str:
    needed = projection.WEIGHTS_PER_BIT * num_bits
    return f"{layer} has {count:,} weights that aren't zero; {num_bits} bits take {needed:,} or more"
