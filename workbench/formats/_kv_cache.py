"""Keys and values kept in few bits: needs torch and transformers alone; this very file travels beside such a model as kv_cache.py.

Keys have a scale and a smallest value for each channel of a group of tokens, values for each token, the newest tokens (fewer
than a group) stay as they are: Liu et al., arXiv 2402.02750 (KIVI), sections 3.2 and 3.3. Departure: 8 or 4 bits here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from transformers.cache_utils import Cache, DynamicLayer

SMALLEST_SCALE = 2.0**-14  # float16 has no smaller normal number


class Coded(NamedTuple):
    """Numbers of shape (batch, heads, …) in few bits: number = code · scale + smallest."""

    codes: torch.Tensor  # uint8, two 4-bit codes to a byte along the last axis
    scales: torch.Tensor  # float16, one along the axis that shares it
    smallest: torch.Tensor  # float16

    @property
    def nbytes(self) -> int:
        return sum(int(each.nbytes) for each in self)


def coded(numbers: torch.Tensor, bits: int, axis: int) -> Coded:
    """Return `numbers` in `bits`, those along `axis` with a scale of their own."""
    exact = numbers.float()
    smallest = exact.amin(axis, keepdim=True).half()
    scales = ((exact.amax(axis, keepdim=True) - smallest.float()) / (2**bits - 1)).clamp(min=SMALLEST_SCALE).half()
    codes = ((exact - smallest.float()) / scales.float()).round().clamp(0, 2**bits - 1).to(torch.uint8)
    if bits == 4:
        codes = codes[..., ::2] | codes[..., 1::2] << 4
    return Coded(codes, scales, smallest)


def decoded(kept: Coded, bits: int, dtype: torch.dtype) -> torch.Tensor:
    """Return the numbers that `coded` kept, shaped as they were."""
    codes = kept.codes
    if bits == 4:
        codes = torch.stack((codes & 15, codes >> 4), dim=-1).flatten(-2)
    return torch.addcmul(kept.smallest.float(), codes.float(), kept.scales.float()).to(dtype)


class FewBitsLayer(DynamicLayer):
    """One block's cache: `keys` and `values` hold the newest tokens alone, the others lie in few bits."""

    is_croppable = False

    def __init__(self, bits: int, group: int) -> None:
        super().__init__()
        self.bits, self.group = bits, group
        # (batch, heads, groups, group, width) with scales along the group, and (batch, heads, tokens, width) along the width.
        self.old_keys: Coded | None = None  # None = fewer tokens than a group so far
        self.old_values: Coded | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add tokens (batch, heads, tokens, width); returns all of them: the newest as given, the others as they are kept."""
        newest_keys, newest_values = super().update(key_states, value_states)
        found = newest_keys, newest_values
        if self.old_keys is not None and self.old_values is not None:
            dtype = newest_keys.dtype
            found = (
                torch.cat((decoded(self.old_keys, self.bits, dtype).flatten(2, 3), newest_keys), -2),
                torch.cat((decoded(self.old_values, self.bits, dtype), newest_values), -2),
            )
        if full := newest_keys.shape[-2] // self.group * self.group:
            grouped = newest_keys[..., :full, :].unflatten(2, (-1, self.group))
            self.old_keys = _joined(self.old_keys, coded(grouped, self.bits, 3))
            self.old_values = _joined(self.old_values, coded(newest_values[..., :full, :], self.bits, 3))
            self.keys, self.values = newest_keys[..., full:, :].clone(), newest_values[..., full:, :].clone()
        return found

    def get_seq_length(self) -> int:
        old = 0 if self.old_values is None else int(self.old_values.codes.shape[2])
        return old + super().get_seq_length()

    @property
    def nbytes(self) -> int:
        return sum(
            int(each.nbytes) for each in (self.old_keys, self.old_values, self.keys, self.values) if each is not None
        )


def empty(model: Any, bits: int, group: int) -> Cache:
    """Return a cache for `model` that holds nothing yet."""
    return Cache(layers=[FewBitsLayer(bits, group) for _ in range(model.config.get_text_config().num_hidden_layers)])


def logits(model: Any, tokens: torch.Tensor, *, bits: int, group: int) -> torch.Tensor:
    """Return the logits (batch, tokens, vocabulary) that writing these tokens one after the other meets.

    Within a group a token sees the others of it as they are, so a group can be read at once.
    """
    cache = empty(model, bits, group)
    parts = [model(input_ids=part, past_key_values=cache, use_cache=True).logits for part in tokens.split(group, dim=1)]
    return torch.cat(parts, dim=1)


def _joined(old: Coded | None, new: Coded) -> Coded:
    return new if old is None else Coded(*(torch.cat(pair, 2) for pair in zip(old, new)))
