"""Reads back what really lies in a file: dtypes, counts and non-zeros of its tensors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.nouns import Quantization, StoredWeight

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


BITS = re.compile(r"\d+")


def is_simulated(quantization: Mapping[str, Quantization]) -> bool:
    """Say whether a format that has no codebooks writes shared values at full width: the error is real, the size is not."""
    return any(how.scheme == "codebook" for how in quantization.values())


def of_tensors(
    tensors: Mapping[str, Tensor], *, packed: Mapping[str, StoredWeight] | None = None, simulated: bool = False
) -> dict[str, Any]:
    """Summarise the floating tensors of a state: parameters, and buffers such as running means.

    `packed` holds the layers whose integers are packed (None = there are none): all else of them but a bias is no parameter.
    """
    whole = packed or {}
    rows: list[tuple[str, int, int, float, int]] = [
        (
            _dtype(tensor),
            tensor.numel(),
            int(tensor.count_nonzero()),
            tensor.element_size(),
            tensor.ndim,
        )
        for name, tensor in tensors.items()
        if tensor.is_floating_point() and not (name.rpartition(".")[0] in whole and not name.endswith(".bias"))
    ]
    rows = [*rows, *map(row, whole.values())]
    return summary(rows, activations="float32" if whole else "", simulated=simulated)


def weights_of(tensors: Mapping[str, Tensor]) -> dict[str, StoredWeight]:
    """Return the weight of each layer in a state, by layer."""
    return {
        name.removesuffix(".weight"): StoredWeight(
            tensor.detach().float().numpy(), _dtype(tensor), tensor.numel() * tensor.element_size()
        )
        for name, tensor in tensors.items()
        if name.endswith(".weight")
    }


def row(weight: StoredWeight) -> tuple[str, int, int, float, int]:
    """Return the row of `summary` for a packed weight, whose dtype `intB` or `floatB_…` has B bits."""
    size, nonzero = weight.values.size, int((weight.values != 0).sum())
    return weight.dtype, size, nonzero, int(BITS.search(weight.dtype)[0]) / 8, 2  # type: ignore[index]


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def num_bytes(array: np.ndarray) -> int:
    """Return what a tensor takes in a file: int4 numbers lie two to a byte there, one in memory."""
    return -(-array.size // 2) if array.dtype.name == "int4" else array.nbytes


def summary(
    rows: Sequence[tuple[str, int, int, float, int]], *, activations: str, simulated: bool = False
) -> dict[str, Any]:
    """Summarise (dtype, count, non-zeros, bytes per element, rank) of each parameter tensor.

    `weights` names the dtypes of tensors of rank ≥ 2, most numbers first: "int8", or "int8 and float32".
    """
    counts: Counter[str] = Counter()
    for dtype, count, _, _, rank in rows:
        if rank >= 2:
            counts[dtype] += count
    dtypes = [dtype for dtype, _ in counts.most_common()]
    return {
        "weights": " and ".join(dtypes) or "none",
        "activations": activations or (dtypes[0] if dtypes else "float32"),
        "simulated": simulated,
        "num_params": sum(row[1] for row in rows),
        "nonzero_params": sum(row[2] for row in rows),
        "dense_bytes": round(sum(row[1] * row[3] for row in rows)),
    }
