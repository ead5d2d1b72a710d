"""Operations and bytes of a decoder's layers while it reads a prompt and while it writes: where each stands under a roofline.

Source: Williams, Waterman & Patterson, CACM 52(4), 2009. Weights are read once for all sequences of a batch; caches are
each sequence's own. Vectors between layers are left out: they stay in caches.
"""

from __future__ import annotations

from dataclasses import dataclass

from workbench.plan.architecture import Architecture
from workbench.plan.serving import BITS


@dataclass(frozen=True)
class Work:
    """One kind of layer, all of its copies together, for one pass."""

    name: str
    phase: str  # prompt | token
    flops: float
    bytes_read: float

    @property
    def intensity(self) -> float:
        """Operations per byte."""
        return self.flops / self.bytes_read


def works(model: Architecture, *, precision: str, batch: int, prompt: int) -> list[Work]:
    """Return every kind of layer in both phases: a prompt of so many tokens for each of `batch` sequences, then one token each."""
    found = []
    width = BITS[precision] / 8
    cache = max(width, 2.0)  # caches are never rounded to integers
    experts = model.experts_per_token * model.expert_params
    matrices = {
        "attention's matrices": model.layers * model.attention_params,
        "feed-forward": model.layers * experts,
        "output layer": model.vocabulary * model.hidden,
    }
    for phase, tokens in (("prompt", batch * prompt), ("token", batch)):
        for name, params in matrices.items():
            rows = batch if name == "output layer" else tokens  # of a prompt, only the last token is answered
            read: float = params
            if name == "feed-forward" and model.experts > 1:
                share = 1 - (1 - model.experts_per_token / model.experts) ** tokens
                read = share * model.layers * model.experts * model.expert_params
            found.append(Work(name, phase, 2.0 * rows * params, read * width))
        length = prompt / 2 if phase == "prompt" else prompt  # causal: half of the others in the mean
        scores = 4.0 * tokens * length * model.layers * model.q_width
        found.append(Work("attention over the cache", phase, scores, batch * prompt * model.kv_bytes(cache)))
    return found
